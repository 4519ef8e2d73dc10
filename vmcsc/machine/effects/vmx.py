"""The VMX instructions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine import regions
from vmcsc.machine.effects import Effect, finish, take
from vmcsc.machine.entry import enter
from vmcsc.machine.outcome import VmFail
from vmcsc.machine.processor import NO_VMCS
from vmcsc.machine.vmcs_data import VmcsData

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_FLAGS = 0x8D5
"""CF, PF, AF, ZF, SF and OF, all of which a VMX instruction that succeeds clears (SDM: Conventions)."""


def launch(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> bool:
    enter(machine, p, launch=True)
    return True


def resume(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> bool:
    enter(machine, p, launch=False)
    return True


def enter_vmx_operation(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    p.vmx_operation = p.vmx_root = True
    p.vmxon_pointer = _pointer(machine, p, instruction)
    p.vmcs = None
    p.rflags &= ~_FLAGS


def leave_vmx_operation(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    regions.give_back(machine, p)
    p.vmx_operation = False
    p.vmxon_pointer = NO_VMCS
    p.rflags &= ~_FLAGS


def clear_vmcs(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    regions.clear(machine, p, _pointer(machine, p, instruction))
    p.rflags &= ~_FLAGS


def load_pointer(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    p.vmcs = regions.activate(machine, p, _pointer(machine, p, instruction))
    p.rflags &= ~_FLAGS


def store_pointer(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    finish(machine, p, instruction.operands[0], p.current_vmcs)
    p.rflags &= ~_FLAGS


def read_field(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    assert p.vmcs is not None
    _read(machine, p, instruction, p.vmcs)


def read_shadow(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    _read(machine, p, instruction, _linked(machine, p))


def write_field(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    assert p.vmcs is not None
    _write(machine, p, instruction, p.vmcs)


def write_shadow(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    _write(machine, p, instruction, _linked(machine, p))


def invalidate(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    p.rflags &= ~_FLAGS


def switch_eptp(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """EPTP switching (VM function 0): entry ECX of the list becomes the EPT pointer."""
    assert p.vmcs is not None
    fields, slots = p.vmcs.fields, machine.slots
    entry = machine.memory.read(fields[slots.eptp_list_address] + 8 * (p.rcx & 0x1FF), 64)
    p.vmcs.set(slots.ept_pointer, entry)
    p.vmcs.set(slots.eptp_index, p.rcx & 0xFFFF)
    machine.follow(p, fields)


def _linked(machine: Machine, p: Processor) -> VmcsData:
    assert p.vmcs is not None
    return regions.at_link(machine, p, p.vmcs.fields[machine.slots.vmcs_link_pointer])


def _pointer(machine: Machine, p: Processor, instruction: Instruction) -> int:
    """The pointer that the operand in memory holds."""
    return take(machine, p, instruction.operands[0])


def _read(machine: Machine, p: Processor, instruction: Instruction, data: VmcsData) -> None:
    slot, high = _slot(machine, take(machine, p, instruction.operands[1]))
    value = data.fields[slot]
    p.rflags &= ~_FLAGS
    finish(machine, p, instruction.operands[0], value >> 32 if high else value)


def _write(machine: Machine, p: Processor, instruction: Instruction, data: VmcsData) -> None:
    slot, high = _slot(machine, take(machine, p, instruction.operands[0]))
    field = machine.database.fields[machine.slots.names[slot]]
    if not field.writable and not machine.writes_all_fields:
        raise VmFail(machine.error_read_only)
    value = take(machine, p, instruction.operands[1])
    width = machine.slots.widths[slot]
    if high:
        value = data.fields[slot] & 0xFFFFFFFF | (value & 0xFFFFFFFF) << 32
    data.set(slot, value & (1 << width) - 1)
    p.rflags &= ~_FLAGS


def _slot(machine: Machine, encoding: int) -> tuple[int, bool]:
    """The slot that a field encoding names, and whether it is the high half. Raises `VmFail`."""
    found = machine.slot_by_encoding.get(encoding)
    if found is None:
        raise VmFail(machine.error_unsupported)
    return found


EFFECTS: Mapping[str, Effect] = {
    "launch": launch,
    "resume": resume,
    "enter_vmx_operation": enter_vmx_operation,
    "leave_vmx_operation": leave_vmx_operation,
    "clear_vmcs": clear_vmcs,
    "load_pointer": load_pointer,
    "store_pointer": store_pointer,
    "read_field": read_field,
    "read_shadow": read_shadow,
    "write_field": write_field,
    "write_shadow": write_shadow,
    "invalidate": invalidate,
    "switch_eptp": switch_eptp,
}
