"""Runs of numbers (ports, MSRs, vectors) that are alike on every side, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bitmap

Range = tuple[int, int]

_NAMED = 4
"""Up to so many neighbours are written by their names, if they have any."""


def runs(sides: Sequence[Sequence[str]], first: int) -> Iterator[tuple[Range, tuple[str, ...]]]:
    """The maximal ranges of numbers from `first` on, one for each item of the sides, on which no side changes."""
    for texts, items in groupby(zip(range(first, first + len(sides[0])), *sides, strict=True), key=lambda i: i[1:]):
        numbers = [item[0] for item in items]
        yield (numbers[0], numbers[-1]), texts


def joined(ranges: Iterable[Range]) -> list[Range]:
    """The ranges with neighbours made one."""
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and found[-1][1] + 1 >= low:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def range_names(ranges: Iterable[Range], bitmap: Bitmap, database: Database) -> list[str]:
    """Each range as a policy would name it: `0x60`, `0x3f8..0x3ff`, `page_fault`, `ia32_fs_base`."""
    names = _names(bitmap, database)
    found: list[str] = []
    for low, high in ranges:
        numbers = range(low, high + 1)
        if len(numbers) <= _NAMED and all(number in names for number in numbers):
            found += (names[number] for number in numbers)
        else:
            found.append(f"{low:#x}" if low == high else f"{low:#x}..{high:#x}")
    return found


def _names(bitmap: Bitmap, database: Database) -> dict[int, str]:
    if bitmap.targets == "exception":
        return {exception.vector: exception.name for exception in database.exceptions.values()}
    if bitmap.targets == "msr":
        return {msr.index: msr.name for msr in database.msrs.values()}
    return {}
