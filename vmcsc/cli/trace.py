"""How guest and hypervisor took turns: two columns, VMX root operation and VMX non-root operation."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vmcsc.report.cells import visible
from vmcsc.report.style import paint
from vmcsc.scenario.result import ENTRY, EVENT, EXIT, GUEST

if TYPE_CHECKING:
    from vmcsc.scenario.result import Exited, Happening, ScenarioResult

_MOST = 100
_HALF = 34
"""Columns for each side where they are enough."""


def count_text(result: ScenarioResult, _: int | None, color: bool) -> str:
    """One line: how many entries there were, and how many exits for which reason."""
    exits = Counter(one.exited.reason for one in result.happenings if one.exited is not None)
    entries = sum(one.kind == ENTRY for one in result.happenings)
    listed = ", ".join(f"{reason} {count}" for reason, count in exits.most_common()) or "none"
    return f"{_title(result, color)}  VM entries: {entries}; VM exits: {listed}\n"


def trace_text(result: ScenarioResult, width: int | None, color: bool) -> str:
    """Each happening in its column; below an exit its qualification and what decided it."""
    total = min(width or _MOST, _MOST)
    half = max(min((total - 3) // 2, _HALF), 10)
    several = len({one.processor for one in result.happenings}) > 1
    lines = [f"  {'root':{half}} | non-root"]
    for one in result.happenings:
        mark = f"{one.processor}: " if several else ""
        lines += [f"  {line}" for line in _drawn(one, mark, half, total, color)]
    return _title(result, color) + "".join(f"{line.rstrip()}\n" for line in lines)


def trace_json(result: ScenarioResult) -> dict[str, Any]:
    """The same for programs."""
    return {
        "policy": result.policy,
        "cpu": result.cpu,
        "title": result.title,
        "passed": result.passed,
        "happenings": [_as_json(one) for one in result.happenings],
        "notes": list(result.notes),
        "settled": list(result.settled),
        "assumed": list(result.assumed),
    }


def _title(result: ScenarioResult, color: bool) -> str:
    return f"{paint('strong', visible(result.title), color)} ({visible(result.policy)} on {visible(result.cpu)})\n"


def _drawn(one: Happening, mark: str, half: int, total: int, color: bool) -> Iterator[str]:
    text = visible(" ".join(one.text.split()))
    if one.kind == ENTRY:
        yield f"{' ' * half} {paint('help', '-->', color)} {mark}VM entry"
    elif one.kind == EXIT and one.exited is not None:
        yield from _exit(one.exited, mark, half, total, color)
    elif one.kind == GUEST:
        yield f"{' ' * half} | {mark}{text.removeprefix('guest ')}"
    elif one.kind == EVENT:
        yield f"{' ' * half} * {mark}{text}"
    else:
        yield f"{mark}{text}"


def _exit(exited: Exited, mark: str, half: int, total: int, color: bool) -> Iterator[str]:
    what = "VM entry fails" if exited.failed else "VM exit"
    plain = f"{mark}{what}: {exited.reason} ({exited.number})".ljust(half)
    yield f"{plain.replace(exited.reason, paint('warning', exited.reason, color), 1)} {paint('warning', '<--', color)}"
    details = [f"{name} = {_value(value)}" for name, value in exited.parts.items()]
    if exited.qualification and not details:
        details = [f"qualification = {exited.qualification:#x}"]
    if details:
        yield from _wrapped(", ".join(details), total)
    if exited.because:
        verb = "fails" if exited.failed else "exits"
        yield from _wrapped(f"{verb} because {' and '.join(exited.because)}", total)


def _wrapped(text: str, total: int) -> list[str]:
    return textwrap.wrap(visible(text), total - 2, initial_indent="    ", subsequent_indent="      ")


def _value(value: int | str) -> str:
    return value if isinstance(value, str) else f"{value:#x}" if value > 9 else str(value)


def _as_json(one: Happening) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": one.kind, "processor": one.processor, "tsc": one.tsc, "text": one.text or None}
    if one.exited is not None:
        found["exit"] = {
            "reason": one.exited.reason,
            "number": one.exited.number,
            "sdm": one.exited.sdm,
            "qualification": one.exited.qualification,
            "parts": dict(one.exited.parts),
            "because": list(one.exited.because),
            "failed_entry": one.exited.failed,
        }
    return found
