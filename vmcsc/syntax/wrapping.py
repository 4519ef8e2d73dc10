"""Breaking a statement into lines: where it may be broken, and where it is."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from vmcsc.records import dataclass, field
from vmcsc.syntax.shape import STARTERS
from vmcsc.syntax.spacing import Word, gaps_between, lead_of

INDENT = 2

LIMIT = 100
"""Columns of a line of code; comments may go beyond."""

FARTHEST = 40
"""How far to the right of its statement a continued line begins at most."""


class Lines(enum.Enum):
    """What becomes of the author's lines: filled anew, kept but broken where too long, or left as they are."""

    FILLED = enum.auto()
    KEPT = enum.auto()
    AS_WRITTEN = enum.auto()


@dataclass(slots=True)
class Row:
    """A line of a statement: its code, or a comment alone; `comment` behind the code otherwise."""

    indent: int
    code: str = ""
    comment: Word | None = None


@dataclass(slots=True)
class Text:
    """The words of a statement without its comments, and what stands before each of them."""

    words: Sequence[Word]
    gaps: list[str]
    comments: dict[int, list[Word]] = field(default_factory=dict)
    """Comments by the number of the word that they stand before."""

    @property
    def flat(self) -> str:
        return "".join(gap + word.text for gap, word in zip(self.gaps, self.words, strict=True))

    @property
    def widths(self) -> list[int]:
        """Columns that the first 0, 1, 2, ... words take."""
        taken = (len(gap) + len(word.text) for gap, word in zip(self.gaps, self.words, strict=True))
        return list(accumulate(taken, initial=0))


def text_of(words: Sequence[Word]) -> Text:
    plain: list[Word] = []
    comments: dict[int, list[Word]] = {}
    for word in words:
        if word.is_comment:
            comments.setdefault(len(plain), []).append(word)
        else:
            plain.append(word)
    return Text(plain, gaps_between(plain), comments)


def wrapped(text: Text, indent: int, lines: Lines, tail: int = 0) -> list[Row]:
    """The statement as lines that keep to the limit where they can, with `tail` columns left free behind it.

    Lines are broken after commas, within parentheses also before `and` and `or`: anywhere else the statement would
    end. A line begins one column farther to the right for each parenthesis that is open.
    """
    widths, depths = text.widths, _depths(text.words)
    hang = _hang(text, widths, indent)
    points = set() if lines is Lines.AS_WRITTEN else _points(text, widths, depths, hang + tail)
    forced = set() if lines is Lines.FILLED else {i for i, word in enumerate(text.words) if word.broken}
    stops = sorted({*points, *forced, len(text.words)})
    following = dict(pairwise(stops))
    rows = [Row(indent)]
    for index, word in enumerate(text.words):
        for comment in text.comments.get(index, ()):
            _add_comment(rows, comment, hang + depths[index])
        row = rows[-1]
        stop = following.get(index)
        if index in forced or (stop is not None and _overflows(row, widths, index, stop, tail)):
            row = Row(hang + depths[index])
            rows.append(row)
        row.code += (text.gaps[index] if row.code else "") + word.text
    return rows


def _overflows(row: Row, widths: Sequence[int], index: int, stop: int, tail: int) -> bool:
    """Whether the words from `index` up to `stop` go beyond the limit in this row."""
    room = LIMIT - (tail if stop == len(widths) - 1 else 0)
    return row.indent + len(row.code) + widths[stop] - widths[index] > room


def _add_comment(rows: list[Row], comment: Word, indent: int) -> None:
    if comment.broken:
        rows.append(Row(indent, comment=comment))
    else:
        rows[-1].comment = comment


def _hang(text: Text, widths: Sequence[int], indent: int) -> int:
    """The column of continued lines: that of the first name, target or value."""
    first = next((i + 1 for i, word in enumerate(text.words) if word.text == "="), lead_of(text.words))
    if any(index < first for index in text.comments):
        first = lead_of(text.words)
    if first >= len(text.words) or widths[first] > FARTHEST:
        return indent + 2 * INDENT
    return indent + widths[first] + len(text.gaps[first])


def _depths(words: Sequence[Word]) -> list[int]:
    """How many parentheses and brackets are open before each word."""
    steps = ((word.text in ("(", "[")) - (word.text in (")", "]")) for word in words)
    return list(accumulate(steps, initial=0))


def _points(text: Text, widths: Sequence[int], depths: Sequence[int], taken: int) -> set[int]:
    """The words before which the statement may be broken; those inside parentheses only where the rest is too long.

    `taken`: columns of each line that are not for its words.
    """
    last_equals = max((i for i, word in enumerate(text.words) if word.text == "="), default=0)
    found: set[int] = set()
    pending = [(0, len(text.words), 0)]
    while pending:
        start, end, level = pending.pop()
        breakable = _breakable(text.words, depths, max(start, last_equals) + 1, end)
        points = [i for i in breakable if depths[i] == level]
        found.update(points)
        for a, b in pairwise([start, *points, end]):
            too_long = taken + level + widths[b] - widths[a] > LIMIT
            if too_long and any(depth > level for depth in depths[a:b]):
                pending.append((a, b, level + 1))
    return found


def _breakable(words: Sequence[Word], depths: Sequence[int], start: int, end: int) -> Iterator[int]:
    """A line must not begin with what begins a statement."""
    for i in range(start, end):
        inside = depths[i] > 0 and words[i].text in ("and", "or")
        if (words[i - 1].text == "," or inside) and words[i].text not in STARTERS:
            yield i
