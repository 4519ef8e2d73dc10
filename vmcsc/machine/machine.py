"""The machine: logical processors of one model that share physical memory, and what the specs make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
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
from vmcsc.machine.regions import RegionFormat
from vmcsc.machine.settled import Settled
from vmcsc.machine.transfer import Transfers
from vmcsc.machine.vmcs_data import slots_of


class Machine:
    """`processors` logical processors of the model `cpu`. `settled.assumed` lists what had to be assumed of it.

    `key` decides how this machine lays out VMCS regions; `notes` are things that software should not have done;
    `read_tsc` is the time-stamp counter when the last instruction executed; `ports` holds what was last written to each
    I/O port, which is also what a read of it gives.
    """

    def __init__(self, database: Database, cpu: Cpu, processors: int = 1, key: int = 0) -> None:
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
        self.read_tsc = 0
        self.notes: list[str] = []
        self.key = key
        self.ports: dict[int, int] = {}
        self._decisions: dict[str, Prepared] = {}
        self._groups: dict[str, Decision] = {}
        self._settings: dict[str, int] = {}

    def again(self, processors: int = 1) -> Machine:
        """A machine of the same model as it is at the start; what was made of the specs is shared."""
        fresh = copy(self)
        fresh.memory = PhysicalMemory()
        fresh.processors = [Processor(number, self.operation) for number in range(processors)]
        fresh.last_exit, fresh.notes, fresh.ports, fresh.read_tsc = None, [], {}, 0
        return fresh

    def prepared(self, entry: InstructionEntry) -> Prepared:
        """The steps of an instruction, ready to be decided."""
        found = self._decisions.get(entry.name)
        if found is None:
            found = self._decisions[entry.name] = Prepared(entry, self)
        return found

    def decision(self, group: str) -> Decision:
        """The steps of a group of specs/machine/events.yaml."""
        found = self._groups.get(group)
        if found is None:
            steps = self.operation.groups[group]
            found = self._groups[group] = Decision(group, steps.steps, steps.values, self.database, self.code)
        return found

    def setting(self, name: str, width: int = 1) -> int:
        """One of the `settings` of specs/machine that say something of the processor model."""
        found = self._settings.get(name)
        if found is None:
            found = self._settings[name] = self.code.constant(self.operation.settings[name], width)
        return found

    def fixed(self, p: Processor, number: int, value: int) -> bool:
        """Whether CR0 or CR4 may have the value in VMX operation; an unrestricted guest may be without PE and PG."""
        ones, zeros = self.setting(f"cr{number}_fixed0", 64), ~self.setting(f"cr{number}_fixed1", 64)
        if number == 0 and p.non_root and p.unrestricted:
            ones &= ~0x80000001
        return not ones & ~value and not zeros & value

    @cached_property
    def timer_rate(self) -> int:
        """The bit of the time-stamp counter with which the VMX-preemption timer counts."""
        return self.code.constant(self.operation.settings["timer_rate"], 5)

    @cached_property
    def follow(self) -> Callable[[Processor, list[int]], None]:
        """Sets what algorithms look at in the guest that is entered."""
        texts = ((name, self.code.text(self.code.number(text, 64))) for name, text in self.operation.guest.items())
        return self.code.compile("follow", "p, f", [f"p.{name} = {text}" for name, text in texts])

    @cached_property
    def region_format(self) -> RegionFormat:
        return RegionFormat(len(self.slots.names), self.key)

    @cached_property
    def slot_by_encoding(self) -> Mapping[int, tuple[int, bool]]:
        """Slot, and whether it is the high half, by encoding, for the fields that the processor model has."""
        found = {}
        for encoding, field in self.database.field_by_encoding.items():
            if self.settled.capabilities.has_field(field) is True:
                found[encoding] = (self.slots.of[field.name], encoding != field.encoding)
        return found

    @cached_property
    def pending_registers(self) -> tuple[str, ...]:
        """The registers that say that something waits."""
        return tuple(name for name in self.operation.registers if name.endswith("_pending"))

    @cached_property
    def register_of_msr(self) -> Mapping[int, str]:
        """The registers that MSRs reach, by index."""
        named = ((one.name, one.msr) for one in self.operation.registers.values() if one.msr is not None)
        return {self.database.msrs[msr].index: name for name, msr in named}

    @cached_property
    def general_protection(self) -> str:
        return self.exception_by_mnemonic["#GP"]

    @cached_property
    def writes_all_fields(self) -> bool:
        """Whether VMWRITE may write read-only fields (SDM: Miscellaneous Data)."""
        return bool(self.code.constant(self.operation.settings["writes_all_fields"]))

    @cached_property
    def error_unsupported(self) -> str:
        return self.operation.settings["unsupported_field"]

    @cached_property
    def error_read_only(self) -> str:
        return self.operation.settings["read_only_field"]

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
