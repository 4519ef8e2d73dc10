"""Undetermined rules that some processor, of those that the specs have, would find violated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        alike = processors.alike(result.bound)
        cpus = {cpu.name for same in alike if _violates(result, checked, same[0], database) for cpu in same}
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
    """The processors that can be read, and what they answer to what rules ask."""

    def __init__(self, database: Database) -> None:
        read = (read_cpu(name, database, Diagnostics()) for name in shipped_cpus(database))
        self.all = tuple(cpu for cpu in read if cpu is not None)
        self._capabilities = [Capabilities(database, cpu) for cpu in self.all]
        self._answers: dict[tuple[str | int, ...], tuple[Value, ...]] = {}

    def alike(self, bound: BoundRule) -> Iterator[list[Cpu]]:
        """The processors in groups of which each answers alike to everything that the rule asks of one."""
        asked = {leaf.key: leaf for leaf in bound.leaves() if isinstance(leaf, _ASKED)}
        groups: dict[tuple[Value, ...], list[Cpu]] = {}
        for cpu, *answers in zip(self.all, *(self._all_answers(leaf) for leaf in asked.values()), strict=True):
            groups.setdefault(tuple(answers), []).append(cpu)
        yield from groups.values()

    def _all_answers(self, leaf: nodes.Leaf) -> tuple[Value, ...]:
        """What each of the processors answers."""
        if leaf.key not in self._answers:
            self._answers[leaf.key] = tuple(_answer(leaf, of) for of in self._capabilities)
        return self._answers[leaf.key]


def _answer(leaf: nodes.Leaf, capabilities: Capabilities) -> Value:
    if isinstance(leaf, nodes.AllowedBits):
        allowed = capabilities.allowed(leaf.word)
        return allowed.must_be_1 if leaf.must_be_1 else allowed.may_be_1
    return capabilities.read(leaf)


@lru_cache(maxsize=8)
def _processors(database: Database) -> _Processors:
    return _Processors(database)
