"""A second reader of the shipped policies: regular expressions over their text, and nothing of `vmcsc`.

It knows no more of the language than these policies use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.backends.witness import ACTIVATED_BY, CONTROLS, Capabilities, Place, Wishes, place

Condition = Callable[[Capabilities], bool]

EXCEPTIONS = {"invalid_opcode": 6, "machine_check": 18, "page_fault": 14}
MSRS = {
    "fs_base": 0xC0000100,
    "gs_base": 0xC0000101,
    "sysenter_cs": 0x174,
    "sysenter_esp": 0x175,
    "sysenter_eip": 0x176,
}


@dataclass
class Reading:
    """A policy as read, with what it inherits."""

    stances: list[tuple[str, Place, Condition | None]] = field(default_factory=list)
    fields: list[tuple[str, int | str, Condition | None]] = field(default_factory=list)
    parameters: dict[str, int] = field(default_factory=dict)
    exceptions: list[tuple[int, int, int, Condition | None]] = field(default_factory=list)
    io: list[tuple[bool, int, int]] = field(default_factory=list)
    msrs: list[tuple[bool, tuple[str, ...], int | None]] = field(default_factory=list)
    has_io: bool = False
    has_msrs: bool = False

    def wishes(self, capabilities: Capabilities) -> Wishes:
        """What holds on a processor, with the activating controls that the policy does not speak of."""
        found = Wishes()
        spoken_of = {control for _, control, _ in self.stances}
        for verb, control, condition in self.stances:
            if condition is not None and not condition(capabilities):
                continue
            found.add(verb, control)
            word = control[0]
            while verb in ("require", "prefer") and word in ACTIVATED_BY:
                if ACTIVATED_BY[word] not in spoken_of:
                    found.add(verb, ACTIVATED_BY[word])
                word = ACTIVATED_BY[word][0]
        return found

    def values(self, capabilities: Capabilities, given: Mapping[str, int]) -> dict[str, int]:
        """The fields besides the control words; `given` are parameters and, by field, addresses of pages."""
        found = {}
        for name, value, condition in self.fields:
            if condition is None or condition(capabilities):
                found[name] = value if isinstance(value, int) else given.get(value, self.parameters[value])
        if self.exceptions:
            bits = mask = match = 0
            for vectors, its_mask, its_match, condition in self.exceptions:
                if condition is None or condition(capabilities):
                    bits |= vectors
                    if vectors >> 14 & 1:
                        mask, match = its_mask, its_match
            found["exception_bitmap"] = bits
            found["page_fault_error_code_mask"], found["page_fault_error_code_match"] = mask, match
        pages = ["io_bitmap_a", "io_bitmap_b"] if self.has_io else []
        pages += ["msr_bitmap"] if self.has_msrs else []
        return found | {name: given[name] for name in pages}


def without_noise(text: str) -> str:
    """The text without comments, scenarios and strings, and with lists on one line."""
    text = re.sub(r'"(\\.|[^"\\])*"', "", re.sub(r"(?m)^((?:[^\"#\n]|\"[^\"\n]*\")*)#.*$", r"\1", text))
    while (start := re.search(r"\bscenario\s*\{", text)) is not None:
        end = matching(text, start.end())
        text = text[: start.start()] + text[end:]
    return re.sub(r",\s*\n\s*", ", ", text)


def matching(text: str, start: int) -> int:
    """Where the block ends whose opening brace stands before `start`."""
    depth = 1
    for position in range(start, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return position + 1
    raise AssertionError("unbalanced braces")


def pieces(text: str) -> Iterator[tuple[str, str | None]]:
    """The statements of a body: a head with the body of its block, or a line without one."""
    position = 0
    while (found := re.compile(r"[^\n;{}]+").search(text, position)) is not None:
        if text[found.end() : found.end() + 1] == "{":
            end = matching(text, found.end() + 1)
            yield found.group().strip(), text[found.end() + 1 : end - 1]
            position = end
        else:
            position = found.end()
            if found.group().strip():
                yield found.group().strip(), None


def read(name: str, folder: Path) -> Reading:
    """The policy `name` of `folder`, whose file has dots and dashes where the name has underscores."""
    (path,) = (p for p in folder.glob("*.vmcs") if re.sub(r"[-.]", "_", p.stem) == name)
    text = without_noise(path.read_text(encoding="utf-8"))
    ((_, body),) = pieces(text)
    assert body is not None
    base = re.search(r"\bextends (\w+)", text)
    reading = Reading() if base is None else read(base.group(1), folder)
    take(body, reading, None)
    return reading


def take(body: str, reading: Reading, condition: Condition | None) -> None:
    for head, block in pieces(body):
        if block is None:
            statement(head, reading, condition)
        elif (when := re.fullmatch(r"when (not )?supported\(([\w.]+)\)", head)) is not None:
            assert condition is None
            take(block, reading, asking(place(when.group(2)), not when.group(1)))
        elif head in CONTROLS:
            stances(head, block, reading, condition)
        else:
            {"exceptions": exceptions, "io": io, "msrs": msrs}[head](block, reading, condition)


def asking(control: Place, wanted: bool) -> Condition:
    return lambda capabilities: capabilities.supports(control) is wanted


def statement(text: str, reading: Reading, condition: Condition | None) -> None:
    if re.match(r"(summary|for cpus|extends)\b", text):
        return
    found = re.fullmatch(r"(\w+)\s*=\s*(?:param (\w+) : u\d+ = )?(0x[0-9a-f]+|\d+)", text)
    assert found is not None, text
    name, parameter, number = found.groups()
    if parameter is not None:
        reading.parameters[parameter] = int(number, 0)
    reading.fields.append((name, parameter or int(number, 0), condition))


def stances(word: str, block: str, reading: Reading, condition: Condition | None) -> None:
    for text, _ in pieces(block):
        found = re.fullmatch(r"(override )?(require|forbid|prefer|avoid|allow)\s+([\w, ]+)", text)
        assert found is not None, text
        for name in found.group(3).split(","):
            control = place(f"{word}.{name.strip()}")
            if found.group(1):
                assert condition is None
                reading.stances = [stance for stance in reading.stances if stance[1] != control]
            reading.stances.append((found.group(2), control, condition))


def exceptions(block: str, reading: Reading, condition: Condition | None) -> None:
    for text, _ in pieces(block):
        assert text.startswith("intercept ")
        for target in text.removeprefix("intercept ").split(","):
            found = re.fullmatch(r"(\w+)(?: when error_code & (\d+) == (\d+))?", target.strip())
            assert found is not None, target
            name, mask, match = found.groups()
            vectors = 0xFFFFFFFF if name == "all" else 1 << EXCEPTIONS[name]
            reading.exceptions.append((vectors, int(mask or 0), int(match or 0), condition))


def io(block: str, reading: Reading, condition: Condition | None) -> None:
    assert condition is None
    reading.has_io = True
    for text, _ in pieces(block):
        verb, target = text.split(" ", 1)
        first, last = (0, 0xFFFF) if target == "all" else (int(target, 0),) * 2
        reading.io.append((verb == "intercept", first, last))


def msrs(block: str, reading: Reading, condition: Condition | None) -> None:
    assert condition is None
    reading.has_msrs = True
    for text, _ in pieces(block):
        found = re.fullmatch(r"(intercept|pass) ((?:read |write )*)([\w, ]+)", text)
        assert found is not None, text
        accesses = tuple(found.group(2).split()) or ("read", "write")
        for name in found.group(3).split(","):
            number = None if name.strip() == "all" else MSRS[name.strip()]
            reading.msrs.append((found.group(1) == "intercept", accesses, number))
