"""A VMCS as people write it down: `{FIELD: value}` in JSON or YAML, alone or with sections for what else rules ask.

Every name that look-up knows means its field, and so does an encoding. Hostile input costs findings, never more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, BinaryIO

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import field_of, number_of, plain
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readings import Readings, whole
from vmcsc.check.memory import Memory
from vmcsc.diagnostic import Code, Diagnostics, Label
from vmcsc.expression.value import Value, known
from vmcsc.records import dataclass, field, replace
from vmcsc.source import MAX_BYTES, Source, Span, source_of_bytes
from vmcsc.yamlnodes import YamlDocument, YamlError, read_yaml

FIELDS, MEMORY, PROCESSOR, CPU = "fields", "memory", "processor", "cpu"
SECTIONS = (FIELDS, MEMORY, PROCESSOR, CPU)
ADDRESSES = 1 << 64
MAX_SUGGESTIONS = 50
"""Findings of one run with a guess of what was meant: in a hostile text there are many."""

_HEX = re.compile(r"(0x)?[0-9a-f]*")
_NUMBER = re.compile(r"[-+]?(0x[0-9a-f_]{1,100}|[0-9][0-9_]{0,99})|[0-9][0-9a-f]{0,99}h")


@dataclass(frozen=True)
class WrittenVmcs:
    """What one text says. `spans` are the places of the fields; `msrs` and `facts` add to those of a CPU."""

    source: Source
    fields: Mapping[str, Value]
    spans: Mapping[str, Span]
    memory: Memory | None = None
    processor: Mapping[str, Value] = field(default_factory=dict)
    msrs: Mapping[str, Value] = field(default_factory=dict)
    facts: Mapping[str, Value] = field(default_factory=dict)

    def on(self, cpu: Cpu) -> Cpu:
        """The CPU with what the text says of it, which wins."""
        if not self.msrs and not self.facts:
            return cpu
        return replace(cpu, msrs={**cpu.msrs, **self.msrs}, facts={**cpu.facts, **self.facts})


def read_vmcs(source: Source, database: Database, diagnostics: Diagnostics) -> WrittenVmcs | None:
    """The VMCS of a text, or None after reporting what is wrong with it."""
    try:
        document = read_yaml(source)
    except YamlError as error:
        message = f"{source.name} cannot be read: {error.reason}"
        diagnostics.report(codes.UNREADABLE, message, error.span)
        return None
    found = Diagnostics(limit=diagnostics.limit)
    reader = _Reader(document, database, found)
    written = reader.read()
    failed = found.failed
    diagnostics.extend(found)
    diagnostics.suppressed += found.suppressed
    diagnostics.suppressed_errors += found.suppressed_errors
    return None if failed else written


def lines_of(stream: BinaryIO, name: str) -> Iterator[Source]:
    """The lines of a .jsonl as a text each, without those that are blank. Raises `UnreadableText`."""
    number = 0
    while line := stream.readline(MAX_BYTES + 1):
        number += 1
        source = source_of_bytes(line, name, first_line=number)
        if source.text.strip():
            yield source


def is_jsonl(source: Source) -> bool:
    """Whether a text is several JSON objects, one a line."""
    lines = [line.strip() for line in source.text.splitlines() if line.strip()]
    return len(lines) > 1 and all(line.startswith("{") and line.endswith("}") for line in lines)


def parse_number(raw: object) -> int | None:
    """A number, or a text that is one: decimal, with `0x`, or with the `h` of the manual; None for anything else."""
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        return None
    if isinstance(raw, int):
        return raw
    text = raw.strip().lower()
    if not _NUMBER.fullmatch(text) or text.endswith("_"):
        return None
    if text.endswith("h"):
        return int(text[:-1], 16)
    digits = text.replace("_", "")
    return int(digits, 16 if "0x" in digits else 10)


class _Reader:
    def __init__(self, document: YamlDocument, database: Database, diagnostics: Diagnostics) -> None:
        self._document = document
        self._db = database
        self._diagnostics = diagnostics
        self._whole: dict[str, tuple[int, Span]] = {}
        self._high: dict[str, tuple[int, Span]] = {}

    def read(self) -> WrittenVmcs | None:
        raw = self._document.value
        if not isinstance(raw, dict):
            help = 'write {"FIELD": value, ...} in JSON, or `FIELD: value` on lines of YAML'
            self._report(codes.BAD_VALUE, "a VMCS is a mapping of fields to values", self._document.span(), help)
            return None
        sections: dict[str, Any] = {FIELDS: raw}
        if any(key in SECTIONS for key in raw):
            sections = {key: self._section(key, value) for key, value in raw.items()}
        path = () if sections.get(FIELDS) is raw else (FIELDS,)
        for key, value in sections.get(FIELDS, {}).items():
            self._field(key, value, path)
        values = self._joined()
        cpu = self._cpu(sections.get(CPU, {}))
        spans = {name: span for name, (_, span) in {**self._high, **self._whole}.items()}
        return WrittenVmcs(
            self._document.source,
            values,
            spans,
            self._memory(sections[MEMORY]) if MEMORY in sections else None,
            dict(self._processor(sections.get(PROCESSOR, {}))),
            cpu.msrs,
            cpu.facts,
        )

    def _report(self, code: Code, message: str, span: Span, help: str | None = None, *labels: Label) -> None:
        self._diagnostics.report(code, message, span, labels=labels, help=help)

    def _near(self, word: str, names: Mapping[str, object]) -> str | None:
        if len(self._diagnostics) > MAX_SUGGESTIONS or len(word) > 100:
            return None
        near = get_close_matches(word.lower(), names, n=1)
        return f"did you mean `{near[0]}`?" if near else None

    def _section(self, key: str, raw: object) -> dict[str, Any]:
        if key not in SECTIONS:
            listed = ", ".join(f"`{name}`" for name in SECTIONS)
            help = f"where there are sections, fields stand under `{FIELDS}`"
            message = f"there is no section `{_shown(key)}`; there are {listed}"
            self._report(codes.UNKNOWN_NAME, message, self._document.key_span(key), help)
        elif raw is not None and not isinstance(raw, dict):
            message = f"the section `{key}` is a mapping of names to values"
            self._report(codes.BAD_VALUE, message, self._document.span(key))
        elif raw is not None:
            return raw
        return {}

    # --- fields ---

    def _field(self, key: str, raw: object, path: tuple[str, ...]) -> None:
        part = field_of(self._db, key)
        if part is None:
            what = "is named" if number_of(key) is None else "has the encoding"
            span = self._document.key_span(*path, key)
            message = f"no field {what} `{_shown(key)}`"
            self._report(codes.UNKNOWN_FIELD, message, span, self._near(key, self._db.fields))
            return
        width = part.field.width // 2 if part.high else part.field.width
        number = self._value(raw, width, f"`{part.name}`", (*path, key))
        into, name, place = self._high if part.high else self._whole, part.field.name, self._place(*path, key)
        if number is not None and name in into:
            label = Label(into[name][1], "the first value")
            self._report(codes.ASSIGNED_TWICE, f"`{part.name}` has two values", place, "remove one of them", label)
        elif number is not None:
            into[name] = (number, place)

    def _joined(self) -> dict[str, Value]:
        """The values, those of high halves put above the low ones."""
        values = {name: known(self._db.fields[name].width, number) for name, (number, _) in self._whole.items()}
        for name, (number, span) in self._high.items():
            width = self._db.fields[name].width
            half = width // 2
            low = values.get(name, Value(width, 0, 0))
            if low.bits >> half not in (0, number):
                label = Label(self._whole[name][1], "the whole field")
                message = f"the high half of `{name}` has another value than the field has there"
                self._report(codes.ASSIGNED_TWICE, message, span, "remove one of them", label)
            mask = (1 << half) - 1
            values[name] = Value(width, low.bits & mask | number << half, low.known & mask | mask << half)
        return values

    def _value(self, raw: object, width: int, what: str, path: tuple[str | int, ...]) -> int | None:
        """The number of at most `width` bits, or None after reporting that it is none; null is left unknown."""
        if raw is None:
            return None
        number = parse_number(raw)
        span = self._document.span(*path)
        if number is None:
            bare = isinstance(raw, str) and re.fullmatch(r"[0-9A-Fa-f]{1,32}", raw.strip())
            help = f"write `0x{str(raw).strip()}` for a hexadecimal number" if bare else None
            message = f"the value of {what} is a number, decimal or with `0x` before it"
            self._report(codes.BAD_VALUE, message, span, help)
        elif number < 0:
            help = f"write `{number & (1 << width) - 1:#x}`" if -number <= 1 << width - 1 else None
            self._report(codes.BAD_VALUE, f"the value of {what} is negative", span, help)
        elif number >> width:
            message = f"{what} is {width} bits wide; {_shown(hex(number))} does not fit"
            self._report(codes.VALUE_TOO_WIDE, message, span)
        else:
            return number
        return None

    def _place(self, *path: str | int) -> Span:
        """From a key to the end of its value, if that is not a whole mapping."""
        key, value = self._document.key_span(*path), self._document.span(*path)
        return key.to(value) if value.end > key.start else key

    # --- what else rules ask ---

    def _memory(self, raw: Mapping[str, Any]) -> Memory:
        pieces: dict[int, bytes] = {}
        for key, value in raw.items():
            address, content = parse_number(key), self._bytes(value, key)
            if address is None or not 0 <= address < ADDRESSES:
                message = f"`{_shown(key)}` is no address: a number of 64 bits, decimal or with `0x` before it"
                self._report(codes.BAD_VALUE, message, self._document.key_span(MEMORY, key))
            elif content is None:
                pass  # reported
            elif address + len(content) > ADDRESSES:
                message = "this goes beyond the last address"
                self._report(codes.BAD_VALUE, message, self._document.span(MEMORY, key))
            elif address in pieces:
                message = f"memory at {address:#x} is given twice"
                self._report(codes.ASSIGNED_TWICE, message, self._document.key_span(MEMORY, key))
            else:
                pieces[address] = content
        self._check_overlaps(pieces)
        return Memory(pieces)

    def _check_overlaps(self, pieces: Mapping[int, bytes]) -> None:
        end = 0
        for address, content in sorted(pieces.items()):
            if address < end:
                message = f"memory at {address:#x} is given twice: a piece before it reaches to {end - 1:#x}"
                self._report(codes.ASSIGNED_TWICE, message, self._document.span(MEMORY))
            end = max(end, address + len(content))

    def _bytes(self, raw: object, key: str) -> bytes | None:
        """A text of hexadecimal bytes, the first at the lowest address, or a list of them as numbers."""
        if isinstance(raw, str):
            text = "".join(raw.split()).lower()
            if _HEX.fullmatch(text) and len(text) % 2 == 0:
                return bytes.fromhex(text.removeprefix("0x"))
        if isinstance(raw, list) and None not in raw:
            found = [self._value(one, 8, "a byte", (MEMORY, key, index)) for index, one in enumerate(raw)]
            known_bytes = [one for one in found if one is not None]
            return bytes(known_bytes) if len(known_bytes) == len(found) else None
        message = "the content of memory is a text of hexadecimal bytes, or a list of numbers from 0 to 255"
        help = 'write "00 10 00 00" for 0x1000' if isinstance(raw, int) else None
        self._report(codes.BAD_VALUE, message, self._document.span(MEMORY, key), help)
        return None

    def _processor(self, raw: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
        states = {plain(name): state for name, state in self._db.state.items()}
        given: set[str] = set()
        for key, value in raw.items():
            state = states.get(plain(key.removeprefix(f"{PROCESSOR}.")))
            span = self._document.key_span(PROCESSOR, key)
            if state is None:
                message = f"nothing of the processor's state is named `{_shown(key)}`"
                self._report(codes.UNKNOWN_NAME, message, span, self._near(key, self._db.state))
            elif state.name in given:
                self._report(codes.ASSIGNED_TWICE, f"`{state.name}` has two values", span)
            else:
                given.add(state.name)
                named = state.values.get(value) if isinstance(value, str) else None
                number = int(value) if isinstance(value, bool) else value if named is None else named
                checked = self._value(number, state.width, f"`{state.name}`", (PROCESSOR, key))
                if checked is not None:
                    yield state.name, known(state.width, checked)

    def _cpu(self, raw: Mapping[str, Any]) -> Cpu:
        """Facts and capability MSRs, by the names and numbers that a CPU file has."""
        readings = Readings(self._db, self._diagnostics)
        for key, value in raw.items():
            span = self._document.key_span(CPU, key)
            index, fact = number_of(key), key.removeprefix(f"{CPU}.")
            is_fact = fact in self._db.facts  # which wins where an MSR is also called that: `pat`
            msr = None if is_fact else readings.find_msr(key if index is None else index)
            number = self._value(int(value) if isinstance(value, bool) else value, 64, f"`{_shown(key)}`", (CPU, key))
            if number is None:
                continue
            if msr is None:
                readings.take_fact(fact, number, span)
            elif msr.capability:
                readings.take_bits(msr, whole(number), span)
            else:
                self._report(codes.MSR_IGNORED, f"{msr.sdm} is not a VMX capability MSR", span)
        return readings.cpu("", "")


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
