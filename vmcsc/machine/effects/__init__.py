"""What instructions do once nothing stands in their way: the algorithms that `do:` names in specs/machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vmcsc.assembly.instruction import Instruction, MemoryOperand, Operand, RegisterOperand
from vmcsc.assembly.values import address_of
from vmcsc.machine.access import load, store

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

Effect = Callable[["Machine", "Processor", Instruction, "tuple[int, ...]"], "bool | None"]
"""Takes the machine, the processor, the instruction and its operand values; True where it set RIP itself."""

MODULES = ("simple", "memory", "msr", "control_registers", "descriptor_tables", "vmx")
"""The modules of this package; each has `EFFECTS`, its algorithms by name."""


def set_register(p: Processor, operand: RegisterOperand, value: int) -> None:
    """Write a register as an instruction does: 32 bits clear the upper half, 8 and 16 leave the rest."""
    if operand.width == 64:
        setattr(p, operand.register, value & 0xFFFFFFFF_FFFFFFFF)
    elif operand.width == 32:
        setattr(p, operand.register, value & 0xFFFFFFFF)
    else:
        mask = ((1 << operand.width) - 1) << operand.low
        setattr(p, operand.register, getattr(p, operand.register) & ~mask | value << operand.low & mask)


def take(machine: Machine, p: Processor, operand: Operand) -> int:
    """The value of a register, a number, or what lies in memory."""
    if isinstance(operand, RegisterOperand):
        return int(getattr(p, operand.register)) >> operand.low & (1 << operand.width) - 1
    if isinstance(operand, MemoryOperand):
        return load(machine, p, address_of(operand)(p), operand.width)
    return operand.value


def finish(machine: Machine, p: Processor, target: Operand, value: int) -> None:
    """Write a result to a register or to memory."""
    if isinstance(target, RegisterOperand):
        set_register(p, target, value)
    elif isinstance(target, MemoryOperand):
        store(machine, p, address_of(target)(p), target.width, value & (1 << target.width) - 1)


def number_of(operand: Operand) -> int:
    """The number of a register in encodings."""
    assert isinstance(operand, RegisterOperand)
    return operand.number


def address(p: Processor, operand: Operand) -> int:
    """The linear address of an operand in memory."""
    assert isinstance(operand, MemoryOperand)
    return address_of(operand)(p)


def effect_of(name: str) -> Effect:
    """The algorithm of that name. Raises `KeyError` where there is none."""
    for module in MODULES:
        effects: Mapping[str, Any] = import_module(f"{__name__}.{module}").EFFECTS
        if name in effects:
            return effects[name]  # type: ignore[no-any-return]
    raise KeyError(name)
