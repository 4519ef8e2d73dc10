"""A stream to numbered lines in bounded memory: large parts without anything to read are passed over."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from vmcsc.source import Source

BLOCK = 1 << 20
"""Bytes that are read at once."""

MOST = 4 << 30
"""Bytes of a log that are looked at: a stream may have no end."""

BEFORE = 2000
"""Characters before an anchor that are read too: the beginning of a dump may have none."""

MAX_LINE = 4000
"""Characters of a line that are looked at."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_QUOTES = re.compile(r"(?:[ \t]*(?:>|&gt;|\|(?=[ \t])))+[ \t]?")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff]")


class Bytes(Protocol):
    """What is read: a file, or anything else with bytes in it."""

    def read(self, size: int, /) -> bytes: ...


class Lines:
    """The lines of a stream with their numbers, after what terminals and mails add is taken away.

    `open` is set by whoever reads them while the next lines count even without an anchor, and `only` once nothing else
    does than how often these texts occur, which `occurrences` says then. `unread`: there is more than is looked at.
    """

    def __init__(self, stream: Bytes, name: str, anchors: Sequence[str]) -> None:
        self.count = 0
        self.open = False
        self.only: Sequence[str] = ()
        self.occurrences = 0
        self.unread = False
        self._stream = stream
        self._name = name
        self._anchors = anchors

    def __iter__(self) -> Iterator[tuple[int, str]]:
        first = True
        for block in self._blocks():
            yield from self._all(block) if first else self._near_anchors(block)
            first = False

    def _all(self, block: str) -> Iterator[tuple[int, str]]:
        for line in block.removesuffix("\n").split("\n"):
            self.count += 1
            if line and not line.isspace():
                yield self.count, clean(line)

    def _near_anchors(self, block: str) -> Iterator[tuple[int, str]]:
        """The lines from shortly before an anchor on, as long as they count; what lies between is passed over."""
        position, until, end = 0, -1, len(block)
        nearest = {anchor: block.find(anchor) for anchor in self._anchors}
        while position < end:
            if self.only:
                self.occurrences += sum(block.count(text, position) for text in self.only)
                self.count += block.count("\n", position) + (not block.endswith("\n"))
                return
            if not self.open and position > until:
                start, until = _next_anchor(block, nearest, position)
                self.count += block.count("\n", position, start)
                position = start
            newline = block.find("\n", position)
            line, position = (block[position:newline], newline + 1) if newline >= 0 else (block[position:], end)
            self.count += 1
            if line and not line.isspace():
                yield self.count, clean(line)

    def _blocks(self) -> Iterator[str]:
        """Whole lines together, as text; a line that is longer than a block is split."""
        data = self._stream.read(BLOCK)
        decoder = codecs.getincrementaldecoder(_encoding(data))(errors="replace")
        rest, total = "", 0
        while data and not self.unread:
            text = rest + decoder.decode(data)
            end = text.rfind("\n") + 1
            whole = end if end else len(text) if len(text) > BLOCK else 0
            if whole:
                yield text[:whole]
            rest = text[whole:]
            total += len(data)
            data = self._stream.read(BLOCK)
            self.unread = bool(data) and total >= MOST
        rest += decoder.decode(b"", final=True)
        if rest:
            yield rest

    def source(self, number: int, text: str) -> Source:
        """One line as a text of its own, for places in it."""
        return Source(self._name, text, first_line=number)


def _next_anchor(block: str, nearest: dict[str, int], position: int) -> tuple[int, int]:
    """Where the lines begin that are to be read for the next anchor, and where it is; `nearest`: the next of each."""
    for anchor, found in nearest.items():
        if 0 <= found < position:
            nearest[anchor] = block.find(anchor, position)
    at = min((found for found in nearest.values() if found >= 0), default=len(block))
    return block.rfind("\n", position, max(position, at - BEFORE)) + 1 or position, at


def clean(line: str) -> str:
    """The line without colours, other control characters and the marks of a quotation."""
    line = line[:MAX_LINE]
    if "\x1b" in line:
        line = _ESCAPES.sub("", line)
    if not line.isascii():
        line = line.replace("\xa0", " ")
    if not line.isprintable():
        line = _CONTROLS.sub(" ", line.replace("\t", " "))
    quoted = _QUOTES.match(line)
    return line[quoted.end() :].rstrip() if quoted else line.rstrip()


def _encoding(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"
