"""Texts and places in them: the only room that counts lines and columns."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from pathlib import Path

from vmcsc.records import dataclass, field

MAX_BYTES = 1 << 20
"""Largest text that is read. The shipped files are below a tenth of it."""

_CONTROL_CHARACTERS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_DIRECTION_CONTROLS = "\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c"
_DECEPTIVE = re.compile(f"[{_CONTROL_CHARACTERS}{_DIRECTION_CONTROLS}]|\\r(?!\\n)")


@dataclass(frozen=True, slots=True)
class Position:
    """A place as people count it: line and column from 1, columns in code points."""

    line: int
    column: int


@dataclass(frozen=True, eq=False)
class Source:
    """A named text. `name` is what messages print: a path as the user wrote it, or `<text>`.

    `first_line` is the number of its first line, where it is a part of a longer text.
    """

    name: str
    text: str = field(repr=False)
    path: Path | None = None
    first_line: int = 1

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        starts.extend(i + 1 for i, character in enumerate(self.text) if character == "\n")
        return starts

    def position(self, offset: int) -> Position:
        """The line and column of `offset`, which may be one past the end."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._line_starts, offset)
        return Position(line + self.first_line - 1, offset - self._line_starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """The text of line `number`, counted from `first_line`, without its line end."""
        index = number - self.first_line
        start = self._line_starts[index]
        following = self._line_starts[index + 1] if index + 1 < len(self._line_starts) else len(self.text) + 1
        return self.text[start : following - 1].rstrip("\r")

    def span(self, start: int, end: int) -> Span:
        return Span(self, start, end)


@dataclass(frozen=True, slots=True)
class Span:
    """The characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def first(self) -> Position:
        return self.source.position(self.start)

    @property
    def last(self) -> Position:
        """The position just behind the last character."""
        return self.source.position(max(self.start, self.end))

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of `other`, both of one source."""
        return Span(self.source, self.start, other.end)

    def __str__(self) -> str:
        return f"{self.source.name}:{self.first.line}:{self.first.column}"


class UnreadableText(Exception):
    """A text that cannot be taken in at all. `reason` is a sentence part, `offset` where, if known."""

    def __init__(self, reason: str, source: Source | None = None, offset: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.span = None if source is None or offset is None else Span(source, offset, offset + 1)


def read_source(path: Path, name: str | None = None) -> Source:
    """Read a regular UTF-8 file of at most `MAX_BYTES`. Raises `UnreadableText`."""
    shown = str(path) if name is None else name
    try:
        if not path.is_file():
            raise UnreadableText("there is no such file" if not path.exists() else "it is not a regular file")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableText(error.strerror or "it cannot be read") from error
    except ValueError as error:  # a NUL in the path
        raise UnreadableText("its path holds a character that no path may hold") from error
    return source_of_bytes(data, shown, path)


def source_of_bytes(data: bytes, name: str, path: Path | None = None, first_line: int = 1) -> Source:
    """Decode `data` as UTF-8 and refuse what would deceive a reader. Raises `UnreadableText`."""
    if len(data) > MAX_BYTES:
        raise UnreadableText(f"it is larger than {MAX_BYTES} bytes")
    data = data.removeprefix(b"\xef\xbb\xbf")  # a byte-order mark, which is no part of the text
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        valid = Source(name, data[: error.start].decode("utf-8") + "\ufffd", path, first_line)
        raise UnreadableText("it is not valid UTF-8", valid, len(valid.text) - 1) from error
    return refuse_deceptive(Source(name, text, path, first_line))


def refuse_deceptive(source: Source) -> Source:
    """Pass `source` on, unless it holds characters that hide from a reader what it says."""
    found = _DECEPTIVE.search(source.text)
    if found is None:
        return source
    character = found.group()
    what = f"it holds the control character U+{ord(character):04X}"
    if character == "\r":
        what = "it holds a carriage return that ends no line, so that a terminal shows one text over another"
    elif character > "\x7f":
        what = f"it holds U+{ord(character):04X}, which changes the direction of the text around it"
    raise UnreadableText(what, source, found.start())
