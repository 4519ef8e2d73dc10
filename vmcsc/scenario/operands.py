"""Operands of instructions as scenarios write them: registers, numbers, and memory in brackets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.assembly.instruction import ImmediateOperand, MemoryOperand, Operand, RegisterOperand
from vmcsc.assembly.registers import GENERAL, REGISTERS, SEGMENTS
from vmcsc.diagnostic import Diagnostics
from vmcsc.records import dataclass
from vmcsc.scenario.names import number_of
from vmcsc.syntax import tree

_SCALES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Operands:
    """Reads operands; `names` are what stands for a number."""

    database: Database
    names: Mapping[str, int]
    diagnostics: Diagnostics

    def read(self, operands: tuple[tree.Operand, ...]) -> tuple[Operand, ...] | None:
        """The operands, or None after reporting what one of them is not."""
        found = [self._memory(one.value) if one.memory else self._plain(one.value) for one in operands]
        read = tuple(one for one in found if one is not None)
        return read if len(read) == len(found) else None

    def _plain(self, expression: tree.Expression) -> Operand | None:
        if isinstance(expression, tree.Path) and len(expression.parts) == 1:
            register = REGISTERS.get(expression.parts[0])
            if register is not None:
                return register
        number = number_of(expression, self.names, self.database, self.diagnostics)
        return None if number is None else ImmediateOperand(_signed(number), 64)

    def _memory(self, expression: tree.Expression) -> MemoryOperand | None:
        base = index = None
        scale, displacement, segment = 1, 0, ""
        for term in _terms(expression):
            name = term.parts[0] if isinstance(term, tree.Path) and len(term.parts) == 1 else None
            if name in SEGMENTS and not segment:
                segment = name or ""
            elif name in GENERAL and base is None:
                base = REGISTERS[name or ""]
            elif name in GENERAL and index is None:
                index = REGISTERS[name or ""]
            elif (scaled := self._scaled(term)) is not None and index is None:
                index, scale = scaled
            else:
                number = number_of(term, self.names, self.database, self.diagnostics)
                if number is None:
                    return None
                displacement += _signed(number)
        if not -(1 << 31) <= displacement < 1 << 31 or (index is not None and index.number == 4):
            message = "an address in memory is BASE + INDEX * SCALE + a number of 32 bits, and RSP is no index"
            self.diagnostics.report(codes.WRONG_OPERANDS, message, expression.span)
            return None
        stack = base is not None and base.register in ("rsp", "rbp")
        return MemoryOperand(base, index, scale, displacement, segment or ("ss" if stack else "ds"))

    def _scaled(self, term: tree.Expression) -> tuple[RegisterOperand, int] | None:
        """`rcx * 4`."""
        if not (isinstance(term, tree.Binary) and term.operator == "*" and isinstance(term.left, tree.Path)):
            return None
        register = REGISTERS.get(term.left.text)
        scale = term.right.value if isinstance(term.right, tree.Number) else 0
        return (register, scale) if register is not None and scale in _SCALES else None


def _terms(expression: tree.Expression) -> Iterator[tree.Expression]:
    if isinstance(expression, tree.Binary) and expression.operator == "+":
        yield from _terms(expression.left)
        yield from _terms(expression.right)
    else:
        yield expression


def _signed(number: int) -> int:
    """A number of 64 bits as the nearest to 0 that has these bits, for addresses near the top."""
    return number - (1 << 64) if number >= (1 << 64) - (1 << 31) else number
