"""What the processor may do: a set of outcomes, since it may check in any order within a stage of VM entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Stage
from vmcsc.check.evaluate import RuleResult, Status
from vmcsc.records import dataclass

_QUALIFICATION = "qualification"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome: the stage that causes it, and its parts (`exit_reason` 33 and `qualification` 0)."""

    stage: str
    parts: tuple[tuple[str, int | str], ...]

    def __str__(self) -> str:
        return parts_text(self.parts)

    @property
    def is_qualified(self) -> bool:
        """Whether it says itself what the qualification is."""
        return any(name == _QUALIFICATION for name, _ in self.parts)


def is_number(part: int | str) -> bool:
    """Whether a part of an outcome is a number, rather than a name or what is simply so."""
    return isinstance(part, int) and not isinstance(part, bool)


def parts_text(parts: Iterable[tuple[str, int | str]]) -> str:
    """An outcome as the manual writes it: `#UD`, `VMfailInvalid`, `exit reason 33, qualification 0`."""
    return ", ".join(_SHORT[name](value) if name in _SHORT else f"{_spoken(name)} {value}" for name, value in parts)


_SHORT: Mapping[str, Callable[[int | str], str]] = {
    "fault": lambda value: f"#{str(value).upper()}",
    "instruction_exit": lambda _: "VM exit of the instruction itself",
    "vmfail_invalid": lambda _: "VMfailInvalid",
}


def _spoken(name: str) -> str:
    return name.replace("_", " ")


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


@dataclass(frozen=True, slots=True, eq=False)
class Causes:
    """What a violation causes: the number of the stage, and each outcome with its rank among those of the stage."""

    stage: int
    outcomes: tuple[tuple[Outcome, int], ...]


def verdict(database: Database, results: Iterable[RuleResult]) -> Verdict:
    """The verdict of a whole evaluation."""
    causes_of = causes_of_rules(database)
    violated: list[list[tuple[Causes, RuleResult]]] = [[] for _ in database.stages]
    unsettled: list[dict[Causes, None]] = [{} for _ in database.stages]
    for result in results:
        if result.status is Status.PASSED or result.status is Status.NOT_APPLICABLE:
            continue
        causes = causes_of.get(result.bound.rule.id)
        if causes is None:
            continue
        if result.status is Status.VIOLATED:
            violated[causes.stage].append((causes, result))
        else:
            unsettled[causes.stage][causes] = None
    possible: list[Outcome] = []
    for stage, open_ones in enumerate(unsettled):
        certain = _outcomes(violated[stage])
        perhaps = _outcomes([(causes, None) for causes in open_ones])
        possible += [outcome for outcome in perhaps if outcome not in (*certain, *possible)]
        if certain:
            return Verdict(tuple(certain), tuple(possible))
    return Verdict((), tuple(possible))


@lru_cache(maxsize=8)
def causes_of_rules(database: Database) -> Mapping[str, Causes]:
    """What the violation of each rule causes, by its id; rules that cause the same share it."""
    shared: dict[tuple[object, ...], Causes] = {}
    found = {}
    for rule in database.rules:
        pairs = set(rule.outcome.items())
        number = next((n for n, stage in enumerate(database.stages) if pairs & set(stage.outcomes)), None)
        if number is not None:
            parts = tuple(tuple(outcome.items()) for outcome in (rule.outcome, *rule.other_outcomes))
            causes = Causes(number, tuple(_ranked(database.stages[number], part) for part in parts))
            found[rule.id] = shared.setdefault((number, parts), causes)
    return found


def _ranked(stage: Stage, parts: tuple[tuple[str, int | str], ...]) -> tuple[Outcome, int]:
    rank = next((n for n, pair in enumerate(stage.outcomes) if pair in parts), len(stage.outcomes))
    return Outcome(stage.name, parts), rank


def _outcomes(causes: Sequence[tuple[Causes, RuleResult | None]]) -> list[Outcome]:
    """What rules of one stage may cause, each once, in the usual order; with the element that violates the rule."""
    found: dict[Outcome, tuple[int, int]] = {}
    earliest = min((result.element for _, result in causes if result and result.element and result.first), default=0)
    for position, (one, result) in enumerate(causes):
        element = result.element if result is not None and result.first else None
        if element is not None and element > earliest:
            continue  # elements are loaded in order, so only the first that fails is reported
        for outcome, rank in one.outcomes:
            found.setdefault(_with_element(outcome, element), (rank, position))
    return sorted(found, key=lambda outcome: found[outcome])


def _with_element(outcome: Outcome, element: int | None) -> Outcome:
    """Where nothing else is the qualification, the element is."""
    if element is None or outcome.is_qualified:
        return outcome
    return Outcome(outcome.stage, (*outcome.parts, (_QUALIFICATION, element)))
