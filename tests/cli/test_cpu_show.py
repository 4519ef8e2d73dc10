"""`vmcsc cpu show`, `cpu diff` and `cpu common`. The values are those of the machines' dumps, read by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

YONAH, CONROE, ICE_LAKE = "yonah_core_duo_t2600", "conroe_core2_x6800", "ice_lake_i7_1065g7"


def section(out: str, name: str) -> str:
    """The lines of one section of the text."""
    found = re.search(rf"^{name}\n((?:  .*\n|\n(?=  ))+)", out, re.MULTILINE)
    assert found is not None, f"there is no section {name}"
    return found[1]


# --- show ------------------------------------------------------------------------------------------------------


def test_a_control_word_is_drawn_bit_by_bit_and_each_control_named(vmcsc: Any) -> None:
    """Yonah's IA32_VMX_PINBASED_CTLS is 0000001F_00000016H: bits 1, 2 and 4 must be 1, bits 0 and 3 may."""
    run = vmcsc("cpu", "show", YONAH)
    assert (run.code, run.err) == (0, "")
    text = section(run.out, "pin_based")
    assert "IA32_VMX_PINBASED_CTLS (0x481) = 0x0000001f00000016" in text
    assert "00000000 00000000 00000000 0001*11*" in text
    assert re.search(r"^  0 +free +external_interrupt_exiting$", text, re.MULTILINE)
    assert re.search(r"^  2:1 +forced 1 +\(reserved\)$", text, re.MULTILINE)
    assert re.search(r"^  5 +forced 0 +virtual_nmis$", text, re.MULTILINE)


def test_the_true_msr_is_drawn_where_the_processor_has_it(vmcsc: Any) -> None:
    text = section(vmcsc("cpu", "show", ICE_LAKE).out, "primary")
    assert "IA32_VMX_TRUE_PROCBASED_CTLS (0x48e) = 0xfff9fffe04006172" in text
    assert re.search(r"^  15 +free +cr3_load_exiting$", text, re.MULTILINE)


def test_a_word_that_the_processor_lacks_and_one_that_nobody_read_say_so(vmcsc: Any) -> None:
    assert section(vmcsc("cpu", "show", YONAH).out, "secondary") == (
        "  IA32_VMX_PROCBASED_CTLS2 (0x48b): this CPU does not have it\n"
    )
    assert section(vmcsc("cpu", "show", ICE_LAKE).out, "vm_function") == ("  IA32_VMX_VMFUNC (0x491): nobody read it\n")


def test_the_fixed_bits_of_cr0_and_cr4_are_drawn_likewise(vmcsc: Any) -> None:
    out = vmcsc("cpu", "show", YONAH).out
    assert re.search(r"^  31 +forced 1 +pg$", section(out, "cr0"), re.MULTILINE)
    assert re.search(r"^  16 +free +wp$", section(out, "cr0"), re.MULTILINE)
    assert re.search(r"^  13 +forced 1 +vmxe$", section(out, "cr4"), re.MULTILINE)
    assert re.search(r"^  20 +forced 0 +smep$", section(out, "cr4"), re.MULTILINE)


def test_the_other_msrs_are_decoded_by_the_names_of_their_bits(vmcsc: Any) -> None:
    out = vmcsc("cpu", "show", ICE_LAKE).out
    assert re.search(r"^  44:32 +1280 +region_size\b", section(out, "ia32_vmx_basic"), re.MULTILINE)
    assert re.search(r"^  53:50 +6 write_back +memory_type\b", section(out, "ia32_vmx_basic"), re.MULTILINE)
    assert re.search(r"^  4:0 +7 +preemption_timer_shift\b", section(out, "ia32_vmx_misc"), re.MULTILINE)
    assert re.search(r"^  17 +1 +page_1g\b", section(out, "ia32_vmx_ept_vpid_cap"), re.MULTILINE)


def test_facts_are_given_with_their_source_and_unknown_ones_are_named(vmcsc: Any) -> None:
    text = section(vmcsc("cpu", "show", YONAH).out, "processor")
    assert re.search(r"^  maxphyaddr +32 +CPUID 80000008H EAX=00002020H$", text, re.MULTILINE)
    assert re.search(r"^  unknown: .*\blbr_ctl_valid_bits\b", text, re.MULTILINE)


def test_bits_that_nobody_read_are_unknown(vmcsc: Any, tmp_path: Path) -> None:
    file = tmp_path / "half.yaml"
    file.write_text(
        "kind: cpu\nname: half\nmsrs:\n"
        "  - {msr: ia32_vmx_basic, value: 0}\n"
        "  - {msr: ia32_vmx_pinbased_ctls, value: 0x0000000100000000, known: 0x0000000100000003}\n"
    )
    run = vmcsc("cpu", "show", file, "--only", "pin_based")
    assert run.code == 0
    assert "??????" in run.out
    assert re.search(r"^  0 +free +external_interrupt_exiting$", run.out, re.MULTILINE)
    assert re.search(r"^  3 +unknown +nmi_exiting$", run.out, re.MULTILINE)


def test_only_some_sections_can_be_shown(vmcsc: Any) -> None:
    run = vmcsc("cpu", "show", ICE_LAKE, "--only", "cr4", "--only", "processor")
    assert "\ncr4\n" in run.out
    assert "\nprocessor\n" in run.out
    assert "\nprimary\n" not in run.out
    wrong = vmcsc("cpu", "show", ICE_LAKE, "--only", "primry")
    assert (wrong.code, wrong.out) == (2, "")
    assert "did you mean `primary`?" in wrong.err


def test_json_has_the_same_bits_and_facts(vmcsc: Any) -> None:
    shown = json.loads(vmcsc("cpu", "show", YONAH, "--format", "json").out)
    sections = {one["section"]: one for one in shown["sections"]}
    assert (shown["version"], shown["name"]) == (1, YONAH)
    assert sections["pin_based"]["drawing"] == "00000000000000000000000000" + "01*11*"
    assert {"bits": "5", "name": "virtual_nmis", "setting": "forced 0"} in sections["pin_based"]["bits"]
    assert sections["pin_based"]["msrs"][0]["value"] == "0x0000001f00000016"
    assert {"bits": "44:32", "name": "region_size", "value": 1024} in sections["ia32_vmx_basic"]["bits"]
    facts = {fact["name"]: fact for fact in sections["processor"]["facts"]}
    assert (facts["maxphyaddr"]["value"], facts["maxphyaddr"]["source"]) == (32, "CPUID 80000008H EAX=00002020H")


def test_nothing_is_wrapped_or_taken_for_markup_where_it_is_piped(vmcsc: Any, tmp_path: Path) -> None:
    file = tmp_path / "odd.yaml"
    text = "[bold]" + "long " * 60 + "[/nothing]"
    file.write_text(
        f'kind: cpu\nname: odd\ntitle: "[red]odd"\nmsrs: []\nprocessor:\n'
        f'  - {{fact: maxphyaddr, value: 39, evidence: "{text}"}}\n'
    )
    run = vmcsc("cpu", "show", file)
    assert run.out.startswith("[red]odd (odd)\n")
    assert text in run.out
    assert "\x1b" not in run.out


def test_an_unknown_cpu_is_an_error_with_a_suggestion(vmcsc: Any) -> None:
    run = vmcsc("cpu", "show", "ice_lake_i7_1065g8")
    assert (run.code, run.out) == (2, "")
    assert "did you mean `ice_lake_i7_1065g7`?" in run.err


# --- diff ------------------------------------------------------------------------------------------------------


def test_a_cpu_does_not_differ_from_itself(vmcsc: Any) -> None:
    assert vmcsc("cpu", "diff", ICE_LAKE, ICE_LAKE) == (0, "", "")


def test_only_what_differs_is_shown_with_a_column_for_each_cpu(vmcsc: Any) -> None:
    run = vmcsc("cpu", "diff", YONAH, ICE_LAKE)
    assert (run.code, run.err) == (1, "")
    assert re.match(r"A  yonah_core_duo_t2600  Yonah Core Duo T2600\nB  ice_lake_i7_1065g7 +Ice Lake", run.out)
    assert re.search(r"^  5 +virtual_nmis +forced 0 +free$", section(run.out, "pin_based"), re.MULTILINE)
    assert "nmi_exiting" not in section(run.out, "pin_based")
    assert re.search(r"^  maxphyaddr +32 +39$", section(run.out, "processor"), re.MULTILINE)


def test_many_cpus_are_a_matrix(vmcsc: Any) -> None:
    run = vmcsc("cpu", "diff", YONAH, ICE_LAKE, CONROE, ICE_LAKE)
    assert re.search(r"^  bits +name +A B C D$", run.out, re.MULTILINE)
    assert re.search(r"^  15 +cr3_load_exiting +1 \* 1 \*$", section(run.out, "primary"), re.MULTILINE)
    assert re.search(r"^  maxphyaddr +A: 32; B D: 39; C: 36$", section(run.out, "processor"), re.MULTILINE)


def test_options_may_stand_between_the_cpus(vmcsc: Any) -> None:
    differences = json.loads(vmcsc("cpu", "diff", YONAH, "--format", "json", ICE_LAKE).out)
    assert [side["name"] for side in differences["sides"]] == [YONAH, ICE_LAKE]
    one = next(d for d in differences["differences"] if d["name"] == "virtual_nmis")
    assert (one["section"], one["bits"]) == ("pin_based", "5")
    assert [side["setting"] for side in one["values"]] == ["forced 0", "free"]


@pytest.mark.parametrize(("action", "code"), [("list", 0), ("show", 0), ("diff", 1), ("common", 0)])
def test_the_example_of_an_action_works(
    action: str, code: int, vmcsc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    example = vmcsc("cpu", action, "--help").out.split("\nexample:\n  vmcsc ")[1].split()
    assert vmcsc(*example).code == code


@pytest.mark.parametrize("argv", [[], ["diff"], ["diff", ICE_LAKE], ["show"], ["common"], ["nonsense"]])
def test_wrong_use_is_exit_code_2(argv: list[str], vmcsc: Any) -> None:
    run = vmcsc("cpu", *argv)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("usage: vmcsc cpu")


# --- common ----------------------------------------------------------------------------------------------------


def test_what_cpus_have_in_common_is_a_cpu_file_that_can_be_used(vmcsc: Any, tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    run = vmcsc("cpu", "common", YONAH, ICE_LAKE, "-o", file)
    assert run == (0, "", "")
    assert "\nname: pool\n" in file.read_text()
    shown = vmcsc("cpu", "show", file, "--only", "pin_based").out
    assert "00000000 00000000 00000000 0001*11*" in shown, "Yonah allows less than Ice Lake, and nothing more"
    refused = vmcsc("check", "kvm-classic", "--cpu", file, "--format", "concise")
    assert "VMX3001" in refused.out  # as on Yonah: no 64-bit host


def test_the_file_goes_to_standard_output_and_says_where_numbers_differ(vmcsc: Any) -> None:
    run = vmcsc("cpu", "common", YONAH, ICE_LAKE)
    assert run.code == 0
    assert "  # region_size: 1024 on yonah_core_duo_t2600; 1280 on ice_lake_i7_1065g7; so 1280 here\n" in run.out
    assert "so unknown here" in run.out


def test_the_name_of_the_common_cpu_can_be_given(vmcsc: Any) -> None:
    assert "\nname: pool_1\n" in vmcsc("cpu", "common", ICE_LAKE, "--name", "pool_1").out
    wrong = vmcsc("cpu", "common", ICE_LAKE, "--name", "Pool 1")
    assert (wrong.code, wrong.out) == (2, "")


def test_cpus_that_contradict_each_other_have_no_file(vmcsc: Any, tmp_path: Path) -> None:
    files = []
    for name, pin_based in (("one", "0x0000000800000008"), ("zero", "0x0000000000000000")):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(f'{{"0x480": "0x0", "0x481": "{pin_based}"}}')
    run = vmcsc("cpu", "common", *files, "-o", tmp_path / "pool.yaml")
    assert run.code == 1
    assert "`pin_based.nmi_exiting` must be 1 on one and must be 0 on zero" in run.err
    assert not (tmp_path / "pool.yaml").exists()


def test_a_file_that_cannot_be_written_is_exit_code_2(vmcsc: Any, tmp_path: Path) -> None:
    run = vmcsc("cpu", "common", ICE_LAKE, "-o", tmp_path / "absent" / "pool.yaml")
    assert run.code == 2
    assert "VMX7003" in run.err
