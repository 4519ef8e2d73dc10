"""Operators bind as they do in Python. Python's own parser is the witness."""

from __future__ import annotations

import ast
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmcsc.diagnostic import Diagnostics
from vmcsc.source import Source
from vmcsc.syntax import tree
from vmcsc.syntax.parser import parse_expression

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
BINARY = ("or", "and", *COMPARISONS, "|", "^", "&", "<<", ">>", "+", "-", "*")
UNARY = ("not", "-", "~")

_PYTHON: dict[type[ast.AST], str] = {
    ast.Or: "or",
    ast.And: "and",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.BitAnd: "&",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Not: "not",
    ast.USub: "-",
    ast.Invert: "~",
}


class Chained(Exception):
    """Python reads this as a chain of comparisons, which the language refuses."""


def grouped_by_python(text: str) -> str:
    """The text with all of its parentheses, as Python groups it. Raises `SyntaxError` or `Chained`."""
    return _python(ast.parse(text, mode="eval").body)


def _python(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.BoolOp(op=op, values=[first, *rest]):
            grouped = _python(first)
            for value in rest:
                grouped = f"({grouped} {_PYTHON[type(op)]} {_python(value)})"
            return grouped
        case ast.Compare(ops=[op], left=left, comparators=[right]):
            return f"({_python(left)} {_PYTHON[type(op)]} {_python(right)})"
        case ast.Compare():
            raise Chained
        case ast.BinOp(op=op, left=left, right=right):
            return f"({_python(left)} {_PYTHON[type(op)]} {_python(right)})"
        case ast.UnaryOp(op=op, operand=operand):
            return f"({_PYTHON[type(op)]} {_python(operand)})"
        case ast.List(elts=items):
            return f"[{', '.join(map(_python, items))}]"
        case ast.Subscript(value=value, slice=ast.Constant(value=int(bit))):
            return f"{_python(value)}[{bit}]"
        case _:
            raise AssertionError(ast.dump(node))


def grouped_by_us(text: str) -> str | None:
    """The same by the language's parser, or None where it refuses the text with exactly one finding."""
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("t", text), diagnostics)
    assert len(diagnostics) == (parsed is None), (text, diagnostics.found)
    return None if parsed is None else _ours(parsed)


def _ours(node: tree.Expression) -> str:
    match node:
        case tree.Path():
            return node.text
        case tree.Binary(operator=operator, left=left, right=right):
            return f"({_ours(left)} {operator} {_ours(right)})"
        case tree.Unary(operator=operator, operand=operand):
            return f"({operator} {_ours(operand)})"
        case tree.Membership(operand=operand, items=items, negated=negated):
            listed = ", ".join(_ours(low) for low, _ in items)
            return f"({_ours(operand)} {'not in' if negated else 'in'} [{listed}])"
        case tree.Slice(operand=operand, high=high):
            return f"{_ours(operand)}[{high}]"
        case _:
            raise AssertionError(node)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(BINARY, BINARY)))
def test_two_binary_operators_group_as_in_python(first: str, second: str) -> None:
    text = f"a {first} b {second} c"
    if first in COMPARISONS and second in COMPARISONS:
        with pytest.raises(Chained):
            grouped_by_python(text)
        assert grouped_by_us(text) is None
    else:
        assert grouped_by_us(text) == grouped_by_python(text)


@pytest.mark.parametrize(("unary", "binary"), list(itertools.product(UNARY, BINARY)))
@pytest.mark.parametrize("shape", ["{unary} a {binary} b", "a {binary} {unary} b", "{unary} a {binary} {unary} b"])
def test_a_unary_with_a_binary_operator_groups_as_in_python(unary: str, binary: str, shape: str) -> None:
    text = shape.format(unary=unary, binary=binary)
    try:
        expected = grouped_by_python(text)
    except SyntaxError:  # `a + not b`
        assert grouped_by_us(text) is None
    else:
        assert grouped_by_us(text) == expected


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(UNARY, UNARY)))
def test_two_unary_operators_group_as_in_python(outer: str, inner: str) -> None:
    text = f"{outer} {inner} a"
    try:
        expected = grouped_by_python(text)
    except SyntaxError:  # `- not a`
        assert grouped_by_us(text) is None
    else:
        assert grouped_by_us(text) == expected


@pytest.mark.parametrize("unary", UNARY)
def test_a_bit_is_selected_before_a_unary_operator_applies(unary: str) -> None:
    assert grouped_by_us(f"{unary} a[3]") == grouped_by_python(f"{unary} a[3]")


@pytest.mark.parametrize("binary", BINARY)
@pytest.mark.parametrize("member", ["in", "not in"])
def test_a_membership_groups_as_in_python_or_is_refused(member: str, binary: str) -> None:
    before, behind = f"a {binary} b {member} [c]", f"a {member} [b] {binary} c"
    if binary in COMPARISONS:
        assert grouped_by_us(before) is None
    else:
        assert grouped_by_us(before) == grouped_by_python(before)
    if binary in ("and", "or"):
        assert grouped_by_us(behind) == grouped_by_python(behind)
    else:  # in Python the list and `c` would be operands of one operator
        assert grouped_by_us(behind) is None


def test_parentheses_group_whatever_the_operators() -> None:
    assert grouped_by_us("(a or b) * (c == (d < e))") == "((a or b) * (c == (d < e)))"


def test_a_chain_of_comparisons_says_to_join_them() -> None:
    diagnostics = Diagnostics()
    assert parse_expression(Source("t", "a < b <= c"), diagnostics) is None
    (finding,) = diagnostics
    assert finding.span is not None
    assert finding.span.text == "<="
    assert finding.help == "compare only once, and join comparisons with `and`"


_FLAT = st.lists(
    st.tuples(st.sampled_from(("", "", *UNARY)), st.sampled_from("abcd"), st.sampled_from(BINARY)),
    min_size=1,
    max_size=9,
).map(lambda parts: " ".join(f"{unary} {name} {binary}" for unary, name, binary in parts) + " z")


@given(_FLAT)
def test_any_row_of_operators_groups_as_in_python(text: str) -> None:
    try:
        expected: str | None = grouped_by_python(text.strip())
    except (SyntaxError, Chained):
        expected = None
    assert grouped_by_us(text) == expected
