"""Syntax to typed expressions: names looked up, widths settled, mistakes reported.

Literals are exact integers that take the width of what they meet; two other operands must agree in width, or be
made to by `u8 u16 u32 u64`. Nothing is widened behind the reader's back, so that Python and C agree to the bit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from vmcsc import codes
from vmcsc.diagnostic import Code, Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.scope import Scope, Unresolved
from vmcsc.source import Span
from vmcsc.syntax import tree

WIDTHS: Mapping[str, int] = {"u1": 1, "u8": 8, "u16": 16, "u32": 32, "u64": 64}
"""The types of parameters, and the functions that convert to them."""

MAX_LITERAL_BITS = 512


@dataclass(frozen=True, slots=True)
class _Literal:
    """An exact integer that has not met a width yet."""

    value: int


_Bound = nodes.Node | _Literal | None

_EXACT: Mapping[str, Callable[[int, int], int]] = {
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
}
_COMPARED: Mapping[str, tuple[str, bool, bool]] = {
    "==": ("==", False, False),
    "!=": ("==", False, True),
    "<": ("<", False, False),
    ">=": ("<", False, True),
    ">": ("<", True, False),
    "<=": ("<", True, True),
}
"""For each comparison: which one it is made of, whether with its sides swapped, whether inverted."""


def bind(expression: tree.Expression, width: int, scope: Scope, diagnostics: Diagnostics) -> nodes.Node | None:
    """The expression as a value `width` bits wide, or None after reporting why it is none."""
    binder = _Binder(scope, diagnostics)
    bound = binder.bind(expression)
    return None if bound is None else binder.fit(bound, width, expression.span)


def bind_condition(expression: tree.Expression, scope: Scope, diagnostics: Diagnostics) -> nodes.Node | None:
    """The expression as a truth value, or None after reporting why it is none."""
    binder = _Binder(scope, diagnostics)
    return binder.condition(expression)


class _Binder:
    def __init__(self, scope: Scope, diagnostics: Diagnostics) -> None:
        self._scope = scope
        self._diagnostics = diagnostics

    def _report(self, code: Code, message: str, span: Span, help: str | None = None) -> None:
        self._diagnostics.report(code, message, span, help=help)

    def bind(self, expression: tree.Expression) -> _Bound:
        match expression:
            case tree.Number():
                return _Literal(expression.value)
            case tree.Path():
                return self._path(expression)
            case tree.Unary():
                return self._unary(expression)
            case tree.Binary(operator="and" | "or"):
                return self._logic(expression)
            case tree.Binary() if expression.operator in _COMPARED:
                return self._comparison(expression)
            case tree.Binary():
                return self._operation(expression)
            case tree.Membership():
                return self._membership(expression)
            case tree.Slice():
                return self._slice(expression)
            case tree.Call():
                return self._call(expression)
            case _:
                raise TypeError(f"no meaning for {type(expression).__name__}")

    def fit(self, bound: nodes.Node | _Literal, width: int, span: Span) -> nodes.Node | None:
        """`bound` at exactly `width` bits, or None after reporting that it is not."""
        if isinstance(bound, _Literal):
            if -(1 << (width - 1)) <= bound.value < 1 << width:
                return nodes.Constant(width, bound.value & ((1 << width) - 1))
            shown = hex(bound.value) if abs(bound.value).bit_length() <= 80 else "this number"
            self._report(codes.VALUE_TOO_WIDE, f"{shown} does not fit {_bits(width)}", span)
            return None
        if bound.width == width:
            return bound
        message = f"this is {_bits(bound.width)} wide, where {_bits(width)} {'is' if width == 1 else 'are'} needed"
        convert = next((name for name, bits in WIDTHS.items() if bits == width), None)
        help = "compare it with something" if width == 1 else f"write `{convert}(...)` around it" if convert else None
        code = codes.NOT_A_CONDITION if width == 1 else codes.WIDTH_MISMATCH
        self._report(code, message, span, help)
        return None

    def condition(self, expression: tree.Expression) -> nodes.Node | None:
        bound = self.bind(expression)
        if isinstance(bound, _Literal) and bound.value not in (0, 1):
            self._report(codes.NOT_A_CONDITION, "a number is not a condition", expression.span)
            return None
        return None if bound is None else self.fit(bound, 1, expression.span)

    def _path(self, expression: tree.Path) -> _Bound:
        if expression.parts in (("true",), ("false",)):
            return nodes.Constant(1, int(expression.parts[0] == "true"))
        resolved = self._scope.resolve(expression.parts)
        if isinstance(resolved, Unresolved):
            self._unresolved(resolved, expression.text, expression.span)
            return None
        return resolved

    def _unresolved(self, problem: Unresolved, text: str, span: Span) -> None:
        near = get_close_matches(text, problem.near, n=1) or get_close_matches(text.rpartition(".")[2], problem.near, 1)
        help = problem.help or (f"did you mean `{near[0]}`?" if near else None)
        self._report(problem.code, problem.message, span, help)

    def _unary(self, expression: tree.Unary) -> _Bound:
        if expression.operator == "not":
            condition = self.condition(expression.operand)
            return None if condition is None else nodes.Invert(1, condition)
        bound = self.bind(expression.operand)
        if isinstance(bound, _Literal):
            return _Literal(-bound.value if expression.operator == "-" else ~bound.value)
        if bound is None:
            return None
        if expression.operator == "~":
            return nodes.Invert(bound.width, bound)
        return nodes.Operation(bound.width, "-", nodes.Constant(bound.width, 0), bound)

    def _logic(self, expression: tree.Binary) -> _Bound:
        left, right = self.condition(expression.left), self.condition(expression.right)
        if left is None or right is None:
            return None
        return nodes.Operation(1, "&" if expression.operator == "and" else "|", left, right)

    def _operation(self, expression: tree.Binary) -> _Bound:
        left, right = self.bind(expression.left), self.bind(expression.right)
        if left is None or right is None:
            return None
        if isinstance(left, _Literal) and isinstance(right, _Literal):
            return self._exact(expression, left.value, right.value)
        if expression.operator in ("<<", ">>"):
            return self._shift(expression, left, right)
        pair = self._paired(expression, left, right)
        return None if pair is None else nodes.Operation(pair[0].width, expression.operator, *pair)

    def _exact(self, expression: tree.Binary, left: int, right: int) -> _Bound:
        shifts = expression.operator in ("<<", ">>")
        if shifts and not 0 <= right < MAX_LITERAL_BITS:
            self._report(codes.VALUE_TOO_WIDE, "a shift by so many bits has no meaning", expression.right.span)
            return None
        result = _EXACT[expression.operator](left, right)
        if result.bit_length() > MAX_LITERAL_BITS:
            self._report(codes.VALUE_TOO_WIDE, "the result of this is far wider than any field", expression.span)
            return None
        return _Literal(result)

    def _shift(self, expression: tree.Binary, left: nodes.Node | _Literal, right: nodes.Node | _Literal) -> _Bound:
        if isinstance(left, _Literal):
            self._report(
                codes.WIDTH_MISMATCH,
                "how many bits wide is the number that is shifted?",
                expression.left.span,
                f"write `u64({expression.left.span.text})`",
            )
            return None
        count = self.fit(right, 64, expression.right.span) if isinstance(right, _Literal) else right
        return None if count is None else nodes.Operation(left.width, expression.operator, left, count)

    def _paired(
        self, expression: tree.Binary, left: nodes.Node | _Literal, right: nodes.Node | _Literal
    ) -> tuple[nodes.Node, nodes.Node] | None:
        """Both sides at one width: that of the side which has one."""
        if isinstance(left, _Literal):
            width = 64 if isinstance(right, _Literal) else right.width
        else:
            width = left.width
            if isinstance(right, nodes.Node) and right.width != width:
                wider, narrower = max(width, right.width), min(width, right.width)
                convert = next((name for name, bits in WIDTHS.items() if bits >= wider), "u64")
                message = f"the sides of `{expression.operator}` are {_bits(width)} and {_bits(right.width)} wide"
                side = expression.left if width == narrower else expression.right
                help = f"write `{convert}({side.span.text})`" + ("" if WIDTHS[convert] == wider else " on both sides")
                self._report(codes.WIDTH_MISMATCH, message, expression.span, help)
                return None
        first = self.fit(left, width, expression.left.span)
        second = self.fit(right, width, expression.right.span)
        return None if first is None or second is None else (first, second)

    def _comparison(self, expression: tree.Binary) -> _Bound:
        left, right = self._side(expression.left, expression.right), self._side(expression.right, expression.left)
        if left is None or right is None:
            return None
        pair = self._paired(expression, left, right)
        if pair is None:
            return None
        base, swapped, inverted = _COMPARED[expression.operator]
        first, second = reversed(pair) if swapped else pair
        compared = nodes.Comparison(1, base, first, second)
        return nodes.Invert(1, compared) if inverted else compared

    def _side(self, expression: tree.Expression, other: tree.Expression) -> _Bound:
        """One side of a comparison, which may be the name of a value of the other side."""
        if isinstance(expression, tree.Path) and len(expression.parts) == 1 and isinstance(other, tree.Path):
            named = self._scope.resolve(other.parts)
            if isinstance(named, nodes.Leaf) and expression.parts[0] in named.values:
                return _Literal(named.values[expression.parts[0]])
        return self.bind(expression)

    def _membership(self, expression: tree.Membership) -> _Bound:
        operand = self.bind(expression.operand)
        if operand is None:
            return None
        node = self.fit(operand, 64, expression.operand.span) if isinstance(operand, _Literal) else operand
        if node is None:
            return None
        found: nodes.Node = nodes.Constant(1, 0)
        for low, high in expression.items:
            first = self._bound(low, node, expression)
            last = first if high is low else self._bound(high, node, expression)
            if first is None or last is None:
                return None
            found = nodes.Operation(1, "|", found, _between(node, first, last))
        return nodes.Invert(1, found) if expression.negated else found

    def _bound(self, bound: tree.Expression, node: nodes.Node, within: tree.Membership) -> nodes.Node | None:
        """A bound of an item of `within`, as wide as the operand `node`."""
        side = self._side(bound, within.operand)
        return None if side is None else self.fit(side, node.width, bound.span)

    def _slice(self, expression: tree.Slice) -> _Bound:
        operand = self.bind(expression.operand)
        if operand is None:
            return None
        if isinstance(operand, _Literal):
            operand = self.fit(operand, 64, expression.operand.span)
            if operand is None:
                return None
        if not operand.width > expression.high >= expression.low:
            message = f"there are no bits {expression.high}:{expression.low} in {_bits(operand.width)}"
            self._report(codes.VALUE_TOO_WIDE, message, expression.span, "write the higher bit first, as in `x[7:4]`")
            return None
        return nodes.BitSlice(expression.high - expression.low + 1, operand, expression.low)

    def _call(self, expression: tree.Call) -> _Bound:
        if expression.function in WIDTHS and len(expression.arguments) == 1:
            return self._convert(expression, WIDTHS[expression.function])
        if expression.function in ("supported", "forced") and len(expression.arguments) == 1:
            return self._capability(expression)
        if expression.function in (*WIDTHS, "supported", "forced"):
            message = f"`{expression.function}` takes one argument, not {len(expression.arguments)}"
            self._report(codes.WRONG_ARGUMENTS, message, expression.span)
            return None
        near = get_close_matches(expression.function, (*WIDTHS, "supported", "forced"), n=1)
        help = f"did you mean `{near[0]}`?" if near else f"there are supported, forced and {', '.join(WIDTHS)}"
        message = f"there is no function `{expression.function}`"
        self._report(codes.UNKNOWN_FUNCTION, message, expression.span, help)
        return None

    def _convert(self, expression: tree.Call, width: int) -> _Bound:
        argument = self.bind(expression.arguments[0])
        if isinstance(argument, _Literal):
            return self.fit(argument, width, expression.arguments[0].span)
        return None if argument is None else nodes.Resize(width, argument)

    def _capability(self, expression: tree.Call) -> _Bound:
        argument = expression.arguments[0]
        if not isinstance(argument, tree.Path):
            message = f"`{expression.function}` asks about a control; this is none"
            self._report(codes.WRONG_ARGUMENTS, message, argument.span)
            return None
        control = self._scope.control(argument.parts)
        if isinstance(control, Unresolved):
            self._unresolved(control, argument.text, argument.span)
            return None
        return nodes.Supported(1, control) if expression.function == "supported" else nodes.Forced(1, control)


def _between(node: nodes.Node, first: nodes.Node, last: nodes.Node) -> nodes.Node:
    """`first <= node <= last`; for one value an equality, which is decided more often where bits are unknown."""
    if first is last:
        return nodes.Comparison(1, "==", node, first)
    below, above = nodes.Comparison(1, "<", node, first), nodes.Comparison(1, "<", last, node)
    return nodes.Operation(1, "&", nodes.Invert(1, below), nodes.Invert(1, above))


def _bits(width: int) -> str:
    return "1 bit" if width == 1 else f"{width} bits"
