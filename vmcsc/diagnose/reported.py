"""What the processor itself said of an entry, and which rules that leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from vmcsc.architecture.database import Database
from vmcsc.architecture.dumps import Failure, dumps_of
from vmcsc.architecture.model import Rule
from vmcsc.check.words import outcome_text
from vmcsc.diagnose.dump import Dump
from vmcsc.records import dataclass


class Fit(Enum):
    """How a rule stands to what the processor said, were it violated."""

    UNTOLD = "the processor's answer is not known"
    ANSWER = "this is what the processor reports"
    BESIDE = "the processor may report this or the other, checking in any order"
    LATER = "the processor did not come so far"
    PASSED = "the processor got past this check"


@dataclass(frozen=True)
class Reported:
    """The answer as `parts`, as outcomes of rules have them, and which field it is the value of (`failure`)."""

    parts: Mapping[str, int | str]
    failure: Failure
    database: Database

    def __str__(self) -> str:
        return outcome_text(self.parts, self.database)

    def fit(self, rule: Rule) -> Fit:
        """How the answer fits a violation of the rule."""
        outcomes = (rule.outcome, *rule.other_outcomes)
        if any(self._agrees(outcome) for outcome in outcomes):
            return Fit.ANSWER
        own, other = self._stage(self.parts), self._stage(rule.outcome)
        if own is None or other is None:
            return Fit.UNTOLD
        if other > own:
            return Fit.LATER
        if other < own:
            return Fit.PASSED
        return Fit.BESIDE

    def _agrees(self, outcome: Mapping[str, int | str]) -> bool:
        return all(self.parts.get(name, value) == value for name, value in outcome.items()) and any(
            name in self.parts for name in outcome
        )

    def _stage(self, parts: Mapping[str, int | str]) -> int | None:
        pairs = set(parts.items())
        return next((n for n, stage in enumerate(self.database.stages) if pairs & set(stage.outcomes)), None)


def reported_of(dump: Dump, database: Database) -> Reported | None:
    """What the dump, or a message that belongs to it, says that the processor answered; None where no entry failed."""
    told = {name: value.bits for name, value in dump.fields.items() if value.is_known}
    said = (answer_in(event.values, told, database) for event in dump.events if event.means == "failed")
    return next((one for one in said if one is not None), answer_in(told, told, database))


def answer_in(
    values: Mapping[str, int | str], besides: Mapping[str, int | str], database: Database
) -> Reported | None:  # fmt: skip
    """The answer that is among the values of fields; what says more of it may stand `besides`."""
    for failure in dumps_of(database).failures:
        number = values.get(failure.field)
        if isinstance(number, int) and failure.least <= number <= failure.greatest:
            qualifying = values if failure.qualified_by in values else besides
            return Reported(dict(_parts(failure, number, qualifying)), failure, database)
    return None


def _parts(failure: Failure, number: int, values: Mapping[str, int | str]) -> Iterator[tuple[str, int | str]]:
    yield failure.outcome, number & failure.mask
    if failure.qualified_by is not None and failure.qualified_by in values:
        yield "qualification", values[failure.qualified_by]
