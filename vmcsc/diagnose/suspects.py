"""Undetermined rules that some processor, of those that the specs have, would find violated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.check.check import Checked
from vmcsc.check.evaluate import RuleResult, Status, evaluate_rule
from vmcsc.check.missing import CPU, MSR, missing_of, text_of
from vmcsc.check.state import State
from vmcsc.diagnose.causes import causes_of
from vmcsc.diagnostic import Diagnostics
from vmcsc.records import dataclass


@dataclass(frozen=True)
class Suspect:
    """A rule that is violated on the processors `cpus`; `deciding` are the capabilities that nobody told."""

    result: RuleResult
    cpus: tuple[str, ...]
    deciding: tuple[str, ...]
    causes: tuple[str, ...]


def suspects_of(checked: Checked, undetermined: Iterable[RuleResult], database: Database) -> tuple[Suspect, ...]:
    """Those of the rules that are violated on some processor, those of more processors first."""
    asked = []
    for result in undetermined:
        deciding = tuple(text_of(one) for one in missing_of(result, checked.state) if one[0] in (MSR, CPU))
        if deciding:
            asked.append((result, deciding))
    if not asked:
        return ()
    states = [(cpu.name, State(database, checked.state.fields, cpu, checked.state.memory, checked.state.processor))
              for cpu in _processors(database)]  # fmt: skip
    found = []
    for result, deciding in asked:
        cpus = tuple(name for name, state in states if evaluate_rule(result.bound, state).status is Status.VIOLATED)
        if cpus:
            found.append(Suspect(result, cpus, deciding, causes_of(result.rule, checked.state)))
    return tuple(sorted(found, key=lambda one: -len(one.cpus)))


def _processors(database: Database) -> Sequence[Cpu]:
    """Those that can be read."""
    read = (read_cpu(name, database, Diagnostics()) for name in shipped_cpus(database))
    return [cpu for cpu in read if cpu is not None]
