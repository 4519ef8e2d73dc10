"""RDMSR and WRMSR where nothing exits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine import apic
from vmcsc.machine.access import load, store
from vmcsc.machine.effects import Effect, finish, take
from vmcsc.machine.effects.simple import offset_tsc, scaled_tsc
from vmcsc.machine.event import consult
from vmcsc.machine.msrs import set_value, value_of
from vmcsc.machine.outcome import Fault, VmExit

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_ALL = 0xFFFFFFFF_FFFFFFFF


def read_msr(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    value = value_of(machine, p, p.rcx & 0xFFFFFFFF)
    p.rdx, p.rax = value >> 32, value & 0xFFFFFFFF


def write_msr(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    set_value(machine, p, p.rcx & 0xFFFFFFFF, (p.rdx & 0xFFFFFFFF) << 32 | p.rax & 0xFFFFFFFF)


def read_offset_msr(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    value = offset_tsc(machine, p)
    p.rdx, p.rax = value >> 32, value & 0xFFFFFFFF


def read_scaled_msr(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    value = scaled_tsc(machine, p)
    p.rdx, p.rax = value >> 32, value & 0xFFFFFFFF


def read_user_msr(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    finish(machine, p, instruction.operands[0], value_of(machine, p, take(machine, p, instruction.operands[1])))


def write_user_msr(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    set_value(machine, p, take(machine, p, instruction.operands[0]), take(machine, p, instruction.operands[1]))


def read_msr_immediate(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    finish(machine, p, instruction.operands[0], value_of(machine, p, o[0]))


def write_msr_immediate(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    set_value(machine, p, o[0], take(machine, p, instruction.operands[1]))


def read_msr_list(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """RDMSRLIST; the bit of each MSR that is done is cleared in RCX, so that it can go on after an exit."""
    for number, index in _listed(machine, p):
        _ask(machine, p, (index, 0, 0), instruction)
        store(machine, p, p.rdi + 8 * number & _ALL, 64, value_of(machine, p, index))
        p.rcx &= ~(1 << number)


def write_msr_list(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    for number, index in _listed(machine, p):
        value = load(machine, p, p.rdi + 8 * number & _ALL, 64)
        _ask(machine, p, (index, 1, value), instruction)
        set_value(machine, p, index, value)
        p.rcx &= ~(1 << number)


def _listed(machine: Machine, p: Processor) -> Iterator[tuple[int, int]]:
    """The places whose bits in RCX are 1, from the lowest, with the MSR that the list has there."""
    for number in range(64):
        if p.rcx >> number & 1:
            index = load(machine, p, p.rsi + 8 * number & _ALL, 64)
            if index >> 32:
                raise Fault(machine.general_protection, 0)
            yield number, index


def _ask(machine: Machine, p: Processor, values: tuple[int, int, int], instruction: Instruction) -> None:
    """Raise the exit for one MSR of a list, if there is one in the guest."""
    if not p.non_root:
        return
    try:
        consult(machine, p, "msr-list", values)
    except VmExit as exit:
        exit.length = instruction.length
        raise


def read_virtual_register(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """A register of the local APIC in x2APIC mode, from the virtual-APIC page."""
    value = machine.memory.read(p.virtual_apic_page + _place(p), 64)
    p.rdx, p.rax = value >> 32, value & 0xFFFFFFFF


def write_virtual_register(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    apic.written(machine, p, _place(p), p.rax & 0xFFFFFFFF)


def send_self_ipi(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    machine.memory.write(p.virtual_apic_page + _place(p), 32, p.rax & 0xFFFFFFFF)
    if consult(machine, p, "self-ipi", (p.rax & 0xFFFFFFFF,)) is not None:
        apic.virtualize_self_ipi(machine, p, p.rax)


def _place(p: Processor) -> int:
    """The offset in the APIC page of the register that an x2APIC MSR is."""
    return (p.rcx & 0xFF) << 4


EFFECTS: Mapping[str, Effect] = {
    "read_msr": read_msr,
    "write_msr": write_msr,
    "read_user_msr": read_user_msr,
    "write_user_msr": write_user_msr,
    "read_msr_immediate": read_msr_immediate,
    "write_msr_immediate": write_msr_immediate,
    "read_msr_list": read_msr_list,
    "write_msr_list": write_msr_list,
    "read_virtual_register": read_virtual_register,
    "write_virtual_register": write_virtual_register,
    "send_self_ipi": send_self_ipi,
    "read_offset_msr": read_offset_msr,
    "read_scaled_msr": read_scaled_msr,
}
