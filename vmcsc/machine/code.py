"""The expressions of specs/machine as Python functions over a processor's registers, the current VMCS and memory.

A function takes `p` (the processor), `f` (the fields of the current VMCS by slot), `m` (reads memory: address and width
in bits) and `o` (the values of the instruction's operands). What asks about the processor model becomes a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bits
from vmcsc.architecture.operation import Operation
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes, value
from vmcsc.expression.bind import bind, bind_condition
from vmcsc.expression.emit_python import bits_of, emit_python, number
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.machine.settled import Settled
from vmcsc.machine.vmcs_data import slots_of
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression

Widths = Mapping[str, int]
"""The width of each operand value by its name."""


class BrokenSpec(Exception):
    """An expression of specs/machine means nothing."""


class Code:
    """Binds and compiles expressions for one processor model."""

    def __init__(self, database: Database, operation: Operation, settled: Settled) -> None:
        self._database = database
        self._operation = operation
        self._settled = settled
        self._slots = slots_of(database)

    def condition(self, text: str, operands: Widths | None = None) -> nodes.Node:
        """The bound condition. Raises `BrokenSpec`."""
        return self._bound(text, None, operands or {})

    def number(self, text: str, width: int, operands: Widths | None = None) -> nodes.Node:
        """The bound expression at `width` bits. Raises `BrokenSpec`."""
        return self._bound(text, width, operands or {})

    def _bound(self, text: str, width: int | None, operands: Widths) -> nodes.Node:
        named: dict[str, tuple[int, Mapping[str, Bits]]] = {name: (bits, {}) for name, bits in operands.items()}
        registers = self._operation.registers
        scope = Scope(self._database, controls=True, state=True, operands=named, registers=registers)
        diagnostics = Diagnostics()
        parsed = parse_expression(Source("<specs/machine>", text), diagnostics)
        if parsed is None:
            node = None
        elif width is None:
            node = bind_condition(parsed, scope, diagnostics)
        else:
            node = bind(parsed, width, scope, diagnostics)
        if node is None:
            raise BrokenSpec(f"`{text}` means nothing: {diagnostics.found[0].message}")
        return node

    def constant(self, text: str, width: int = 1) -> int:
        """The value of an expression over the processor model alone."""
        return evaluate(self.number(text, width), lambda leaf: value.known(leaf.width, self._settled.read(leaf))).bits

    def text(self, node: nodes.Node) -> str:
        """The Python expression for `node`."""
        return emit_python(node, self._leaf)

    def _leaf(self, leaf: nodes.Leaf) -> str:
        match leaf:
            case nodes.RegisterBits():
                return bits_of(f"p.{leaf.register.name}", leaf.low, leaf.width, leaf.register.width)
            case nodes.FieldBits():
                return bits_of(f"f[{self._slots.of[leaf.field.name]}]", leaf.low, leaf.width, leaf.field.width)
            case nodes.ControlBit():
                return self._control(leaf)
            case nodes.Operand():
                return bits_of(f"v_{leaf.name}", leaf.low, leaf.width, 64)
            case nodes.Memory():
                return f"m({self.text(leaf.address)}, {leaf.width})"
            case nodes.ElementBits():
                return bits_of("e", leaf.low, leaf.width, leaf.area.size * 8)
            case nodes.ProcessorState():
                derived = self._operation.processor.get(leaf.state.name)
                return f"p.{leaf.state.name}" if derived is None else self.text(self.number(derived, leaf.width))
            case _:
                return number(self._settled.read(leaf))

    def _control(self, leaf: nodes.ControlBit) -> str:
        """The setting in force: 0 while its word is inactive."""
        words = self._database.words
        bits = [leaf.control, *self._database.activators(words[leaf.control.word])]
        places = [(self._slots.of[words[control.word].field], control.bit) for control in bits]
        return f"({' & '.join(f'f[{slot}] >> {bit}' for slot, bit in places)} & 1)"

    def compile(self, name: str, parameters: str, lines: Sequence[str]) -> Callable[..., Any]:
        """The function of that name with the body `lines`, which `text` and plain names made up."""
        scope: dict[str, Any] = {"__builtins__": {"min": min, "max": max, "range": range}}
        body = "\n".join(f"    {line}" for line in lines or ("pass",))
        exec(compile(f"def {name}({parameters}):\n{body}\n", f"<{name}>", "exec"), scope)
        return scope[name]  # type: ignore[no-any-return]


def unpacked(operands: Widths) -> list[str]:
    """The lines that name the operand values."""
    return [f"({''.join(f'v_{name}, ' for name in operands)}) = o"] if operands else []
