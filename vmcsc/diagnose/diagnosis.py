"""A dump against the rules of VM entry: what is violated, what may be, and what nobody can tell from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

from vmcsc.architecture.database import Database
from vmcsc.architecture.dumps import dumps_of
from vmcsc.architecture.model import NATURAL, ExitReason
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.check.check import Checked, check_fields
from vmcsc.check.evaluate import RuleResult, Status
from vmcsc.check.missing import FIELD, PROCESSOR, Missing, hangs_on_processor, missing_of
from vmcsc.diagnose.areas import with_elements
from vmcsc.diagnose.causes import causes_of, fitting_causes
from vmcsc.diagnose.dump import Dump
from vmcsc.diagnose.reported import Fit, Reported, reported_of
from vmcsc.diagnose.suspects import Suspect, suspects_of
from vmcsc.diagnostic import Diagnostic
from vmcsc.expression.value import known
from vmcsc.records import dataclass, replace

_ORDER = (Fit.ANSWER, Fit.UNTOLD, Fit.BESIDE, Fit.LATER, Fit.PASSED)


@dataclass(frozen=True)
class Violation:
    """A violated rule, as a finding, with the causes that are known and how it fits the processor's answer."""

    result: RuleResult
    finding: Diagnostic
    causes: tuple[str, ...]
    fit: Fit


@dataclass(frozen=True)
class Diagnosis:
    """What a dump says. `reported` is the processor's own answer, None where the dump shows no entry that failed."""

    dump: Dump
    cpu: Cpu
    checked: Checked
    reported: Reported | None
    database: Database

    @cached_property
    def violated(self) -> tuple[Violation, ...]:
        """The violated rules, first those that the processor reports."""
        state = self.checked.state
        pairs = zip(self.checked.of(Status.VIOLATED), self.checked.findings, strict=True)
        found = [Violation(one, finding, causes_of(one.rule, state), self.fit(one)) for one, finding in pairs]
        return tuple(sorted(found, key=lambda one: _ORDER.index(one.fit)))

    @cached_property
    def suspects(self) -> tuple[Suspect, ...]:
        """Undetermined rules that some processor of the specs would find violated."""
        return suspects_of(self.checked, self._open, self._lacking, self.database)

    @cached_property
    def undetermined(self) -> tuple[tuple[RuleResult, tuple[Missing, ...]], ...]:
        """The other undetermined rules that may be why the entry failed, and what each lacks."""
        suspected = {one.result.rule.id for one in self.suspects}
        return tuple((one, self._lacking[one.rule.id]) for one in self._open if one.rule.id not in suspected)

    @cached_property
    def likely(self) -> tuple[tuple[RuleResult, str], ...]:
        """Undetermined rules of which a known cause fits what is known here, with the cause."""
        state = self.checked.state
        return tuple((one, cause) for one in self._open for cause in fitting_causes(one.rule, state))

    @cached_property
    def _open(self) -> Sequence[RuleResult]:
        """Undetermined rules, without those of which the processor's answer or its state alone would tell."""
        state, lacking = self.checked.state, self._lacking
        return [one for one in self._fitting if not hangs_on_processor(one, state, lacking[one.rule.id])]

    @cached_property
    def _fitting(self) -> Sequence[RuleResult]:
        """Undetermined rules that the processor's answer does not rule out."""
        results = self.checked.of(Status.UNDETERMINED)
        return [one for one in results if self.fit(one) in (Fit.ANSWER, Fit.UNTOLD, Fit.BESIDE)]

    @cached_property
    def _lacking(self) -> Mapping[str, tuple[Missing, ...]]:
        """What each of these lacks, by the rule's id."""
        return {one.rule.id: tuple(missing_of(one, self.checked.state)) for one in self._fitting}

    @property
    def aside(self) -> int:
        """How many undetermined rules are left aside: the processor's answer, or its state alone, tells of them."""
        return len(self.checked.of(Status.UNDETERMINED)) - len(self._open)

    @cached_property
    def missing(self) -> Mapping[Missing, int]:
        """What would decide undetermined rules, with the number of rules that ask for it."""
        lacking = (one for _, missing in self.undetermined for one in missing if one[0] != PROCESSOR)
        return dict(Counter(lacking).most_common())

    @cached_property
    def untold(self) -> tuple[str, ...]:
        """The fields that undetermined rules ask for and that no such dump has."""
        printed = self.dump.form.fields
        return tuple(name for kind, name in self.missing if kind == FIELD and name not in printed)

    @cached_property
    def cut(self) -> tuple[str, ...]:
        """The fields that undetermined rules ask for, which such dumps may have and this one does not."""
        printed = self.dump.form.fields
        return tuple(name for kind, name in self.missing if kind == FIELD and name in printed)

    def fit(self, result: RuleResult) -> Fit:
        return Fit.UNTOLD if self.reported is None else self.reported.fit(result.rule)

    @property
    def other(self) -> bool:
        """Whether a message says that the dump is of an exit, not of an entry that failed."""
        return any(event.means == "other" for event in self.dump.events)

    @cached_property
    def exit(self) -> tuple[int, ExitReason | None] | None:
        """The exit reason that the dump has though this entry did not write it: its number and entry."""
        for failure in dumps_of(self.database).failures:
            value = self.dump.fields.get(failure.field)
            if failure.qualified_by is None or value is None or not value.is_known:
                continue
            if value.bits < failure.least or (self.reported is not None and self.reported.failure is not failure):
                number = value.bits & failure.mask
                reasons = (one for one in self.database.exit_reasons.values() if one.number == number)
                return number, next(reasons, None)
        return None


def _with_shown(cpu: Cpu, dump: Dump, database: Database) -> Cpu:
    """The processor with what the dump shows of it."""
    fact = dumps_of(database).wide_shows
    natural = (value for name, value in dump.fields.items() if database.fields[name].size == NATURAL)
    if fact in cpu.facts or not any(value.bits >> 32 for value in natural):
        return cpu
    return replace(cpu, facts={**cpu.facts, fact: known(database.facts[fact].width, 1)})


def diagnose_dump(dump: Dump, database: Database, cpu: Cpu | None = None) -> Diagnosis:
    """What the dump says, on `cpu` where it is known."""
    own = UNKNOWN_CPU if cpu is None else cpu
    written = dump.written
    memory, processor = (None, None) if written is None else (written.memory, written.processor)
    if written is not None:
        own = written.on(own)
    own = _with_shown(own, dump, database)
    checked = check_fields(dump.fields, own, database, memory, processor, dump.spans)
    return Diagnosis(dump, own, with_elements(checked, dump, own, database), reported_of(dump, database), database)
