"""The same MSR on several logical processors: one value, or an error that says where it differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vmcsc import codes
from vmcsc.architecture.model import Msr
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.records import dataclass
from vmcsc.source import Span

MAX_GROUPS = 4
"""How many values are shown where an MSR has several."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An MSR read once: `value` is None where the processor refused; `cpu` is the number of the logical processor."""

    msr: Msr
    value: int | None
    cpu: int | None
    span: Span | None


def agreed(found: Sequence[Reading], diagnostics: Diagnostics, span: Span | None = None) -> int | None:
    """The value of which all readings of an MSR speak; None after reporting that they differ, or if all are None."""
    by_value: dict[int | None, list[Reading]] = {}
    for reading in found:
        by_value.setdefault(reading.value, []).append(reading)
    if len(by_value) == 1:
        return found[0].value
    msr = found[0].msr
    groups = sorted(by_value.items(), key=lambda item: -len(item[1]))
    place = groups[1][1][0].span or span
    labels = [Label(readings[0].span, "here it is another") for _, readings in groups[:1] if readings[0].span]
    if any(reading.cpu is None for reading in found):
        values = " and ".join(_shown(value) for value, _ in groups[:MAX_GROUPS])
        message = f"{msr.sdm} ({msr.index:#x}) is given twice, as {values}"
        diagnostics.report(codes.CPU_INCONSISTENT, message, place, labels=labels)
        return None
    parts = "; ".join(f"{_shown(value)} on {_cpus(r.cpu for r in some)}" for value, some in groups[:MAX_GROUPS])
    parts += f"; and {len(groups) - MAX_GROUPS} more values" if len(groups) > MAX_GROUPS else ""
    help = "bring firmware and microcode of all processors to one state, or describe them as several CPUs"
    message = f"{msr.sdm} ({msr.index:#x}) differs between logical processors: {parts}"
    diagnostics.report(codes.PROCESSORS_DIFFER, message, place, labels=labels, help=help)
    return None


def _shown(value: int | None) -> str:
    return "unreadable" if value is None else f"{value:#018x}"


def _cpus(numbers: Iterable[int | None]) -> str:
    """`CPU 3`, `CPUs 0-3, 8`."""
    ordered = sorted({number for number in numbers if number is not None})
    runs: list[list[int]] = []
    for number in ordered:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs[:16])
    shown += ", ..." if len(runs) > 16 else ""
    return f"CPU{'s' if len(ordered) > 1 else ''} {shown}"
