"""`vmcsc explain`: every meaning of a word, and what there is to know of each. Numbers are those of the SDM."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import KINDS, Meaning, bits_of, look_up
from vmcsc.capabilities.settings import places
from vmcsc.cli.meaning import describe


def facts(run: Any) -> dict[str, str]:
    """The labelled lines of the first meaning, blanks made single."""
    lines = re.findall(r"^  (\S.*?)  +(.*)$", run.out.split("\n\n")[0], re.MULTILINE)
    return dict(lines)


def test_a_control_is_explained_with_names_bit_and_capability(vmcsc: Any) -> None:
    run = vmcsc("explain", "enable_ept")
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("control secondary.enable_ept\n")
    assert facts(run)["SDM"] == "Enable EPT"
    assert facts(run)["Linux"] == "SECONDARY_EXEC_ENABLE_EPT"
    assert facts(run)["bit"] == "1 (0x2) of secondary_vm_execution_controls, 0x401e"
    assert facts(run)["in force"] == "where primary.activate_secondary_controls is 1"
    assert facts(run)["capability"] == "allowed where IA32_VMX_PROCBASED_CTLS2[63:32] bit 1 is 1"


def test_a_control_with_true_msrs_names_both(vmcsc: Any) -> None:
    out = vmcsc("explain", "primary.cr3_load_exiting").out
    assert "allowed where IA32_VMX_TRUE_PROCBASED_CTLS[63:32] bit 15 is 1" in out
    assert "must be 1 where IA32_VMX_TRUE_PROCBASED_CTLS[31:0] bit 15 is 1" in out
    assert "IA32_VMX_PROCBASED_CTLS instead where not ia32_vmx_basic.true_controls" in out
    assert "default1 class" in out  # SDM appendix A: bits 15 and 16 are in the default1 class


def test_a_control_of_a_64_bit_word_has_allowed_1_settings_alone(vmcsc: Any) -> None:
    out = vmcsc("explain", "tertiary.ipi_virtualization").out
    assert "allowed where IA32_VMX_PROCBASED_CTLS3 bit 4 is 1" in out
    assert "must be 1" not in out


def test_a_control_names_the_rules_and_fields_that_depend_on_it(vmcsc: Any) -> None:
    out = vmcsc("explain", "pin_based.nmi_exiting").out
    assert "VMX4001 pin_based.virtual_nmis needs pin_based.nmi_exiting" in out
    assert "virtual_processor_id" in facts(vmcsc("explain", "enable_vpid"))["fields"]


def test_a_field_is_explained_with_encoding_type_width_and_access(vmcsc: Any) -> None:
    run = vmcsc("explain", "0x2011")
    assert run.out.startswith("field tsc_offset_high\n")
    assert facts(run)["encoding"] == "0x2010, high half 0x2011"
    assert facts(run)["half"] == "bits 63:32 of tsc_offset"
    assert facts(run)["width"] == "64 bits"
    assert facts(vmcsc("explain", "GUEST_RIP"))["width"] == "64 bits (natural width)"
    assert facts(vmcsc("explain", "0x4402"))["access"] == "read only"


def test_the_bits_of_a_field_are_a_table(vmcsc: Any) -> None:
    out = vmcsc("explain", "guest_rflags").out
    assert re.search(r"^  bits +name +meaning$", out, re.MULTILINE)
    assert re.search(r"^  9 +if +\S", out, re.MULTILINE)
    assert re.search(r"^  13:12 +iopl +\S", out, re.MULTILINE)


def test_a_control_word_and_its_field_list_its_controls(vmcsc: Any) -> None:
    for word in ("primary --kind word", "0x4002 --kind field"):
        assert re.search(r"^  7 +hlt_exiting +HLT exiting$", vmcsc("explain", *word.split()).out, re.MULTILINE)


def test_an_msr_is_explained_with_index_and_bits(vmcsc: Any) -> None:
    run = vmcsc("explain", "0x480", "--kind", "msr")
    assert facts(run)["index"] == "0x480"
    assert re.search(r"^  55 +true_controls +\S", run.out, re.MULTILINE)


def test_all_meanings_of_a_number_are_given_and_a_kind_narrows(vmcsc: Any) -> None:
    out = vmcsc("explain", "7").out
    assert "exit-reason interrupt_window\n" in out
    assert "\ninstruction-error " in out
    assert "\nexception device_not_available\n" in out
    narrowed = vmcsc("explain", "7", "--kind", "exception").out
    assert narrowed.startswith("exception device_not_available\n")
    assert "exit-reason" not in narrowed


def test_a_rule_is_explained_by_its_code_and_by_its_name(vmcsc: Any) -> None:
    run = vmcsc("explain", "VMX4001")
    assert run.out == vmcsc("explain", "exec-virtual-nmi-needs-nmi-exiting").out
    assert facts(run)["when"] == "pin_based.virtual_nmis"
    assert facts(run)["require"] == "pin_based.nmi_exiting"
    assert facts(run)["violation"] == "instruction error 7"
    assert "help" in facts(run)


def test_a_state_is_explained_with_needs_controls_and_every_field(vmcsc: Any) -> None:
    run = vmcsc("explain", "Virtual-8086", "--kind", "state")
    assert run.code == 0
    assert "taken by  state guest virtual_8086 { }" in run.out
    assert "vm_entry.ia_32e_mode_guest = 0" in run.out
    assert "  guest_rflags                         0x23002\n" in run.out
    assert "  field " in run.out and " value\n" in run.out
    unable = vmcsc("explain", "real_mode", "--kind", "state").out
    assert "not possible on " in unable and "yonah_core_duo_t2600" in unable  # no unrestricted guest


def test_a_state_is_one_meaning_among_others(vmcsc: Any) -> None:
    out = vmcsc("explain", "pae").out
    assert "fact pae\n" in out and "state pae\n" in out


def test_a_diagnostic_code_is_explained(vmcsc: Any) -> None:
    run = vmcsc("explain", "vmx2002")
    assert run.out.startswith("code VMX2002\n")
    assert facts(run)["name"] == "unknown-control"
    assert facts(run)["severity"] == "error"


def test_several_words_are_one_name_or_each_explained(vmcsc: Any) -> None:
    assert vmcsc("explain", "HLT", "exiting").out.startswith("control primary.hlt_exiting\n")
    out = vmcsc("explain", "hlt", "page_fault").out
    assert out.startswith("exit-reason hlt\n")
    assert "\nexception page_fault\n" in out


def test_a_word_that_means_nothing_gets_suggestions_and_exit_code_2(vmcsc: Any) -> None:
    run = vmcsc("explain", "hlt_exitng")
    assert (run.code, run.out) == (2, "")
    assert "`hlt_exitng`; did you mean `primary.hlt_exiting`" in run.err
    run = vmcsc("explain", "hlt", "nonsense")
    assert run.code == 2
    assert run.out.startswith("exit-reason hlt\n")
    assert "`nonsense`" in run.err
    assert vmcsc("explain", "0xfffffffff").code == 2
    assert "no msr known here is called `guest_rip`" in vmcsc("explain", "guest_rip", "--kind", "msr").err


def test_json_has_the_same_facts_and_bits(vmcsc: Any) -> None:
    run = vmcsc("explain", "guest_rflags", "--format", "json", "--kind", "field")
    (meaning,) = json.loads(run.out)["meanings"]
    assert meaning["kind"] == "field"
    assert meaning["facts"]["encoding"] == "0x6820"
    assert {"bits": "9", "name": "if"}.items() <= next(b for b in meaning["bits"] if b["name"] == "if").items()
    assert json.loads(vmcsc("explain", "nonsense", "--format", "json").out) == {"version": 1, "meanings": []}


def test_nothing_is_wrapped_where_there_is_no_terminal(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = vmcsc("explain", "primary_vm_execution_controls").out
    assert max(map(len, out.splitlines())) > 100
    assert all(line == line.rstrip() for line in out.splitlines())


def test_on_a_terminal_everything_fits_its_width(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmcsc.cli.explain.columns", lambda _: 60)
    for word in ("guest_rflags", "enable_ept", "VMX4001", "exception_bitmap"):
        assert max(map(len, vmcsc("explain", word).out.splitlines())) <= 60


def test_colour_changes_nothing_but_the_colour(vmcsc: Any) -> None:
    coloured = vmcsc("explain", "guest_rflags", "--color", "always").out
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert coloured != stripped
    assert [line.rstrip() for line in stripped.splitlines()] == vmcsc("explain", "guest_rflags").out.splitlines()


def test_brackets_in_specs_are_text_and_no_markup(vmcsc: Any, tmp_path: Path) -> None:
    (tmp_path / "house.yaml").write_text(
        "kind: layouts\nlayouts:\n  - name: house\n    sdm: '[/red] house'\n    width: 16\n"
        "    section: Ours\n    summary: '[bold]text[/bold]'\n"
        "    bits:\n      - {at: '15:0', name: all, sdm: All, summary: '[red]15:0[/red] :smile: [/]'}\n"
    )
    run = vmcsc("explain", "house", "--specs", tmp_path)
    assert run.code == 0, run.err
    assert "[red]15:0[/red] :smile: [/]" in run.out
    assert "[bold]text[/bold]" in run.out


def test_everything_in_the_specs_can_be_described(database: Database) -> None:
    words = [*database.controls, *database.words, *database.fields, *database.msrs, *database.layouts, *database.facts]
    words += [*database.exit_reasons, *database.instruction_errors, *database.exceptions, *database.bitmaps]
    words += [rule.id for rule in database.rules]
    seen: set[str] = set()
    for word in words:
        for meaning in look_up(database, word):
            description = describe(meaning, database)
            assert description.facts
            assert description.paragraphs
            seen.add(meaning.kind)
    assert seen == set(KINDS) - {"code", "bits"}


def test_named_bits_can_be_described(database: Database) -> None:
    field = database.fields["guest_rflags"]
    for bits in bits_of(database, field):
        description = describe(Meaning("bits", f"guest_rflags.{bits.name}", bits, field), database)
        assert dict(description.facts)["bits"] == f"{bits.place} ({bits.mask:#x}) of guest_rflags"


@pytest.mark.parametrize(
    ("mask", "text"), [(0, ""), (1, "0"), (0b1110, "3:1"), (0x8000_0000_0000_0001, "63, 0"), (0xFF0F, "15:8, 3:0")]
)
def test_masks_are_written_as_ranges_of_bits(mask: int, text: str) -> None:
    assert places(mask) == text


def test_a_layout_is_a_table_of_all_its_bits_reserved_ones_too(vmcsc: Any) -> None:
    out = vmcsc("explain", "eptp", "--kind", "layout").out
    places_shown = re.findall(r"^  (\d+(?::\d+)?) ", out, re.MULTILINE)
    covered = [bit for place in places_shown for bit in range(int(place.split(":")[-1]), int(place.split(":")[0]) + 1)]
    assert covered == list(range(64))
    assert re.search(r"^  11:8 +reserved$", out, re.MULTILINE)
    assert re.search(r"^  1 +reserved, always 1$", vmcsc("explain", "rflags", "--kind", "layout").out, re.MULTILINE)


def test_the_qualification_of_an_exit_reason_is_a_bit_table(vmcsc: Any) -> None:
    out = vmcsc("explain", "cr_access", "--kind", "exit-reason").out
    assert re.search(r"^  5:4 +access_type .*0 mov_to_cr, 1 mov_from_cr", out, re.MULTILINE)
    assert re.search(r"^  63:32 +reserved$", out, re.MULTILINE)


def test_a_rule_lists_the_bits_that_it_is_about(vmcsc: Any) -> None:
    out = vmcsc("explain", "VMX4001").out
    assert re.search(r"^  5 +pin_based.virtual_nmis +\S", out, re.MULTILINE)
    assert re.search(r"^  3 +pin_based.nmi_exiting +\S", out, re.MULTILINE)


WITHOUT_EPT = "conroe_core2_x6800, harpertown_xeon_x5482, yonah_core_duo_t2600"


def test_a_control_says_which_shipped_cpus_allow_it(vmcsc: Any) -> None:
    out = vmcsc("explain", "enable_ept").out
    assert re.search(r"^  CPUs +free on arrow_lake_ultra5_245k, .*\bice_lake_i7_1065g7\b", out, re.MULTILINE)
    assert re.search(rf"^ +forced 0 on {WITHOUT_EPT}$", out, re.MULTILINE)
    assert facts(vmcsc("explain", "hlt_exiting"))["CPUs"] == "free on all 13"


def test_a_field_an_msr_bit_and_a_fact_say_what_they_are_on_the_shipped_cpus(vmcsc: Any) -> None:
    assert re.search(rf"^ +not there on {WITHOUT_EPT}$", vmcsc("explain", "ept_pointer").out, re.MULTILINE)
    assert "CPUs" not in facts(vmcsc("explain", "guest_rip"))
    assert facts(vmcsc("explain", "ia32_vmx_misc.cr3_target_count"))["CPUs"] == "4 on all 13"
    assert re.search(r"^ +32 on yonah_core_duo_t2600$", vmcsc("explain", "maxphyaddr").out, re.MULTILINE)


def test_json_says_it_of_the_cpus_too(vmcsc: Any) -> None:
    (meaning,) = json.loads(vmcsc("explain", "enable_ept", "--format", "json").out)["meanings"]
    on = {one["what"]: one["on"] for one in meaning["cpus"]}
    assert on["forced 0"] == WITHOUT_EPT.split(", ")
