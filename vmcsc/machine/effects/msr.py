"""RDMSR and WRMSR where nothing exits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine import apic
from vmcsc.machine.effects import Effect
from vmcsc.machine.effects.simple import offset_tsc, scaled_tsc
from vmcsc.machine.event import consult
from vmcsc.machine.msrs import set_value, value_of

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor


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
    "read_virtual_register": read_virtual_register,
    "write_virtual_register": write_virtual_register,
    "send_self_ipi": send_self_ipi,
    "read_offset_msr": read_offset_msr,
    "read_scaled_msr": read_scaled_msr,
}
