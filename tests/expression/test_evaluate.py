"""The value of an expression, against Python's own integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes, value
from vmcsc.expression.bind import bind
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.expression.value import Value
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression

WIDTHS = (1, 8, 16, 32, 64)
NAMES = {f"{letter}{width}": width for letter in "ab" for width in WIDTHS}


@dataclass(frozen=True)
class Sample:
    """An expression as text, its width, and its value in plain integers."""

    text: str
    width: int
    compute: Callable[[Mapping[str, int]], int]

    def at(self, values: Mapping[str, int]) -> int:
        return self.compute(values) & ((1 << self.width) - 1)


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _leaf(width: int) -> st.SearchStrategy[Sample]:
    return st.sampled_from("ab").map(lambda letter: Sample(f"{letter}{width}", width, lambda v: v[f"{letter}{width}"]))


def _literal(width: int) -> st.SearchStrategy[Sample]:
    numbers = st.integers(-(1 << (width - 1)), (1 << width) - 1)
    return numbers.map(lambda number: Sample(f"({number})", width, lambda _: number))


@st.composite
def samples(draw: st.DrawFn, width: int, depth: int = 4) -> Sample:
    """A random expression of `width` bits that reads at least one parameter."""
    if depth == 0:
        return draw(_leaf(width))
    inner = samples(width, depth - 1)
    kinds = [
        "leaf",
        "arithmetic",
        "shift",
        "unary",
        "convert",
        *(["compare", "logic", "member", "bit"] if width == 1 else []),
    ]
    match draw(st.sampled_from(kinds)):
        case "arithmetic":
            return draw(_arithmetic(inner, width))
        case "shift":
            return draw(_shift(inner, width, depth))
        case "unary":
            a = draw(inner)
            if draw(st.booleans()):
                return Sample(f"~({a.text})", width, lambda v: ~a.at(v))
            return Sample(f"-({a.text})", width, lambda v: -a.at(v))
        case "convert":
            return draw(_convert(width, depth))
        case "compare" | "logic" | "member" | "bit" as kind:
            return draw(_truth(kind, depth))
        case _:
            return draw(_leaf(width))


@st.composite
def _arithmetic(draw: st.DrawFn, inner: st.SearchStrategy[Sample], width: int) -> Sample:
    operator = draw(st.sampled_from(sorted(_ARITHMETIC)))
    a, b = draw(inner), draw(inner | _literal(width))
    if draw(st.booleans()):
        a, b = b, a
    return Sample(f"({a.text}) {operator} ({b.text})", width, lambda v: _ARITHMETIC[operator](a.at(v), b.at(v)))


@st.composite
def _shift(draw: st.DrawFn, inner: st.SearchStrategy[Sample], width: int, depth: int) -> Sample:
    a = draw(inner)
    count = draw(
        samples(8, depth - 1) | st.integers(0, 80).map(lambda number: Sample(str(number), 64, lambda _: number))
    )
    if draw(st.booleans()):
        return Sample(f"({a.text}) << ({count.text})", width, lambda v: a.at(v) << count.at(v))
    return Sample(f"({a.text}) >> ({count.text})", width, lambda v: a.at(v) >> count.at(v))


@st.composite
def _convert(draw: st.DrawFn, width: int, depth: int) -> Sample:
    other = draw(st.sampled_from(WIDTHS))
    a = draw(samples(other, depth - 1))
    if width < other and draw(st.booleans()):
        low = draw(st.integers(0, other - width))
        return Sample(f"({a.text})[{low + width - 1}:{low}]", width, lambda v: a.at(v) >> low)
    return Sample(f"u{width}({a.text})", width, a.at)


@st.composite
def _truth(draw: st.DrawFn, kind: str, depth: int) -> Sample:
    width = draw(st.sampled_from(WIDTHS))
    if kind == "logic":
        a, b = draw(samples(1, depth - 1)), draw(samples(1, depth - 1))
        match draw(st.sampled_from(["and", "or", "not"])):
            case "and":
                return Sample(f"({a.text}) and ({b.text})", 1, lambda v: bool(a.at(v) and b.at(v)))
            case "or":
                return Sample(f"({a.text}) or ({b.text})", 1, lambda v: bool(a.at(v) or b.at(v)))
            case _:
                return Sample(f"not ({a.text})", 1, lambda v: not a.at(v))
    operand = draw(samples(width, depth - 1))
    if kind == "member":
        first, last = sorted(draw(st.tuples(st.integers(0, (1 << width) - 1), st.integers(0, (1 << width) - 1))))
        one = draw(st.integers(0, (1 << width) - 1))
        negated = draw(st.booleans())
        text = f"({operand.text}) {'not in' if negated else 'in'} [{one}, {first}..{last}]"
        return Sample(text, 1, lambda v: (operand.at(v) == one or first <= operand.at(v) <= last) is not negated)
    if kind == "bit":
        number = draw(st.integers(0, width - 1))
        return Sample(f"({operand.text})[{number}]", 1, lambda v: operand.at(v) >> number)
    operator = draw(st.sampled_from(sorted(_COMPARE)))
    other = draw(samples(width, depth - 1) | _literal(width))
    return Sample(
        f"({operand.text}) {operator} ({other.text})", 1, lambda v: _COMPARE[operator](operand.at(v), other.at(v))
    )


def node_of(text: str, width: int, database: Database) -> nodes.Node:
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("t", text), diagnostics)
    assert parsed is not None, (text, diagnostics.found)
    node = bind(parsed, width, Scope(database, parameters=NAMES), diagnostics)
    assert node is not None, (text, diagnostics.found)
    return node


def evaluated(node: nodes.Node, values: Mapping[str, Value]) -> Value:
    def read(leaf: nodes.Leaf) -> Value:
        assert isinstance(leaf, nodes.Parameter)
        return values[leaf.name]

    return evaluate(node, read)


_VALUES = st.fixed_dictionaries({name: st.integers(0, (1 << width) - 1) for name, width in NAMES.items()})
_SAMPLES = st.sampled_from(WIDTHS).flatmap(samples)


@given(_SAMPLES, _VALUES)
@settings(deadline=None, max_examples=300)
def test_of_known_values_an_expression_is_what_python_computes_cut_off_at_its_width(
    database: Database, sample: Sample, values: dict[str, int]
) -> None:
    node = node_of(sample.text, sample.width, database)
    result = evaluated(node, {name: value.known(NAMES[name], number) for name, number in values.items()})
    assert result == value.known(sample.width, sample.at(values)), sample.text


@given(_SAMPLES, _VALUES, _VALUES)
@settings(deadline=None, max_examples=300)
def test_of_partly_known_values_no_known_bit_of_the_result_is_wrong(
    database: Database, sample: Sample, values: dict[str, int], known: dict[str, int]
) -> None:
    node = node_of(sample.text, sample.width, database)
    result = evaluated(node, {name: Value(NAMES[name], values[name], known[name]) for name in NAMES})
    assert result.width == sample.width
    assert result.bits == sample.at(values) & result.known, sample.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a1 and false", value.FALSE),
        ("a1 or true", value.TRUE),
        ("a1 and true", value.MAYBE),
        ("a8 & 0xf0 == 0x01", value.FALSE),
        ("u64(a8) < 256", value.TRUE),
        ("u64(a8) in [300..400]", value.FALSE),
        ("a8 << 4 & 0xf == 0", value.TRUE),
        ("a8 | 1 in [2]", value.FALSE),
    ],
)
def test_what_nobody_read_decides_nothing_but_does_not_undo_what_is_certain(
    database: Database, text: str, expected: Value
) -> None:
    unread = {name: value.unknown(width) for name, width in NAMES.items()}
    assert evaluated(node_of(text, 1, database), unread) == expected


def test_a_membership_of_many_values_is_evaluated_without_running_out_of_stack(database: Database) -> None:
    node = node_of(f"a16 in [{', '.join(str(number) for number in range(0, 20_000, 2))}]", 1, database)
    for number in (0, 1, 9_998, 9_999, 19_998, 20_000):
        expected = value.truth(number < 20_000 and number % 2 == 0)
        assert evaluated(node, {"a16": value.known(16, number)}) == expected
