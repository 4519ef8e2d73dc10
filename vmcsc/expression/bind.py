"""Syntax to typed expressions: names looked up, widths settled, mistakes reported.

Literals are exact integers that take the width of what they meet; two other operands must agree in width, or be
made to by `u8 u16 u32 u64`. Nothing is widened behind the reader's back, so that Python and C agree to the bit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from difflib import get_close_matches

from vmcsc import codes
from vmcsc.diagnostic import Code, Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.calls import MAX_NAME, Calls
from vmcsc.expression.literals import WIDTHS, Bound, Literal, bits_text, number_text
from vmcsc.expression.scope import Scope, Unresolved
from vmcsc.records import replace
from vmcsc.source import Span
from vmcsc.syntax import tree

MAX_LITERAL_BITS = 512

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
    binder = Binder(scope, diagnostics)
    bound = binder.bind(expression)
    return None if bound is None else binder.fit(bound, width, expression.span)


def bind_condition(expression: tree.Expression, scope: Scope, diagnostics: Diagnostics) -> nodes.Node | None:
    """The expression as a truth value, or None after reporting why it is none."""
    binder = Binder(scope, diagnostics)
    return binder.condition(expression)


class Binder:
    def __init__(self, scope: Scope, diagnostics: Diagnostics) -> None:
        self._scope = scope
        self._diagnostics = diagnostics

    def within(self, scope: Scope) -> Binder:
        """A binder for another scope that reports to the same place."""
        return Binder(scope, self._diagnostics)

    def _report(self, code: Code, message: str, span: Span, help: str | None = None) -> None:
        self._diagnostics.report(code, message, span, help=help)

    def bind(self, expression: tree.Expression) -> Bound:
        match expression:
            case tree.Number():
                return Literal(expression.value)
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

    def fit(self, bound: nodes.Node | Literal, width: int, span: Span) -> nodes.Node | None:
        """`bound` at exactly `width` bits, or None after reporting that it is not."""
        if isinstance(bound, Literal):
            if -(1 << (width - 1)) <= bound.value < 1 << width:
                return nodes.Constant(width, bound.value & ((1 << width) - 1))
            self._report(
                codes.VALUE_TOO_WIDE, f"{number_text(bound.value, span)} does not fit {bits_text(width)}", span
            )
            return None
        if bound.width == width:
            return bound
        if width == 1:
            message = f"this is a number of {bound.width} bits, where something true or false is needed"
            self._report(codes.NOT_A_CONDITION, message, span, "compare it with something")
            return None
        message = f"this is {bits_text(bound.width)} wide, where {bits_text(width)} are needed"
        convert = next((name for name, bits in WIDTHS.items() if bits == width), None)
        self._report(codes.WIDTH_MISMATCH, message, span, f"write `{convert}(...)` around it" if convert else None)
        return None

    def condition(self, expression: tree.Expression) -> nodes.Node | None:
        bound = self.bind(expression)
        if isinstance(bound, Literal) and bound.value not in (0, 1):
            self._report(codes.NOT_A_CONDITION, "a number is not a condition", expression.span)
            return None
        return None if bound is None else self.fit(bound, 1, expression.span)

    def _path(self, expression: tree.Path) -> Bound:
        if expression.parts in (("true",), ("false",)):
            return nodes.Constant(1, int(expression.parts[0] == "true"))
        resolved = self._scope.resolve(expression.parts)
        if isinstance(resolved, Unresolved):
            self.unresolved(resolved, expression.text, expression.span)
            return None
        return resolved

    def unresolved(self, problem: Unresolved, text: str, span: Span) -> None:
        if problem.reported:
            return
        words = () if self._diagnostics.full or len(text) > MAX_NAME else (text, text.rpartition(".")[2])
        near = [name for word in words for name in get_close_matches(word, problem.near, n=1)]
        help = problem.help or (f"did you mean `{near[0]}`?" if near else None)
        self._report(problem.code, problem.message, span, help)

    def _unary(self, expression: tree.Unary) -> Bound:
        if expression.operator == "not":
            condition = self.condition(expression.operand)
            return None if condition is None else nodes.Invert(1, condition)
        bound = self.bind(expression.operand)
        if isinstance(bound, Literal):
            return Literal(-bound.value if expression.operator == "-" else ~bound.value)
        if bound is None:
            return None
        if expression.operator == "~":
            return nodes.Invert(bound.width, bound)
        return nodes.Operation(bound.width, "-", nodes.Constant(bound.width, 0), bound)

    def _logic(self, expression: tree.Binary) -> Bound:
        left, right = self.condition(expression.left), self.condition(expression.right)
        if left is None or right is None:
            return None
        return nodes.Operation(1, "&" if expression.operator == "and" else "|", left, right)

    def _operation(self, expression: tree.Binary) -> Bound:
        left, right = self.bind(expression.left), self.bind(expression.right)
        if left is None or right is None:
            return None
        if isinstance(left, Literal) and isinstance(right, Literal):
            return self._exact(expression, left.value, right.value)
        if expression.operator in ("<<", ">>"):
            return self._shift(expression, left, right)
        pair = self._paired(expression, left, right)
        return None if pair is None else nodes.Operation(pair[0].width, expression.operator, *pair)

    def _exact(self, expression: tree.Binary, left: int, right: int) -> Bound:
        shifts = expression.operator in ("<<", ">>")
        if shifts and not 0 <= right < MAX_LITERAL_BITS:
            self._report(codes.VALUE_TOO_WIDE, "a shift by so many bits has no meaning", expression.right.span)
            return None
        result = _EXACT[expression.operator](left, right)
        if result.bit_length() > MAX_LITERAL_BITS:
            self._report(codes.VALUE_TOO_WIDE, "the result of this is far wider than any field", expression.span)
            return None
        return Literal(result)

    def _shift(self, expression: tree.Binary, left: nodes.Node | Literal, right: nodes.Node | Literal) -> Bound:
        if isinstance(left, Literal):
            self._report(
                codes.WIDTH_MISMATCH,
                "the number that is shifted has no width of its own",
                expression.left.span,
                f"write `u64({expression.left.span.text})`",
            )
            return None
        count = self.fit(right, 64, expression.right.span) if isinstance(right, Literal) else right
        return None if count is None else nodes.Operation(left.width, expression.operator, left, count)

    def _paired(
        self, expression: tree.Binary, left: nodes.Node | Literal, right: nodes.Node | Literal
    ) -> tuple[nodes.Node, nodes.Node] | None:
        """Both sides at one width: that of the side which has one."""
        if isinstance(left, Literal):
            width = 64 if isinstance(right, Literal) else right.width
        else:
            width = left.width
            if isinstance(right, nodes.Node) and right.width != width:
                wider, narrower = max(width, right.width), min(width, right.width)
                convert = next((name for name, bits in WIDTHS.items() if bits >= wider), "u64")
                message = (
                    f"the sides of `{expression.operator}` are {bits_text(width)} and {bits_text(right.width)} wide"
                )
                side = expression.left if width == narrower else expression.right
                help = f"write `{convert}({side.span.text})`" + ("" if WIDTHS[convert] == wider else " on both sides")
                self._report(codes.WIDTH_MISMATCH, message, expression.span, help)
                return None
        first = self.fit(left, width, expression.left.span)
        second = self.fit(right, width, expression.right.span)
        return None if first is None or second is None else (first, second)

    def _comparison(self, expression: tree.Binary) -> Bound:
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

    def _side(self, expression: tree.Expression, other: tree.Expression) -> Bound:
        """One side of a comparison, which may be the name of a value of the other side."""
        if isinstance(expression, tree.Path) and len(expression.parts) == 1 and isinstance(other, tree.Path):
            named = self._scope.resolve(other.parts)
            if isinstance(named, nodes.Leaf) and expression.parts[0] in named.values:
                return Literal(named.values[expression.parts[0]])
            own = self._scope.resolve(expression.parts)
            if isinstance(named, nodes.Leaf) and named.values and isinstance(own, Unresolved):
                self.unresolved(replace(own, near=(*named.values, *own.near)), expression.text, expression.span)
                return None
        return self.bind(expression)

    def _membership(self, expression: tree.Membership) -> Bound:
        operand = self.bind(expression.operand)
        if operand is None:
            return None
        node = self.fit(operand, 64, expression.operand.span) if isinstance(operand, Literal) else operand
        if node is None:
            return None
        inside: list[nodes.Node] = []
        for low, high in expression.items:
            first = self._bound(low, node, expression)
            last = first if high is low else self._bound(high, node, expression)
            if first is not None and last is not None:
                inside.append(_between(node, first, last))
        if len(inside) < len(expression.items):
            return None
        return nodes.Invert(1, _any(inside)) if expression.negated else _any(inside)

    def _bound(self, bound: tree.Expression, node: nodes.Node, within: tree.Membership) -> nodes.Node | None:
        """A bound of an item of `within`, as wide as the operand `node`."""
        side = self._side(bound, within.operand)
        return None if side is None else self.fit(side, node.width, bound.span)

    def _slice(self, expression: tree.Slice) -> Bound:
        operand = self.bind(expression.operand)
        if operand is None:
            return None
        if isinstance(operand, Literal):
            operand = self.fit(operand, 64, expression.operand.span)
            if operand is None:
                return None
        if not operand.width > expression.high >= expression.low:
            backwards = expression.high < expression.low
            wanted = (
                f"bits {expression.high}:{expression.low}"
                if expression.high != expression.low
                else f"bit {expression.high}"
            )
            message = (
                f"there are no {wanted}"
                if backwards
                else f"this is {bits_text(operand.width)} wide and has no {wanted}"
            )
            help = "write the higher bit first, as in `x[7:4]`" if backwards else None
            self._report(codes.VALUE_TOO_WIDE, message, expression.span, help)
            return None
        return nodes.BitSlice(expression.high - expression.low + 1, operand, expression.low)

    def _call(self, expression: tree.Call) -> Bound:
        return Calls(self, self._scope, self._diagnostics).bind(expression)


def _between(node: nodes.Node, first: nodes.Node, last: nodes.Node) -> nodes.Node:
    """`first <= node <= last`; for one value an equality, which is decided more often where bits are unknown."""
    if first is last:
        return nodes.Comparison(1, "==", node, first)
    below, above = nodes.Comparison(1, "<", node, first), nodes.Comparison(1, "<", last, node)
    return nodes.Operation(1, "&", nodes.Invert(1, below), nodes.Invert(1, above))


def _any(conditions: list[nodes.Node]) -> nodes.Node:
    """The disjunction as a balanced tree: a list may be longer than a stack is deep."""
    if len(conditions) == 1:
        return conditions[0]
    middle = len(conditions) // 2
    return nodes.Operation(1, "|", _any(conditions[:middle]), _any(conditions[middle:]))
