"""MSRs by their index: registers of the machine, capabilities, and plain storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.machine.outcome import Fault

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor


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
