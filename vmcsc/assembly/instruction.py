"""An instruction of a program with its operands, and what their values are on a processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmcsc.architecture.operation import Form, InstructionEntry
from vmcsc.records import dataclass

Read = Callable[[Any], int]
"""Takes the value of something from a processor, whose registers are attributes."""


@dataclass(frozen=True, slots=True)
class RegisterOperand:
    """A register as written (`eax`): part of `register` (`rax`), from bit `low` on; `number` is that of encodings."""

    written: str
    register: str
    number: int
    width: int
    low: int = 0


@dataclass(frozen=True, slots=True)
class ImmediateOperand:
    value: int
    width: int


@dataclass(frozen=True, slots=True)
class MemoryOperand:
    """`[segment: base + index * scale + displacement]`; `width` is 0 where nothing is moved."""

    base: RegisterOperand | None
    index: RegisterOperand | None
    scale: int
    displacement: int
    segment: str
    width: int = 0


Operand = RegisterOperand | ImmediateOperand | MemoryOperand


@dataclass(frozen=True)
class Instruction:
    """One instruction: its entry in the specs, the form that fits, operands in the form's order, and its bytes."""

    entry: InstructionEntry
    form: Form
    operands: tuple[Operand, ...]
    code: bytes

    @property
    def length(self) -> int:
        return len(self.code)

    def operand(self, name: str) -> Operand | None:
        """The operand that the form calls `name`."""
        for (own, _), operand in zip(self.form.operands, self.operands, strict=True):
            if own == name:
                return operand
        return None

    def readers(self) -> tuple[Read, ...]:
        """What gives each of the entry's `values` on a processor: 0 for those that this form does not have."""
        from vmcsc.assembly.values import reader_of

        return tuple(reader_of(self, name) for name in self.entry.values)
