"""How the tables say in what a state differs from another one: edits in a row, joined by `+`.

What a state is made of has a key: the name of a field, `cpu.FACT`, `processor.STATE`, the name of a capability MSR, or
the address of eight bytes of memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.check.bits import BITS

Key = str | int
WHOLE = -1


@dataclass(frozen=True)
class Change:
    """Each edit gives the bits of `mask` in the value of a key the values they have in `bits`."""

    edits: tuple[tuple[Key, int, int], ...] = ()

    def __add__(self, other: Change) -> Change:
        return Change((*self.edits, *other.edits))

    def apply(self, values: Mapping[Key, int]) -> dict[Key, int]:
        changed = dict(values)
        for key, mask, bits in self.edits:
            changed[key] = changed.get(key, 0) & ~mask | bits & mask
        return changed


def on(*names: str) -> Change:
    """The named bits are 1."""
    return Change(tuple((BITS[name][0], 1 << BITS[name][1], WHOLE) for name in names))


def off(*names: str) -> Change:
    """The named bits are 0."""
    return Change(tuple((BITS[name][0], 1 << BITS[name][1], 0) for name in names))


def put(**values: int) -> Change:
    """The fields and MSRs have these values."""
    return Change(tuple((key, WHOLE, value) for key, value in values.items()))


def cpu(**facts: int) -> Change:
    return Change(tuple((f"cpu.{name}", WHOLE, value) for name, value in facts.items()))


def state(**states: int) -> Change:
    """The processor is in this state when it enters."""
    return Change(tuple((f"processor.{name}", WHOLE, value) for name, value in states.items()))


def memory(pieces: Mapping[int, int]) -> Change:
    """Eight bytes at each address."""
    return Change(tuple((address, WHOLE, value) for address, value in pieces.items()))


def bits(key: str, high: int, low: int, value: int) -> Change:
    """Bits `high` to `low` of something have this value."""
    return Change(((key, ((1 << high - low + 1) - 1) << low, value << low),))


def flipped(key: str, value: int, *ranges: tuple[int, int] | int) -> tuple[Change, ...]:
    """For each bit of the ranges a state that has `value` but for this bit."""
    numbers = [n for r in ranges for n in (range(r[1], r[0] + 1) if isinstance(r, tuple) else (r,))]
    return tuple(put(**{key: value ^ 1 << number}) for number in numbers)


NONE = Change()
