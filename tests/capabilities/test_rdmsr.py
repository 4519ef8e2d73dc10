"""Lists of MSRs in the forms that tools print: every number is hexadecimal, and nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database

BASIC = 0x00DA_0500_0000_0013

WRITINGS = [
    "0x480: da050000000013",
    "0x480: 0x00da050000000013",
    "0x480 = 00DA050000000013",
    "0x480 0xda050000000013",
    "480 00da0500_00000013",
    "480: 00da0500 00000013",
    "0x00000480\t0x00da0500:00000013",
    "MSR 480h = 00DA050000000013h",
    "MSR 00000480: 00DA-0500-0000-0013",
    "MSR 00000480: 00DA-0500-0000-0013 [VMX basic]",
    "MSR[0x480] -> 0x00DA050000000013",
    "msr[480] = 00da0500`00000013",
    "IA32_VMX_BASIC: 0xda050000000013",
    "IA32_VMX_BASIC (0x480): 0x00da0500'00000013",
    "MSR_IA32_VMX_BASIC [480h] = da050000000013  # read by hand",
    "vmx_basic = da050000000013",
    "cpu0: MSR_IA32_VMX_BASIC: 0x00da050000000013 (decoded)",
    "CPU 0: 0x480: da050000000013",
    "[CPU 3] 0x480: da050000000013",
    "  CPU#12, MSR 0x480 = 0x00DA050000000013 ; comment",
    "$ rdmsr 0x480\nda050000000013",
    "# rdmsr 0x480\n0xda050000000013",
    "root@host:~# sudo rdmsr -a 0x480\nda050000000013\nda050000000013",
    "$ rdmsr -p 3 -0 0x480\n00da050000000013",
    "$ rdmsr -d 1152\n61367042481061907",
    "$ rdmsr -a 0x480\n0: da050000000013\n1: da050000000013",
    "$ rdmsr -a 0x480\nCPU 0: da050000000013\nCPU 1: da050000000013",
]


@pytest.mark.parametrize("text", WRITINGS)
def test_an_msr_is_read_in_every_writing_of_it(text: str, read: Callable[..., Any], database: Database) -> None:
    done = read(text + "\n")
    assert done.msrs(database) == {0x480: BASIC}
    assert done.found == []


def test_what_follows_something_else_is_no_output_of_the_command(read: Callable[..., Any], database: Database) -> None:
    done = read("$ rdmsr 0x480\n13\n$ nproc\n4\n")
    assert done.msrs(database) == {0x480: 0x13}
    assert done.codes == [codes.TEXT_IGNORED.id]


def test_a_whole_dump_gives_every_msr_of_the_processor(
    read: Callable[..., Any], shipped: Callable[..., Any], database: Database
) -> None:
    cpu = shipped("ice_lake_i7_1065g7")
    lines = [f"MSR {database.msrs[name].index:08X}: {bits.bits:016X}" for name, bits in cpu.msrs.items()]
    assert read("\r\n".join(lines)).cpu.msrs == cpu.msrs


def test_a_value_that_differs_between_processors_is_an_error_that_names_msr_and_processors(
    read: Callable[..., Any],
) -> None:
    text = "".join(f"cpu{cpu}: 0x480: {'14' if cpu in (2, 3, 5) else '13'}\n" for cpu in range(7))
    done = read(text)
    assert done.cpu is None
    (found,) = done.found
    assert found.code == codes.PROCESSORS_DIFFER.id
    assert "IA32_VMX_BASIC (0x480)" in found.message
    assert "0x0000000000000013 on CPUs 0-1, 4, 6; 0x0000000000000014 on CPUs 2-3, 5" in found.message
    assert (found.span.first.line, found.span.text) == (3, "14")


def test_a_message_stays_readable_however_many_values_there_are(read: Callable[..., Any]) -> None:
    (found,) = read("".join(f"cpu{cpu}: 0x480: {cpu // 2 * 2 if cpu % 2 else 1}\n" for cpu in range(2000))).found
    assert "more values" in found.message
    assert len(found.message) < 600


def test_bare_values_below_a_command_are_counted_as_processors(read: Callable[..., Any]) -> None:
    (found,) = read("$ rdmsr -a 0x480\n13\n13\n14\n").found
    assert (found.code, found.span.first.line) == (codes.PROCESSORS_DIFFER.id, 4)
    assert "on CPU 2" in found.message


def test_headings_say_of_which_processor_the_following_lines_are(read: Callable[..., Any]) -> None:
    text = "------[ Logical CPU #0 ]------\nMSR 480: 13\n\n------[ Logical CPU #9 ]------\nMSR 480: 14\n"
    (found,) = read(text).found
    assert "on CPU 9" in found.message


def test_two_values_without_a_processor_contradict_each_other(read: Callable[..., Any]) -> None:
    (found,) = read("0x480: 13\n0x480: 14\n").found
    assert (found.code, found.span.first.line) == (codes.CPU_INCONSISTENT.id, 2)


def test_the_same_value_twice_is_no_contradiction(read: Callable[..., Any], database: Database) -> None:
    assert read("0x480: 13\n0x480: 0013\n").msrs(database) == {0x480: 0x13}


@pytest.mark.parametrize("value", ["zz", "0x1ffffffffffffffff", "12 34 56", "-5", "00da0500_0000001"])
def test_what_should_be_a_value_and_is_none_is_an_error_at_its_place(value: str, read: Callable[..., Any]) -> None:
    done = read(f"0x481: ff00000016\n0x480: {value}\n")
    assert done.cpu is None
    (found,) = done.found
    assert (found.code, found.span.text) == (codes.CPU_UNREADABLE.id, value)
    assert "IA32_VMX_BASIC" in found.message


def test_a_name_with_the_index_of_another_msr_is_an_error(read: Callable[..., Any]) -> None:
    done = read("IA32_VMX_BASIC (0x481): 0x13\n")
    assert done.cpu is None
    assert "is MSR 0x480" in done.found[0].message


@pytest.mark.parametrize(
    "refusal",
    [
        "rdmsr: CPU 0 cannot read MSR 0x00000491",
        "MSR 00000491: < FAILED >",
        "IA32_VMX_VMFUNC: #GP",
        "0x491: not available",
    ],
)
def test_an_msr_that_could_not_be_read_is_noted_and_stays_unknown(
    refusal: str, read: Callable[..., Any], database: Database
) -> None:
    done = read(f"0x480: 13\n{refusal}\n")
    assert done.msrs(database) == {0x480: 0x13}
    (found,) = done.found
    assert (found.code, found.span.first.line) == (codes.NOT_READ.id, 2)
    assert "IA32_VMX_VMFUNC" in found.message


def test_other_msrs_are_named_in_one_note(read: Callable[..., Any], database: Database) -> None:
    done = read("0x10: 5\n0x480: 13\n0xc0000080: d01\nIA32_APIC_BASE: fee00900\n")
    assert done.msrs(database) == {0x480: 0x13}
    (found,) = done.found
    assert found.code == codes.MSR_IGNORED.id
    assert "IA32_TIME_STAMP_COUNTER, IA32_EFER, IA32_APIC_BASE" in found.message


def test_lines_that_are_not_understood_are_counted_and_the_first_are_shown(
    read: Callable[..., Any], database: Database
) -> None:
    done = read(
        "Program X\n0x480: 13\nthe VMX basics are fine\nCPUID 00000001: 1-2-3\n\n# a comment\nend\n" + "x" * 500
    )
    assert done.msrs(database) == {0x480: 0x13}
    (found,) = done.found
    assert found.code == codes.TEXT_IGNORED.id
    assert found.message.startswith("5 lines")
    assert found.notes[0] == "line 1: Program X"
    assert found.notes[-1] == "and 2 more"


@pytest.mark.parametrize("option", ["-f 3:0", "-r"])
def test_a_command_that_prints_a_part_of_an_msr_gives_no_value(
    option: str, read: Callable[..., Any], database: Database
) -> None:
    done = read(f"$ rdmsr 0x480\n13\n$ rdmsr {option} 0x481\n16\n")
    assert done.msrs(database) == {0x480: 0x13}
    (found,) = done.found
    assert found.notes == (f"line 3: $ rdmsr {option} 0x481", "line 4: 16")


def test_an_msr_that_by_the_others_does_not_exist_is_a_contradiction(read: Callable[..., Any]) -> None:
    done = read("0x480: 5\n0x48d: ff00000016\n")
    assert done.cpu is None
    assert done.codes == [codes.CPU_INCONSISTENT.id]


def test_each_value_knows_its_line(read: Callable[..., Any]) -> None:
    cpu = read("# my machine\n0x480: 13\n").cpu
    assert cpu.origins == {"ia32_vmx_basic": "c.txt:2:8"}
