"""Compare scenarios with Bochs: `python tests/bochs/scenario_run.py [MODEL...]`, all models with VMX unless named.

Every scenario of every shipped policy, of the tables of guest instructions and of the machine in
tests/scenario, and of VMX instructions with bad operands and in the wrong order.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.scenario.rows import ROWS, text_of
from vmcsc import compile
from vmcsc.architecture.database import Database
from vmcsc.architecture.emulator import emulator_of
from vmcsc.bochs.processor import Model, read_model
from vmcsc.bochs.scenarios import OnBochs, Prepared, prepare_scenarios, run_on_bochs
from vmcsc.bochs.tools import find_tools
from vmcsc.loading import load
from vmcsc.machine.machine import Machine
from vmcsc.policy.model import Policy
from vmcsc.resources import SPECS

INSTRUCTIONS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "vmx_instructions.yaml").read_text())
"""VMX instructions with bad operands and in the wrong order."""

LOST = "does not come back"


@dataclass
class Outcome:
    """What came of the scenarios on one model."""

    model: str
    agree: int = 0
    judged: list[str] = field(default_factory=list)
    missing: Counter[str] = field(default_factory=Counter)
    impossible: int = 0
    unjudged: list[str] = field(default_factory=list)

    def line(self) -> str:
        total = self.agree + len(self.judged) + len(self.unjudged)
        return (
            f"{self.model}: {total} scenarios run there: agree {self.agree}, judged {len(self.judged)}, "
            f"unjudged {len(self.unjudged)}; {self.missing.total()} not run there, "
            f"{self.impossible} not possible on the model"
        )


@cache
def judged() -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "judged_scenarios.yaml").read_text())
    return {title: one for one in found for title in one.get("titles", [one.get("title")])}


def policies(model: Model, database: Database) -> Iterator[Policy | None]:
    """The shipped policies and those of the tables, None where the model cannot have one."""
    shipped = sorted(path.stem for path in (SPECS / "policies").glob("*.vmcs"))
    for text in (*shipped, *(text_of(row) for row in (*ROWS, *INSTRUCTIONS))):
        result = compile(text, model.cpu, database)
        yield result.policy if result.ok else None


def difference_of(one: OnBochs) -> str | None:
    """In words, None where both agree."""
    if one.lost:
        return LOST
    return next((step.difference for step in one.steps if step.difference is not None), None)


def run_model(name: str) -> Outcome:
    """All scenarios on one model."""
    database, tools = load(), find_tools()
    model, outcome = read_model(name, database, tools), Outcome(name)
    prepared: list[Prepared] = []
    machine = Machine(database, model.cpu)
    for policy in policies(model, database):
        if policy is None:
            outcome.impossible += 1
        else:
            prepared += prepare_scenarios(policy, model, machine)
    stopping = {title for title, one in judged().items() if one["difference"] == LOST}
    for together in (
        [one for one in prepared if one.here.title not in stopping],
        *([one] for one in prepared if one.here.title in stopping),
    ):
        for done in run_on_bochs(together, model, database, tools):
            _count(done, outcome)
    return outcome


def _count(one: OnBochs, outcome: Outcome) -> None:
    if one.missing is not None:
        outcome.missing[one.missing] += 1
        return
    known = judged().get(one.here.title)
    if known is not None and not re.match(known.get("models", ""), outcome.model):
        known = None
    found = difference_of(one)
    if found is None and known is None:
        outcome.agree += 1
    elif found is not None and known is not None and re.fullmatch(known["difference"], found):
        outcome.judged.append(one.here.title)
    elif found is None:
        outcome.unjudged.append(f"{one.here.title}: judged to differ, and does not")
    else:
        outcome.unjudged.append(f"{one.here.title}: {found}")


def run_models(models: Sequence[str]) -> list[Outcome]:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(run_model, models))


def main(models: Sequence[str]) -> int:
    outcomes = run_models(models or emulator_of(load()).models)
    missing: Counter[str] = Counter()
    for outcome in outcomes:
        print(outcome.line(), *outcome.unjudged, sep="\n  ")
        missing += outcome.missing
    print("".join(f"not run there: {number} {reason}\n" for reason, number in missing.most_common()), end="")
    return 1 if any(outcome.unjudged for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
