"""Printing findings, and the exit code that they make."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import CodeText
from vmcsc.cli.config import project_root
from vmcsc.cli.terminal import put, use_color
from vmcsc.diagnostic import Diagnostic, Severity
from vmcsc.report import TEXTS, render
from vmcsc.report.cells import visible

_UNUSABLE = frozenset(
    {codes.UNREADABLE.id, codes.CPU_UNREADABLE.id, codes.SOURCE_UNAVAILABLE.id, codes.CANNOT_WRITE.id}
)
_NOT_FOUND = frozenset({codes.POLICY_NOT_FOUND.id, codes.UNKNOWN_CPU.id})


def exit_code(diagnostics: Iterable[Diagnostic], *, strict: bool = False, exit_zero: bool = False) -> int:
    """0 without errors; 2 if a file cannot be read or written or an argument names nothing; else 1.

    `strict`: warnings, and notes that something is undetermined, count as errors. `exit_zero`: 0 instead of 1.
    """
    failures = [diagnostic for diagnostic in diagnostics if _fails(diagnostic, strict)]
    if any(failure.code in _UNUSABLE or (failure.code in _NOT_FOUND and failure.span is None) for failure in failures):
        return 2
    return 1 if failures and not exit_zero else 0


def _fails(diagnostic: Diagnostic, strict: bool) -> bool:
    if diagnostic.severity is Severity.ERROR:
        return True
    return strict and (diagnostic.severity is Severity.WARNING or diagnostic.code in codes.UNDETERMINED)


def print_findings(
    diagnostics: Sequence[Diagnostic],
    stream: TextIO | None,
    *,
    format: str = "full",
    color: str = "auto",
    suppressed: int = 0,
    database: Database | None = None,
) -> None:
    """Print to `stream`; `color` is the value of --color, and `database` says what the codes mean."""
    text = findings_text(diagnostics, stream, format=format, color=color, suppressed=suppressed, database=database)
    put(text, stream)


def findings_text(
    diagnostics: Sequence[Diagnostic],
    stream: TextIO | None,
    *,
    format: str = "full",
    color: str = "auto",
    suppressed: int = 0,
    database: Database | None = None,
) -> str:
    """What `print_findings` prints."""
    for_people = format in TEXTS
    return render(
        diagnostics,
        format,
        use_color(color, stream),
        suppressed=suppressed,
        texts=None if for_people or database is None else code_texts(database),
        root=None if for_people else project_root(),
    )


def code_texts(database: Database) -> dict[str, CodeText]:
    """What every code means, those of rules included."""
    texts = {}
    for rule in database.rules:
        explanation = rule.why if rule.hint is None else f"{rule.why} {rule.hint}"
        summary = f"{rule.id.replace('-', ' ').capitalize()}."
        texts[rule.code] = CodeText(rule.code, rule.id, Severity.ERROR.value, summary, explanation)
    return {**texts, **{text.code: text for text in database.codes.values()}}


def print_failure(error: Exception, stream: TextIO | None = None, *, format: str = "full", color: str = "auto") -> int:
    """Print why the library could not be used, its findings (to `stream`) and its sentence; return the exit code."""
    diagnostics: tuple[Diagnostic, ...] = tuple(getattr(error, "diagnostics", ()))
    if diagnostics or format not in TEXTS:
        print_findings(diagnostics, stream or sys.stderr, format=format, color=color)
    put(f"vmcsc: error: {visible(str(error))}\n", sys.stderr)
    return 2


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
