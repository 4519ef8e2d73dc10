"""`vmcsc diff`: exit codes as those of diff(1), every difference with both sides."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

YONAH, ICE_LAKE = "yonah_core_duo_t2600", "ice_lake_i7_1065g7"


def test_policies_that_say_the_same_differ_in_nothing(vmcsc: Any, policy: Any) -> None:
    one = policy("policy a { primary { require hlt_exiting } }", "a.vmcs")
    other = policy("# another comment\npolicy b {\n  primary { require hlt_exiting }\n}", "b.vmcs")
    assert vmcsc("diff", one, other) == (0, "", "")


def test_what_policies_say_is_compared_without_a_cpu(vmcsc: Any) -> None:
    run = vmcsc("diff", "kvm-classic", "kvm-6.1")
    assert (run.code, run.err) == (1, "")
    assert run.out.startswith("A  kvm_classic  The choices KVM made when it was young\nB  kvm_6_1 ")
    assert re.search(r"^  15 +acknowledge_interrupt_on_exit +forbid +require$", run.out, re.MULTILINE)
    assert re.search(r"^  9 +invlpg_exiting +require if not supported\(secondary.enable_ept\) +require$", run.out, re.M)
    assert re.search(r"^  0x80 +pass +no bitmap$", run.out, re.MULTILINE)
    assert re.search(r"^  tsc_offset +u64 = 0 +none$", run.out, re.MULTILINE)


def test_what_policies_come_to_is_compared_on_a_cpu(vmcsc: Any) -> None:
    run = vmcsc("diff", "kvm-classic", "kvm-6.1", "--cpu", ICE_LAKE)
    assert run.code == 1
    assert re.search(r"^  25 +use_io_bitmaps +1 required +0 allowed$", run.out, re.MULTILINE)


def test_one_policy_is_compared_on_several_cpus(vmcsc: Any) -> None:
    run = vmcsc("diff", "kvm-classic", "--cpu", YONAH, "--cpu", ICE_LAKE)
    assert run.code == 1
    assert re.search(r"^  5 +virtual_nmis +0 preferred, refused +1 preferred$", run.out, re.MULTILINE)
    assert "`kvm-classic` has 4 errors on yonah_core_duo_t2600, which `vmcsc check` shows" in run.err
    many = vmcsc("diff", "minimal", *(f"--cpu={name}" for name in (YONAH, ICE_LAKE, YONAH, ICE_LAKE)))
    assert re.search(r"^  15 +cr3_load_exiting +A C: 1 .*forced; B D: 0 default$", many.out, re.MULTILINE)


def test_json_has_the_same_differences_with_their_reasons(vmcsc: Any) -> None:
    found = json.loads(vmcsc("diff", "kvm-classic", "kvm-6.1", "--cpu", ICE_LAKE, "--format", "json").out)
    assert [side["name"] for side in found["sides"]] == ["kvm_classic", "kvm_6_1"]
    one = next(d for d in found["differences"] if d["name"] == "use_io_bitmaps")
    assert (one["section"], one["bits"]) == ("primary", "25")
    assert [(side["setting"], side["reasons"]) for side in one["values"]] == [(1, ["required"]), (0, ["allowed"])]
    same = json.loads(vmcsc("diff", "minimal", "minimal", "--format", "json").out)
    assert same["differences"] == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["kvm-classic"], "give --cpu twice"),
        (["kvm-classic", "--cpu", ICE_LAKE], "give --cpu twice"),
        (["kvm-classic", "kvm-6.1", "--cpu", ICE_LAKE, "--cpu", YONAH], "give --cpu once"),
        (["minimal", "kvm-classic", "kvm-6.1"], "at most two policies"),
        (["kvm-classic", "kvm-9"], "no shipped policy `kvm-9`"),
        (["kvm-classic", "kvm-6.1", "--cpu", "ice_lake"], "VMX2007"),
    ],
)
def test_wrong_use_is_exit_code_2(argv: list[str], said: str, vmcsc: Any) -> None:
    run = vmcsc("diff", *argv)
    assert (run.code, run.out) == (2, "")
    assert said in run.err


def test_a_policy_that_cannot_be_understood_is_exit_code_2_with_the_finding(vmcsc: Any, policy: Any) -> None:
    run = vmcsc("diff", policy("policy p { primary { require hlt_exitng } }"), "minimal")
    assert (run.code, run.out) == (2, "")
    assert "VMX2002" in run.err


def test_two_cpus_of_one_name_are_two_sides(vmcsc: Any, policy: Any, tmp_path: Any) -> None:
    files = []
    for folder, pin_based in (("a", "0x0000000900000000"), ("b", "0x0000000100000000")):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "cpu.json")
        files[-1].write_text(f'{{"0x480": "0x0", "0x481": "{pin_based}"}}')
    run = vmcsc("diff", policy("policy p { pin_based { prefer nmi_exiting } }"), "--cpu", files[0], "--cpu", files[1])
    assert run.code == 1
    assert re.search(r"^  3 +nmi_exiting +1 preferred +0 preferred, refused$", run.out, re.MULTILINE)


def test_a_name_from_a_policy_commands_no_terminal_and_is_no_markup(vmcsc: Any, policy: Any) -> None:
    one = policy('policy a { summary "[bold]x[/bold] [link=y]" \n primary { require hlt_exiting } }', "a.vmcs")
    out = vmcsc("diff", one, "minimal").out
    assert out.startswith("A  a        [bold]x[/bold] [link=y]\n")
    assert "\x1b" not in out
