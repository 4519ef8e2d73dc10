"""Scenarios on Bochs: the orders of each carried out, and both results of every step side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmcsc.architecture.database import Database
from vmcsc.architecture.emulator import emulator_of
from vmcsc.bochs.emulator import boot
from vmcsc.bochs.judge import Step, judge
from vmcsc.bochs.orders import HOST_WORDS, Orders, Replies
from vmcsc.bochs.processor import Model
from vmcsc.bochs.script import MEMORY, Script
from vmcsc.bochs.tools import Tools
from vmcsc.diagnostic import Diagnostics
from vmcsc.machine.machine import Machine
from vmcsc.policy.model import Policy
from vmcsc.records import dataclass
from vmcsc.scenario import model
from vmcsc.scenario.bind import bind_scenarios
from vmcsc.scenario.result import ScenarioResult
from vmcsc.scenario.test import prepare, run_prepared
from vmcsc.source import Span

SECONDS = 15
"""Time for one boot, and a further second for each 20 scenarios."""


@dataclass(frozen=True)
class OnBochs:
    """A scenario on the bundled machine, and what the emulator did in each step.

    `missing` says why it was not run there, None where it was. `lost`: the emulator did not come to the end of it.
    """

    here: ScenarioResult
    span: Span
    steps: tuple[Step, ...] = ()
    missing: str | None = None
    lost: bool = False

    @property
    def agrees(self) -> bool:
        """Whether it was run there and every step came to the same."""
        return self.missing is None and not self.lost and all(step.difference is None for step in self.steps)


@dataclass(frozen=True)
class Prepared:
    """A scenario that ran on the bundled machine, and the script for the emulator."""

    here: ScenarioResult
    span: Span
    script: Script


def prepare_scenarios(policy: Policy, on: Model, machine: Machine, *, match: str = "") -> Iterator[Prepared]:
    """Run each scenario of `policy` on a machine as `machine`, which is of the emulator's model, is at its start.

    What it does is noted. Scenarios whose titles do not contain `match` are left out.
    """
    for scenario in bind_scenarios(policy, machine.database, Diagnostics()):
        if match in scenario.title:
            yield _prepared(scenario, policy, on, machine)


def _prepared(scenario: model.Scenario, policy: Policy, on: Model, machine: Machine) -> Prepared:
    parts = scenario.parameters, scenario.fields, scenario.controls
    start = prepare(*parts, policy, machine.database, on.cpu)
    script = Script(on, start.fields)
    return Prepared(run_prepared(scenario, start, policy.name, machine, script), scenario.span, script)


def run_on_bochs(
    prepared: Sequence[Prepared], on: Model, database: Database, tools: Tools
) -> Iterator[OnBochs]:  # fmt: skip
    """What the emulator does in each scenario, in their order; several share a boot where nothing is left behind."""
    shared = [one for one in prepared if not one.script.alone and one.script.missing is None]
    together = _together(shared, on, database, tools)
    for one in prepared:
        if one.script.missing is not None:
            yield OnBochs(one.here, one.span, missing=one.script.missing)
        else:
            yield next(_together([one], on, database, tools) if one.script.alone else together)


def _together(prepared: Sequence[Prepared], on: Model, database: Database, tools: Tools) -> Iterator[OnBochs]:
    """One boot for all; where it is lost in one of them, they are halved until that is alone."""
    if not prepared:
        return
    orders = Orders()
    for one in prepared:
        orders.extend(one.script.orders)
    booted = boot(
        tools, on.name, orders.content(), orders.replies, SECONDS + len(prepared) / 20, memory=MEMORY
    )  # fmt: skip
    if len(booted.words) < orders.replies and len(prepared) > 1:
        half = len(prepared) // 2
        yield from _together(prepared[:half], on, database, tools)
        yield from _together(prepared[half:], on, database, tools)
        return
    replies = Replies(booted.words, len(emulator_of(database).report))
    for one in prepared:
        replies.take(HOST_WORDS)
        steps = tuple(judge(expected, replies, database) for expected in one.script.expected)
        done = tuple(step for step in steps if step is not None)
        yield OnBochs(one.here, one.span, done, lost=len(done) < len(steps))
