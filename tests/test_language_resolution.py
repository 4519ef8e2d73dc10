"""What the design says of resolution, a test for each sentence.

Expectations are computed from raw MSR bits and from bit numbers of the SDM, never by the package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import vmcsc
from tests.processors import (
    ALL,
    CR3_LOAD,
    EPT,
    EXTERNAL_INTERRUPT,
    HLT,
    INVLPG,
    MONITOR,
    MWAIT,
    NMI,
    PIN_DEFAULT1,
    PRIMARY_DEFAULT1,
    RDTSC,
    SECONDARY,
    TERTIARY,
    VNMI,
    VPID,
    compiled,
    finding,
    found,
    halves,
    only,
    processor,
    raw,
    resolved,
    without,
)
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.expression import value
from vmcsc.expression.value import Value

# --- resolution ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conroe_core2_x6800", "ivy_bridge_i7_3820qm", "ice_lake_i7_1065g7"])
def test_the_value_is_wanted_or_must_be_1_and_may_be_1(name: str, database: Database) -> None:
    body = """
      pin_based { require external_interrupt_exiting; prefer virtual_nmis, nmi_exiting }
      primary { require hlt_exiting; avoid cr3_load_exiting; prefer activate_tertiary_controls; forbid rdtsc_exiting }
    """
    result = compiled(body, name, database=database)
    msrs = raw(name, database)
    true = "true_" if msrs["ia32_vmx_basic"] >> 55 & 1 else ""
    wanted = {
        "pinbased": EXTERNAL_INTERRUPT | VNMI | NMI | PIN_DEFAULT1,
        "procbased": HLT | TERTIARY | PRIMARY_DEFAULT1,
    }
    for word, msr in (("pin_based", "pinbased"), ("primary", "procbased")):
        must, may = halves(msrs[f"ia32_vmx_{true}{msr}_ctls"])
        assert resolved(result, word).value == value.known(32, (wanted[msr] | must) & may), word


@pytest.mark.parametrize("bit_55", [0, 1])
def test_true_msrs_are_used_only_where_vmx_basic_55_says_so(bit_55: int, database: Database) -> None:
    """The TRUE MSRs would let HLT exiting be 1 and CR3-load exiting be 0, the others neither."""
    names = {"pin_based": "pinbased", "primary": "procbased", "vm_exit": "exit", "vm_entry": "entry"}
    msrs = {"basic": bit_55 << 55}
    for msr in names.values():
        msrs[f"{msr}_ctls"] = (ALL & ~0x600) << 32 | 0x1_0000
        msrs[f"true_{msr}_ctls"] = ALL << 32 | 0x2_0000
    cpu = processor(**msrs)
    cpu = cpu if bit_55 else replace(cpu, msrs={n: v for n, v in cpu.msrs.items() if "true" not in n})
    result = compiled("primary { prefer invlpg_exiting, mwait_exiting }", cpu, database=database)
    for word in names:
        assert resolved(result, word).forced == (0x2_0000 if bit_55 else 0x1_0000), word
    assert resolved(result, "primary").value.bits & 0x600 == (0x600 if bit_55 else 0)


def test_tertiary_and_secondary_exit_words_have_allowed_1_settings_only(database: Database) -> None:
    """All 64 bits of their MSRs say what may be 1; nothing must be, though the lower half is set."""
    body = """
      tertiary { require ipi_virtualization; prefer enable_hlat }
      secondary { require enable_ept }
      primary { require use_tpr_shadow }
      secondary_vm_exit { prefer load_ia32_spec_ctrl, save_fred }
    """
    cpu = processor(procbased_ctls3=0xFFFF_FFFF_0000_0011, exit_ctls2=0x4)
    result = compiled(body, cpu, database=database)
    tertiary, exits = resolved(result, "tertiary"), resolved(result, "secondary_vm_exit")
    assert result.ok
    assert (tertiary.value, tertiary.forced, tertiary.refused) == (value.known(64, 1 << 4), 0, 1 << 1)
    assert (exits.value, exits.forced, exits.refused) == (value.known(64, 1 << 2), 0, 1 << 0)


def test_a_control_whose_activating_control_is_off_takes_no_effect_and_says_so(database: Database) -> None:
    body = "primary { avoid activate_secondary_controls }\nsecondary { prefer enable_ept }"
    result = compiled(body, processor(procbased_ctls2=ALL << 32 | VPID), database=database)
    word = resolved(result, "secondary")
    assert (result.ok, found(result)) == (True, ["inactive-control"])
    assert "`primary.activate_secondary_controls` is 0" in finding(result).message
    assert (word.inactive, word.value) == (EPT, value.known(32, VPID))


def test_a_required_control_whose_activating_control_is_off_is_an_error(database: Database) -> None:
    body = "primary { forbid activate_secondary_controls }\nsecondary { require enable_ept }"
    assert found(compiled(body, processor(), database=database)) == ["required-inactive"]


def test_a_word_is_inactive_too_where_an_activating_control_of_its_activating_control_is_off(
    database: Database,
) -> None:
    body = "primary { avoid activate_secondary_controls }\nvm_function { prefer eptp_switching }"
    result = compiled(body, processor(), database=database)
    assert resolved(result, "vm_function").value.bits == 0
    assert "inactive-control" in found(result)


@pytest.mark.parametrize("verb", ["require", "prefer"])
def test_asking_for_a_control_asks_for_the_ones_that_activate_its_word_in_the_same_strength(
    verb: str, database: Database
) -> None:
    result = compiled(
        f"vm_function {{ {verb} eptp_switching }} secondary {{ {verb} enable_ept }}", processor(), database=database
    )
    masks = [
        getattr(resolved(result, word), f"{verb}{'' if verb == 'require' else 'r'}{'d' if verb == 'require' else 'ed'}")
        for word in ("primary", "secondary", "vm_function")
    ]
    assert masks == [SECONDARY, 1 << 13 | EPT, 1]
    allowed = compiled("vm_function { allow eptp_switching }", processor(), database=database)
    assert resolved(allowed, "primary").value.bits == PRIMARY_DEFAULT1


def test_unknown_capability_bits_stay_unknown(database: Database) -> None:
    """Only bit 7 of the upper half and bit 12 of the lower half were not read."""
    cpu = processor()
    unread = ~(HLT << 32 | RDTSC)
    cpu = replace(cpu, msrs={**cpu.msrs, "ia32_vmx_procbased_ctls": Value(64, ALL << 32, unread)})
    word = resolved(compiled("primary { prefer hlt_exiting, mwait_exiting }", cpu, database=database), "primary")
    assert (~word.value.known & ALL, word.value.bits) == (HLT | RDTSC, MWAIT | PRIMARY_DEFAULT1)
    none = Cpu("unread", "Unread", {"ia32_vmx_basic": value.known(64, 0)})
    for word in (
        resolved(compiled("primary { prefer hlt_exiting }", none, database=database), w) for w in database.words
    ):
        assert word.value.known & ~word.forced & word.value.bits == 0
    primary = resolved(compiled("primary { prefer hlt_exiting }", none, database=database), "primary")
    assert primary.value == value.unknown(32)


def test_what_is_required_of_an_unread_msr_is_no_error_and_a_note_says_that_it_is_unknown(database: Database) -> None:
    none = Cpu("unread", "Unread", {"ia32_vmx_basic": value.known(64, 0)})
    result = compiled("primary { require hlt_exiting; forbid rdtsc_exiting }", none, database=database)
    assert (result.ok, found(result)) == (True, ["grant-unknown"] * 2)
    assert all("IA32_VMX_PROCBASED_CTLS" in note for d in result.diagnostics for note in d.notes)


def test_provenance_is_masks_per_reason_and_word_and_reasons_overlap(database: Database) -> None:
    body = """
      primary {
        require hlt_exiting; prefer hlt_exiting, mwait_exiting, rdtsc_exiting; allow mwait_exiting, monitor_exiting
        forbid cr3_load_exiting; avoid invlpg_exiting
      }
      pin_based { prefer virtual_nmis; forbid nmi_exiting }
    """
    cpu = processor(procbased_ctls=(ALL & ~RDTSC) << 32 | HLT | INVLPG | MONITOR)
    result = compiled(body, cpu, database=database)
    word = resolved(result, "primary")
    assert word.required == HLT
    assert word.preferred == HLT | MWAIT | RDTSC
    assert word.allowed == MWAIT | MONITOR
    assert word.forbidden == CR3_LOAD
    assert word.avoided == INVLPG
    assert word.forced == HLT | INVLPG | MONITOR
    assert word.refused == RDTSC
    assert word.default1 == PRIMARY_DEFAULT1
    assert word.value.bits == HLT | MWAIT | INVLPG | MONITOR | PRIMARY_DEFAULT1
    assert word.reasons(7) == ("required", "preferred", "forced")
    assert word.reasons(9) == ("avoided", "forced")
    assert word.reasons(12) == ("preferred", "refused")
    assert word.reasons(0) == ()
    pin = resolved(result, "pin_based")
    assert (pin.dropped, pin.reasons(5)) == (VNMI, ("preferred", "dropped"))


def test_a_bit_that_the_cpu_refuses_was_not_dropped_by_a_rule(database: Database) -> None:
    cpu = processor(pinbased_ctls=without(VNMI))
    word = resolved(compiled("pin_based { prefer virtual_nmis }", cpu, database=database), "pin_based")
    assert (word.refused, word.dropped) == (VNMI, 0)


def test_all_problems_are_found_in_one_run(database: Database) -> None:
    body = """
      primary { require hlt_exiting, rdtsc_exiting; forbid mwait_exiting }
      pin_based { require virtual_nmis; forbid nmi_exiting }
      vm_exit { prefer load_ia32_pat }
      when true { secondary { require enable_ept } }
      when true { secondary { forbid enable_ept } }
      tsc_offset = 1
      when true { tsc_offset = 2 }
    """
    cpu = processor(procbased_ctls=without(HLT, RDTSC) | MWAIT, exit_ctls=0)
    assert found(compiled(body, cpu, database=database)) == [
        "required-not-granted",
        "required-not-granted",
        "forbidden-not-granted",
        "VMX4001",
        "preferred-not-granted",
        "conditions-disagree",
        "conditions-disagree",
    ]


@pytest.mark.parametrize(
    ("body", "place_of", "evidence"),
    [
        ("secondary { require enable_ept }", "enable_ept", "IA32_VMX_PROCBASED_CTLS2[63:32] bit 1 is 0"),
        ("primary { forbid hlt_exiting }", "hlt_exiting", "IA32_VMX_TRUE_PROCBASED_CTLS[31:0] bit 7 is 1"),
        ("tertiary { require enable_hlat }", "enable_hlat", "IA32_VMX_PROCBASED_CTLS3 bit 1 is 0"),
    ],
)
def test_the_message_names_the_line_the_control_the_msr_its_bit_and_the_cpu(
    body: str, place_of: str, evidence: str, database: Database
) -> None:
    true = ALL << 32 | HLT
    cpu = processor("lab", basic=1 << 55, procbased_ctls2=only(VPID), procbased_ctls3=1, true_procbased_ctls=true)
    error = finding(compiled(f"\n\n{body}", cpu, database=database))
    assert error.span is not None
    assert (error.span.first.line, error.span.text) == (4, place_of)
    assert f"`{place_of}`" in error.message
    assert list(error.notes) == [f"Lab: {evidence}"]
    assert error.cpus == ("lab",)


def test_where_the_msr_does_not_exist_the_message_says_why(database: Database) -> None:
    msrs = {"ia32_vmx_basic": value.known(64, 0), "ia32_vmx_procbased_ctls": value.known(64, without(SECONDARY))}
    error = finding(compiled("secondary { require enable_ept }", Cpu("old", "Old", msrs), database=database))
    (note,) = error.notes
    assert "IA32_VMX_PROCBASED_CTLS2 does not exist" in note
    assert "IA32_VMX_PROCBASED_CTLS[63:32] bit 31 is 0" in note


def test_against_several_cpus_the_result_says_on_which_ones_it_fails(database: Database) -> None:
    names = ["conroe_core2_x6800", "ivy_bridge_i7_3820qm", "ice_lake_i7_1065g7"]
    able = [name for name in names if raw(name, database).get("ia32_vmx_procbased_ctls2", 0) >> 32 & EPT]
    result = compiled("secondary { require enable_ept }\nprimary { require hlt_exiting }", *names, database=database)
    assert list(result.by_cpu) == names
    assert finding(result).cpus == tuple(name for name in names if name not in able)
    assert {name for name, vmcs in result.by_cpu.items() if vmcs.control("secondary.enable_ept")} == set(able)


def test_what_several_cpus_refuse_is_one_finding_with_the_evidence_of_each(database: Database) -> None:
    cpus = [processor(name, procbased_ctls=without(HLT)) for name in ("one", "two")] + [processor("three")]
    error = finding(compiled("primary { require hlt_exiting }", *cpus, database=database))
    assert error.cpus == ("one", "two")
    assert [note.partition(":")[0] for note in error.notes] == ["One", "Two"]


def test_two_cpu_files_of_one_name_are_two_processors(tmp_path: Path, database: Database) -> None:
    for folder, basic in (("a", "0xda050000000013"), ("b", "0x5a050000000013")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.json").write_text(f'{{"0x480": "{basic}"}}')
    cpus = [tmp_path / "a" / "x.json", tmp_path / "b" / "x.json"]
    assert len(vmcsc.compile("policy p { }", cpus, database).by_cpu) == 2
