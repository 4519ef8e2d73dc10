"""Findings as data. Nothing here prints; `vmcsc.report` does."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from vmcsc.source import Span


class Severity(enum.Enum):
    """How much a finding weighs. Only an `ERROR` makes a run fail."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        return ("error", "warning", "note").index(self.value)


@dataclass(frozen=True, slots=True)
class Code:
    """A stable identifier of one kind of finding: `VMX2001`, a name in words, and how much it weighs."""

    id: str
    name: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Label:
    """A secondary place and what it has to do with the finding."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a stable code, a sentence, the place, and what helps.

    `notes` give reasons (the MSR and bit, the section of the manual), `help` says what to write instead,
    and `cpus` names the processors for which it holds (empty: it does not depend on one).
    """

    code: str
    severity: Severity
    message: str
    span: Span | None = None
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    cpus: tuple[str, ...] = ()

    def sort_key(self) -> tuple[str, int, int, str]:
        if self.span is None:
            return ("", -1, self.severity.rank, self.code)
        return (self.span.source.name, self.span.start, self.severity.rank, self.code)


@dataclass(slots=True)
class Diagnostics:
    """Collects the findings of one run, at most `limit` of them; `suppressed` counts the rest."""

    limit: int = 1000
    found: list[Diagnostic] = field(default_factory=list)
    suppressed: int = 0
    suppressed_errors: int = 0

    def add(self, diagnostic: Diagnostic) -> None:
        if len(self.found) < self.limit:
            self.found.append(diagnostic)
            return
        self.suppressed += 1
        self.suppressed_errors += diagnostic.severity is Severity.ERROR

    def report(
        self,
        code: Code,
        message: str,
        span: Span | None = None,
        *,
        labels: Iterable[Label] = (),
        notes: Iterable[str] = (),
        help: str | None = None,
    ) -> None:
        """Add a finding of `code`, with the severity that the register gives it."""
        self.add(Diagnostic(code.id, code.severity, message, span, tuple(labels), tuple(notes), help))

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    @property
    def failed(self) -> bool:
        return self.suppressed_errors > 0 or any(d.severity is Severity.ERROR for d in self.found)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)


def merged_by_cpu(per_cpu: Iterable[tuple[str, Iterable[Diagnostic]]]) -> list[Diagnostic]:
    """One finding for what several processors have in common: the same code, place and sentence.

    The merged finding keeps the notes of each processor and names them all in `cpus`.
    """
    merged: dict[tuple[object, ...], Diagnostic] = {}
    for cpu, diagnostics in per_cpu:
        for diagnostic in diagnostics:
            key = (diagnostic.code, diagnostic.severity, diagnostic.message, diagnostic.span)
            known = merged.get(key)
            if known is None:
                merged[key] = replace(diagnostic, cpus=(cpu,))
                continue
            notes = known.notes + tuple(note for note in diagnostic.notes if note not in known.notes)
            merged[key] = replace(known, notes=notes, cpus=(*known.cpus, cpu))
    return list(merged.values())
