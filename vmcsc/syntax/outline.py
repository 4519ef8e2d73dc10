"""What a text consists of, in its order: statements, blocks, comments and the blank lines between them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vmcsc.records import dataclass, field
from vmcsc.source import Source, Span
from vmcsc.syntax.shape import Chunk, Shape
from vmcsc.syntax.spacing import Word, words_of

_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")


@dataclass(slots=True)
class Entry:
    """A statement, a block (`body` is set; `words` are its header) or a comment alone (`words` is empty).

    `comment` stands alone, behind the statement, behind the `{` or behind a block on one line, and `closing` behind
    the `}` of another. `blank`: a blank line stands before. `one_line`: the author wrote the block on one line.
    """

    words: list[Word] = field(default_factory=list)
    comment: Word | None = None
    blank: bool = False
    body: list[Entry] | None = None
    one_line: bool = False
    closing: Word | None = None


def outline_of(source: Source, shape: Shape) -> list[Entry]:
    """The entries of `source`, which has the shape `shape` and no mistakes."""
    return _Outliner(source.text, shape.comments).body(shape.chunks, 0, len(source.text), None)


class _Outliner:
    def __init__(self, text: str, comments: Sequence[Span]) -> None:
        self._text = text
        self._comments = comments
        self._next = 0
        """The first comment that has not been given its place."""

    def body(self, chunks: Sequence[Chunk], start: int, end: int, header: Entry | None) -> list[Entry]:
        """The entries between `start` and `end`, the braces of the block that `header` begins."""
        entries: list[Entry] = []
        last = start
        for chunk in chunks:
            last = self._take_comments(chunk.start, last, entries, header)
            entry = Entry(words_of(self._text, chunk.start, chunk.end), blank=self._blank(entries, last, chunk.start))
            while self._comment_before(chunk.end):
                self._next += 1  # one of the words of the statement
            if chunk.children is not None:
                entry.one_line = "\n" not in self._text[chunk.start : chunk.close]
                brace = self._text.index("{", chunk.end)
                entry.body = self.body(chunk.children, brace + 1, chunk.close - 1, entry)
            last = chunk.end if chunk.children is None else chunk.close
            entries.append(entry)
        self._take_comments(end, last, entries, header)
        return entries

    def _comment_before(self, end: int) -> bool:
        return self._next < len(self._comments) and self._comments[self._next].start < end

    def _take_comments(self, end: int, last: int, entries: list[Entry], header: Entry | None) -> int:
        """Give the comments before `end` their place; `last` is where what precedes them ends."""
        while self._comment_before(end):
            span = self._comments[self._next]
            self._next += 1
            comment = words_of(self._text, span.start, span.end)[0]
            owner = entries[-1] if entries else header
            if owner is None or "\n" in self._text[last : span.start]:
                entries.append(Entry(comment=comment, blank=self._blank(entries, last, span.start)))
            elif entries and owner.body is not None and not owner.one_line and (owner.body or owner.comment):
                owner.closing = comment
            else:
                owner.comment = comment
            last = span.end
        return last

    def _blank(self, entries: Sequence[Entry], last: int, start: int) -> bool:
        return bool(entries) and _BLANK_LINE.search(self._text, last, start) is not None
