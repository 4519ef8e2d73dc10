"""The machine: logical processors of one model that share physical memory, and what the specs make of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import InstructionEntry, operation_of
from vmcsc.capabilities.cpu import Cpu
from vmcsc.machine.code import Code
from vmcsc.machine.decide import Decision
from vmcsc.machine.effects import Effect, effect_of
from vmcsc.machine.entry_rules import EntryRules
from vmcsc.machine.memory import PhysicalMemory
from vmcsc.machine.outcome import VmExit
from vmcsc.machine.processor import Processor
from vmcsc.machine.settled import Settled
from vmcsc.machine.transfer import Transfers
from vmcsc.machine.vmcs_data import slots_of


class Machine:
    """`processors` logical processors of the model `cpu`. `settled.assumed` lists what had to be assumed of it."""

    def __init__(self, database: Database, cpu: Cpu, processors: int = 1) -> None:
        self.database = database
        self.operation = operation_of(database)
        self.settled = Settled(database, cpu)
        self.slots = slots_of(database)
        self.memory = PhysicalMemory()
        self.code = Code(database, self.operation, self.settled)
        self.transfers = Transfers(database, self.operation, self.code)
        self.rules = EntryRules(database, self.code)
        self.no_fields = [0] * len(self.slots.names)
        self.processors = [Processor(number, self.operation) for number in range(processors)]
        self.last_exit: VmExit | None = None
        self._decisions: dict[str, Prepared] = {}

    def prepared(self, entry: InstructionEntry) -> Prepared:
        """The steps of an instruction, ready to be decided."""
        found = self._decisions.get(entry.name)
        if found is None:
            found = self._decisions[entry.name] = Prepared(entry, self)
        return found

    @cached_property
    def exception_by_mnemonic(self) -> Mapping[str, str]:
        return {one.mnemonic: name for name, one in self.database.exceptions.items() if one.mnemonic is not None}

    @cached_property
    def error_by_number(self) -> Mapping[int, str]:
        return {error.number: name for name, error in self.database.instruction_errors.items()}

    @cached_property
    def reason_by_number(self) -> Mapping[int, str]:
        return {reason.number: name for name, reason in self.database.exit_reasons.items()}


class Prepared:
    """An instruction's decision, and for each step that carries it out the algorithm."""

    def __init__(self, entry: InstructionEntry, machine: Machine) -> None:
        self.decision = Decision(entry.name, entry.steps, entry.values, machine.database, machine.code)
        self.root = self.decision.root
        self.non_root = self.decision.non_root
        self.effects: tuple[Effect | None, ...] = tuple(
            effect_of(step.target) if step.action == "do" else None for step in entry.steps
        )
