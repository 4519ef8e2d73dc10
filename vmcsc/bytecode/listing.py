"""Programs as text that people read and edit: one entry a line, and back to the same program.

A line is a word and its operands: numbers in hexadecimal or decimal, texts as JSON strings, bytes as `hex:` and digits.
What stands behind `;` outside of a text is a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from vmcsc import codes
from vmcsc.bytecode.binary import DIGEST, MAX_ENTRIES
from vmcsc.bytecode.program import BYTES, SECTIONS, TEXT, VERSION, Entry, Operand, Program, Section
from vmcsc.diagnostic import Diagnostics
from vmcsc.source import Source, Span

_WIDTHS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64}
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|;.*|[^\s";]+)')

Comment = Callable[[Entry], str]
"""What is said of an entry behind a semicolon."""


def to_text(program: Program, comment: Comment = lambda _: "") -> str:
    """The listing of a program."""
    lines = [f"vmxb {VERSION}", f"policy {_text(program.policy)}", f"specs hex:{program.specs.hex()}"]
    for section in SECTIONS:
        lines += ["", section.name]
        depth = 1
        for entry in program.entries.get(section.name, ()):
            depth -= entry.kind == "end"
            words = [entry.kind, *(_shown(one) for one in entry.operands)]
            said = comment(entry)
            lines.append("  " * max(depth, 1) + " ".join(words) + (f"  ; {said}" if said else ""))
            depth += entry.kind in ("on_exit", "expect")
    return "\n".join(lines) + "\n"


def _shown(operand: Operand) -> str:
    if isinstance(operand, str):
        return _text(operand)
    return f"hex:{operand.hex()}" if isinstance(operand, bytes) else f"{operand:#x}" if operand > 9 else str(operand)


def _text(text: str) -> str:
    return json.dumps(text)


def from_text(source: Source, diagnostics: Diagnostics) -> Program | None:
    """The program of a listing, or None after reporting what is wrong with it, line by line."""
    reader = _Lines(source, diagnostics)
    before = len(diagnostics)
    reader.read()
    if len(diagnostics) > before:
        return None
    entries = {section.name: tuple(reader.entries[section.name]) for section in SECTIONS}
    return Program(reader.policy, reader.specs, entries)


class _Lines:
    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        self._source, self._diagnostics = source, diagnostics
        self.policy, self.specs = "", bytes(DIGEST)
        self.entries: dict[str, list[Entry]] = {section.name: [] for section in SECTIONS}
        self._section: Section | None = None

    def read(self) -> None:
        start = 0
        for line in self._source.text.split("\n"):
            words = self._words(line, start)
            if words:
                self._line(words)
            start += len(line) + 1

    def _words(self, line: str, start: int) -> list[tuple[str, Span]]:
        found, at = [], 0
        while at < len(line) and (match := _TOKEN.match(line, at)):
            word = match[1]
            if not word.startswith(";"):
                found.append((word, Span(self._source, start + match.start(1), start + match.end(1))))
            at = match.end()
        if line[at:].strip():
            self._report("this is no word", Span(self._source, start + at, start + len(line)))
        return found

    def _report(self, message: str, span: Span, help: str | None = None) -> None:
        self._diagnostics.report(codes.BYTECODE_LISTING, message, span, help=help)

    def _line(self, words: list[tuple[str, Span]]) -> None:
        word, span = words[0]
        section = next((one for one in SECTIONS if one.name == word), None)
        if section is not None and len(words) == 1:
            self._section = section
        elif self._section is None:
            self._head(word, words)
        elif word not in self._section.kinds:
            self._report(f"the section {self._section.name} has no `{word[:40]}`", span, _known(self._section))
        elif len(self.entries[self._section.name]) >= MAX_ENTRIES:
            self._report(f"the section {self._section.name} has more than {MAX_ENTRIES} entries", span)
        else:
            self._entry(self._section, word, words)

    def _head(self, word: str, words: list[tuple[str, Span]]) -> None:
        kinds = {"vmxb": "u16", "policy": TEXT, "specs": BYTES}
        if word not in kinds or len(words) != 2:
            self._report("a listing begins with the lines `vmxb`, `policy` and `specs`, one operand each", words[0][1])
            return
        value = self._operand(kinds[word], words[1])
        if word == "vmxb" and value != VERSION:
            self._report(f"this program reads version {VERSION}", words[1][1])
        elif word == "specs" and isinstance(value, bytes) and len(value) != DIGEST:
            self._report(f"the digest of the specs has {DIGEST} bytes", words[1][1])
        elif word == "policy" and isinstance(value, str):
            self.policy = value
        elif word == "specs" and isinstance(value, bytes):
            self.specs = value

    def _entry(self, section: Section, word: str, words: list[tuple[str, Span]]) -> None:
        kinds = section.kinds[word][1]
        if len(words) - 1 != len(kinds):
            self._report(f"`{word}` takes {len(kinds)} operands: {', '.join(kinds) or 'none'}", words[0][1])
            return
        operands = [self._operand(kind, one) for kind, one in zip(kinds, words[1:], strict=True)]
        if None not in operands:
            self.entries[section.name].append(Entry(word, tuple(one for one in operands if one is not None)))

    def _operand(self, kind: str, word: tuple[str, Span]) -> Operand | None:
        text, span = word
        try:
            if kind == TEXT:
                value = json.loads(text)
                if isinstance(value, str):
                    value.encode()
                    return value
            elif kind == BYTES and text.startswith("hex:"):
                return bytes.fromhex(text[4:])
            elif kind in _WIDTHS and 0 <= (number := int(text[:40], 0)) < 1 << _WIDTHS[kind] and len(text) <= 40:
                return number
        except ValueError:
            pass
        what = {TEXT: "a text in quotation marks", BYTES: "`hex:` and an even number of digits"}
        self._report(f"{what.get(kind, f'a number of {_WIDTHS.get(kind)} bits')} is expected here", span)
        return None


def _known(section: Section) -> str:
    return f"it has {', '.join(f'`{kind}`' for kind in section.kinds)}"
