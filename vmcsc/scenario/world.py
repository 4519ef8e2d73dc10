"""A machine made ready for a scenario: its memory, its processors, and the host that sets up a guest."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.architecture.completion import completion_of
from vmcsc.assembly.choose import fit, instruction_of
from vmcsc.assembly.instruction import MemoryOperand, Operand
from vmcsc.assembly.registers import REGISTERS
from vmcsc.machine.execute import Executable
from vmcsc.machine.machine import Machine
from vmcsc.machine.outcome import Outcome
from vmcsc.machine.processor import Processor
from vmcsc.machine.step import step
from vmcsc.scenario.names import MAX_VMCSS, SCRATCH, VMCS_REGIONS, VMXON_REGIONS

PAGES = 0x4000_0000
"""Where the pages of the policy and of what completes it lie."""

PAGE = 0x1000


class World:
    """A machine, and what its host does. `fields` are the values that the host writes into a VMCS, by name."""

    def __init__(self, machine: Machine, fields: Mapping[str, int], pages: Mapping[int, bytes]) -> None:
        self.machine = machine
        self.fields = fields
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
        return step(self.machine, p, executable)
