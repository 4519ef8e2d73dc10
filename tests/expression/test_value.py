"""Three-valued operations against brute force over everything that the unknown bits could be."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from vmcsc.expression import value
from vmcsc.expression.value import Value

Operation = Callable[[Value, Value], Value]
Witness = Callable[[int, int], int]


def values(width: int) -> Iterator[Value]:
    """Every value of `width` bits, each bit 0, 1 or unknown."""
    for bits in itertools.product("01?", repeat=width):
        text = "".join(bits)
        yield Value(width, int(text.replace("?", "0"), 2), int(text.replace("0", "1").replace("?", "0"), 2))


def completions(a: Value) -> list[int]:
    """Every number that `a` could be."""
    return [number for number in range(1 << a.width) if number & a.known == a.bits]


def best(width: int, results: Iterator[int]) -> Value:
    """What is common to all of `results`: no sound answer knows more."""
    ones, zeros = -1, -1
    for result in results:
        ones &= result
        zeros &= ~result
    return Value(width, ones, ones | zeros)


def is_sound(claimed: Value, possible: Value) -> bool:
    """Whether every bit that is claimed to be known is that in all results."""
    return claimed.known & ~possible.known == 0 and claimed.bits == possible.bits & claimed.known


EXACT: dict[str, tuple[Operation, Witness]] = {
    "&": (value.bit_and, lambda a, b: a & b),
    "|": (value.bit_or, lambda a, b: a | b),
    "^": (value.bit_xor, lambda a, b: a ^ b),
    "+": (value.add, lambda a, b: a + b),
    "-": (value.subtract, lambda a, b: a - b),
}
SOUND: dict[str, tuple[Operation, Witness]] = {
    "*": (value.multiply, lambda a, b: a * b),
    "<<": (value.shift_left, lambda a, b: a << b),
    ">>": (value.shift_right, lambda a, b: a >> b),
}
TRUTHS: dict[str, tuple[Operation, Witness]] = {
    "==": (value.equal, lambda a, b: a == b),
    "<": (value.less, lambda a, b: a < b),
}


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("name", EXACT)
def test_bit_operations_and_sums_know_all_that_can_be_known(name: str, width: int) -> None:
    operation, witness = EXACT[name]
    for a, b in itertools.product(values(width), repeat=2):
        possible = best(width, (witness(x, y) for x in completions(a) for y in completions(b)))
        assert operation(a, b) == possible, (a, b)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("name", SOUND)
def test_products_and_shifts_never_claim_what_could_be_otherwise(name: str, width: int) -> None:
    operation, witness = SOUND[name]
    for a, b in itertools.product(values(width), repeat=2):
        possible = best(width, (witness(x, y) for x in completions(a) for y in completions(b)))
        assert is_sound(operation(a, b), possible), (a, b)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["<<", ">>"])
def test_a_shift_by_a_known_count_knows_all_that_can_be_known(name: str, width: int) -> None:
    operation, witness = SOUND[name]
    for a in values(width):
        for count in range(20):  # beyond the width too
            possible = best(width, (witness(x, count) for x in completions(a)))
            assert operation(a, value.known(64, count)) == possible, (a, count)


@pytest.mark.parametrize("name", SOUND)
def test_products_and_shifts_of_known_values_are_known(name: str) -> None:
    operation, witness = SOUND[name]
    for a, b in itertools.product(range(16), repeat=2):
        assert operation(value.known(4, a), value.known(4, b)) == value.known(4, witness(a, b))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("name", TRUTHS)
def test_equality_and_order_are_true_or_false_exactly_where_every_completion_agrees(name: str, width: int) -> None:
    operation, witness = TRUTHS[name]
    for a, b in itertools.product(values(width), repeat=2):
        outcomes = {bool(witness(x, y)) for x in completions(a) for y in completions(b)}
        expected = value.truth(outcomes.pop() if len(outcomes) == 1 else None)
        assert operation(a, b) == expected, (a, b)


def test_the_complement_turns_the_known_bits_and_no_others() -> None:
    for a in values(4):
        assert value.invert(a) == best(4, (~x for x in completions(a)))


@pytest.mark.parametrize("width", [1, 2, 4, 6])
def test_resizing_cuts_off_or_fills_with_known_zeros(width: int) -> None:
    for a in values(4):
        assert a.resized(width) == best(width, iter(completions(a)))


def test_a_slice_is_the_bits_between_both_ends() -> None:
    for a in values(4):
        for low in range(4):
            for high in range(low, 4):
                assert a.slice(high, low) == best(high - low + 1, (x >> low for x in completions(a)))


def test_the_lowest_and_highest_completion_are_those() -> None:
    for a in values(4):
        assert (a.lowest, a.highest) == (min(completions(a)), max(completions(a)))


def test_a_bit_is_true_false_or_unknown() -> None:
    for a in values(3):
        for number in range(3):
            found = {bool(x >> number & 1) for x in completions(a)}
            assert a.bit(number) == (found.pop() if len(found) == 1 else None)


def test_true_means_that_no_completion_is_zero_as_far_as_bits_tell_and_false_that_all_are() -> None:
    for a in values(3):
        assert a.is_true == all(completions(a))
        assert a.is_false == (completions(a) == [0])


def test_logic_is_kleenes() -> None:
    true, false, maybe = value.TRUE, value.FALSE, value.MAYBE
    assert value.bit_and(false, maybe) == value.bit_and(maybe, false) == false
    assert value.bit_or(true, maybe) == value.bit_or(maybe, true) == true
    assert value.bit_and(true, maybe) == value.bit_or(false, maybe) == value.invert(maybe) == maybe


def test_bits_beyond_the_width_and_under_an_unknown_mask_are_dropped() -> None:
    assert Value(4, 0xFF, -1) == Value(4, 0xF, 0xF)
    assert Value(4, 0xF, 0b1010) == Value(4, 0b1010, 0b1010)


def test_a_value_prints_what_is_known_of_it() -> None:
    assert str(value.known(32, 255)) == "0xff"
    assert str(value.TRUE) == "1"
    assert str(value.unknown(8)) == "unknown"
    assert str(Value(8, 0x10, 0x30)) == "0x10 (known: 0x30)"
