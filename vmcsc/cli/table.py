"""Tables: aligned columns, wrapped only where a terminal is too narrow for them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vmcsc.report.cells import visible, width

_UNBOUNDED = 10_000
_GAP = 2
_NARROW = 12
"""A column that wraps has at least so many characters, as long as others can give way."""


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    width: int | None,
    color: bool,
    wrap: Sequence[int] = (-1,),
) -> str:
    """The table as text, at most `width` columns wide (None: as wide as it needs, and nothing is wrapped).

    The columns numbered in `wrap` take what the others leave.
    """
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = _widths([headers, *shown], width, {number % len(headers) for number in wrap})
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for header, columns in zip(headers, widths, strict=True):
        grid.add_column(Text(header), width=columns, overflow="fold")
    for row in shown:
        grid.add_row(*map(Text, row))
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=max(width or _UNBOUNDED, sum(widths) + _GAP * len(widths)),
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        _environ={},
    )
    console.print(grid)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def column_widths(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[int]:
    """What each column needs so that nothing in it is wrapped."""
    return [max(width(visible(cell)) for cell in column) for column in zip(headers, *rows, strict=True)]


def _widths(rows: Sequence[Sequence[str]], total: int | None, wrapping: set[int]) -> list[int]:
    natural = column_widths(rows[0], rows[1:])
    available = (total or _UNBOUNDED) - _GAP * (len(natural) - 1)
    if total is None or sum(natural) <= available:
        return natural
    rest = available - sum(one for number, one in enumerate(natural) if number not in wrapping)
    if rest < _NARROW * len(wrapping):  # too little even for that: every column gives way
        wrapping, rest = set(range(len(natural))), available
    shared = _shared([natural[number] for number in sorted(wrapping)], rest)
    given = dict(zip(sorted(wrapping), shared, strict=True))
    return [given.get(number, one) for number, one in enumerate(natural)]


def _shared(natural: Sequence[int], total: int) -> list[int]:
    """`total` divided so that who needs little gets it all, and the others get alike."""
    given = [0] * len(natural)
    for done, number in enumerate(sorted(range(len(natural)), key=natural.__getitem__)):
        given[number] = max(1, min(natural[number], total // (len(natural) - done)))
        total -= given[number]
    return given
