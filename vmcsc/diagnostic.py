"""Findings as data. Nothing here prints; `vmcsc.report` does."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Set

from vmcsc.records import dataclass, field, replace
from vmcsc.source import Span

MAX_SENTENCE = 2000


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
    """Collects the findings of one run, at most `limit` of them; `suppressed` counts the rest.

    `ignored` are codes not taken now, since what they would say may only follow from a mistake that was reported.
    """

    limit: int = 1000
    found: list[Diagnostic] = field(default_factory=list)
    suppressed: int = 0
    suppressed_errors: int = 0
    ignored: Set[str] = frozenset()

    def add(self, diagnostic: Diagnostic) -> None:
        if diagnostic.code in self.ignored:
            return
        if len(self.found) < self.limit:
            self.found.append(diagnostic)
            return
        self.suppressed += 1
        if diagnostic.severity is Severity.ERROR and not self._make_room(diagnostic):
            self.suppressed_errors += 1

    def _make_room(self, error: Diagnostic) -> bool:
        """Put `error` in the place of the last finding that weighs less, so that no error is lost among notes."""
        if self.suppressed_errors:  # there was no such finding for an earlier one
            return False
        for index in range(len(self.found) - 1, -1, -1):
            if self.found[index].severity is not Severity.ERROR:
                del self.found[index]
                self.found.append(error)
                return True
        return False

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
        said = tuple(_short(note) for note in notes)
        help = None if help is None else _short(help)
        self.add(Diagnostic(code.id, code.severity, _short(message), span, tuple(labels), said, help))

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    @property
    def full(self) -> bool:
        """Whether what is reported now will only be counted, so that it need not be worded with care."""
        return len(self.found) >= self.limit

    @property
    def failed(self) -> bool:
        return self.suppressed_errors > 0 or any(d.severity is Severity.ERROR for d in self.found)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)


def _short(text: str) -> str:
    """A sentence that quotes a user's name of a million letters is cut off."""
    return text if len(text) <= MAX_SENTENCE else text[: MAX_SENTENCE - 3] + "..."


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
            cpus = known.cpus if cpu in known.cpus else (*known.cpus, cpu)
            merged[key] = replace(known, notes=notes, cpus=cpus)
    return list(merged.values())
