"""A bound expression as C over values of which some bits may be unknown: calls of the functions of `values.h`.

One bit is a `vmcsc_truth`, everything else a `vmcsc_value`. The values are those of `vmcsc.expression.evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vmcsc.expression import nodes
from vmcsc.expression.emit_c import constant
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.value import Value

LeafName = Callable[[nodes.Leaf], str]
"""The C expression that reads a leaf: a truth for one bit, else a value."""

_TRUTH = {"&": "and", "|": "or", "^": "xor"}
_LIMITED = {nodes.Fits: "fits", nodes.SignExtended: "sign_extended"}


def emit_c_three(node: nodes.Node, leaf: LeafName) -> str:
    """The C expression for `node`; raises `TypeError` for what C has no word for."""
    match node:
        case nodes.Constant(width=1):
            return "VMCSC_TRUE" if node.value else "VMCSC_FALSE"
        case nodes.Constant():
            return f"vmcsc_v({constant(node.value)}, vmcsc_mask({node.width}u))"
        case nodes.Leaf():
            return leaf(node)
        case nodes.Invert(width=1):
            return f"vmcsc_t_not({emit_c_three(node.operand, leaf)})"
        case nodes.Invert():
            return f"vmcsc_v_not({emit_c_three(node.operand, leaf)}, {node.width}u)"
        case nodes.Operation(operator="&" | "|" | "^"):
            left, right = emit_c_three(node.left, leaf), emit_c_three(node.right, leaf)
            return f"vmcsc_{_kind(node)}_{_TRUTH[node.operator]}({left}, {right})"
        case nodes.Operation():
            return _arithmetic(node, leaf)
        case nodes.Comparison():
            name = "equal" if node.operator == "==" else "less"
            return f"vmcsc_v_{name}({_value(node.left, leaf)}, {_value(node.right, leaf)}, {node.left.width}u)"
        case nodes.Fits() | nodes.SignExtended():
            operand, limit = _value(node.operand, leaf), _value(node.limit, leaf)
            widths = f"{node.limit.width}u, {node.lowest}u, {node.highest}u"
            return f"vmcsc_v_{_LIMITED[type(node)]}({operand}, {node.operand.width}u, {limit}, {widths})"
        case nodes.Resize(width=1):
            return f"vmcsc_v_bit({_value(node.operand, leaf)}, 0u)"
        case nodes.Resize():
            return f"vmcsc_v_resize({_value(node.operand, leaf)}, {node.operand.width}u, {node.width}u)"
        case nodes.BitSlice(width=1):
            return f"vmcsc_v_bit({_value(node.operand, leaf)}, {node.low}u)"
        case nodes.BitSlice():
            return f"vmcsc_v_slice({_value(node.operand, leaf)}, {node.low}u, {node.width}u)"
        case _:
            raise TypeError(f"no C for {type(node).__name__}")


Whole = Callable[[nodes.FieldBits], str]
"""The C value of the whole field that the leaf is a part of; what is above its width does not matter."""


def emit_certain(node: nodes.Node, leaf: LeafName, whole: Whole, *, true: bool = True, lazy: bool = False) -> str:
    """The C condition under which `node`, of one bit, is certainly true, or certainly false.

    It costs half of the truth itself, which hardly ever is needed where all is well. `lazy`: it may miss some cases in
    which that is certain but not plain to see.
    """
    match node:
        case nodes.Constant():
            return str(int(bool(node.value) is true))
        case nodes.Invert():
            return emit_certain(node.operand, leaf, whole, true=not true, lazy=lazy)
        case nodes.Operation(operator="&" | "|"):
            parts = [emit_certain(one, leaf, whole, true=true, lazy=lazy) for one in (node.left, node.right)]
            return _joined(parts, both=(node.operator == "&") is true)
        case nodes.Comparison(operator="=="):
            return _certainly_equal(node, leaf, whole, true)
        case nodes.Fits() | nodes.SignExtended() if lazy and true:
            operand, limit = _value(node.operand, leaf), _value(node.limit, leaf)
            name = f"vmcsc_v_plainly_{_LIMITED[type(node)]}"
            return f"{name}({operand}, {node.operand.width}u, {limit}, {node.limit.width}u)"
        case _:
            return _certain(emit_c_three(node, leaf), true)


def _certainly_equal(node: nodes.Comparison, leaf: LeafName, whole: Whole, true: bool) -> str:
    picked = _picked(node.left)
    if picked is not None and isinstance(node.right, nodes.Constant):
        field, mask, low = picked
        value = node.right.value << low
        if not value & ~mask:
            name = "vmcsc_v_surely_is" if true else "vmcsc_v_surely_is_not"
            return f"{name}({whole(field)}, {constant(mask)}, {constant(value)})"
    left, right = _value(node.left, leaf), _value(node.right, leaf)
    return f"vmcsc_v_surely_{'equal' if true else 'unequal'}({left}, {right}, {node.left.width}u)"


def _picked(node: nodes.Node) -> tuple[nodes.FieldBits, int, int] | None:
    """Bits of a field that `node` picks: the field, which of its bits, and by how many they are moved down."""
    match node:
        case nodes.FieldBits():
            return node, (1 << node.width) - 1 << node.low, node.low
        case nodes.BitSlice(operand=nodes.FieldBits() as field):
            low = field.low + node.low
            return field, (1 << node.width) - 1 << low, low
        case nodes.Operation(operator="&", left=nodes.FieldBits() as field, right=right) if not any(
            nodes.leaves(right)
        ):
            return field, evaluate(right, _nothing).bits << field.low, field.low
        case _:
            return None


def _nothing(leaf: nodes.Leaf) -> Value:
    raise TypeError(f"{type(leaf).__name__} is no constant")


def _joined(parts: Sequence[str], *, both: bool) -> str:
    return parts[0] if len(parts) == 1 else f"({(' && ' if both else ' || ').join(parts)})"


def _certain(truth: str, true: bool) -> str:
    if truth.startswith(_BIT):
        return f"vmcsc_v_{'one' if true else 'zero'}({truth.removeprefix(_BIT)}"
    return f"{truth} == {'VMCSC_TRUE' if true else 'VMCSC_FALSE'}"


_BIT = "vmcsc_v_bit("


def _kind(node: nodes.Node) -> str:
    return "t" if node.width == 1 else "v"


def _value(node: nodes.Node, leaf: LeafName) -> str:
    """The expression as a value also where it is truth."""
    text = emit_c_three(node, leaf)
    return f"vmcsc_t_value({text}, 1u)" if node.width == 1 else text


def _arithmetic(node: nodes.Operation, leaf: LeafName) -> str:
    left, right = _value(node.left, leaf), _value(node.right, leaf)
    match node.operator:
        case "+":
            text = f"vmcsc_v_add({left}, {right}, 0u, {node.width}u)"
        case "-":
            text = f"vmcsc_v_add({left}, vmcsc_v_not({right}, {node.width}u), 1u, {node.width}u)"
        case "*":
            text = f"vmcsc_v_multiply({left}, {right}, {node.width}u)"
        case "<<" | ">>":
            name = "left" if node.operator == "<<" else "right"
            text = f"vmcsc_v_{name}({left}, {right}, {node.right.width}u, {node.width}u)"
        case _:
            raise TypeError(f"no C for {node.operator}")
    return f"vmcsc_v_bit({text}, 0u)" if node.width == 1 else text
