"""Each rule over one state: passed, violated, not applicable, or undetermined for want of something unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Rule
from vmcsc.check.state import State
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.rules import BoundArea, BoundRule
from vmcsc.expression.stored import bound_rules
from vmcsc.expression.value import Value
from vmcsc.records import dataclass

MAX_ELEMENTS = 4096
"""How many elements of an area are looked at; what lies beyond is undetermined."""


class Status(Enum):
    PASSED = "passed"
    VIOLATED = "violated"
    NOT_APPLICABLE = "not applicable"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What became of one rule. `element` is the number (from 1) of the first element of an area that violates it.

    `first`: no element before it can violate the rule; else that is unknown of some.
    """

    bound: BoundRule
    status: Status
    element: int | None = None
    first: bool = True

    @property
    def rule(self) -> Rule:
        return self.bound.rule


@lru_cache(maxsize=8)
def rules_of(database: Database) -> tuple[BoundRule, ...]:
    """The bound rules of the specs, in their order."""
    return bound_rules(database)


def evaluate_rules(rules: Iterable[BoundRule], state: State) -> Iterator[RuleResult]:
    """The result of each rule over `state`."""
    for bound in rules:
        yield evaluate_rule(bound, state)


def evaluate_rule(bound: BoundRule, state: State) -> RuleResult:
    """The result of one rule over `state`."""
    if bound.area is None:
        return RuleResult(bound, _status(bound, state))
    return _over_area(bound, bound.area, state)


def _status(bound: BoundRule, state: State) -> Status:
    applies = evaluate(bound.when, state.read).bit(0)
    if applies is False:
        return Status.NOT_APPLICABLE
    holds = evaluate(bound.require, state.read).bit(0)
    if holds:
        return Status.PASSED
    return Status.VIOLATED if applies and holds is False else Status.UNDETERMINED


def _over_area(bound: BoundRule, area: BoundArea, state: State) -> RuleResult:
    """The rule for every element: violated if it is for one, passed only if it is for all."""
    count, address = evaluate(area.count, state.read), evaluate(area.address, state.read)
    if count.is_false:
        return RuleResult(bound, Status.NOT_APPLICABLE)
    if not (count.is_known and address.is_known) or state.memory is None:
        state.at(area.area.name, None)
        status = _status(bound, state)
        decided = status is Status.NOT_APPLICABLE or (status is Status.PASSED and count.is_true)
        return RuleResult(bound, status if decided else Status.UNDETERMINED)
    found: dict[Value, Status] = {}
    for index in range(min(count.bits, MAX_ELEMENTS)):
        place = address.bits + index * area.area.size & (1 << 64) - 1
        element = state.memory.read(place, area.area.size * 8)
        if element in found:  # where an area is large, its elements are alike
            continue
        state.at(area.area.name, place)
        found[element] = _status(bound, state)
        if found[element] is Status.VIOLATED:
            return RuleResult(bound, Status.VIOLATED, index + 1, Status.UNDETERMINED not in found.values())
    if count.bits > MAX_ELEMENTS or Status.UNDETERMINED in found.values():
        return RuleResult(bound, Status.UNDETERMINED)
    return RuleResult(bound, Status.PASSED if Status.PASSED in found.values() else Status.NOT_APPLICABLE)
