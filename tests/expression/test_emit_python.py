"""The Python of a bound expression computes what the expression means, in Python's own integers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.expression.test_evaluate import NAMES, WIDTHS, Sample, node_of, samples
from vmcsc.architecture.database import Database
from vmcsc.expression import nodes, value
from vmcsc.expression.emit_python import emit_python
from vmcsc.expression.evaluate import evaluate

_VALUES = st.fixed_dictionaries({name: st.integers(0, (1 << width) - 1) for name, width in NAMES.items()})
_SAMPLES = st.sampled_from(WIDTHS).flatmap(samples)


def run(text: str, values: Mapping[str, int]) -> int:
    """The value of generated code, with nothing to call but what it may call."""
    return int(eval(text, {"__builtins__": {"min": min, "max": max}}, dict(values)))


def name_of(leaf: nodes.Leaf) -> str:
    assert isinstance(leaf, nodes.Parameter)
    return leaf.name


def parameter(name: str, width: int) -> nodes.Parameter:
    return nodes.Parameter(width, name)


@given(_SAMPLES, _VALUES)
@settings(deadline=None, max_examples=300)
def test_the_code_computes_what_python_computes_cut_off_at_each_width(
    database: Database, sample: Sample, values: dict[str, int]
) -> None:
    text = emit_python(node_of(sample.text, sample.width, database), name_of)
    assert run(text, values) == sample.at(values), (sample.text, text)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 255), st.sampled_from([8, 32, 64]), st.booleans())
@settings(deadline=None, max_examples=500)
def test_the_limit_functions_ask_for_the_bits_at_and_above_the_limit(
    number: int, limit: int, width: int, constant: bool
) -> None:
    number &= (1 << width) - 1
    operand = parameter("a", width)
    bound: nodes.Node = nodes.Constant(8, limit) if constant else parameter("limit", 8)
    values = {"a": number, "limit": limit}
    fits = run(emit_python(nodes.Fits(1, operand, bound, 0, 255), name_of), values)
    assert fits == (number < 1 << limit)
    binary = format(number, f"0{width}b")
    alike = binary[: max(1, width - max(0, limit - 1))]
    extended = run(emit_python(nodes.SignExtended(1, operand, bound, 0, 255), name_of), values)
    assert extended == (len(set(alike)) == 1), (binary, limit)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1 << 20, (1 << 64) - 1])
@pytest.mark.parametrize("operator", ["<<", ">>"])
def test_a_shift_by_more_than_the_width_leaves_nothing_and_takes_no_memory(operator: str, count: int) -> None:
    for right in (nodes.Constant(64, count), parameter("count", 64)):
        text = emit_python(nodes.Operation(64, operator, parameter("a", 64), right), name_of)
        number = (1 << 64) - 3
        shifted = number >> count if operator == ">>" else number << min(count, 64) & (1 << 64) - 1
        assert run(text, {"a": number, "count": count}) == shifted


def test_what_is_behind_a_false_part_is_not_read() -> None:
    both = nodes.Operation(1, "&", parameter("a", 1), parameter("unreadable", 1))
    assert run(emit_python(both, name_of), {"a": 0}) == 0
    either = nodes.Operation(1, "|", nodes.Invert(1, both), parameter("unreadable", 1))
    assert run(emit_python(either, name_of), {"a": 0}) == 1


def test_a_chain_of_one_operator_nests_no_parentheses() -> None:
    chain: nodes.Node = parameter("a", 1)
    for _ in range(500):
        chain = nodes.Operation(1, "&", chain, parameter("a", 1))
    assert run(emit_python(chain, name_of), {"a": 1}) == 1


@given(st.integers(0, 3), st.integers(0, 3))
def test_a_condition_over_conditions_counts_them_as_numbers(left: int, right: int) -> None:
    a, b = (nodes.Comparison(1, "==", parameter(name, 2), nodes.Constant(2, 1)) for name in "ab")
    total = nodes.Operation(8, "+", nodes.Resize(8, a), nodes.Resize(8, nodes.Invert(1, b)))
    values = {"a": left, "b": right}
    expected = evaluate(total, lambda leaf: value.known(2, values[name_of(leaf)]))
    assert run(emit_python(total, name_of), values) == expected.bits == (left == 1) + (right != 1)


def test_a_node_without_python_is_refused() -> None:
    with pytest.raises(TypeError):
        emit_python(nodes.Node(1), name_of)
