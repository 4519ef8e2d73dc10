"""CPUs as specs: single bits of a value may be unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vmcsc import codes
from vmcsc.expression.value import Value, known

SPEC = """\
kind: cpu
name: my_cpu
msrs:
  - {msr: ia32_vmx_misc, value: 0x40, known: 0xc0}
  - {msr: 0x480, value: 0x5}
processor:
  - {fact: perf_global_ctrl_valid_bits, value: 0xf, known: 0xfffeffffffffffff}
"""


def test_known_says_which_bits_of_a_value_are_known(read: Callable[..., Any]) -> None:
    cpu = read(SPEC).cpu
    assert cpu.msrs == {"ia32_vmx_misc": Value(64, 0x40, 0xC0), "ia32_vmx_basic": known(64, 5)}
    assert cpu.facts["perf_global_ctrl_valid_bits"].bit(48) is None
    assert cpu.facts["perf_global_ctrl_valid_bits"].bit(47) is False


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [("value: 0x40", "value: 0x140", "0x140"), ("value: 0xf", "value: 0x1000000000000", "0x1000000000000")],
)
def test_a_bit_beyond_the_known_ones_must_be_0(old: str, new: str, place: str, read: Callable[..., Any]) -> None:
    done = read(SPEC.replace(old, new, 1) if old != "value: 0xf" else SPEC.replace("0xf, ", f"{place}, "))
    assert done.cpu is None
    (found,) = done.found
    assert (found.code, found.span.text) == (codes.CPU_UNREADABLE.id, place)


@pytest.mark.parametrize("name", ["ice_lake_i7_1065g7", "arrow_lake_ultra5_245k", "wildcat_lake_d0651"])
def test_of_processors_whose_perf_capabilities_nobody_read_only_bit_48_is_unknown(
    name: str, shipped: Callable[..., Any]
) -> None:
    valid = shipped(name).facts["perf_global_ctrl_valid_bits"]
    assert [bit for bit in range(64) if valid.bit(bit) is None] == [48]
    assert [bit for bit in range(32, 64) if valid.bit(bit)] == [32, 33, 34, 35]


def test_more_entries_than_any_processor_has_are_refused_at_once(read: Callable[..., Any]) -> None:
    done = read("kind: cpu\nname: a\nmsrs:\n" + "  - {msr: ia32_vmx_basic, value: 1}\n" * 2000)
    assert done.cpu is None
    assert done.codes == [codes.CPU_UNREADABLE.id]
