"""Whether the files of specs/machine mean something: schemas, names, expressions, algorithms. For `vmcsc specs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vmcsc import codes
from vmcsc.architecture.completion import completion_of
from vmcsc.architecture.database import Database
from vmcsc.architecture.emulator import Emulator, emulator_of
from vmcsc.architecture.operation import Operation, Step, read_operation
from vmcsc.assembly.encode import template_of
from vmcsc.capabilities.cpu import UNKNOWN_CPU
from vmcsc.diagnostic import Diagnostics
from vmcsc.machine.code import BrokenSpec
from vmcsc.machine.effects import effect_of
from vmcsc.machine.events import ACTIONS
from vmcsc.machine.machine import Machine


def check_machine(database: Database, diagnostics: Diagnostics) -> None:
    """Report what is wrong with the machine's specs, the shipped ones and those of other folders."""
    operation, found = read_operation(database, validate=True)
    diagnostics.extend(found)
    if operation is None:
        return
    for message in _mistakes(operation, database):
        diagnostics.report(codes.SPEC_EXPRESSION, f"specs/machine: {message}")


def _mistakes(operation: Operation, database: Database) -> Iterator[str]:
    try:
        machine = Machine(database, UNKNOWN_CPU)
        _ = machine.follow, completion_of(database), emulator_of(database)
    except (BrokenSpec, KeyError, ValueError) as error:
        yield str(error)
        return
    yield from (f"emulator: nothing is named {name}" for name in _unknown(emulator_of(database), database))
    for name, entry in operation.instructions.items():
        yield from (f"{name}: {what}" for what in _steps(machine, name, entry.steps, entry.values, instruction=True))
        for form in entry.forms:
            try:
                template_of(form.code)
            except ValueError as error:
                yield f"{name}: {error}"
    for name, group in operation.groups.items():
        yield from (f"{name}: {what}" for what in _steps(machine, name, group.steps, group.values, instruction=False))


def _unknown(emulator: Emulator, database: Database) -> Iterator[str]:
    """Names in what the emulator is told that are none of the specs."""
    of_hosts = (name for host in emulator.hosts.values() for name in (*host.fields, *host.needed))
    fields = (*of_hosts, emulator.error, *emulator.report.values(), emulator.activity)
    for names, known in (
        ((*fields, *emulator.registers.values()), database.fields),
        ((emulator.revision, *emulator.fixed), database.msrs),
        ((emulator.marker, emulator.woken), database.exit_reasons),
    ):
        yield from (name for name in names if name not in known)


def _steps(
    machine: Machine, name: str, steps: Sequence[Step], values: Mapping[str, int], *, instruction: bool
) -> Iterator[str]:
    from vmcsc.machine.decide import Decision

    decision = Decision(name, steps, values, machine.database, machine.code)
    p, zeros = machine.processors[0], (0,) * len(values)
    for index, step in enumerate(steps):
        try:
            _ = step.when is None or machine.code.condition(step.when, values)
            if step.action in ("fault", "exit"):
                _known(step, machine.database)
                decision.outcome(index, p, machine.no_fields, machine.memory, zeros)
            elif step.action == "do" and instruction:
                effect_of(step.target)
            elif step.action == "do" and name == "boundary" and step.target not in ACTIONS:
                raise KeyError(step.target)
        except BrokenSpec as error:
            yield f"{step.id}: {error}"
        except KeyError as error:
            yield f"{step.id}: nothing is named {error}"


def _known(step: Step, database: Database) -> None:
    table: Mapping[str, object] = database.exceptions if step.action == "fault" else database.exit_reasons
    if step.target not in table:
        raise KeyError(step.target)
