"""Every scenario of a policy on a processor model: bound, made ready, run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmcsc.architecture.completion import completion_of
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.machine.machine import Machine
from vmcsc.policy.model import Policy
from vmcsc.records import dataclass, replace
from vmcsc.resolve import resolve
from vmcsc.scenario import model
from vmcsc.scenario.bind import bind_scenarios
from vmcsc.scenario.complete import complete
from vmcsc.scenario.result import ScenarioResult
from vmcsc.scenario.run import Runner
from vmcsc.scenario.world import PAGES, Watcher, World


def usual_cpu(database: Database) -> Cpu:
    """The processor model on which scenarios run where nobody names one."""
    diagnostics = Diagnostics()
    cpu = read_cpu(completion_of(database).cpu, database, diagnostics)
    if cpu is None:
        raise VmcscError("the processor model for scenarios cannot be read", tuple(diagnostics))
    return cpu


def run_scenarios(
    policy: Policy, database: Database, cpu: Cpu | None = None, *, match: str = ""
) -> Iterator[ScenarioResult]:
    """Run each scenario of `policy` that means something on a machine of its own of the model `cpu`.

    Without `cpu` the machine is of the model that the specs name for this (`usual_cpu`). Scenarios whose titles do not
    contain `match` are left out.
    """
    cpu = cpu or usual_cpu(database)
    machine = Machine(database, cpu)
    for scenario in bind_scenarios(policy, database, Diagnostics()):
        if match in scenario.title:
            yield run_scenario(scenario, policy, machine)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a scenario starts from: fields of the VMCS by name, pages of memory by address, and what was settled."""

    fields: Mapping[str, int]
    pages: Mapping[int, bytes]
    settled: tuple[str, ...]


def prepare(
    parameters: Mapping[str, int], fields: Mapping[str, int], controls: Mapping[str, bool], policy: Policy,
    database: Database, cpu: Cpu, first_page: int = PAGES,
) -> Prepared:  # fmt: skip
    """What the policy comes to on `cpu` with parameters, fields and controls that a scenario sets.

    Pages lie from the address `first_page` on.
    """
    completed = complete(resolve(policy, database, cpu, Diagnostics(), parameters), first_page)
    found = {**completed.fields, **fields}
    for path, setting in controls.items():
        control = database.controls[path]
        name = database.words[control.word].field
        found[name] = found.get(name, 0) | control.mask if setting else found.get(name, 0) & ~control.mask
    return Prepared(found, completed.pages, completed.assumed)


def run_scenario(scenario: model.Scenario, policy: Policy, machine: Machine) -> ScenarioResult:
    """Run one scenario on a machine as `machine` is at its start."""
    parts = scenario.parameters, scenario.fields, scenario.controls
    return run_prepared(scenario, prepare(*parts, policy, machine.database, machine.settled.cpu), policy.name, machine)


def run_prepared(
    scenario: model.Scenario, prepared: Prepared, policy: str, machine: Machine, watcher: Watcher | None = None
) -> ScenarioResult:
    """Run one scenario from what was prepared for it; `watcher` sees what is done."""
    cpu = machine.settled.cpu
    world = World(machine.again(scenario.processors), prepared.fields, prepared.pages, watcher)
    runner = Runner(world, scenario)
    runner.run()
    findings = tuple(replace(one, cpus=(cpu.name,)) for one in runner.findings)
    return ScenarioResult(
        scenario.title, policy, cpu.name, findings, tuple(runner.happenings), tuple(world.machine.notes),
        prepared.settled, tuple(machine.settled.assumed),
    )  # fmt: skip
