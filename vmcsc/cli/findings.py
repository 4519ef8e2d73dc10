"""Printing findings, and the exit code that they make."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.cli.terminal import put, use_color
from vmcsc.diagnostic import Diagnostic, Severity
from vmcsc.report import render
from vmcsc.report.cells import visible

_UNUSABLE = frozenset({codes.UNREADABLE.id, codes.CPU_UNREADABLE.id, codes.CANNOT_WRITE.id})
_NOT_FOUND = frozenset({codes.POLICY_NOT_FOUND.id, codes.UNKNOWN_CPU.id})


def exit_code(diagnostics: Iterable[Diagnostic]) -> int:
    """0 without errors; 2 if a file cannot be read or written or an argument names nothing; else 1."""
    errors = [diagnostic for diagnostic in diagnostics if diagnostic.severity is Severity.ERROR]
    if any(error.code in _UNUSABLE or (error.code in _NOT_FOUND and error.span is None) for error in errors):
        return 2
    return 1 if errors else 0


def print_findings(
    diagnostics: Sequence[Diagnostic],
    stream: TextIO | None,
    *,
    format: str = "full",
    color: str = "auto",
    suppressed: int = 0,
    database: Database | None = None,
) -> None:
    """Print to `stream`; `color` is the value of --color, and `database` names the codes of rules."""
    names = {} if database is None else {rule.code: rule.id for rule in database.rules}
    text = render(diagnostics, format, use_color(color, stream), suppressed=suppressed, names=names)
    put(text, stream)


def print_failure(error: Exception) -> None:
    """Print why the library could not be used: its findings, or its sentence."""
    diagnostics: tuple[Diagnostic, ...] = tuple(getattr(error, "diagnostics", ()))
    if diagnostics:
        print_findings(diagnostics, sys.stderr)
    else:
        put(f"vmcsc: error: {visible(str(error))}\n", sys.stderr)


def distinct(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each finding once, where several policies lead to it, by a CPU file or a parent of them all."""
    found: dict[tuple[object, ...], Diagnostic] = {}
    for diagnostic in diagnostics:
        span = diagnostic.span
        place = None if span is None else (span.source.name, span.start, span.end)
        found.setdefault((diagnostic.code, diagnostic.message, place, diagnostic.cpus), diagnostic)
    return list(found.values())


def counted(number: int, what: str) -> str:
    """`1 error`, `3 errors`; `1 policy`, `2 policies`."""
    if number == 1:
        return f"1 {what}"
    return f"{number} {what[:-1]}ies" if what.endswith("y") else f"{number} {what}s"


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """How many findings of each severity there are: `1 error, 3 notes`."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    parts = [counted(severities.count(s), s.value) for s in Severity if s in severities]
    return ", ".join(parts) or "no findings"
