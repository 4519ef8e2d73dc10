"""RDMSR and WRMSR where nothing exits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine.effects import Effect
from vmcsc.machine.effects.simple import offset_tsc, scaled_tsc
from vmcsc.machine.outcome import Fault

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


def value_of(machine: Machine, p: Processor, index: int) -> int:
    """The MSR of `p`. Raises `Fault` where the processor model does not have it."""
    register = machine.register_of_msr.get(index)
    if register is not None:
        return int(getattr(p, register))
    msr = machine.database.msr_by_index.get(index)
    if msr is None or machine.settled.capabilities.exists(msr) is False:
        raise Fault(machine.general_protection, 0)
    if msr.capability:
        return machine.settled.capabilities.msr(msr).bits
    return p.msrs.get(index, 0)


def set_value(machine: Machine, p: Processor, index: int, value: int) -> None:
    """The counterpart of `value_of`; capability MSRs are read-only."""
    register = machine.register_of_msr.get(index)
    if register is not None:
        setattr(p, register, value & (1 << machine.operation.registers[register].width) - 1)
        return
    msr = machine.database.msr_by_index.get(index)
    if msr is None or msr.capability or machine.settled.capabilities.exists(msr) is False:
        raise Fault(machine.general_protection, 0)
    p.msrs[index] = value


EFFECTS: Mapping[str, Effect] = {
    "read_msr": read_msr,
    "write_msr": write_msr,
    "read_offset_msr": read_offset_msr,
    "read_scaled_msr": read_scaled_msr,
}
