"""What the processor may do: a set of outcomes, since it may check in any order within a stage of VM entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Stage
from vmcsc.check.evaluate import RuleResult, Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome: the stage that causes it, and its parts (`exit_reason` 33 and `qualification` 0)."""

    stage: str
    parts: tuple[tuple[str, int | str], ...]

    def __str__(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.parts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`outcomes` are those that the SDM permits, the usual one first; none: the entry succeeds.

    `possible` are further ones that undetermined rules may cause. `enters` is None where that hangs on these.
    """

    outcomes: tuple[Outcome, ...]
    possible: tuple[Outcome, ...]

    @property
    def enters(self) -> bool | None:
        return False if self.outcomes else None if self.possible else True


def verdict(database: Database, results: Iterable[RuleResult]) -> Verdict:
    """The verdict of a whole evaluation."""
    by_stage: dict[str, list[RuleResult]] = {stage.name: [] for stage in database.stages}
    for result in results:
        if result.status is not Status.VIOLATED and result.status is not Status.UNDETERMINED:
            continue
        stage = stage_of(database, result.rule.outcome)
        if stage is not None:
            by_stage[stage.name].append(result)
    possible: list[Outcome] = []
    for stage in database.stages:
        violated = [r for r in by_stage[stage.name] if r.status is Status.VIOLATED]
        open_ones = [r for r in by_stage[stage.name] if r.status is Status.UNDETERMINED]
        certain = _outcomes(stage, violated)
        possible += [o for o in _outcomes(stage, open_ones) if o not in (*certain, *possible)]
        if certain:
            return Verdict(tuple(certain), tuple(possible))
    return Verdict((), tuple(possible))


def stage_of(database: Database, outcome: Mapping[str, int | str]) -> Stage | None:
    """The stage to which an outcome belongs."""
    pairs = set(outcome.items())
    return next((stage for stage in database.stages if pairs & set(stage.outcomes)), None)


def _outcomes(stage: Stage, results: Sequence[RuleResult]) -> list[Outcome]:
    """What the rules may cause, each once, in the usual order."""
    found: dict[Outcome, tuple[int, int]] = {}
    elements = [result.element for result in results if result.element is not None]
    for position, result in enumerate(results):
        if result.element is not None and result.element > min(elements):
            continue  # elements are loaded in order, so only the first that fails is reported
        for outcome in (result.rule.outcome, *result.rule.other_outcomes):
            parts = tuple(outcome.items())
            if result.element is not None:
                parts = (*parts, ("qualification", result.element))
            rank = next((n for n, pair in enumerate(stage.outcomes) if pair in parts), len(stage.outcomes))
            found.setdefault(Outcome(stage.name, parts), (rank, position))
    return sorted(found, key=lambda outcome: found[outcome])
