"""One instruction on one logical processor: its steps decided, carried out, or turned into what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine.exit import leave
from vmcsc.machine.outcome import Fault, Outcome, VmExit, VmFail
from vmcsc.machine.processor import Processor

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine


class Executable:
    """An instruction made ready for a machine, so that executing it again costs little."""

    __slots__ = ("instruction", "length", "prepared", "readers")

    def __init__(self, machine: Machine, instruction: Instruction) -> None:
        self.instruction = instruction
        self.length = instruction.length
        self.prepared = machine.prepared(instruction.entry)
        self.readers = instruction.readers()


def execute(machine: Machine, p: Processor, executable: Executable) -> Outcome | None:
    """Execute one instruction at RIP and tell what came of it, None where it completed.

    A VM exit has been taken, a failure of a VMX instruction is in the flags and in the VMCS; a fault is still to be
    delivered.
    """
    prepared = executable.prepared
    vmcs = p.vmcs
    fields = machine.no_fields if vmcs is None else vmcs.fields
    o = tuple([read(p) for read in executable.readers])
    try:
        decide = prepared.non_root if p.vmx_operation and not p.vmx_root else prepared.root
        index = decide(p, fields, machine.memory.read, o)
        effect = prepared.effects[index]
        if effect is None:
            outcome = prepared.decision.outcome(index, p, fields, machine.memory, o)
            if isinstance(outcome, VmExit):
                outcome.length = executable.length
            raise outcome
        if not effect(machine, p, executable.instruction, o):
            p.rip = p.rip + executable.length & 0xFFFFFFFF_FFFFFFFF
    except VmExit as exit:
        if exit.trap:
            p.rip = p.rip + executable.length & 0xFFFFFFFF_FFFFFFFF
        leave(machine, p, exit)
        return exit
    except VmFail as fail:
        fail = _fail(machine, p, fail)
        p.rip = p.rip + executable.length & 0xFFFFFFFF_FFFFFFFF
        return fail
    except Fault as fault:
        return fault
    return None


def _fail(machine: Machine, p: Processor, fail: VmFail) -> VmFail:
    """VMfailInvalid sets CF, VMfailValid sets ZF and the VM-instruction error; the other flags become 0.

    Without a current VMCS there is no place for an error, so the failure is VMfailInvalid.
    """
    p.rflags &= ~0x8D5
    if fail.error is None or p.vmcs is None:
        p.rflags |= 0x1
        return fail if fail.error is None else VmFail()
    p.rflags |= 0x40
    p.vmcs.fields[machine.slots.vm_instruction_error] = machine.database.instruction_errors[fail.error].number
    return fail
