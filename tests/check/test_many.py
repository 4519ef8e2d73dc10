"""Rules over columns say of every state what rules over one state say.

The long form: `python tests/check/many_run.py`.
"""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmcsc
from tests.check.batches import differences, neighbours, partly, rows_by_cpu
from tests.check.states import base, build
from vmcsc import VmcscError
from vmcsc.architecture.database import Database
from vmcsc.check import many as many_room
from vmcsc.expression import columns, value
from vmcsc.expression.columns import Column
from vmcsc.expression.value import Value


def test_every_row_of_the_tables_comes_out_alike(database: Database) -> None:
    assert [one for cpu, states in rows_by_cpu(database) for one in differences(cpu, states, database)] == []


def test_rows_of_which_not_everything_is_known_come_out_alike(database: Database) -> None:
    chance = Random(1)
    for cpu, states in rows_by_cpu(database):
        some = [partly(one, chance) for one in chance.sample(states, (len(states) + 4) // 5)]
        assert differences(cpu, some, database) == []


def test_neighbours_of_valid_states_come_out_alike(database: Database) -> None:
    assert [one for cpu, states in neighbours(database, 60, 1) for one in differences(cpu, states, database)] == []


# --- the operations, against those on single values ---


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Value], list[Value]]:
    width = draw(st.sampled_from([1, 2, 5, 8, 16, 32, 63, 64]))
    words = st.integers(0, (1 << width) - 1)
    edge = st.sampled_from([0, 1, (1 << width) - 1, 1 << width - 1])
    numbers = st.one_of(words, edge)
    masks = st.one_of(st.just((1 << width) - 1), numbers)
    one = st.builds(lambda bits, known: Value(width, bits, known), numbers, masks)
    size = draw(st.integers(1, 6))
    return (draw(st.lists(one, min_size=size, max_size=size)), draw(st.lists(one, min_size=size, max_size=size)))


def column(values: list[Value]) -> Column:
    kind = np.bool_ if values[0].width == 1 else np.uint64
    bits: Any = np.array([one.bits for one in values], dtype=kind)
    if all(one.is_known for one in values):
        return Column(values[0].width, bits)
    return Column(values[0].width, bits, np.array([one.known for one in values], dtype=kind))


def back(found: Column, count: int) -> list[Value]:
    bits, known = (np.broadcast_to(part, count) for part in (found.bits, columns.known_of(found)))
    return [Value(found.width, int(a), int(b)) for a, b in zip(bits, known, strict=True)]


BINARY = ["bit_and", "bit_or", "bit_xor", "equal", "less"]
ON_WORDS = ["add", "subtract", "multiply", "shift_left", "shift_right"]


@settings(max_examples=300, deadline=None)
@given(both=pairs(), name=st.sampled_from(BINARY + ON_WORDS))
def test_an_operation_on_columns_is_that_on_each_value(both: tuple[list[Value], list[Value]], name: str) -> None:
    first, second = both
    if first[0].width == 1 and name in ON_WORDS:
        return
    if name.startswith("shift"):
        second = [Value(8, one.bits % 80, one.known & 0xFF if one.known & 1 else 0) for one in second]
    with np.errstate(over="ignore"):
        found = getattr(columns, name)(column(first), column(second))
    assert back(found, len(first)) == [getattr(value, name)(a, b) for a, b in zip(first, second, strict=True)]


@settings(max_examples=300, deadline=None)
@given(both=pairs(), limits=st.tuples(st.integers(0, 64), st.integers(0, 64)), low=st.integers(0, 70))
def test_what_is_asked_of_one_column_is_asked_of_each_value(
    both: tuple[list[Value], list[Value]], limits: tuple[int, int], low: int
) -> None:
    values, lowest, highest = both[0], min(limits), max(limits)
    own = column(values)
    assert back(columns.invert(own), len(values)) == [value.invert(one) for one in values]
    wide = [one.resized(64) for one in values]
    for name in ("fits", "sign_extended"):
        found = getattr(columns, name)(column(wide), lowest, highest)
        assert back(found, len(values)) == [getattr(value, name)(one, lowest, highest) for one in wide]
    for width in (1, 7, 64):
        expected = [one.resized(max(width + low, one.width)).slice(low + width - 1, low) for one in values]
        assert back(columns.slice_of(own, low, width), len(values)) == expected


# --- the library ---


def valid(database: Database, count: int) -> tuple[dict[str, object], dict[str, object]]:
    state = build(database, base("long"))
    fields: dict[str, object] = {name: np.full(count, one.bits, dtype=np.uint64) for name, one in state.fields.items()}
    return fields, {name: one.bits for name, one in state.processor.items()}


def test_the_library_takes_names_masks_and_single_numbers(database: Database) -> None:
    rflags = np.array([2, 0, 2, 0x8002], dtype=np.uint64)
    masked = (rflags, np.array([2**64 - 1, 2**64 - 1, 0, 2**64 - 1], dtype=np.uint64))
    many = vmcsc.check_many({"GUEST_RFLAGS": masked, "0x4016": 0}, "ice_lake_i7_1065g7", database=database)
    assert many.count == 4
    assert list(many.verdict) == [many_room.UNDETERMINED, many_room.FAILS, many_room.UNDETERMINED, many_room.FAILS]
    assert [many.rules[first] for first in many.first if first >= 0] == ["guest-rflags-bit1", "guest-rflags-reserved"]
    assert list(many.part("exit_reason")) == [-1, 33, -1, 33]
    assert list(many.part("qualification", missing=99)) == [99, 0, 99, 0]
    assert many.counts["guest-rflags-bit1"] == (0, 2, 1, 1)
    assert many.statuses is None


def test_chunks_make_no_difference_and_tell_how_far_they_are(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields, processor = valid(database, 1000)
    fields["guest_rflags"] = np.arange(1000, dtype=np.uint64)
    cpu = build(database, base("long")).capabilities.cpu
    whole = vmcsc.check_many(fields, cpu, processor, database=database)
    monkeypatch.setattr(many_room, "CHUNK", 64)
    told: list[int] = []
    parts = vmcsc.check_many(fields, cpu, processor, database=database, progress=told.append)
    assert told == [*range(64, 1000, 64), 1000]
    assert parts.counts == whole.counts
    for name in ("verdict", "outcome", "first"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"no_such_field": [1]}, "no field is named"),
        ({"guest_rflags": ["a"]}, "no array of numbers"),
        ({"guest_rflags": [1.5]}, "no array of numbers"),
        ({"guest_rflags": [[1]]}, "no array of numbers"),
        ({"guest_rflags": [-1]}, "negative"),
        ({"guest_rflags": [1 << 64]}, "no array of numbers"),
        ({"guest_cs_selector": [0x10000]}, "16 bits wide; 65536 does not fit"),
        ({"guest_rflags": [1, 2], "guest_rip": [1, 2, 3]}, "different lengths: 2, 3"),
        ({"guest_rflags": ([1, 2], [1])}, "different lengths"),
    ],
)
def test_an_argument_that_means_nothing_is_refused(fields: dict[str, object], message: str, database: Database) -> None:
    with pytest.raises(VmcscError, match=message):
        vmcsc.check_many(fields, database=database)
    with pytest.raises(VmcscError, match="nothing of the processor's state"):
        vmcsc.check_many({}, processor={"nothing": 1}, database=database)


def test_large_numbers_are_no_floating_point(database: Database) -> None:
    many = vmcsc.check_many({"guest_rip": [1 << 63, (1 << 63) + 1], "guest_rflags": 2}, database=database)
    assert many.count == 2


def test_without_numpy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    monkeypatch.delitem(sys.modules, "vmcsc.check.many")
    monkeypatch.delattr("vmcsc.check.many")
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.delitem(sys.modules, "vmcsc.expression.columns")
    monkeypatch.delattr("vmcsc.expression.columns")
    with pytest.raises(VmcscError, match="vmcsc\\[batch\\]"):
        vmcsc.check_many({}, database=database)
