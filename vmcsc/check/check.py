"""`check`: a VMCS against every rule of VM entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.check.compiled import evaluator
from vmcsc.check.evaluate import RuleResult, Status
from vmcsc.check.explain import reasons
from vmcsc.check.memory import Memory
from vmcsc.check.missing import missing_of, text_of
from vmcsc.check.reads import fields_named
from vmcsc.check.state import State
from vmcsc.check.verdict import Verdict, parts_text, verdict
from vmcsc.check.words import demand
from vmcsc.diagnostic import Code, Diagnostic, Severity
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.value import Value
from vmcsc.records import dataclass
from vmcsc.source import Span


@dataclass(frozen=True)
class Checked:
    """The result of each rule, the violated ones as findings, and what follows from all of them."""

    results: tuple[RuleResult, ...]
    findings: tuple[Diagnostic, ...]
    state: State

    @cached_property
    def verdict(self) -> Verdict:
        return verdict(self.state.database, self.results)

    def of(self, status: Status) -> tuple[RuleResult, ...]:
        return tuple(result for result in self.results if result.status is status)

    def counts(self) -> Mapping[Status, int]:
        counted = Counter(result.status for result in self.results)
        return {status: counted[status] for status in Status}

    def missing(self, result: RuleResult) -> list[str]:
        """What would decide an undetermined rule."""
        return [text_of(one) for one in missing_of(result, self.state)]


def check_fields(
    fields: Mapping[str, Value],
    cpu: Cpu,
    database: Database,
    memory: Memory | None = None,
    processor: Mapping[str, Value] | None = None,
    spans: Mapping[str, Span] | None = None,
) -> Checked:
    """Run every rule over `fields` (values by name; missing: unknown).

    `spans` says where a field's value is written, so that findings point there.
    """
    state = State(database, fields, cpu, memory, processor)
    results = evaluator(database).results(state)
    places = spans or {}
    findings = tuple(_finding(r, state, places) for r in results if r.status is Status.VIOLATED)
    return Checked(results, findings, state)


def _finding(result: RuleResult, state: State, spans: Mapping[str, Span]) -> Diagnostic:
    rule = result.rule
    if result.element is not None and result.bound.area is not None:
        _at_element(result, state)
    outcome = parts_text(rule.outcome.items())
    where = "" if result.element is None else f" (element {result.element} of {rule.each[1] if rule.each else ''})"
    notes = (*reasons(result, state), rule.why, f"SDM: {rule.section}; {outcome}")
    span = next((spans[name] for name in fields_named(state.database, result.bound) if name in spans), None)
    code = Code(rule.code, rule.id, Severity.ERROR)
    return Diagnostic(code.id, code.severity, f"{rule.id}{where}: {demand(rule)}", span, (), notes, rule.hint)


def _at_element(result: RuleResult, state: State) -> None:
    area = result.bound.area
    assert area is not None and result.element is not None
    address = evaluate(area.address, state.read)
    state.at(area.area.name, address.bits + (result.element - 1) * area.area.size)
