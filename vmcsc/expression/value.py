"""Values of which some bits may be unknown, and the operations on them. Unknown is not zero.

Logic is Kleene's: `false and unknown` is false. A truth value is a value one bit wide.
"""

from __future__ import annotations

from collections.abc import Callable

from vmcsc.records import dataclass


@dataclass(frozen=True, slots=True, init=False)
class Value:
    """`width` bits, of which those in `known` are as in `bits`; the others are 0 in `bits` and unknown."""

    width: int
    bits: int
    known: int

    def __init__(self, width: int, bits: int, known: int) -> None:
        known &= (1 << width) - 1
        _set_width(self, width)
        _set_bits(self, bits & known)
        _set_known(self, known)

    @property
    def mask(self) -> int:
        return (1 << self.width) - 1

    @property
    def is_known(self) -> bool:
        return self.known == self.mask

    @property
    def is_true(self) -> bool:
        """Some bit is known to be 1; for a truth value: it is true."""
        return self.bits != 0

    @property
    def is_false(self) -> bool:
        """Every bit is known to be 0."""
        return self.is_known and self.bits == 0

    @property
    def lowest(self) -> int:
        return self.bits

    @property
    def highest(self) -> int:
        return self.bits | (self.mask & ~self.known)

    def bit(self, number: int) -> bool | None:
        """Bit `number`, None where it is unknown."""
        return bool(self.bits >> number & 1) if self.known >> number & 1 else None

    def slice(self, high: int, low: int) -> Value:
        return Value(high - low + 1, self.bits >> low, self.known >> low)

    def resized(self, width: int) -> Value:
        """Cut off the bits above `width`, or fill up with zeros."""
        above = ((1 << width) - 1) & ~self.mask if width > self.width else 0
        return Value(width, self.bits, self.known | above)

    def __str__(self) -> str:
        if self.is_known:
            return f"{self.bits:#x}" if self.width > 1 else str(self.bits)
        return "unknown" if not self.known else f"{self.bits:#x} (known: {self.known:#x})"


# As fast as a frozen object can be made: there are hundreds of values for each processor.
_set_width: Callable[[Value, int], None] = Value.__dict__["width"].__set__
_set_bits: Callable[[Value, int], None] = Value.__dict__["bits"].__set__
_set_known: Callable[[Value, int], None] = Value.__dict__["known"].__set__


def known(width: int, bits: int) -> Value:
    return Value(width, bits, -1)


def unknown(width: int) -> Value:
    return Value(width, 0, 0)


TRUE, FALSE, MAYBE = known(1, 1), known(1, 0), unknown(1)


def truth(value: bool | None) -> Value:
    return MAYBE if value is None else TRUE if value else FALSE


def common(a: Value, b: Value) -> Value:
    """What holds whichever of both is the case."""
    return Value(a.width, a.bits, a.known & b.known & ~(a.bits ^ b.bits))


def invert(a: Value) -> Value:
    return Value(a.width, ~a.bits, a.known)


def bit_and(a: Value, b: Value) -> Value:
    zeros = (a.known & ~a.bits) | (b.known & ~b.bits)
    return Value(a.width, a.bits & b.bits, (a.known & b.known) | zeros)


def bit_or(a: Value, b: Value) -> Value:
    ones = a.bits | b.bits
    return Value(a.width, ones, (a.known & b.known) | ones)


def bit_xor(a: Value, b: Value) -> Value:
    return Value(a.width, a.bits ^ b.bits, a.known & b.known)


def shift_left(a: Value, count: Value) -> Value:
    if not count.is_known:
        return unknown(a.width)
    if count.bits >= a.width:
        return known(a.width, 0)
    filled = (1 << count.bits) - 1
    return Value(a.width, a.bits << count.bits, (a.known << count.bits) | filled)


def shift_right(a: Value, count: Value) -> Value:
    if not count.is_known:
        return unknown(a.width)
    if count.bits >= a.width:
        return known(a.width, 0)
    filled = a.mask & ~(a.mask >> count.bits)
    return Value(a.width, a.bits >> count.bits, (a.known >> count.bits) | filled)


def add(a: Value, b: Value, carry: int = 0) -> Value:
    """The sum modulo 2^width; a bit is known where both bits and the carry into it are."""
    lowest = a.lowest + b.lowest + carry
    highest = a.highest + b.highest + carry
    carry_known_0 = ~(highest ^ a.highest ^ b.highest)
    carry_known_1 = lowest ^ a.lowest ^ b.lowest
    settled = a.known & b.known & (carry_known_0 | carry_known_1)
    return Value(a.width, lowest, settled)


def subtract(a: Value, b: Value) -> Value:
    return add(a, invert(b), 1)


def multiply(a: Value, b: Value) -> Value:
    """The product modulo 2^width; known up to the lowest bit that is unknown in either factor."""
    both = a.known & b.known
    settled = (~both & (both + 1)) - 1
    return Value(a.width, a.bits * b.bits, -1 if a.is_false or b.is_false else settled)


def equal(a: Value, b: Value) -> Value:
    if (a.bits ^ b.bits) & a.known & b.known:
        return FALSE
    return TRUE if a.is_known and b.is_known else MAYBE


def less(a: Value, b: Value) -> Value:
    if a.highest < b.lowest:
        return TRUE
    return FALSE if a.lowest >= b.highest else MAYBE


def fits(a: Value, lowest: int, highest: int) -> Value:
    """Whether `a` has no bit at or above a limit, of which only the lowest and highest possible number are known."""
    if a.highest >> lowest == 0:
        return TRUE
    return FALSE if a.lowest >> highest else MAYBE


def sign_extended(a: Value, lowest: int, highest: int) -> Value:
    """Whether the bits of `a` from a limit less 1 up are all alike; true where there is but one."""
    certain = {_alike(a, limit) for limit in (lowest, highest)}
    return certain.pop() if len(certain) == 1 else MAYBE


def _alike(a: Value, limit: int) -> Value:
    top = a.mask & ~((1 << max(0, limit - 1)) - 1)
    ones, zeros = a.bits & top, a.known & ~a.bits & top
    if ones and zeros:
        return FALSE
    return TRUE if top in (ones, zeros) or top.bit_count() < 2 else MAYBE
