"""The three-valued value of a bound expression."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vmcsc.expression import nodes, value
from vmcsc.expression.value import Value

Reader = Callable[[nodes.Leaf], Value]

_OPERATIONS: Mapping[str, Callable[[Value, Value], Value]] = {
    "&": value.bit_and,
    "|": value.bit_or,
    "^": value.bit_xor,
    "<<": value.shift_left,
    ">>": value.shift_right,
    "+": value.add,
    "-": value.subtract,
    "*": value.multiply,
    "==": value.equal,
    "<": value.less,
}


def evaluate(node: nodes.Node, read: Reader) -> Value:
    """The value of `node` where each leaf has the value that `read` gives it."""
    match node:
        case nodes.Constant():
            return value.known(node.width, node.value)
        case nodes.Leaf():
            return read(node)
        case nodes.Invert():
            return value.invert(evaluate(node.operand, read))
        case nodes.Operation() | nodes.Comparison():
            return _OPERATIONS[node.operator](evaluate(node.left, read), evaluate(node.right, read))
        case nodes.Fits():
            return value.fits(evaluate(node.operand, read), *_limits(node, read))
        case nodes.SignExtended():
            return value.sign_extended(evaluate(node.operand, read), *_limits(node, read))
        case nodes.Resize():
            return evaluate(node.operand, read).resized(node.width)
        case nodes.BitSlice():
            return evaluate(node.operand, read).slice(node.low + node.width - 1, node.low)
        case _:
            raise TypeError(f"no value for {type(node).__name__}")


def _limits(node: nodes.Fits | nodes.SignExtended, read: Reader) -> tuple[int, int]:
    """The lowest and highest limit that the processor may have."""
    limit = evaluate(node.limit, read)
    if limit.is_known:
        return limit.bits, limit.bits
    return max(limit.lowest, node.lowest), min(limit.highest, node.highest)
