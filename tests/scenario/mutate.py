"""Take one condition out of one step of specs/machine at a time and see whether a line of decisions.txt, or else a
scenario, notices.

`python tests/scenario/mutate.py [NAME...]` tries all steps, or those of the instructions and groups named, and prints
the mutants that all of them let pass, but for those of which `equivalent.yaml` proves that they mean the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.machine.decisions import Row, machine_without, outcome, rows
from tests.scenario.processors import everything
from tests.scenario.rows import ROWS, text_of
from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import Group, InstructionEntry, Step
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.loading import load
from vmcsc.machine.decide import Decision
from vmcsc.machine.machine import Machine, Prepared
from vmcsc.pipeline import compile
from vmcsc.records import replace
from vmcsc.scenario import model
from vmcsc.scenario.bind import bind_scenarios
from vmcsc.scenario.test import Prepared as Start
from vmcsc.scenario.test import prepare, run_prepared
from vmcsc.source import Source
from vmcsc.syntax import tree
from vmcsc.syntax.parser import parse_expression

PROOFS = Path(__file__).parent / "catalogue" / "equivalent.yaml"


@dataclass(frozen=True)
class Mutant:
    """Step `step` of `owner` with the condition `when` instead of its own; `lost` is what was taken out."""

    owner: str
    step: Step
    lost: str
    when: str | None

    @property
    def name(self) -> str:
        return f"{self.owner} {self.step.id}: without `{self.lost}`"


@dataclass
class Case:
    """A scenario ready to run, and whether it passes as it should."""

    title: str
    scenario: model.Scenario
    start: Start
    machine: Machine
    passes: bool
    uses: frozenset[str]

    def notices(self) -> bool:
        try:
            return run_prepared(self.scenario, self.start, "p", self.machine).passed is not self.passes
        except Exception:  # a mutant may be nonsense, which is noticed too
            return True


def mutants(owner: str, steps: tuple[Step, ...]) -> Iterator[Mutant]:
    """Every way to take one operand of an `and` or `or`, or the whole condition, out of one step."""
    for step in steps:
        if step.when is None:
            continue
        parsed = parse_expression(Source("<when>", step.when), Diagnostics())
        assert parsed is not None
        yield Mutant(owner, step, " ".join(step.when.split()), None)
        for node in _junctions(parsed):
            for kept, lost in ((node.left, node.right), (node.right, node.left)):
                span = node.span
                text = step.when[: span.start] + f"({kept.span.text})" + step.when[span.end :]
                yield Mutant(owner, step, " ".join(lost.span.text.split()), text)


def _junctions(node: tree.Expression) -> Iterator[tree.Binary]:
    if isinstance(node, tree.Binary):
        if node.operator in ("and", "or"):
            yield node
        yield from _junctions(node.left)
        yield from _junctions(node.right)
    elif isinstance(node, tree.Unary):
        yield from _junctions(node.operand)


class Cases:
    """All rows on machines of their processors, which a mutant changes for the time that it is tried."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.rows: list[Row] = list(rows())
        self.machines: dict[str, Machine] = {}
        self.cases = [case for row in ROWS if (case := self._case(row, database)) is not None]

    def _case(self, row: dict[str, object], database: Database) -> Case | None:
        name = str(row.get("cpu", "everything"))
        if name not in self.machines:
            cpu = everything(database) if name == "everything" else read_cpu(name, database, Diagnostics())
            assert isinstance(cpu, Cpu)
            self.machines[name] = Machine(database, cpu)
        machine = self.machines[name]
        policy = compile(text_of(row), machine.settled.cpu, database).policy
        assert policy is not None, row["title"]
        (scenario,) = bind_scenarios(policy, database, Diagnostics())
        parts = scenario.parameters, scenario.fields, scenario.controls
        start = prepare(*parts, policy, database, machine.settled.cpu)
        uses = frozenset(_used(scenario.steps))
        return Case(str(row["title"]), scenario, start, machine, "fails" not in row, uses)

    def killed_by(self, mutant: Mutant, of: InstructionEntry | Group) -> str | None:
        """The scenario that notices, or None."""
        changed = tuple(replace(s, when=mutant.when) if s is mutant.step else s for s in of.steps)
        found = self._row(mutant, of, changed)
        if found is not None:
            return found
        for case in self.cases:
            if isinstance(of, InstructionEntry) and of.name not in case.uses:
                continue
            with _Changed(case.machine, of, changed, mutant.owner) as in_force:
                if not in_force or case.notices():
                    return case.title
        return None

    def _row(self, mutant: Mutant, of: InstructionEntry | Group, steps: tuple[Step, ...]) -> str | None:
        """The line of decisions.txt that notices, or None."""
        decisions: dict[frozenset[str], Decision] = {}
        for row in self.rows:
            if row.owner != mutant.owner:
                continue
            machine = machine_without(self.database, row.without)
            try:
                if row.without not in decisions:
                    own = Decision(mutant.owner, steps, of.values, machine.database, machine.code)
                    decisions[row.without] = own
                if outcome(row, decisions[row.without], machine, of) != row.expected:
                    return f"line {row.line}"
            except Exception:
                return f"line {row.line}"
        return None


class _Changed:
    """A machine whose steps for one instruction or group are others."""

    def __init__(self, machine: Machine, of: InstructionEntry | Group, steps: tuple[Step, ...], name: str) -> None:
        self._machine, self._of, self._steps, self._name = machine, of, steps, name

    def __enter__(self) -> bool:
        machine, of = self._machine, self._of
        try:
            if isinstance(of, InstructionEntry):
                self._old: object = machine._decisions.pop(of.name, None)
                machine._decisions[of.name] = Prepared(replace(of, steps=self._steps), machine)
                _ = machine._decisions[of.name].non_root, machine._decisions[of.name].root
            else:
                self._old = machine._groups.pop(self._name, None)
                machine._groups[self._name] = Decision(
                    self._name, self._steps, of.values, machine.database, machine.code
                )
        except Exception:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        kept: Any = self._machine._decisions if isinstance(self._of, InstructionEntry) else self._machine._groups
        kept.pop(self._name, None)
        if self._old is not None:
            kept[self._name] = self._old


def _used(steps: tuple[model.Step, ...]) -> Iterator[str]:
    """The instructions that a scenario executes, those of the set-up left aside."""
    for step in steps:
        if isinstance(step, model.Guest | model.Root):
            yield step.instruction.entry.name
        elif isinstance(step, model.OnExit):
            yield from _used(step.steps)


def proofs() -> dict[str, str]:
    return {entry["mutant"]: entry["proof"] for entry in yaml.safe_load(PROOFS.read_text())["equivalent"]}


def owners(machine: Machine, names: list[str]) -> Iterator[tuple[str, InstructionEntry | Group]]:
    found: dict[str, InstructionEntry | Group] = {**machine.operation.instructions, **machine.operation.groups}
    for name, one in found.items():
        if not names or name in names:
            yield name, one


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="instructions and groups (default: all)")
    names = parser.parse_args().names
    cases = Cases(load())
    machine = cases.machines["everything"]
    known, tried, proven = proofs(), 0, 0
    survivors: list[str] = []
    for name, one in owners(machine, names):
        for mutant in mutants(name, one.steps):
            tried += 1
            if cases.killed_by(mutant, one) is None:
                proven += mutant.name in known
                if mutant.name not in known:
                    survivors.append(mutant.name)
                    print(mutant.name, flush=True)
    share = 100 * (len(survivors) + proven) / max(tried, 1)
    print(f"{tried} mutants, {len(survivors) + proven} survive ({share:.2f} %), {proven} of them with a proof")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
