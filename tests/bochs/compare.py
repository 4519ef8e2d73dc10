"""A case on both sides: what the rules permit, and what Bochs does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tests.bochs import dialect
from tests.bochs.subjects import Subject
from tests.bochs.witness import told
from vmcsc.architecture.database import Database
from vmcsc.architecture.emulator import emulator_of
from vmcsc.bochs.entries import Base, Case, Seen, run_entries
from vmcsc.bochs.tools import Tools
from vmcsc.check.compiled import evaluator
from vmcsc.check.evaluate import RuleResult, Status
from vmcsc.check.state import State
from vmcsc.check.verdict import Verdict, verdict

MAY_BLOCK = ("guest_interruptibility_state", "guest_pending_debug_exceptions")
"""Fields with which an NMI may not wake the guest. In Bochs a pending debug exception keeps it in HLT."""

WAITING = 3
"""The activity state of a guest that waits for a start-up IPI."""

UNUSED_MSR = dialect.database().msrs["ia32_sysenter_cs"].index

KERNEL, PAST_KERNEL, ORDERS = 0x1000000, 0x1100000, 0x2000000
"""Memory of the harness itself, and where that begins which it keeps orders and replies in."""


@dataclass(frozen=True)
class Trial:
    """A subject with other values of fields and other words of memory. `origin` says where it comes from."""

    subject: Subject
    fields: Mapping[str, int]
    memory: Mapping[int, int] = field(default_factory=dict)
    origin: str = ""

    def case(self) -> Case:
        values = {**self.subject.fields, **self.fields}
        blocks = any(values.get(name) for name in MAY_BLOCK)
        return Case(self.fields, self.memory, blocks=blocks)


@dataclass(frozen=True)
class Judgement:
    """What the manual's rules say of a trial, what they say as Bochs has them, and which differences made them so.

    `results` are those of all rules, the ones that only Bochs has among them. `stops` names the difference because of
    which Bochs stops.
    """

    results: tuple[RuleResult, ...]
    manual: Verdict
    bochs: Verdict
    because: tuple[str, ...]
    stops: str | None

    @cached_property
    def violated(self) -> list[str]:
        violated = [result for result in self.results if result.status is Status.VIOLATED]
        return [result.rule.id for result in dialect.manual(violated)]


@dataclass(frozen=True)
class Compared:
    """A trial with what was expected of it and what was seen."""

    trial: Trial
    expected: Judgement
    seen: Seen

    @property
    def agrees(self) -> bool:
        """As the manual has it."""
        return permits(self.expected.manual, self.seen)

    @property
    def foreseen(self) -> bool:
        """As the judged differences have it, which is the same where there are none."""
        if self.seen.lost:
            return self.expected.stops is not None
        return self.expected.stops is None and permits(self.expected.bochs, self.seen)

    def __str__(self) -> str:
        permitted = " or ".join(map(str, self.expected.manual.outcomes)) or "enters"
        change = ", ".join(f"{name}: {bits:#x}" for name, bits in self.trial.fields.items())
        words = ", ".join(f"{address:#x}: {bits:#x}" for address, bits in self.trial.memory.items())
        return (
            f"{self.trial.origin or 'a state'}: {{model: {self.trial.subject.model.name}, "
            f"subject: {self.trial.subject.name}, fields: {{{change}}}, memory: {{{words}}}}}\n"
            f"    {permitted} by {', '.join(self.expected.violated) or 'no rule'}, but Bochs: {shown(self.seen)}; "
            f"foreseen by {', '.join(self.expected.because) or self.expected.stops or 'nothing'}"
        )


def shown(seen: Seen) -> str:
    if seen.lost:
        return "does not come back"
    if seen.parts:
        return ", ".join(f"{name} {bits}" for name, bits in seen.parts)
    return f"enters (then exit {seen.exit['reason']})"


def permits(verdict: Verdict, seen: Seen) -> bool:
    """Whether what was seen is permitted."""
    if seen.entered:
        return verdict.enters is not False
    parts = set(seen.parts)  # it may be unknown which element an outcome is about
    return any(set(outcome.parts) <= parts for outcome in (*verdict.outcomes, *verdict.possible))


def judge(trial: Trial) -> Judgement:
    state = trial.subject.state(dialect.database(), trial.fields, trial.memory)
    return judgement(evaluator(dialect.database()).results(state), state)


def judgement(results: tuple[RuleResult, ...], state: State) -> Judgement:
    """What follows from the results of all rules: from those that are met, nothing."""
    database = dialect.database()
    unmet = tuple(one for one in results if one.status is Status.VIOLATED or one.status is Status.UNDETERMINED)
    as_bochs, because = dialect.as_bochs(unmet, state)
    bochs = verdict(database, as_bochs)
    stops = None if bochs.outcomes else dialect.stops(state)
    return Judgement(results, verdict(database, dialect.manual(unmet)), bochs, because, stops)


def why_not(trial: Trial, expected: Judgement) -> str | None:
    """Why a trial cannot be made, if it cannot."""
    if any(name not in trial.subject.model.fields for name in trial.fields):
        return "the model does not have the field"
    if expected.stops is not None:
        return f"Bochs stops: {expected.stops}"
    values = {**trial.subject.fields, **trial.fields}
    stages = {o.stage for v in (expected.manual, expected.bochs) for o in v.outcomes[:1]}
    enters = not (expected.manual.outcomes and expected.bochs.outcomes)
    if enters or not stages <= {"controls_and_host_state"}:  # it exits, so the host must be there
        changed = {name for name, bits in trial.fields.items() if trial.subject.fields.get(name, 0) != bits}
        if changed & emulator_of(dialect.database()).hosts[trial.subject.host_bits].needed:
            return "the exit would not come back to the harness"
        if enters and trial.case().blocks and trial.subject.host_bits == 32:
            return "nothing wakes a guest of a 32-bit host that blocks NMIs"
        if not all(_is_harmless(trial, area) for area in ("vm_exit_msr_store", "vm_exit_msr_load")):
            return "the exit would store or load MSRs"
    if enters and values.get("guest_activity_state") == WAITING:
        return "nothing wakes a guest that waits for SIPI on one processor"
    if any(not is_free(address) for address in trial.memory):
        return "the memory is the harness's own, or beyond what there is"
    return None


def _is_harmless(trial: Trial, area: str) -> bool:
    """Whether an exit can store or load what is in the area: nothing, or a 0 for an MSR that nobody needs."""
    values = {**trial.subject.fields, **trial.fields}
    words = {**trial.subject.memory, **trial.memory}
    count, address = values.get(f"{area}_count", 0), values.get(f"{area}_address", 0)
    return count == 0 or (count == 1 and words.get(address) == UNUSED_MSR and words.get(address + 8) == 0)


def is_free(address: int) -> bool:
    """Whether 8 bytes there are memory that a case may have."""
    return address + 8 <= 0xA0000 or 0x100000 <= address <= KERNEL - 8 or PAST_KERNEL <= address <= ORDERS - 8


def compared(tools: Tools, trials: Sequence[Trial], skipped: Counter[str]) -> Iterator[Compared]:
    """Both sides of each trial that can be made; why others cannot is counted in `skipped`."""
    tried: list[tuple[Trial, Judgement]] = []
    for trial in trials:
        expected = judge(trial)
        reason = why_not(trial, expected)
        if reason is not None:
            skipped[reason] += 1
        else:
            tried.append((trial, expected))
    for model in {id(trial.subject.model): trial.subject.model for trial, _ in tried}.values():
        own = [pair for pair in tried if pair[0].subject.model is model]
        for (trial, expected), one in zip(own, run([t for t, _ in own], tools), strict=True):
            yield Compared(trial, expected, one)


def run(trials: Sequence[Trial], tools: Tools) -> Iterator[Seen]:
    """What Bochs does; all trials are on one model, and best those of a subject together."""
    database = dialect.database()
    bases: dict[int, Base] = {}
    for trial in trials:
        subject = trial.subject
        fields = {name: subject.fields.get(name, 0) for name in _written(database)}
        words = told(subject) if subject.model.witness else ()
        bases.setdefault(id(subject), Base(fields, subject.memory, subject.pages, subject.host_bits, words))
    entries = [(bases[id(trial.subject)], trial.case()) for trial in trials]
    return run_entries(entries, trials[0].subject.model, database, tools)


def _written(database: Database) -> Iterable[str]:
    return [name for name, one in database.fields.items() if one.type != "read_only_data" and one.status != "internal"]
