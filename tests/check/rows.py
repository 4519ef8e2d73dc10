"""Tables to rows: each a whole state, what becomes of one rule in it, and which rules it violates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tests.check.changes import NONE, Change, Key, put
from tests.check.states import base, build, inputs
from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import RuleResult, Status, evaluate_rules, rules_of
from vmcsc.check.reads import affected
from vmcsc.check.state import State

Value = int | Change
Outcome = tuple[tuple[str, int | str], ...]

ERROR_7: Outcome = (("instruction_error", 7),)
ERROR_8: Outcome = (("instruction_error", 8),)
GUEST_STATE: Outcome = (("exit_reason", 33), ("qualification", 0))


@dataclass(frozen=True)
class Check:
    """A rule with states around its boundary.

    `source`: the function of kvm-unit-tests that tries it, or the sentence of the SDM. The states are those of `base`
    with the change `given` and then their own, which may be just the value of `field`. In those under `violated`
    nothing is wrong but this rule, and in those under `passed` and `idle` (where it does not apply) nothing at all.
    Where that cannot be, `because` says why, and `also` are the other rules that the former violate, `elsewhere` those
    that the latter do.
    """

    rule: str
    source: str
    violated: Sequence[Value | Sequence[Value]]
    passed: Sequence[Value | Sequence[Value]] = (NONE,)
    idle: Sequence[Value | Sequence[Value]] = ()
    base: str = "long"
    given: Change = NONE
    field: str = ""
    also: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    because: str = ""
    outcome: Outcome = GUEST_STATE

    def rows(self) -> Iterator[Row]:
        for status, listed in (
            (Status.VIOLATED, self.violated),
            (Status.PASSED, self.passed),
            (Status.NOT_APPLICABLE, self.idle),
        ):
            for number, one in enumerate(_flat(listed)):
                change = one if isinstance(one, Change) else put(**{self.field: one})
                yield Row(self, status, number, self.given + change)


@dataclass(frozen=True)
class Row:
    check: Check
    status: Status
    number: int
    change: Change

    @property
    def name(self) -> str:
        return f"{self.check.rule}: {self.status.value} {self.number + 1} (base {self.check.base}; {self.change.edits})"

    @property
    def violated(self) -> frozenset[str]:
        """All that is wrong in the row's state."""
        if self.status is Status.VIOLATED:
            return frozenset((self.check.rule, *self.check.also))
        return frozenset(self.check.elsewhere)

    def values(self) -> dict[Key, int]:
        return self.change.apply(_base(self.check.base))


def _flat(listed: Sequence[Value | Sequence[Value]]) -> Iterator[Value]:
    for one in listed:
        if isinstance(one, int | Change):
            yield one
        else:
            yield from one


@lru_cache
def _base(name: str) -> dict[Key, int]:
    return base(name)


@lru_cache
def base_results(database: Database, name: str) -> Mapping[str, RuleResult]:
    state = build(database, _base(name))
    return {result.rule.id: result for result in evaluate_rules(rules_of(database), state)}


def results(database: Database, row: Row) -> tuple[Mapping[str, RuleResult], State]:
    """What becomes of every rule in the row's state: those that read nothing new as in the base."""
    values, before = row.values(), _base(row.check.base)
    state = build(database, values)
    changed = {key for key in {*values, *before} if values.get(key) != before.get(key)}
    again = evaluate_rules(affected(database, inputs(changed)), state)
    return {**base_results(database, row.check.base), **{result.rule.id: result for result in again}}, state
