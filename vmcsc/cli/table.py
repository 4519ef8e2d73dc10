"""Tables: aligned columns, wrapped only where a terminal is too narrow for them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vmcsc.report.cells import visible

_UNBOUNDED = 10_000


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, width: int | None, color: bool) -> str:
    """The table as text. The last column takes what is left of `width` columns; None: nothing is wrapped."""
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for header in headers:
        grid.add_column(Text(header), no_wrap=width is None or header != headers[-1], overflow="fold")
    for row in rows:
        grid.add_row(*(Text(visible(cell)) for cell in row))
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width or _UNBOUNDED,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        _environ={},
    )
    console.print(grid)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())
