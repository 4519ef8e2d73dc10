"""What the steps of an instruction may ask of its operands.

For an operand `source`: `source` is the value of a register or immediate, `source_register` the number of the register,
`source_width` its bits, `source_memory` whether it lies in memory; for one in memory `source_address` is its linear
address, `source_offset` the effective address without the segment's base, and `source_displacement`, `source_scale`,
`source_base`, `source_base_invalid`, `source_index`, `source_index_invalid`, `source_segment` are as the VM-exit
instruction information encodes them. Anything else is what the form implies, or 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vmcsc.assembly.instruction import ImmediateOperand, Instruction, MemoryOperand, Operand, Read, RegisterOperand
from vmcsc.assembly.registers import SEGMENTS

_ALL = 0xFFFFFFFF_FFFFFFFF


def reader_of(instruction: Instruction, name: str) -> Read:
    """What reads the value `name` of `instruction` from a processor."""
    if name in instruction.form.implied:
        return _constant(instruction.form.implied[name])
    operand = instruction.operand(name)
    if operand is not None:
        return _value(operand)
    for own, _ in instruction.form.operands:
        part = name.removeprefix(f"{own}_")
        operand = instruction.operand(own)
        if part != name and operand is not None:
            return _part(operand, part)
    return _constant(0)


def _constant(number: int) -> Read:
    return lambda _: number


def _value(operand: Operand) -> Read:
    if isinstance(operand, ImmediateOperand):
        return _constant(operand.value)
    if isinstance(operand, RegisterOperand):
        register, low, mask = operand.register, operand.low, (1 << operand.width) - 1
        return lambda processor: getattr(processor, register) >> low & mask
    return _constant(0)


def _part(operand: Operand, part: str) -> Read:
    if part == "memory":
        return _constant(int(isinstance(operand, MemoryOperand)))
    if isinstance(operand, MemoryOperand):
        if part == "address":
            return address_of(operand)
        if part == "offset":
            return offset_of(operand)
        return _constant(_MEMORY_PARTS[part](operand) if part in _MEMORY_PARTS else 0)
    if part == "width":
        return _constant(operand.width)
    return _constant(operand.number if part == "register" and isinstance(operand, RegisterOperand) else 0)


_MEMORY_PARTS: Mapping[str, Callable[[MemoryOperand], int]] = {
    "width": lambda operand: operand.width,
    "displacement": lambda operand: operand.displacement & _ALL,
    "scale": lambda operand: operand.scale.bit_length() - 1,
    "base": lambda operand: 0 if operand.base is None else operand.base.number,
    "base_invalid": lambda operand: int(operand.base is None),
    "index": lambda operand: 0 if operand.index is None else operand.index.number,
    "index_invalid": lambda operand: int(operand.index is None),
    "segment": lambda operand: SEGMENTS.index(operand.segment),
}


def offset_of(operand: MemoryOperand) -> Read:
    """The effective address, 64 bits."""
    displacement, scale = operand.displacement, operand.scale
    base = None if operand.base is None else operand.base.register
    index = None if operand.index is None else operand.index.register
    if base is None and index is None:
        return _constant(displacement & _ALL)

    def read(processor: Any) -> int:
        found = displacement
        if base is not None:
            found += getattr(processor, base)
        if index is not None:
            found += getattr(processor, index) * scale
        return found & _ALL

    return read


def address_of(operand: MemoryOperand) -> Read:
    """The linear address in 64-bit mode, where only FS and GS have a base."""
    offset = offset_of(operand)
    if operand.segment not in ("fs", "gs"):
        return offset
    base = f"{operand.segment}_base"
    return lambda processor: (offset(processor) + int(getattr(processor, base))) & _ALL
