"""A line of a source in a frame, with marks under the places that a finding is about."""

from __future__ import annotations

from collections.abc import Sequence

from vmcsc.records import dataclass
from vmcsc.report.cells import cells, visible, width
from vmcsc.report.style import paint
from vmcsc.source import Source, Span

MAX_COLUMNS = 120
"""Widest piece of a line that is shown; a longer one is cut around its first mark."""

_BEFORE = 40
_CUT = "..."


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to underline with `sign`, in the colour of `role`, and what to say beside it."""

    span: Span
    sign: str
    role: str
    text: str = ""

    @property
    def line(self) -> int:
        return self.span.first.line


@dataclass(frozen=True, slots=True)
class _Shown:
    """The piece of a line that is shown: `cells` of its characters from `first` (counted from 0) on."""

    first: int
    cells: Sequence[str]
    before: str
    after: str

    @property
    def text(self) -> str:
        return f"{self.before}{''.join(self.cells)}{self.after}".rstrip()

    def columns(self, start: int, end: int) -> tuple[int, int]:
        """Where the characters `start` to `end` begin on the screen, and how many columns they take."""
        start, end = max(start - self.first, 0), max(end - self.first, 0)
        left = len(self.before) + width("".join(self.cells[:start]))
        return left, max(1, width("".join(self.cells[start:end])))


def fits(source: Source, line: int) -> bool:
    """Whether the line is shown as a whole, whatever is marked in it."""
    text = source.line(line)
    return len(text) <= MAX_COLUMNS and width("".join(cells(text))) <= MAX_COLUMNS


def excerpt(marks: Sequence[Mark], gutter: int, color: bool) -> list[str]:
    """The line on which all of `marks` begin, and the marks; line numbers take `gutter` columns."""
    source, number = marks[0].span.source, marks[0].line
    line = source.line(number)
    shown = _show(line, marks[0].span.first.column - 1)
    bar = paint("frame", f"{'':{gutter}} |", color)
    numbered = paint("frame", f"{number:>{gutter}} |", color)
    rows = [bar, f"{numbered} {shown.text}".rstrip()]
    rows += [f"{bar} {row}" for row in _mark_rows(marks, shown, len(line), color)]
    return rows


def _show(line: str, wanted: int) -> _Shown:
    """The piece of `line` around the character `wanted`. Looks at no other characters."""
    start = 0
    if len(line) > MAX_COLUMNS or width("".join(cells(line))) > MAX_COLUMNS:
        start = _start_before(line, wanted)
    kept: list[str] = []
    total = 0
    for cell in cells(line[start : start + MAX_COLUMNS]):
        total += width(cell)
        if total > MAX_COLUMNS:
            break
        kept.append(cell)
    cut_behind = start + len(kept) < len(line)
    return _Shown(start, kept, _CUT if start else "", _CUT if cut_behind else "")


def _start_before(line: str, wanted: int) -> int:
    """The first of the characters that fit into `_BEFORE` columns before the character `wanted`."""
    earliest = max(0, wanted - _BEFORE)
    used = 0
    for start in range(min(wanted, len(line)), earliest, -1):
        used += width(cells(line[start - 1])[0])
        if used > _BEFORE:
            return start
    return earliest


def _mark_rows(marks: Sequence[Mark], shown: _Shown, length: int, color: bool) -> list[str]:
    """The marks, each in a row of its own, but the last one beside the first if it lies right of it."""
    rows: list[str] = []
    end_of_first = 0
    placed = [(mark, *shown.columns(*_characters(mark, length))) for mark in marks]
    first, *others = placed
    others.sort(key=lambda place: -place[1])
    for index, (mark, left, columns) in enumerate([first, *others]):
        text = f" {visible(mark.text)}" if mark.text else ""
        drawn = paint(mark.role, mark.sign * columns + text, color)
        if index == 1 and left > end_of_first and not first[0].text:
            rows[0] += " " * (left - end_of_first) + drawn
        else:
            rows.append(" " * left + drawn)
        if index == 0:
            end_of_first = left + columns
    return rows


def _characters(mark: Mark, length: int) -> tuple[int, int]:
    """The characters of the mark on its first line, counted from 0."""
    first, last = mark.span.first, mark.span.last
    return first.column - 1, last.column - 1 if last.line == first.line else length
