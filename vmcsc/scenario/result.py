"""What became of a scenario: its failures, and what happened on the machine in its order."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.diagnostic import Diagnostic
from vmcsc.records import dataclass

ENTRY, EXIT, GUEST, ROOT, EVENT = "entry", "exit", "guest", "root", "event"
"""Kinds of `Happening`: VM entry, VM exit, an instruction of the guest or of the hypervisor, an event that arrives."""


@dataclass(frozen=True, slots=True)
class Exited:
    """A VM exit: its reason by name, number and the manual's words, and the exit qualification.

    `parts` are those of the qualification that say something, `because` what decided the exit. `failed`: it ended a VM
    entry that failed.
    """

    reason: str
    number: int
    sdm: str
    qualification: int
    parts: Mapping[str, int | str]
    because: tuple[str, ...]
    failed: bool


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened on a processor, at a time of its time-stamp counter; `text` is the statement for it."""

    kind: str
    processor: int
    tsc: int
    text: str = ""
    exited: Exited | None = None


@dataclass(frozen=True)
class ScenarioResult:
    """`findings` say what failed (none: it passed); `notes` what the software should not have done.

    `settled` is what the policy leaves open and a guest needs, `assumed` what nobody knows of the processor.
    """

    title: str
    policy: str
    cpu: str
    findings: tuple[Diagnostic, ...]
    happenings: tuple[Happening, ...]
    notes: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.findings
