"""The three-valued values of bound expressions over many states at once: columns of numpy arrays.

The operations are those of `vmcsc.expression.value`, element by element. Truth is a column of booleans, everything else
one of 64-bit words. What is wholly known has no mask, which is most of it and makes it fast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vmcsc.expression import nodes
from vmcsc.expression.value import Value
from vmcsc.records import dataclass

Array = Any
"""An array of words or booleans, or one of them that holds for every state."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """`width` bits for each state, of which those in `known` (None: all) are as in `bits`, where the others are 0."""

    width: int
    bits: Array
    known: Array = None


Reader = Callable[[nodes.Leaf], Column]


def mask(width: int) -> Array:
    """All bits of a value of this width."""
    return np.True_ if width == 1 else np.uint64((1 << width) - 1)


def constant(value: Value) -> Column:
    """The same value for every state."""
    known = None if value.is_known else _word(value.width, value.known)
    return Column(value.width, _word(value.width, value.bits), known)


def unknown(width: int) -> Column:
    return Column(width, _word(width, 0), _word(width, 0))


def known_of(column: Column) -> Array:
    """The mask of what is known, also where all is."""
    return mask(column.width) if column.known is None else column.known


def evaluate(node: nodes.Node, read: Reader) -> Column:
    """The value of `node` for every state, where each leaf has the values that `read` gives it."""
    match node:
        case nodes.Constant():
            return Column(node.width, _word(node.width, node.value))
        case nodes.Leaf():
            return read(node)
        case nodes.Invert():
            return invert(evaluate(node.operand, read))
        case nodes.Operation() | nodes.Comparison():
            return _OPERATIONS[node.operator](evaluate(node.left, read), evaluate(node.right, read))
        case nodes.Fits() | nodes.SignExtended():
            operand, lowest, highest = evaluate(node.operand, read), *_limits(node, read)
            function = fits if isinstance(node, nodes.Fits) else sign_extended
            return function(operand, lowest, highest)
        case nodes.Resize():
            return slice_of(evaluate(node.operand, read), 0, node.width)
        case nodes.BitSlice():
            return slice_of(evaluate(node.operand, read), node.low, node.width)
        case _:
            raise TypeError(f"no column for {type(node).__name__}")


def _word(width: int, number: int) -> Array:
    return np.bool_(bool(number)) if width == 1 else np.uint64(number)


def _limits(node: nodes.Fits | nodes.SignExtended, read: Reader) -> tuple[int, int]:
    """The lowest and highest limit that the processor may have, which is the same for all states."""
    limit = evaluate(node.limit, read)
    if np.ndim(limit.bits) or np.ndim(known_of(limit)):
        raise TypeError("a limit that differs between states")
    if limit.known is None:
        return int(limit.bits), int(limit.bits)
    lowest, highest = int(limit.bits), int(limit.bits | (mask(limit.width) & ~limit.known))
    return max(lowest, node.lowest), min(highest, node.highest)


def slice_of(column: Column, low: int, width: int) -> Column:
    """`width` bits from bit `low` on; beyond the column's own there are zeros."""
    own = max(0, min(width, column.width - low))
    if own == column.width == width:
        return column
    bits = _cut(_wide(column.bits), low, own, width)
    if column.known is None:
        return Column(width, bits)
    known = _cut(_wide(column.known), low, own, width)
    above = ((1 << width) - 1) & ~((1 << own) - 1)
    return Column(width, bits, known | _word(width, above) if above else known)


def _cut(words: Array, low: int, own: int, width: int) -> Array:
    if own == 0:
        return _word(width, 0)
    cut = (words >> np.uint64(low)) & np.uint64((1 << own) - 1)
    return cut != np.uint64(0) if width == 1 else cut


def _wide(array: Array) -> Array:
    """Words, also of what is truth."""
    return array.astype(np.uint64) if array.dtype == np.bool_ else array


def invert(a: Column) -> Column:
    return Column(a.width, known_of(a) & ~a.bits, a.known)


def bit_and(a: Column, b: Column) -> Column:
    bits = a.bits & b.bits
    if a.known is None and b.known is None:
        return Column(a.width, bits)
    first, second = known_of(a), known_of(b)
    return Column(a.width, bits, (first & second) | (first & ~a.bits) | (second & ~b.bits))


def bit_or(a: Column, b: Column) -> Column:
    bits = a.bits | b.bits
    known = None if a.known is None and b.known is None else (known_of(a) & known_of(b)) | bits
    return Column(a.width, bits, known)


def bit_xor(a: Column, b: Column) -> Column:
    if a.known is None and b.known is None:
        return Column(a.width, a.bits ^ b.bits)
    known = known_of(a) & known_of(b)
    return Column(a.width, (a.bits ^ b.bits) & known, known)


def shift_left(a: Column, count: Column) -> Column:
    return _shifted(a, count, left=True)


def shift_right(a: Column, count: Column) -> Column:
    return _shifted(a, count, left=False)


def _shifted(a: Column, count: Column, *, left: bool) -> Column:
    whole, by = mask(a.width), _wide(count.bits)
    inside, steps = by < np.uint64(a.width), np.minimum(by, np.uint64(63))

    def shift(words: Array) -> Array:
        moved = (words << steps) & whole if left else words >> steps
        return np.where(inside, moved, np.uint64(0))

    filled = (np.uint64(1) << steps) - np.uint64(1) if left else whole & ~(whole >> steps)
    known = None
    if a.known is not None or count.known is not None:
        settled = known_of(count) == mask(count.width)
        known = np.where(settled, np.where(inside, shift(known_of(a)) | filled, whole), np.uint64(0))
    return _settled(a.width, shift(a.bits), known)


def add(a: Column, b: Column, carry: int = 0) -> Column:
    whole = mask(a.width)
    lowest = a.bits + b.bits + np.uint64(carry)
    if a.known is None and b.known is None:
        return Column(a.width, lowest & whole)
    high_a, high_b = highest(a), highest(b)
    most = high_a + high_b + np.uint64(carry)
    settled = ~(most ^ high_a ^ high_b) | (lowest ^ a.bits ^ b.bits)
    return _settled(a.width, lowest, known_of(a) & known_of(b) & settled & whole)


def subtract(a: Column, b: Column) -> Column:
    return add(a, invert(b), 1)


def multiply(a: Column, b: Column) -> Column:
    whole = mask(a.width)
    if a.known is None and b.known is None:
        return Column(a.width, (a.bits * b.bits) & whole)
    both = known_of(a) & known_of(b)
    settled = ((~both & (both + np.uint64(1))) - np.uint64(1)) & whole
    return _settled(a.width, a.bits * b.bits, np.where(is_false(a) | is_false(b), whole, settled))


def equal(a: Column, b: Column) -> Column:
    if a.known is None and b.known is None:
        return Column(1, a.bits == b.bits)
    first, second = known_of(a), known_of(b)
    differ = ((a.bits ^ b.bits) & first & second) != _word(a.width, 0)
    alike = (first == mask(a.width)) & (second == mask(a.width)) & ~differ
    return Column(1, alike, alike | differ)


def less(a: Column, b: Column) -> Column:
    if a.known is None and b.known is None:
        return Column(1, a.bits < b.bits)
    certain = highest(a) < b.bits
    return Column(1, certain, certain | (a.bits >= highest(b)))


def fits(a: Column, lowest: int, highest_limit: int) -> Column:
    """Whether `a` has no bit at or above a limit, of which only the lowest and highest possible number are known."""
    certain = _above(highest(a), lowest) == np.uint64(0)
    if lowest == highest_limit and a.known is None:
        return Column(1, certain)
    return Column(1, certain, certain | (_above(a.bits, highest_limit) != np.uint64(0)))


def _above(words: Array, limit: int) -> Array:
    return words >> np.uint64(limit) if limit < 64 else words & np.uint64(0)


def sign_extended(a: Column, lowest: int, highest_limit: int) -> Column:
    first = _alike(a, lowest)
    if lowest == highest_limit:
        return first
    second = _alike(a, highest_limit)
    known = known_of(first) & known_of(second) & ~(first.bits ^ second.bits)
    return Column(1, first.bits & known, known)


def _alike(a: Column, limit: int) -> Column:
    low = max(0, limit - 1)
    top = (1 << a.width) - 1 & ~((1 << low) - 1)
    if top.bit_count() < 2:
        return Column(1, np.True_)
    above = np.uint64(top)
    ones, zeros = a.bits & above, known_of(a) & ~a.bits & above
    certain = (ones == above) | (zeros == above)
    if a.known is None:
        return Column(1, certain)
    return Column(1, certain, certain | ((ones != np.uint64(0)) & (zeros != np.uint64(0))))


def highest(a: Column) -> Array:
    """The greatest number that each may be."""
    return a.bits if a.known is None else a.bits | (mask(a.width) & ~a.known)


def is_true(a: Column) -> Array:
    """Some bit is known to be 1."""
    return a.bits if a.width == 1 else a.bits != np.uint64(0)


def is_false(a: Column) -> Array:
    """Every bit is known to be 0."""
    return (known_of(a) == mask(a.width)) & (a.bits == _word(a.width, 0))


def _settled(width: int, bits: Array, known: Array) -> Column:
    return Column(width, bits & mask(width) if known is None else bits & known, known)


_OPERATIONS: dict[str, Callable[[Column, Column], Column]] = {
    "&": bit_and,
    "|": bit_or,
    "^": bit_xor,
    "<<": shift_left,
    ">>": shift_right,
    "+": add,
    "-": subtract,
    "*": multiply,
    "==": equal,
    "<": less,
}
