"""The output of vmxcap, made from the MSRs of shipped CPUs: what it names is as there, the rest is unknown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.expression.value import Value

SAMPLES = Path(__file__).parent / "samples"
CPUS = ["yonah_core_duo_t2600", "ivy_bridge_i7_3820qm", "ice_lake_i7_1065g7"]

# The controls that vmxcap of QEMU 9 prints, as bits of their words.
PRINTED = {
    0x481: 0x000000E9,
    0x482: 0xFBFB9E8C,
    0x483: 0x03FC9204,
    0x484: 0x0007EE04,
    0x48B: 0x17DFFFFF,
}
# Bits of the default1 class, by the SDM's sections on the legacy MSRs; 31:0 of those MSRs has them 1.
DEFAULT1 = {0x481: 0x16, 0x482: 0x0401E172, 0x483: 0x00036DFF, 0x484: 0x000011FF, 0x48B: 0}
TRUE = {0x481: 0x48D, 0x482: 0x48E, 0x483: 0x48F, 0x484: 0x490}


def sample(name: str) -> str:
    return (SAMPLES / f"vmxcap-{name.replace('_', '-')}.txt").read_text()


def halves(mask: int) -> int:
    return mask | mask << 32


@pytest.mark.parametrize("name", CPUS)
def test_every_bit_that_is_known_is_as_on_the_processor(
    name: str, read: Callable[..., Any], shipped: Callable[..., Any]
) -> None:
    done = read(sample(name))
    assert done.found == []
    real = shipped(name).msrs
    for msr, bits in done.cpu.msrs.items():
        if msr in real:
            assert (bits.bits ^ real[msr].bits) & bits.known == 0, msr
        else:
            assert not bits.bits, msr  # nobody read it there, and vmxcap shows it as 0


@pytest.mark.parametrize("name", CPUS)
def test_the_bits_that_vmxcap_names_are_known_and_no_others(
    name: str, read: Callable[..., Any], database: Database
) -> None:
    msrs = {database.msrs[n].index: bits for n, bits in read(sample(name)).cpu.msrs.items()}
    for index, printed in PRINTED.items():
        if index not in msrs:
            assert index == 0x48B
            continue
        assert msrs[index].known == halves(printed | DEFAULT1[index])
        if TRUE.get(index) in msrs:
            assert msrs[TRUE[index]].known == halves(printed)
    assert all(msrs[index].is_known for index in (0x480, 0x485))


def test_without_true_controls_nothing_is_said_of_the_true_msrs(read: Callable[..., Any], database: Database) -> None:
    names = read(sample("yonah_core_duo_t2600")).cpu.msrs
    assert not {database.msrs[n].index for n in names} & {0x48B, 0x48C, 0x48D, 0x48E, 0x48F, 0x490, 0x491}


def test_a_control_that_is_not_named_is_unknown(read: Callable[..., Any], database: Database) -> None:
    found = Capabilities(database, read(sample("ice_lake_i7_1065g7")).cpu)
    allowed = found.allowed(database.words["vm_exit"])
    assert allowed.may_be_1.bit(28) is None
    assert (allowed.may_be_1.bit(22), allowed.must_be_1.bit(22)) == (True, False)


STATES = {
    "yes": (Value(64, 0x8 << 32, halves(0x8)), Value(64, 0x8 << 32, halves(0x8))),
    "no": (Value(64, 0, halves(0x8)), Value(64, 0, halves(0x8))),
    "forced": (Value(64, halves(0x8), halves(0x8)), Value(64, halves(0x8), halves(0x8))),
    "default": (Value(64, halves(0x8), halves(0x8)), Value(64, 0x8 << 32, halves(0x8))),
}


@pytest.mark.parametrize("state", STATES)
def test_each_word_says_something_of_both_msrs(state: str, read: Callable[..., Any]) -> None:
    text = f"Miscellaneous data\n  Hex: 0x7004c1e7\npin-based controls\n  NMI exiting         {state}\n"
    msrs = read(text).cpu.msrs
    for name, expected in zip(("ia32_vmx_pinbased_ctls", "ia32_vmx_true_pinbased_ctls"), STATES[state], strict=True):
        assert (msrs[name].bits & expected.known, msrs[name].known & expected.known) == (expected.bits, expected.known)


def test_indentation_capitals_and_a_trailing_mark_do_not_matter(read: Callable[..., Any]) -> None:
    plain = read("pin-based controls\n  NMI exiting     yes\n").cpu.msrs
    assert read("> Pin-Based Controls\n>     NMI  exiting   yes !!\n".replace(">", " ")).cpu.msrs == plain


def test_bits_without_the_hexadecimal_line_are_known_one_by_one(read: Callable[..., Any]) -> None:
    cpu = read("Miscellaneous data\n  Number of CR3-target values     4\n  HLT activity state    yes\n").cpu
    assert cpu.msrs == {"ia32_vmx_misc": Value(64, 4 << 16 | 1 << 6, 0x1FF << 16 | 1 << 6)}


def test_a_line_that_contradicts_the_hexadecimal_one_is_an_error_with_both_places(read: Callable[..., Any]) -> None:
    done = read("Miscellaneous data\n  Hex: 0x7004c1e7\n  HLT activity state                       no\n")
    assert done.cpu is None
    (found,) = done.found
    assert found.code == codes.CPU_INCONSISTENT.id
    assert "IA32_VMX_MISC bit 6" in found.message
    assert (found.span.first.line, found.labels[0].span.first.line) == (3, 2)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("pin-based controls\n  NMI exiting    yes\n  Time travel exiting   yes\n", 3),
        ("pin-based controls\n  NMI exiting    yes\n  Virtual NMIs   ?\n", 3),
        ("pin-based controls\n  NMI exiting    yes\nsome new controls\n  Virtual NMIs    yes\n", 3),
        ("secondary processor-based controls\n  Enable EPT    yes\n  Enable VPID    default\n", 3),
        ("Miscellaneous data\n  HLT activity state   yes\n  Number of CR3-target values   512\n", 3),
    ],
)
def test_a_line_that_means_nothing_is_noted_and_never_guessed(text: str, line: int, read: Callable[..., Any]) -> None:
    done = read(text)
    assert done.cpu is not None
    assert done.codes == [codes.TEXT_IGNORED.id]
    assert done.found[0].span.first.line == line
    assert "ia32_vmx_pinbased_ctls" not in done.cpu.msrs or done.cpu.msrs["ia32_vmx_pinbased_ctls"].bit(5) is None


def test_a_run_without_the_permission_shows_only_zeros_and_is_refused(read: Callable[..., Any]) -> None:
    done = read("Basic VMX Information\n  Hex: 0x0\nVM Functions\n  Hex: 0x0\n  EPTP Switching     no\n")
    assert done.cpu is None
    assert done.codes == [codes.CPU_WITHOUT_VMX.id]
    assert "root" in done.found[0].help
