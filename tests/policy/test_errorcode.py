"""Conditions on an error code as the one test that the processor knows, against every error code."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bits
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes, value
from vmcsc.expression.bind import bind_condition
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.loading import load
from vmcsc.policy.errorcode import error_code_test
from vmcsc.policy.model import ErrorCodeTest
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression

BITS = {"p": (0, 0), "wr": (1, 1), "us": (2, 2), "kind": (4, 3)}
LAYOUT = {
    name: Bits(name, high, low, name, "", {"odd": 1} if name == "kind" else {}) for name, (high, low) in BITS.items()
}
CODES = [*range(64), 1 << 15, 1 << 31, 0xFFFFFFFF, 0x80000005]


@pytest.fixture(scope="module")
def scope(database: Database) -> Scope:
    return Scope(database, operands={"error_code": (32, LAYOUT)})


def bound(text: str, scope: Scope) -> nodes.Node:
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("t", text), diagnostics)
    node = None if parsed is None else bind_condition(parsed, scope, diagnostics)
    assert node is not None, diagnostics.found
    return node


def holds(node: nodes.Node, code: int) -> bool:
    def read(leaf: nodes.Leaf) -> value.Value:
        assert isinstance(leaf, nodes.Operand)
        return value.known(32, code).slice(leaf.low + leaf.width - 1, leaf.low)

    result = evaluate(node, read).bit(0)
    assert result is not None
    return result


def exits(test: ErrorCodeTest, code: int) -> bool:
    """SDM, Exception Bitmap: the comparison of the masked error code, or its opposite."""
    return ((code & test.mask) == test.match) is test.equal


EXPRESSIBLE = [
    "error_code & 1 == 0",
    "error_code & 5 == 4",
    "5 == error_code & 5",
    "0x11 & error_code == 0x10",
    "error_code == 7",
    "error_code != 7",
    "error_code.p",
    "not error_code.p",
    "error_code[2]",
    "not error_code[2]",
    "error_code.p and not error_code.wr and error_code.us",
    "not (error_code.p and error_code.us)",
    "not error_code.p == 1",
    "error_code.kind == 2",
    "error_code.kind == odd",
    "error_code.kind & 2 == 2",
    "error_code.kind[1] and error_code.p",
    "error_code[4:3] == 1",
    "error_code & 6 & 3 == 2",
    "error_code.p and error_code & 3 == 1",
    "error_code.p == 0 and error_code[31]",
    "error_code & 0 == 0",
]


@pytest.mark.parametrize("text", EXPRESSIBLE)
def test_the_test_holds_exactly_where_the_condition_does(text: str, scope: Scope) -> None:
    node = bound(text, scope)
    test = error_code_test(node)
    assert test is not None
    for code in CODES:
        assert exits(test, code) is holds(node, code), hex(code)
    assert test.match & ~test.mask == 0


@pytest.mark.parametrize(
    "text",
    [
        "error_code.p == error_code.wr",
        "error_code < 4",
        "error_code & 1 == 2",  # never
        "error_code.p and not error_code.p",  # never
        "error_code.kind + 1 == 2",
        "error_code.p and not error_code & 6 == 6",
        "error_code >> 1 == 1",
        "true",
    ],
)
def test_what_no_mask_and_match_can_say_is_none(text: str, scope: Scope) -> None:
    assert error_code_test(bound(text, scope)) is None


def test_every_conjunction_of_bits_and_its_negation_can_be_said(scope: Scope) -> None:
    names = ("p", "wr", "us")
    for wanted in product((None, False, True), repeat=3):
        parts = [
            f"{'' if want else 'not '}error_code.{name}"
            for name, want in zip(names, wanted, strict=True)
            if want is not None
        ]
        if not parts:
            continue
        text = " and ".join(parts)
        for whole in (text, f"not ({text})"):
            test = error_code_test(bound(whole, scope))
            assert test is not None, whole
            for code in range(8):
                agrees = all(want is None or bool(code >> bit & 1) is want for bit, want in enumerate(wanted))
                assert exits(test, code) is (agrees is (whole == text)), (whole, code)


def _atoms() -> st.SearchStrategy[str]:
    fields = st.sampled_from([f"error_code.{name}" for name in ("p", "wr", "us")] + ["error_code[5]", "true"])
    masked = st.builds(
        lambda m, n, op: f"(error_code & {m} {op} {n})",
        st.integers(0, 31),
        st.integers(0, 31),
        st.sampled_from(["==", "!="]),
    )
    return fields | masked


CONDITIONS = st.recursive(
    _atoms(),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or", "=="]), inner)
        | st.builds("(not {})".format, inner)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(CONDITIONS)
def test_a_test_that_is_found_never_differs_from_the_condition(text: str) -> None:
    node = bound(text, _scope())
    test = error_code_test(node)
    if test is not None:
        for code in CODES:
            assert exits(test, code) is holds(node, code), (text, hex(code))


@cache
def _scope() -> Scope:
    return Scope(load(), operands={"error_code": (32, LAYOUT)})


def _tests(bits: int) -> Iterator[ErrorCodeTest]:
    for mask in range(1 << bits):
        for match in range(1 << bits):
            if match & ~mask == 0:
                yield ErrorCodeTest(mask, match, equal=True)
                yield ErrorCodeTest(mask, match, equal=False)


def test_the_two_forms_of_a_test_are_each_others_opposite() -> None:
    for test in _tests(3):
        opposite = ErrorCodeTest(test.mask, test.match, equal=not test.equal)
        assert all(exits(test, code) is not exits(opposite, code) for code in range(8))
