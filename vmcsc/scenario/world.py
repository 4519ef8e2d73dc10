"""A machine made ready for a scenario: its memory, its processors, and the host that sets up a guest."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.architecture.completion import completion_of
from vmcsc.assembly.choose import fit, instruction_of
from vmcsc.assembly.instruction import MemoryOperand, Operand
from vmcsc.assembly.registers import REGISTERS
from vmcsc.machine.events import arrive, boundary
from vmcsc.machine.execute import Executable
from vmcsc.machine.machine import Machine
from vmcsc.machine.outcome import Outcome, VmExit
from vmcsc.machine.processor import Processor
from vmcsc.machine.step import step
from vmcsc.scenario.names import MAX_VMCSS, SCRATCH, VMCS_REGIONS, VMXON_REGIONS

PAGES = 0x4000_0000
"""Where the pages of the policy and of what completes it lie."""

PAGE = 0x1000


class Watcher:
    """Sees what is done on a machine, just before and just after; this one does not look."""

    def begins(self, machine: Machine) -> None:
        """Memory and processors are ready."""

    def executes(self, p: Processor, executable: Executable) -> None:
        """An instruction comes next on a processor, in VMX root operation or in the guest."""

    def executed(self, p: Processor, executable: Executable, outcome: Outcome | None) -> None:
        """What came of it."""

    def arrived(self, p: Processor, event: str, number: int | None) -> None:
        """An event came to the processor."""

    def passed(self, p: Processor, exit: VmExit | None) -> None:
        """The processor looked for what waits between two instructions."""

    def set(self, p: Processor, register: str, value: int) -> None:
        """A register got a value without an instruction."""

    def wrote(self, address: int, content: bytes) -> None:
        """Memory got a content without an instruction."""


class World:
    """A machine, and what its host does. `fields` are the values that the host writes into a VMCS, by name."""

    def __init__(
        self, machine: Machine, fields: Mapping[str, int], pages: Mapping[int, bytes], watcher: Watcher | None = None
    ) -> None:
        self.machine = machine
        self.fields = fields
        self._watcher = watcher or Watcher()
        self._executables: dict[tuple[object, ...], Executable] = {}
        completion = completion_of(machine.database)
        for address, content in pages.items():
            machine.memory.write_bytes(address, content)
        revision = machine.code.constant(completion.revision, 31)
        regions = [VMXON_REGIONS + PAGE * number for number in range(len(machine.processors))]
        for address in [*regions, *(VMCS_REGIONS + PAGE * number for number in range(MAX_VMCSS))]:
            machine.memory.write(address, 32, revision)
        start = [
            f"p.{one.target} = {machine.code.text(machine.code.number(one.value, 64))}" for one in completion.start
        ]
        prepare = machine.code.compile("start", "p", start)
        for processor in machine.processors:
            prepare(processor)
        self._watcher.begins(machine)

    def set_up(self, p: Processor) -> None:
        """VMXON, VMCLEAR and VMPTRLD of the first VMCS, and everything of the policy written into it."""
        self.with_pointer(p, "vmxon", VMXON_REGIONS + PAGE * p.number)
        self.with_pointer(p, "vmclear", VMCS_REGIONS)
        self.with_pointer(p, "vmptrld", VMCS_REGIONS)
        self.configure(p)

    def configure(self, p: Processor) -> None:
        """VMWRITE each field that the processor model has."""
        known = {slot for slot, _ in self.machine.slot_by_encoding.values()}
        for name, value in self.fields.items():
            if self.machine.slots.of[name] in known:
                self.write_field(p, name, value)

    def write_field(self, p: Processor, name: str, value: int) -> Outcome | None:
        """VMWRITE of one field; the registers that this takes are as before afterwards."""
        kept = p.r14, p.r15
        p.r14, p.r15 = self.machine.database.fields[name].encoding, value
        outcome = self.execute(p, "vmwrite", REGISTERS["r14"], REGISTERS["r15"])
        p.r14, p.r15 = kept
        return outcome

    def with_pointer(self, p: Processor, mnemonic: str, address: int) -> Outcome | None:
        """An instruction whose operand in memory holds an address."""
        self.machine.memory.write(SCRATCH, 64, address)
        return self.execute(p, mnemonic, MemoryOperand(None, None, 1, SCRATCH, "ds"))

    def enter(self, p: Processor) -> Outcome | None:
        """VMLAUNCH or VMRESUME, whichever the launch state asks for."""
        launched = p.vmcs is not None and p.vmcs.launched
        return self.execute(p, "vmresume" if launched else "vmlaunch")

    def execute(self, p: Processor, mnemonic: str, *operands: Operand) -> Outcome | None:
        """One of the host's instructions."""
        key = (mnemonic, *operands)
        executable = self._executables.get(key)
        if executable is None:
            for entry in self.machine.operation.by_mnemonic[mnemonic]:
                for form in entry.forms:
                    fitted = fit(form, operands)
                    if fitted is not None and executable is None:
                        executable = Executable(self.machine, instruction_of(entry, form, fitted))
            assert executable is not None, mnemonic
            self._executables[key] = executable
        return self.step(p, executable)

    # --- what is done to the machine, one thing at a time ---

    def step(self, p: Processor, executable: Executable) -> Outcome | None:
        """One instruction."""
        self._watcher.executes(p, executable)
        outcome = step(self.machine, p, executable)
        self._watcher.executed(p, executable, outcome)
        return outcome

    def arrive(self, p: Processor, event: str, number: int | None) -> None:
        self._watcher.arrived(p, event, number)
        arrive(self.machine, p, event, number)

    def boundary(self, p: Processor) -> VmExit | None:
        """What waits between two instructions."""
        exit = boundary(self.machine, p)
        self._watcher.passed(p, exit)
        return exit

    def set(self, p: Processor, register: str, value: int) -> None:
        setattr(p, register, value)
        self._watcher.set(p, register, value)

    def put(self, address: int, content: bytes) -> None:
        """Memory, without an instruction."""
        self.machine.memory.write_bytes(address, content)
        self._watcher.wrote(address, content)
