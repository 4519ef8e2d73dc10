"""Undetermined rules that some processor, of those that the specs have, would find violated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.check.check import Checked
from vmcsc.check.evaluate import RuleResult, Status, evaluate_rule
from vmcsc.check.missing import CPU, MSR, Missing, text_of
from vmcsc.check.state import State
from vmcsc.diagnose.causes import causes_of
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.rules import BoundRule
from vmcsc.expression.value import Value
from vmcsc.records import dataclass

_ASKED = (nodes.AllowedBits, nodes.Supported, nodes.Forced, nodes.MsrBits, nodes.CpuFact)


@dataclass(frozen=True)
class Suspect:
    """A rule that is violated on the processors `cpus`; `deciding` are the capabilities that nobody told."""

    result: RuleResult
    cpus: tuple[str, ...]
    deciding: tuple[str, ...]
    causes: tuple[str, ...]


def suspects_of(
    checked: Checked, undetermined: Iterable[RuleResult], missing: Mapping[str, Sequence[Missing]], database: Database
) -> tuple[Suspect, ...]:
    """Those of the rules that are violated on some processor, those of more processors first.

    `missing` says what each rule lacks, by its id.
    """
    processors = _processors(database)
    found = []
    for result in undetermined:
        deciding = tuple(text_of(one) for one in missing[result.rule.id] if one[0] in (MSR, CPU))
        if not deciding:
            continue
        alike: dict[tuple[Value, ...], list[Cpu]] = {}
        for processor in processors.all:
            alike.setdefault(processors.answers(result.bound, processor), []).append(processor)
        cpus = {cpu.name for same in alike.values() if _violates(result, checked, same[0], database) for cpu in same}
        if cpus:
            names = tuple(cpu.name for cpu in processors.all if cpu.name in cpus)
            found.append(Suspect(result, names, deciding, causes_of(result.rule, checked.state)))
    return tuple(sorted(found, key=lambda one: -len(one.cpus)))


def _violates(result: RuleResult, checked: Checked, cpu: Cpu, database: Database) -> bool:
    """Whether the state violates the rule on the processor."""
    here = checked.state
    state = State(database, here.fields, cpu, here.memory, here.processor)
    return evaluate_rule(result.bound, state).status is Status.VIOLATED


class _Processors:
    """The processors that can be read, and what each of them answers to what rules ask."""

    def __init__(self, database: Database) -> None:
        read = (read_cpu(name, database, Diagnostics()) for name in shipped_cpus(database))
        self.all = tuple(cpu for cpu in read if cpu is not None)
        self._capabilities = {cpu.name: Capabilities(database, cpu) for cpu in self.all}
        self._answers: dict[tuple[str, str], tuple[Value, ...]] = {}

    def answers(self, bound: BoundRule, cpu: Cpu) -> tuple[Value, ...]:
        """What the processor answers to everything that the rule asks of one."""
        key = (bound.rule.id, cpu.name)
        if key not in self._answers:
            of = self._capabilities[cpu.name]
            self._answers[key] = tuple(_answer(leaf, of) for leaf in bound.leaves() if isinstance(leaf, _ASKED))
        return self._answers[key]


def _answer(leaf: nodes.Leaf, capabilities: Capabilities) -> Value:
    if isinstance(leaf, nodes.AllowedBits):
        allowed = capabilities.allowed(leaf.word)
        return allowed.must_be_1 if leaf.must_be_1 else allowed.may_be_1
    return capabilities.read(leaf)


@lru_cache(maxsize=8)
def _processors(database: Database) -> _Processors:
    return _Processors(database)
