"""A measurement, its target, and how both are printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time


@dataclass(frozen=True)
class Row:
    """One line of the table. `value` is in `unit`; `target` is its upper bound, `at_least` its lower one; without
    either it only stands beside.
    """

    what: str
    value: float | None
    unit: str
    target: float | None = None
    note: str = ""
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        if self.value is None or (self.target is None and self.at_least is None):
            return None
        return self.value <= self.target if self.target is not None else self.value >= (self.at_least or 0)


def elapsed(run: Callable[[], object]) -> float:
    """Seconds from the start of a call to its end."""
    start = perf_counter()
    run()
    return perf_counter() - start


def computing(run: Callable[[], object], times: int) -> float:
    """The median of the seconds that a call keeps this process computing, after a few calls to warm up.

    What else the machine does is not in it.
    """
    for _ in range(times // 10 + 1):
        run()
    taken = []
    for _ in range(times):
        start = process_time()
        run()
        taken.append(process_time() - start)
    return median(taken)


def table(rows: Sequence[Row]) -> str:
    """The rows for a terminal."""
    cells = [("measurement", "median", "target", "", "")]
    for row in rows:
        value = "skipped" if row.value is None else f"{row.value:.2f} {row.unit}"
        target = "" if row.target is None else f"<= {row.target:g} {row.unit}"
        target = target if row.at_least is None else f">= {row.at_least:g} {row.unit}"
        verdict = {True: "met", False: "NOT MET", None: ""}[row.met]
        cells.append((row.what, value, target, verdict, row.note))
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    lines = []
    for what, *numbers, verdict, note in cells:
        median, target = (f"{text:>{width}}" for text, width in zip(numbers, widths[1:3], strict=True))
        lines.append(f"{what:<{widths[0]}}  {median}  {target}  {verdict:<{widths[3]}}  {note}".rstrip())
    return "\n".join(lines)
