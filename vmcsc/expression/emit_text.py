"""A bound expression as the text of the language, with no more parentheses than it needs."""

from __future__ import annotations

from vmcsc.expression import nodes

_OR, _AND, _NOT, _COMPARED, _UNARY, _ATOM = 1, 2, 3, 4, 11, 12
_BINDING = {"|": 5, "^": 6, "&": 7, "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10}
"""How strongly operators bind, as in Python: the higher, the stronger."""

_INVERTED = {"==": "!=", "<": ">="}


def emit_text(node: nodes.Node) -> str:
    """The expression as one would write it in a policy."""
    return _text(node)[0]


def _text(node: nodes.Node) -> tuple[str, int]:
    """The text, and how strongly its outermost operator binds."""
    match node:
        case nodes.Constant(width=1):
            return ("true" if node.value else "false"), _ATOM
        case nodes.Constant():
            return number(node.value), _ATOM
        case nodes.Leaf():
            return _leaf(node), _ATOM
        case nodes.Invert(operand=nodes.Comparison() as compared):
            return _comparison(compared, _INVERTED[compared.operator])
        case nodes.Invert(width=1):
            return f"not {_within(node.operand, _NOT)}", _NOT
        case nodes.Invert():
            return f"~{_within(node.operand, _UNARY)}", _UNARY
        case nodes.Operation(operator="&" | "|", width=1):
            return _operation(node, "and", _AND) if node.operator == "&" else _operation(node, "or", _OR)
        case nodes.Operation():
            return _operation(node, node.operator, _BINDING[node.operator])
        case nodes.Comparison():
            return _comparison(node, node.operator)
        case nodes.Resize():
            return f"u{node.width}({emit_text(node.operand)})", _ATOM
        case nodes.Fits() | nodes.SignExtended():
            function = "fits" if isinstance(node, nodes.Fits) else "sign_extended"
            return f"{function}({emit_text(node.operand)}, {emit_text(node.limit)})", _ATOM
        case nodes.BitSlice():
            return f"{_within(node.operand, _ATOM)}{_place(node.low, node.width)}", _ATOM
        case _:
            raise TypeError(f"no text for {type(node).__name__}")


def _within(node: nodes.Node, binding: int) -> str:
    """The text of an operand of something that binds with `binding`."""
    text, own = _text(node)
    return text if own >= binding else f"({text})"


def _operation(node: nodes.Operation, operator: str, binding: int) -> tuple[str, int]:
    return f"{_within(node.left, binding)} {operator} {_within(node.right, binding + 1)}", binding


def _comparison(node: nodes.Comparison, operator: str) -> tuple[str, int]:
    left, right = _side(node.left, node.right), _side(node.right, node.left)
    return f"{left} {operator} {right}", _COMPARED


def _side(node: nodes.Node, other: nodes.Node) -> str:
    """One side of a comparison, by its name where the other side names its values."""
    if isinstance(node, nodes.Constant):
        names = {number: name for name, number in other.values.items()} if isinstance(other, nodes.Leaf) else {}
        return names.get(node.value) or number(node.value)
    return _within(node, _COMPARED + 1)


def number(value: int) -> str:
    """A number as one would write it: small ones in decimal, masks in hex."""
    return str(value) if value < 10 else f"{value:#x}"


def _leaf(leaf: nodes.Leaf) -> str:
    match leaf:
        case nodes.ControlBit():
            return leaf.control.path
        case nodes.Supported():
            return f"supported({leaf.control.path})"
        case nodes.Forced():
            return f"forced({leaf.control.path})"
        case nodes.CpuFact():
            return f"cpu.{leaf.fact.name}"
        case nodes.Parameter():
            return leaf.name
        case nodes.MsrBits():
            named = (bits.name for bits in leaf.msr.bits if (bits.low, bits.width) == (leaf.low, leaf.width))
            name = next(named, None)
            if name is not None:
                return f"{leaf.msr.name}.{name}"
            return leaf.msr.name if leaf.width == 64 else f"{leaf.msr.name}{_place(leaf.low, leaf.width)}"
        case nodes.FieldBits() | nodes.ElementBits():
            return leaf.written
        case nodes.RegisterBits():
            return _register(leaf)
        case nodes.ProcessorState():
            return f"processor.{leaf.state.name}"
        case nodes.AllowedBits():
            return f"{'must_be_1' if leaf.must_be_1 else 'may_be_1'}({leaf.word.name})"
        case nodes.Memory():
            return f"memory{leaf.width}({emit_text(leaf.address)})"
        case nodes.Operand():
            return f"{leaf.name}{_place(leaf.low, leaf.width)}"
        case _:
            raise TypeError(f"no text for {type(leaf).__name__}")


def _register(leaf: nodes.RegisterBits) -> str:
    whole = leaf.low == 0 and leaf.width == leaf.register.width
    return leaf.written or f"register.{leaf.register.name}{'' if whole else _place(leaf.low, leaf.width)}"


def _place(low: int, width: int) -> str:
    return f"[{low}]" if width == 1 else f"[{low + width - 1}:{low}]"
