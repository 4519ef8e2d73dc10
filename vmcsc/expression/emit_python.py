"""A bound expression as Python over plain ints, cut off at each operator's width, fully parenthesised.

It holds for values that are wholly known; `vmcsc.expression.evaluate` knows the others. Nothing but operators, numbers
and what the caller says for the leaves gets into the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmcsc.expression import nodes

LeafName = Callable[[nodes.Leaf], str]
"""The Python expression that reads a leaf: an int (or a bool) that is not negative and not wider than the leaf."""


def emit_python(node: nodes.Node, leaf: LeafName) -> str:
    """The Python expression for `node`: an int, for one bit perhaps a bool, which counts as 0 or 1.

    One bit is computed by `and`, `or` and `not`, so that what is behind a false part is not read.
    """
    match node:
        case nodes.Constant():
            return number(node.value)
        case nodes.Leaf():
            return leaf(node)
        case nodes.Invert(width=1):
            return _inverted(node.operand, leaf)
        case nodes.Invert():
            return f"({emit_python(node.operand, leaf)} ^ {number(_mask(node.width))})"
        case nodes.Operation(width=1, operator="&" | "|"):
            word = " and " if node.operator == "&" else " or "
            return f"({word.join(emit_python(part, leaf) for part in _chain(node, node.operator))})"
        case nodes.Operation():
            return _operation(node, leaf)
        case nodes.Comparison():
            return f"({emit_python(node.left, leaf)} {node.operator} {emit_python(node.right, leaf)})"
        case nodes.Fits():
            return f"(not {emit_python(node.operand, leaf)} >> {emit_python(node.limit, leaf)})"
        case nodes.SignExtended():
            return _sign_extended(node, leaf)
        case nodes.Resize():
            text = emit_python(node.operand, leaf)
            return text if node.width >= node.operand.width else _cut(text, node.width)
        case nodes.BitSlice():
            return bits_of(emit_python(node.operand, leaf), node.low, node.width, node.operand.width)
        case _:
            raise TypeError(f"no Python for {type(node).__name__}")


def bits_of(text: str, low: int, width: int, of: int) -> str:
    """`width` bits from bit `low` on of what `text` computes, which is `of` bits wide."""
    shifted = f"({text} >> {low})" if low else text
    return shifted if low + width >= of else _cut(shifted, width)


def number(value: int) -> str:
    return str(value) if value < 10 else hex(value)


def _mask(width: int) -> int:
    return (1 << width) - 1


def _cut(text: str, width: int) -> str:
    return f"({text} & {number(_mask(width))})"


def _chain(node: nodes.Node, operator: str) -> Iterator[nodes.Node]:
    """The parts that one logical operator joins, without the parentheses around each pair."""
    if isinstance(node, nodes.Operation) and node.width == 1 and node.operator == operator:
        yield from _chain(node.left, operator)
        yield from _chain(node.right, operator)
    else:
        yield node


def _inverted(operand: nodes.Node, leaf: LeafName) -> str:
    if isinstance(operand, nodes.Comparison):
        opposite = "!=" if operand.operator == "==" else ">="
        return f"({emit_python(operand.left, leaf)} {opposite} {emit_python(operand.right, leaf)})"
    return f"(not {emit_python(operand, leaf)})"


def _operation(node: nodes.Operation, leaf: LeafName) -> str:
    left, right = emit_python(node.left, leaf), emit_python(node.right, leaf)
    match node.operator:
        case ">>":
            return f"({left} >> {right})"
        case "<<":  # a count may have 64 bits: no number is shifted further than its own width
            count = right if isinstance(node.right, nodes.Constant) and node.right.value <= node.width else None
            return _cut(f"({left} << {count or f'min({right}, {node.width})'})", node.width)
        case "&" | "|" | "^":
            return f"({left} {node.operator} {right})"
        case _:
            return _cut(f"({left} {node.operator} {right})", node.width)


def _sign_extended(node: nodes.SignExtended, leaf: LeafName) -> str:
    """As a signed number, the operand shifted down to the bits that must be alike is 0 or -1."""
    sign = number(1 << (node.operand.width - 1))
    signed = f"(({emit_python(node.operand, leaf)} ^ {sign}) - {sign})"
    if isinstance(node.limit, nodes.Constant):
        return f"(-1 <= {signed} >> {max(0, node.limit.value - 1)} <= 0)"
    return f"(-1 <= {signed} >> max(0, {emit_python(node.limit, leaf)} - 1) <= 0)"
