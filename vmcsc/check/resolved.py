"""The rules over what a policy comes to: the findings at the policy's lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.check.check import Checked, check_fields
from vmcsc.check.evaluate import RuleResult, Status
from vmcsc.check.memory import Memory
from vmcsc.check.missing import CPU, MSR, missing_of, text_of
from vmcsc.diagnostic import Diagnostic, Diagnostics, Label
from vmcsc.expression import nodes
from vmcsc.expression.value import Value
from vmcsc.records import replace
from vmcsc.resolve.rules import control_rules
from vmcsc.source import Span
from vmcsc.vmcs import Vmcs

MAX_LABELS = 3
MAX_NAMED = 8
_NAMES = re.compile(r"[a-z][a-z0-9_]*")


def check_vmcs(vmcs: Vmcs, memory: Memory | None = None, processor: Mapping[str, Value] | None = None) -> Checked:
    """Run every rule over what the policy gives; a finding stands where the policy says what violates the rule.

    Rules between controls are among the results and not among the findings, since resolution reports them.
    """
    checked = check_fields(fields_of(vmcs), vmcs.cpu, vmcs.database, memory, processor)
    reported = {rule.rule.id for rule in control_rules(vmcs.database)}
    places = _Places(vmcs)
    violated = zip(checked.of(Status.VIOLATED), checked.findings, strict=True)
    findings = tuple(
        places.placed(finding, result)
        for result, finding in violated
        if result.rule.id not in reported and not places.follows(result)
    )
    return replace(checked, findings=findings)


def fields_of(vmcs: Vmcs) -> dict[str, Value]:
    """The values of a resolved VMCS by field, the control words among them."""
    words = {resolved.word.field: resolved.value for resolved in vmcs.words.values()}
    return {**words, **{name: item.value for name, item in vmcs.fields.items()}}


def speaks_of_rules(vmcs: Vmcs) -> bool:
    """Whether the policy gives a value to a field that some rule reads besides the control words.

    Of other policies everything that rules can say is said by resolution.
    """
    given = {name for name, item in vmcs.fields.items() if item.value.known}
    return not given.isdisjoint(_fields_read(vmcs.database))


@lru_cache(maxsize=8)
def _fields_read(database: Database) -> frozenset[str]:
    """The fields that stand in the texts of the rules, which need not be bound to tell."""
    texts = [text for rule in database.rules for text in (rule.when or "", rule.require)]
    texts += [text for area in database.areas.values() for text in (area.address, area.count)]
    texts += [function.body for function in database.functions.values()]
    names = {name for text in texts for name in _NAMES.findall(text)}
    return frozenset(names & database.fields.keys() - database.word_of_field.keys())


def report_undetermined(checked: Checked, vmcs: Vmcs, diagnostics: Diagnostics) -> None:
    """Report rules that only lack something about the processor; what else is missing is not the policy's to say."""
    open_rules = []
    lacking: dict[str, None] = {}
    for result in checked.of(Status.UNDETERMINED):
        missing = missing_of(result, checked.state)
        if {kind for kind, _ in missing} <= {CPU, MSR}:
            open_rules.append(result.rule.id)
            lacking |= dict.fromkeys(text_of(one) for one in missing)
    if open_rules:
        count = "1 rule is" if len(open_rules) == 1 else f"{len(open_rules)} rules are"
        message = f"{count} undetermined for want of {_listed(list(lacking))}"
        notes = [f"{vmcs.cpu.title}: {_listed(open_rules)}"]
        diagnostics.report(codes.RULES_UNDETERMINED, message, vmcs.policy.span, notes=notes)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(f"`{name}`" for name in names[:MAX_NAMED]) + more


class _Places:
    """Where the policy says what a rule reads."""

    def __init__(self, vmcs: Vmcs) -> None:
        self._vmcs = vmcs
        self._said = {a.field.name: a.span for a in vmcs.policy.assignments if a.state is None}
        self._taken = {a.field.name: a.span for a in vmcs.policy.assignments if a.state is not None}
        self._asked = {s.control.path: s.span for s in vmcs.policy.stances if not s.implied}

    def follows(self, result: RuleResult) -> bool:
        """Whether the rule reads a state that is not as meant, which is reported as such."""
        return any(
            isinstance(leaf, nodes.FieldBits) and leaf.field.type in self._vmcs.unmet for leaf in result.bound.leaves()
        )

    def placed(self, finding: Diagnostic, result: RuleResult) -> Diagnostic:
        """The finding at what is most likely wrong: a field that the policy gives, a control, or the state it takes."""
        spans = list(dict.fromkeys(self._spans(result)))
        if not spans:
            return replace(finding, span=self._vmcs.policy.span)
        labels = tuple(Label(span, "the rule reads this too") for span in spans[1 : 1 + MAX_LABELS])
        return replace(finding, span=spans[0], labels=labels)

    def _spans(self, result: RuleResult) -> Iterator[Span]:
        leaves = [*nodes.leaves(result.bound.require), *result.bound.leaves()]
        fields = [leaf.field.name for leaf in leaves if isinstance(leaf, nodes.FieldBits)]
        yield from (self._said[name] for name in fields if name in self._said)
        controls = [leaf.control.path for leaf in leaves if isinstance(leaf, nodes.ControlBit)]
        yield from (self._asked[path] for path in controls if path in self._asked)
        yield from (self._taken[name] for name in fields if name in self._taken)
