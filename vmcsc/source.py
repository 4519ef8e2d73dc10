"""Texts and places in them: the only room that counts lines and columns."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

MAX_BYTES = 1 << 20
"""Largest text that is read. The shipped files are below a tenth of it."""

_DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@dataclass(frozen=True, slots=True)
class Position:
    """A place as people count it: line and column from 1, columns in code points."""

    line: int
    column: int


@dataclass(frozen=True, eq=False)
class Source:
    """A named text. `name` is what messages print: a path as the user wrote it, or `<text>`."""

    name: str
    text: str = field(repr=False)
    path: Path | None = None

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        starts.extend(i + 1 for i, character in enumerate(self.text) if character == "\n")
        return starts

    def position(self, offset: int) -> Position:
        """The line and column of `offset`, which may be one past the end."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._line_starts, offset)
        return Position(line, offset - self._line_starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """The text of line `number`, counted from 1, without its line end."""
        start = self._line_starts[number - 1]
        following = self._line_starts[number] if number < len(self._line_starts) else len(self.text) + 1
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


def source_of_bytes(data: bytes, name: str, path: Path | None = None) -> Source:
    """Decode `data` as UTF-8 and refuse what would deceive a reader. Raises `UnreadableText`."""
    if len(data) > MAX_BYTES:
        raise UnreadableText(f"it is larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        valid = Source(name, data[: error.start].decode("utf-8-sig") + "\ufffd", path)
        raise UnreadableText("it is not valid UTF-8", valid, len(valid.text) - 1) from error
    return refuse_deceptive(Source(name, text, path))


def refuse_deceptive(source: Source) -> Source:
    """Pass `source` on, unless it holds control characters that no editor shows as they are."""
    for offset, character in enumerate(source.text):
        if character < " " and character not in "\t\n\r" or character == "\x7f":
            raise UnreadableText(f"it holds the control character U+{ord(character):04X}", source, offset)
        if character in _DIRECTION_CONTROLS:
            what = f"it holds U+{ord(character):04X}, which changes the direction of the text around it"
            raise UnreadableText(what, source, offset)
    return source
