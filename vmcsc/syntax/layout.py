"""The canonical layout: entries to lines, with what stands below each other in one column."""

from __future__ import annotations

from collections.abc import Sequence

from vmcsc.source import Source
from vmcsc.syntax.comments import Line, column_behind
from vmcsc.syntax.outline import Entry
from vmcsc.syntax.spacing import STANCES, Word, assigned_at
from vmcsc.syntax.wrapping import INDENT, LIMIT, Lines, text_of, wrapped

Stops = dict[int, tuple[int, int]]
"""By the number of an entry: the word (or `{`) before which further blanks stand, and how many."""


def lay_out(source: Source, entries: Sequence[Entry]) -> list[Line]:
    """The lines of `entries`; their comments are not aligned yet."""
    layout = _Layout(source)
    layout.body(entries, 0, 0)
    return layout.lines


class _Layout:
    def __init__(self, source: Source) -> None:
        self.lines: list[Line] = []
        self._source = source
        self._scopes = 0

    def body(self, entries: Sequence[Entry], indent: int, scope: int) -> None:
        stops = _stops(entries, indent)
        directed = False
        for index, entry in enumerate(entries):
            directed = directed or (entry.comment is not None and entry.comment.is_directive)
            if entry.blank:
                self.lines.append(Line())
            if not entry.words:
                self._alone(entry.comment, indent, scope)
                continue
            lines, directed = _lines_of(entry, directed), False
            if entry.body is None:
                self._statement(entry.words, indent, scope, lines, stops.get(index))
                self._behind(entry.comment, scope)
            elif _one_line(entry, indent) is not None:
                self.lines.append(Line(indent, _flat(entry, stops.get(index, (0, 0))[1]) or ""))
                self._behind(entry.comment, scope)
            else:
                self._block(entry, entry.body, indent, scope, lines)

    def _block(self, entry: Entry, body: Sequence[Entry], indent: int, scope: int, lines: Lines) -> None:
        self._scopes += 1
        inner = self._scopes
        self._statement(entry.words, indent, inner, lines, opening=" {")
        self._behind(entry.comment, inner)
        self.body(body, indent + INDENT, inner)
        self.lines.append(Line(indent, "}"))
        self._behind(entry.closing, scope)

    def _statement(
        self,
        words: Sequence[Word],
        indent: int,
        scope: int,
        lines: Lines,
        stop: tuple[int, int] | None = None,
        opening: str = "",
    ) -> None:
        text = text_of(words)
        if stop is not None:
            text.gaps[stop[0]] += " " * stop[1]
        for row in wrapped(text, indent, lines, len(opening)):
            if row.code:
                self.lines.append(Line(row.indent, row.code))
                self._behind(row.comment, scope)
            else:
                self._alone(row.comment, row.indent, scope)
        self.lines[-1].code += opening

    def _behind(self, comment: Word | None, scope: int) -> None:
        """Put the comment behind the last line."""
        if comment is None:
            return
        line = self.lines[-1]
        line.comment, line.scope = comment.text, scope
        line.origin, line.column = self._place(comment)

    def _alone(self, comment: Word | None, indent: int, scope: int) -> None:
        """Put the comment on a line of its own, below the one before if the author continued that."""
        if comment is None:
            return
        line = Line(indent, comment=comment.text, scope=scope)
        above = self.lines[-1] if self.lines else line
        origin, column = self._place(comment)
        if above.column == column and above.origin == origin - 1:
            line = Line(0, comment=comment.text, column=column, scope=above.scope, origin=origin)
        self.lines.append(line)

    def _place(self, comment: Word) -> tuple[int, int]:
        """The line and the column of the original."""
        position = self._source.position(comment.start)
        return position.line, column_behind(self._source.text[comment.start - position.column + 1 : comment.start])


def _lines_of(entry: Entry, directed: bool) -> Lines:
    """Comments speak of the line they stand on, and directives (`directed`) even of no other."""
    if directed or any(word.is_directive for word in entry.words):
        return Lines.AS_WRITTEN
    commented = entry.comment is not None or any(word.is_comment for word in entry.words)
    return Lines.KEPT if commented else Lines.FILLED


# --- blocks on one line ----------------------------------------------------------------------------------------


def _one_line(entry: Entry, indent: int) -> str | None:
    """The statement or block on one line, if it can stand so and fits."""
    flat = _flat(entry)
    return None if flat is None or indent + len(flat) > LIMIT else flat


def _flat(entry: Entry, padding: int = 0) -> str | None:
    """The statement or block on one line; None if it holds comments or the author wrote the block on several.

    A block without anything in it is written so in any case. `padding`: further blanks before the `{`.
    """
    text = text_of(entry.words)
    if text.comments or not entry.words:
        return None
    if entry.comment is not None and any(word.broken for word in entry.words):
        return None  # it keeps its lines
    if entry.body is None:
        return text.flat
    if not entry.body and entry.closing is None:
        return f"{text.flat} {' ' * padding}{{}}"
    if not entry.one_line:
        return None
    inside = [f"{_flat(inner)}{';' if inner.body is None else ''}" for inner in entry.body]
    return f"{text.flat} {' ' * padding}{{ {' '.join(inside).removesuffix(';')} }}"


# --- columns ---------------------------------------------------------------------------------------------------


def _stops(entries: Sequence[Entry], indent: int) -> Stops:
    """What stands in one column: the names behind all stances of a block, and the `=` of assignments and the `{` of
    blocks on lines that follow each other, where all of these fit."""
    stances = [(i, 1, len(entry.words[0].text)) for i, entry in enumerate(entries) if _is_stance(entry)]
    stops = _padded(stances)
    for run in _runs(entries, indent):
        cells = [(i, at, len(text_of(entries[i].words[:at]).flat)) for i in run for at in [_stop(entries[i])]]
        padded = _padded(cells)
        if all(indent + len(_flat(entries[i]) or "") + blanks <= LIMIT for i, (_, blanks) in padded.items()):
            stops |= padded
    return stops


def _padded(cells: Sequence[tuple[int, int, int]]) -> Stops:
    """From the number of each entry, the word at its stop and the width of what precedes it."""
    widest = max((width for _, _, width in cells), default=0)
    return {index: (stop, widest - width) for index, stop, width in cells}


def _is_stance(entry: Entry) -> bool:
    return entry.body is None and bool(entry.words) and entry.words[0].text in STANCES


def _stop(entry: Entry) -> int:
    """The word before which blanks may stand: the `=` of an assignment, or what follows a block's header."""
    return len(entry.words) if entry.body is not None else assigned_at(entry.words) or 0


def _runs(entries: Sequence[Entry], indent: int) -> list[list[int]]:
    """Assignments, and blocks of one kind, that follow each other on lines of their own."""
    runs: list[list[int]] = []
    previous = ""
    for index, entry in enumerate(entries):
        kind = "" if _one_line(entry, indent) is None else _kind(entry)
        if kind and kind == previous and not entry.blank:
            runs[-1].append(index)
        elif kind:
            runs.append([index])
        previous = kind
    return runs


def _kind(entry: Entry) -> str:
    """Which entries stand in one column with this; empty if none do."""
    if entry.body is not None:
        first = entry.words[0].text
        return first if first in ("when", "scenario", "on") else "block"
    return "" if assigned_at(entry.words) is None else "assignment"
