"""Reads decisions.txt: states of a processor, and the step that each must come to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.scenario.processors import everything
from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import Group, InstructionEntry, Step, operation_of
from vmcsc.capabilities.cpu import Cpu
from vmcsc.expression import value
from vmcsc.machine.decide import Decision
from vmcsc.machine.machine import Machine
from vmcsc.machine.memory import PhysicalMemory
from vmcsc.machine.processor import Processor
from vmcsc.machine.vmcs_data import VmcsData
from vmcsc.records import replace

FILE = Path(__file__).parent / "decisions.txt"
VMXON, CURRENT = 0x7000, 0x8000
LONG_MODE = {"cs_access_rights": 0xA09B, "ss_access_rights": 0xC093, "efer": 0x500, "cr0": 0x80000031, "cr4": 0x2020}


@dataclass(frozen=True)
class Row:
    """In the state that `settings` tell, `owner` comes to the step `expected` (None: to none)."""

    line: int
    owner: str
    settings: tuple[str, ...]
    expected: str | None

    @property
    def without(self) -> frozenset[str]:
        return frozenset(one[1:] for one in self.settings if one.startswith("-"))


def rows() -> Iterator[Row]:
    owners: list[str] = []
    for number, line in enumerate(FILE.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            owners = line.rstrip(":").split()
            continue
        settings, _, expected = line.partition("->")
        for owner in owners:
            words = tuple(settings.replace("*", owner).split())
            step = expected.strip().replace("*", owner.replace("_", "-"))
            yield Row(number, owner, words, None if step == "-" else step)


@cache
def machine_without(database: Database, without: frozenset[str]) -> Machine:
    """A machine whose processor has everything but these features, controls and capabilities."""
    cpu: Cpu = everything(database)
    msrs, facts = dict(cpu.msrs), dict(cpu.facts)
    for name in without:
        first, _, second = name.partition(".")
        if first == "cpu":
            facts[second] = value.known(facts[second].width, 0)
        elif first in database.msrs:
            bit = _bit(database, name)
            msrs[first] = value.known(64, msrs[first].bits & ~(1 << bit))
        else:
            control = database.controls[name]
            msr = database.words[control.word].msr
            msrs[msr] = value.known(64, msrs[msr].bits & ~(1 << 32 + control.bit))
    return Machine(database, replace(cpu, msrs=msrs, facts=facts))


def _bit(database: Database, name: str) -> int:
    msr, _, part = name.partition(".")
    return next(bits.low for bits in database.msrs[msr].bits if bits.name == part)


def owner_of(database: Database, name: str) -> InstructionEntry | Group:
    operation = operation_of(database)
    return operation.instructions[name] if name in operation.instructions else operation.groups[name]


def came_to(row: Row, steps: Sequence[Step], database: Database) -> str | None:
    """The step that holds in the row's state."""
    machine = machine_without(database, row.without)
    owner = owner_of(database, row.owner)
    decision = Decision(row.owner, steps, owner.values, database, machine.code)
    return outcome(row, decision, machine, owner)


def outcome(row: Row, decision: Decision, machine: Machine, owner: InstructionEntry | Group) -> str | None:
    p, memory, operands = _state(row, machine, owner)
    decide = decision.non_root if p.non_root else decision.root
    fields = machine.no_fields if p.vmcs is None else p.vmcs.fields
    index = decide(p, fields, memory.read, tuple(operands[name] for name in owner.values))
    return None if index < 0 else decision.steps[index].id


def _state(
    row: Row, machine: Machine, owner: InstructionEntry | Group
) -> tuple[Processor, PhysicalMemory, dict[str, int]]:
    p = Processor(0, machine.operation)
    for name, number in LONG_MODE.items():
        setattr(p, name, number)
    p.cr4 = 0x20
    p.vmx_operation, p.vmx_root, p.vmxon_pointer = True, False, VMXON
    p.vmcs = VmcsData(CURRENT, [0] * len(machine.slots.names))
    memory, operands = PhysicalMemory(), dict.fromkeys(owner.values, 0)
    for setting in row.settings:
        if not setting.startswith("-"):
            name, _, text = setting.partition("=")
            _set(name, int(text or "1", 0), p, memory, operands, machine)
    return p, memory, operands


def _set(
    name: str, number: int, p: Processor, memory: PhysicalMemory, operands: dict[str, int], machine: Machine
) -> None:
    database = machine.database
    fields = p.vmcs.fields if p.vmcs is not None else []
    if name == "root":
        p.vmx_root, p.cr4 = True, p.cr4 | 0x2000
    elif name == "outside":
        p.vmx_operation = False
    elif name == "no_vmcs":
        p.vmcs = None
    elif name == "cpl":
        p.ss_access_rights = p.ss_access_rights & ~0x60 | number << 5
    elif address := re.fullmatch(r"mem\[(\w+)\]", name):
        memory.write(int(address[1], 0), 64, number)
    elif name in operands:
        operands[name] = number
    elif name in database.controls:
        control = database.controls[name]
        for one in (control, *database.activators(database.words[control.word])):
            fields[machine.slots.of[database.words[one.word].field]] |= one.mask
    elif name in database.fields:
        fields[machine.slots.of[name]] = number
    else:
        register, _, part = name.partition(".")
        if part:
            layout = machine.operation.registers[register].layout
            assert layout is not None
            bits = database.layouts[layout].by_name[part]
            mask = ((1 << bits.width) - 1) << bits.low
            number = getattr(p, register) & ~mask | number << bits.low
        setattr(p, register, number)
