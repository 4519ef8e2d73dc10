"""A measurement, its target, and how both are printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter


@dataclass(frozen=True)
class Row:
    """One line of the table. `value` is in `unit`; `target` is its upper bound, None where it only stands beside."""

    what: str
    value: float | None
    unit: str
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.value is None or self.target is None else self.value <= self.target


def timed(run: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = perf_counter()
    run()
    return perf_counter() - start


def typical(run: Callable[[], object], times: int) -> float:
    """The median of the seconds of `times` calls, after as many as a tenth of them to warm up."""
    for _ in range(times // 10 + 1):
        run()
    return median(timed(run) for _ in range(times))


def table(rows: Sequence[Row]) -> str:
    """The rows for a terminal."""
    cells = [("measurement", "median", "target", "", "")]
    for row in rows:
        value = "skipped" if row.value is None else f"{row.value:.2f} {row.unit}"
        target = "" if row.target is None else f"<= {row.target:g} {row.unit}"
        verdict = {True: "met", False: "NOT MET", None: ""}[row.met]
        cells.append((row.what, value, target, verdict, row.note))
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    return "\n".join(
        f"{line[0]:<{widths[0]}}  {line[1]:>{widths[1]}}  {line[2]:>{widths[2]}}  {line[3]:<{widths[3]}}  {line[4]}".rstrip()
        for line in cells
    )
