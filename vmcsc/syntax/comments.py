"""Lines with comments behind them: the comments that belong in one column are brought into one.

The author decides: comments of one block that begin in the same column keep doing so, two blanks behind the longest
of their lines. A comment on the line before or after such a column joins it, unless that would move it far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmcsc.records import dataclass

GAP = 2
"""Blanks before a comment, at least."""

REACH = 8
"""How far a column moves at most to take in a neighbour."""


@dataclass(slots=True)
class Line:
    """A line of the result. `column` is where its comment began in the original, None for one that stands alone.

    `scope` tells blocks apart, and `origin` is the line of the original that the comment stood on.
    """

    indent: int = 0
    code: str = ""
    comment: str = ""
    column: int | None = None
    scope: int = 0
    origin: int = 0

    @property
    def end(self) -> int:
        """Where a comment may begin at the earliest."""
        return column_behind(" " * self.indent + self.code) + GAP if self.code else 0


def column_behind(text: str) -> int:
    """How many columns the beginning of a line takes."""
    return len(text.replace("\r", " ").expandtabs(8))


def render(lines: Sequence[Line]) -> str:
    """The text of `lines`, its comments aligned."""
    columns = _columns(lines)
    return "".join(f"{_rendered(line, columns.get(index))}\n" for index, line in enumerate(lines))


def _rendered(line: Line, column: int | None) -> str:
    code = " " * line.indent + line.code
    if not line.comment:
        return code if line.code else ""
    if column is None:
        return code + line.comment
    code = code if line.code else ""
    return code + " " * (column - column_behind(code)) + line.comment


def _columns(lines: Sequence[Line]) -> dict[int, int]:
    """The column of each comment behind code, by the number of its line.

    Repeated until nothing moves, so that the result is one that formatting leaves alone. It ends, because comments
    that share a column once do so from then on.
    """
    columns = {index: line.column for index, line in enumerate(lines) if line.column is not None}
    while True:
        settled = _settled(lines, columns)
        if settled == columns:
            return columns
        columns = settled


def _settled(lines: Sequence[Line], columns: Mapping[int, int]) -> dict[int, int]:
    groups: dict[tuple[int, int], list[int]] = {}
    for index, column in columns.items():
        groups.setdefault((lines[index].scope, column), []).append(index)
    ends = {key: max(lines[index].end for index in members) for key, members in groups.items()}
    group_of = {index: key for key, members in groups.items() for index in members}
    joined = dict(group_of)
    for key, members in groups.items():
        if len(members) == 1:
            joined[members[0]] = _neighbour(members[0], lines, groups, group_of, ends) or key
    ends = {}
    for index, key in joined.items():
        ends[key] = max(ends.get(key, 0), lines[index].end)
    return {index: ends[key] for index, key in joined.items()}


def _neighbour(
    index: int,
    lines: Sequence[Line],
    groups: Mapping[tuple[int, int], Sequence[int]],
    group_of: Mapping[int, tuple[int, int]],
    ends: Mapping[tuple[int, int], int],
) -> tuple[int, int] | None:
    """The column beside line `index` that its comment, so far alone in its own, can join."""
    for beside in (index - 1, index + 1):
        key = group_of.get(beside)
        if key is None or key[0] != lines[index].scope or len(groups[key]) == 1:
            continue
        if lines[index].end <= ends[key] + REACH:
            return key
    return None
