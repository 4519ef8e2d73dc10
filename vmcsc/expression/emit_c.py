"""A bound expression as C: 64-bit unsigned arithmetic, cut off at each operator's width, fully parenthesised."""

from __future__ import annotations

from collections.abc import Callable

from vmcsc.expression import nodes

LeafName = Callable[[nodes.Leaf], str]
"""The C expression that reads a leaf: a `uint64_t` that is not wider than the leaf."""


def emit_c(node: nodes.Node, leaf: LeafName) -> str:
    """The C expression for `node`, of type `uint64_t`.

    Shifts and comparisons need the functions `vmcsc_shift_left`, `vmcsc_shift_right`, `vmcsc_equal` and `vmcsc_less`:
    a shift by 64 is undefined in C, and compilers warn of comparisons whose outcome they foresee.
    """
    match node:
        case nodes.Constant():
            return constant(node.value)
        case nodes.Leaf():
            return leaf(node)
        case nodes.Invert():
            return _cut(f"(~{emit_c(node.operand, leaf)})", node.width)
        case nodes.Operation(operator="<<" | ">>"):
            function = "vmcsc_shift_left" if node.operator == "<<" else "vmcsc_shift_right"
            return _cut(f"{function}({emit_c(node.left, leaf)}, {emit_c(node.right, leaf)})", node.width)
        case nodes.Operation():
            both = f"({emit_c(node.left, leaf)} {node.operator} {emit_c(node.right, leaf)})"
            return both if node.operator in "&|^" else _cut(both, node.width)
        case nodes.Comparison():
            function = "vmcsc_equal" if node.operator == "==" else "vmcsc_less"
            return f"{function}({emit_c(node.left, leaf)}, {emit_c(node.right, leaf)})"
        case nodes.Resize():
            return _cut(emit_c(node.operand, leaf), node.width)
        case nodes.BitSlice():
            return _cut(f"({emit_c(node.operand, leaf)} >> {node.low})", node.width)
        case _:
            raise TypeError(f"no C for {type(node).__name__}")


def constant(value: int) -> str:
    return f"0x{value:x}ull"


def _cut(text: str, width: int) -> str:
    return text if width >= 64 else f"({text} & {constant((1 << width) - 1)})"
