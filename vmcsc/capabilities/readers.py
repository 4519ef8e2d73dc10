"""Where a processor's capabilities come from: a shipped name, a file of ours in YAML, a JSON of MSR values."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Msr
from vmcsc.architecture.reader import SpecDocument, parse_document
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.diagnostic import Diagnostics, Severity
from vmcsc.expression import value
from vmcsc.expression.value import Value
from vmcsc.source import Source, Span, UnreadableText, read_source
from vmcsc.yamlnodes import YamlDocument, YamlError, read_yaml


def shipped_cpus(database: Database) -> tuple[str, ...]:
    """The names of the CPU files in the spec folders."""
    return tuple(database.files("cpus", ".yaml"))


def read_cpu(name_or_path: str, database: Database, diagnostics: Diagnostics, span: Span | None = None) -> Cpu | None:
    """The processor that a name of the specs or a path means, or None after reporting why there is none.

    `span` is where the name is written, for the report.
    """
    files = database.files("cpus", ".yaml")
    path = files.get(name_or_path)
    if path is None and ("/" in name_or_path or "." in name_or_path):
        path = Path(name_or_path)
    if path is None:
        near = get_close_matches(name_or_path, files, n=1)
        help = (
            f"did you mean `{near[0]}`?" if near else "`vmcsc cpu list` names them; a file needs its `.yaml` or `.json`"
        )
        diagnostics.report(codes.UNKNOWN_CPU, f"no CPU is named `{name_or_path}`", span, help=help)
        return None
    try:
        source = read_source(path)
    except UnreadableText as error:
        message = f"the CPU file {path} cannot be read: {error.reason}"
        diagnostics.report(codes.CPU_UNREADABLE, message, error.span or span)
        return None
    return parse_cpu(source, path.name.split(".")[0], database, diagnostics)


def parse_cpu(source: Source, name: str, database: Database, diagnostics: Diagnostics) -> Cpu | None:
    """The processor that a text describes: our `kind: cpu`, or a mapping of MSRs to values."""
    try:
        document = read_yaml(source)
    except YamlError as error:
        diagnostics.report(codes.CPU_UNREADABLE, error.reason, error.span)
        return None
    before = len(diagnostics)
    reader = _Reader(document, database, diagnostics)
    if isinstance(document.value, dict) and "kind" in document.value:
        cpu = _from_spec(source, name, reader, diagnostics)
    else:
        cpu = reader.from_mapping(name)
    if cpu is not None and len(diagnostics) == before:
        _consistent(cpu, database, source, diagnostics)
    return cpu if not any(d.severity is Severity.ERROR for d in diagnostics.found[before:]) else None


def _from_spec(source: Source, name: str, reader: _Reader, diagnostics: Diagnostics) -> Cpu | None:
    document = parse_document(source, diagnostics)
    if document is None:
        return None
    if document.kind != "cpu":
        message = f"this is a spec of kind `{document.kind}`, not a CPU"
        diagnostics.report(codes.CPU_UNREADABLE, message, document.span("kind"))
        return None
    return reader.from_spec(document, name)


class _Reader:
    def __init__(self, document: YamlDocument, database: Database, diagnostics: Diagnostics) -> None:
        self._document = document
        self._db = database
        self._diagnostics = diagnostics
        self._msrs: dict[str, Value] = {}
        self._facts: dict[str, Value] = {}
        self._origins: dict[str, str] = {}

    def from_spec(self, document: SpecDocument, name: str) -> Cpu:
        raw = document.value
        sources: dict[str, str] = raw.get("sources", {})
        for index, item in enumerate(raw.get("msrs", ())):
            span = document.span("msrs", index, "msr")
            self._take_msr(item["msr"], item["value"], span, document.span("msrs", index, "value"))
            self._origins[str(item["msr"])] = sources.get(item.get("source", ""), "")
        for index, item in enumerate(raw.get("processor", ())):
            self._take_fact(item["fact"], item["value"], document.span("processor", index, "fact"))
            self._origins[item["fact"]] = item.get("evidence") or sources.get(item.get("source", ""), "")
        own = raw.get("name", name)
        return Cpu(own, raw.get("title", own), self._msrs, self._facts, self._origins)

    def from_mapping(self, name: str) -> Cpu | None:
        """A mapping of MSRs to values, alone or under the key `msrs`."""
        prefix: tuple[str, ...] = ()
        mapping: Any = self._document.value
        if isinstance(mapping, dict) and isinstance(mapping.get("msrs"), dict):
            mapping, prefix = mapping["msrs"], ("msrs",)
        if not isinstance(mapping, dict) or not mapping:
            message = "this is no mapping of MSRs to values"
            help = 'write {"0x480": "0xda050000000013", ...}, or a CPU file as in specs/cpus'
            self._diagnostics.report(codes.CPU_UNREADABLE, message, self._document.span(), help=help)
            return None
        before = len(self._diagnostics)
        for key, raw in mapping.items():
            key_span = self._document.key_span(*prefix, key)
            self._take_msr(key, raw, key_span, self._document.span(*prefix, key))
        wrong = any(d.severity is Severity.ERROR for d in self._diagnostics.found[before:])
        if not self._msrs and not wrong:
            message = "none of these is a VMX capability MSR"
            self._diagnostics.report(codes.CPU_UNREADABLE, message, self._document.span())
            return None
        return Cpu(name, name, self._msrs, self._facts, self._origins)

    def _take_msr(self, key: str | int, raw: Any, key_span: Span, value_span: Span) -> None:
        msr = self._msr(key)
        number = _number(raw)
        if number is None or not 0 <= number < 1 << 64:
            message = "the value of an MSR is a number of at most 64 bits, in hex (0x...) or decimal"
            self._diagnostics.report(codes.CPU_UNREADABLE, message, value_span)
        elif msr is None:
            message = (
                f"`{key}` names no MSR that is known here" if _number(key) is None else f"MSR {key} is not used here"
            )
            near = get_close_matches(str(key).lower(), self._db.msr_names, n=1)
            help = f"did you mean `{near[0]}`?" if near and _number(key) is None else None
            code = codes.CPU_UNREADABLE if _number(key) is None else codes.MSR_IGNORED
            self._diagnostics.report(code, message, key_span, help=help)
        elif msr.name in self._msrs:
            self._diagnostics.report(codes.CPU_INCONSISTENT, f"{msr.sdm} is given twice", key_span)
        elif not msr.capability:
            self._diagnostics.report(codes.MSR_IGNORED, f"{msr.sdm} is not a VMX capability MSR", key_span)
        else:
            self._msrs[msr.name] = value.known(64, number)

    def _msr(self, key: str | int) -> Msr | None:
        number = _number(key)
        return self._db.msr_names.get(str(key).lower()) if number is None else self._db.msr_by_index.get(number)

    def _take_fact(self, name: str, raw: int, span: Span) -> None:
        fact = self._db.facts.get(name)
        if fact is None:
            near = get_close_matches(name, self._db.facts, n=1)
            help = f"did you mean `{near[0]}`?" if near else None
            message = f"nothing asks a processor for `{name}`"
            self._diagnostics.report(codes.CPU_UNREADABLE, message, span, help=help)
        elif not 0 <= raw < 1 << fact.width:
            message = f"`{name}` is {fact.width} bits wide; {raw} does not fit"
            self._diagnostics.report(codes.CPU_UNREADABLE, message, span)
        elif name in self._facts:
            self._diagnostics.report(codes.CPU_INCONSISTENT, f"`{name}` is given twice", span)
        else:
            self._facts[name] = value.known(fact.width, raw)


def _number(raw: object) -> int | None:
    """A number, or a text that is one in hex or decimal; None for anything else."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int):
        return raw
    text = raw.strip().lower() if isinstance(raw, str) else ""
    digits = text.removeprefix("0x")
    if not digits or len(digits) > 40 or not digits.isascii() or not digits.isalnum():
        return None
    try:
        return int(text, 16 if text != digits else 10)
    except ValueError:
        return None


def _consistent(cpu: Cpu, database: Database, source: Source, diagnostics: Diagnostics) -> None:
    """An MSR that other MSRs say the processor does not have cannot have been read."""
    for message in inconsistencies(cpu, database):
        diagnostics.report(codes.CPU_INCONSISTENT, message, Span(source, 0, 0))


def inconsistencies(cpu: Cpu, database: Database) -> Iterator[str]:
    """What in the MSRs of `cpu` contradicts itself, a sentence each."""
    capabilities = Capabilities(database, cpu)
    for name in cpu.msrs:
        msr = database.msrs[name]
        if capabilities.exists(msr) is False:
            yield f"{msr.sdm} has a value, but by the other MSRs the processor does not have it ({msr.exists})"
    for word in database.words.values():
        allowed = capabilities.allowed(word)
        both = allowed.must_be_1.bits & allowed.may_be_1.known & ~allowed.may_be_1.bits
        if both:
            yield f"{allowed.msr.sdm} says that the bits {both:#x} must be 1 and must be 0"
