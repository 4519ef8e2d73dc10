"""What the design says of the statements of the policy language, a test for each sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.processors import (
    ALL,
    CR3_LOAD,
    CR3_STORE,
    EPT,
    HLT,
    INVLPG,
    MONITOR,
    MWAIT,
    NMI,
    PIN_DEFAULT1,
    PRIMARY_DEFAULT1,
    RDTSC,
    SECONDARY,
    TIMER,
    TPR_SHADOW,
    VNMI,
    VPID,
    compiled,
    finding,
    found,
    only,
    place,
    processor,
    resolved,
    without,
)
from vmcsc.architecture.database import Database
from vmcsc.expression import value
from vmcsc.syntax import tree

# --- require, forbid -------------------------------------------------------------------------------------------


def test_a_required_bit_must_be_1_and_is_an_error_on_a_cpu_that_cannot_grant_it(database: Database) -> None:
    body = "primary { require hlt_exiting }"
    able, unable = processor("able"), processor("unable", procbased_ctls=without(HLT))
    result = compiled(body, able, database=database)
    assert result.ok
    assert resolved(result, "primary").value.bits & HLT
    result = compiled(body, unable, database=database)
    assert not result.ok
    assert found(result) == ["required-not-granted"]
    assert not resolved(result, "primary").value.bits & HLT


def test_a_forbidden_bit_must_be_0_and_is_an_error_on_a_cpu_that_cannot_grant_it(database: Database) -> None:
    body = "primary { forbid hlt_exiting }"
    able, unable = processor("able"), processor("unable", procbased_ctls=ALL << 32 | HLT)
    result = compiled(body, able, database=database)
    assert result.ok
    assert not resolved(result, "primary").value.bits & HLT
    result = compiled(body, unable, database=database)
    assert not result.ok
    assert found(result) == ["forbidden-not-granted"]
    assert resolved(result, "primary").value.bits & HLT


# --- prefer, avoid ---------------------------------------------------------------------------------------------


def test_a_preferred_bit_is_1_where_possible_and_a_note_says_where_it_gave_way(database: Database) -> None:
    body = "primary { prefer hlt_exiting }"
    result = compiled(body, processor(), database=database)
    assert (result.ok, found(result), resolved(result, "primary").value.bits & HLT) == (True, [], HLT)
    result = compiled(body, processor(procbased_ctls=without(HLT)), database=database)
    assert (result.ok, found(result), resolved(result, "primary").value.bits & HLT) == (
        True,
        ["preferred-not-granted"],
        0,
    )


def test_an_avoided_bit_is_0_where_possible_and_a_note_says_where_it_gave_way(database: Database) -> None:
    body = "primary { avoid hlt_exiting }"
    result = compiled(body, processor(), database=database)
    assert (result.ok, found(result), resolved(result, "primary").value.bits & HLT) == (True, [], 0)
    result = compiled(body, processor(procbased_ctls=ALL << 32 | HLT), database=database)
    assert (result.ok, found(result), resolved(result, "primary").value.bits & HLT) == (
        True,
        ["avoided-not-granted"],
        HLT,
    )


# --- allow -----------------------------------------------------------------------------------------------------


def test_an_allowed_bit_is_0_now_and_may_be_set_at_run_time(database: Database) -> None:
    result = compiled("primary { allow hlt_exiting }", processor(), database=database)
    word = resolved(result, "primary")
    assert (result.ok, found(result), word.value.bits & HLT, word.allowed) == (True, [], 0, HLT)


def test_an_allowed_bit_must_be_grantable_to_count(database: Database) -> None:
    result = compiled("primary { allow hlt_exiting }", processor(procbased_ctls=without(HLT)), database=database)
    word = resolved(result, "primary")
    assert (found(result), word.allowed, word.refused) == (["allowed-not-granted"], 0, HLT)


def test_kvms_optional_mask_is_prefer_and_allow_together(database: Database) -> None:
    body = "primary { prefer hlt_exiting, use_tpr_shadow; allow hlt_exiting, rdtsc_exiting }"
    word = resolved(compiled(body, processor(), database=database), "primary")
    assert (word.preferred, word.allowed) == (HLT | TPR_SHADOW, HLT | RDTSC)
    assert word.value.bits & (HLT | TPR_SHADOW | RDTSC) == HLT | TPR_SHADOW


# --- rules between controls ------------------------------------------------------------------------------------


def test_a_preferred_control_that_a_rule_forbids_in_this_combination_is_dropped_with_a_note(database: Database) -> None:
    body = "pin_based { prefer virtual_nmis; forbid nmi_exiting }"
    result = compiled(body, processor(), database=database)
    word = resolved(result, "pin_based")
    assert (result.ok, found(result), place(finding(result))) == (True, ["preferred-dropped"], "virtual_nmis")
    assert (word.dropped, word.value.bits & VNMI) == (VNMI, 0)
    rule = next(rule for rule in database.rules if rule.id == "exec-virtual-nmi-needs-nmi-exiting")
    assert rule.why in finding(result).notes


def test_preferred_controls_are_dropped_to_a_fixpoint(database: Database) -> None:
    """Without NMI exiting no virtual NMIs, without those no NMI window; either order of the rules leads there."""
    body = "pin_based { prefer virtual_nmis }\nprimary { prefer nmi_window_exiting }"
    for rules in (database.rules, tuple(reversed(database.rules))):
        result = compiled(body, processor(), database=replace(database, rules=rules))
        assert found(result) == ["preferred-dropped"] * 2
        assert (resolved(result, "pin_based").dropped, resolved(result, "primary").dropped) == (VNMI, 1 << 22)


def test_two_preferred_controls_that_exclude_each_other_with_nothing_to_decide_are_an_error(database: Database) -> None:
    both = "primary { require use_tpr_shadow }\nsecondary { prefer virtualize_x2apic_mode, virtualize_apic_accesses }"
    result = compiled(both, processor(), database=database)
    assert not result.ok
    assert found(result) == ["preferred-exclusive"]
    labels = [label.span.text for label in finding(result).labels]
    assert [place(finding(result)), *labels] == ["virtualize_x2apic_mode", "virtualize_apic_accesses"]


def test_of_two_preferred_controls_that_exclude_each_other_the_required_one_decides(database: Database) -> None:
    body = """
      primary { require use_tpr_shadow }
      secondary { prefer virtualize_x2apic_mode; require virtualize_apic_accesses }
    """
    result = compiled(body, processor(), database=database)
    assert (result.ok, found(result)) == (True, ["preferred-dropped"])
    assert resolved(result, "secondary").value.bits & 0b1_0001 == 0b0_0001


def test_a_rule_that_nothing_can_mend_is_an_error_with_the_code_of_the_rule(database: Database) -> None:
    result = compiled("pin_based { require virtual_nmis; forbid nmi_exiting }", processor(), database=database)
    assert found(result) == ["VMX4001"]
    labels = [label.span.text for label in finding(result).labels]
    assert {place(finding(result)), *labels} == {"virtual_nmis", "nmi_exiting"}


def test_an_avoided_control_that_a_rule_needs_is_raised_with_a_note(database: Database) -> None:
    result = compiled("pin_based { require virtual_nmis; avoid nmi_exiting }", processor(), database=database)
    assert (result.ok, found(result), resolved(result, "pin_based").raised) == (True, ["avoided-raised"], NMI)
    assert resolved(result, "pin_based").value.bits == PIN_DEFAULT1 | VNMI | NMI


def test_there_is_no_second_list_of_dependencies_beside_the_rules_of_the_specs(database: Database) -> None:
    """With other rules other controls give way, and without rules none does."""
    body = "pin_based { prefer virtual_nmis, activate_vmx_preemption_timer }"
    none = compiled(body, processor(), database=replace(database, rules=()))
    assert (found(none), resolved(none, "pin_based").value.bits & (VNMI | TIMER)) == ([], VNMI | TIMER)
    timer, nmi_exiting = "pin_based.activate_vmx_preemption_timer", "pin_based.nmi_exiting"
    rule = replace(database.rules[0], id="ours", code="VMX4899", when=timer, require=nmi_exiting)
    other = compiled(body, processor(), database=replace(database, rules=(rule,)))
    assert (found(other), resolved(other, "pin_based").dropped) == (["preferred-dropped"], TIMER)


# --- what is not named -----------------------------------------------------------------------------------------


def test_what_is_not_named_is_0_where_allowed(database: Database) -> None:
    word = resolved(compiled("", processor(), database=database), "primary")
    assert word.value.bits == PRIMARY_DEFAULT1
    word = resolved(compiled("", processor(procbased_ctls=ALL << 32 | MWAIT), database=database), "primary")
    assert word.value.bits == PRIMARY_DEFAULT1 | MWAIT
    for bit in range(32):
        assert bool(word.reasons(bit)) is bool((PRIMARY_DEFAULT1 | MWAIT) >> bit & 1)


def test_reserved_default1_bits_stay_1_wherever_allowed(database: Database) -> None:
    """Also where the processor would allow 0; they are 0 only where it does not allow 1."""
    word = resolved(compiled("", processor(), database=database), "primary")
    assert (word.default1, word.forced, word.value.bits & PRIMARY_DEFAULT1) == (PRIMARY_DEFAULT1, 0, PRIMARY_DEFAULT1)
    some = 1 << 26 | 1 << 4
    word = resolved(compiled("", processor(procbased_ctls=without(some)), database=database), "primary")
    assert word.value.bits == word.default1 == PRIMARY_DEFAULT1 & ~some


def test_a_default1_control_that_has_a_name_is_0_where_a_true_msr_allows_it(database: Database) -> None:
    """CR3-load exiting is of the default1 class, but not reserved: SDM, appendix A.2."""
    legacy = ALL << 32 | PRIMARY_DEFAULT1 | CR3_LOAD | CR3_STORE
    old = processor("old", procbased_ctls=legacy)
    new = processor("new", basic=1 << 55, procbased_ctls=legacy)
    assert resolved(compiled("", old, database=database), "primary").value.bits & CR3_LOAD
    assert not resolved(compiled("", new, database=database), "primary").value.bits & CR3_LOAD


# --- when ------------------------------------------------------------------------------------------------------


def test_when_tests_capabilities_cpu_features_and_params(database: Database) -> None:
    cases = [
        ("supported(enable_ept)", {"procbased_ctls2": only(EPT)}, {"procbased_ctls2": 0}),
        ("forced(rdtsc_exiting)", {"procbased_ctls": ALL << 32 | RDTSC}, {}),
        ("ia32_vmx_misc.cr3_target_count > 3", {"misc": 4 << 16}, {"misc": 3 << 16}),
        ("ia32_vmx_basic.true_controls", {"basic": 1 << 55}, {}),
    ]
    for condition, yes, no in cases:
        body = f"when {condition} {{ primary {{ require hlt_exiting }} }}"
        for msrs, expected in ((yes, HLT), (no, 0)):
            word = resolved(compiled(body, processor(**msrs), database=database), "primary")
            assert word.value.bits & HLT == expected, condition
    body = "when cpu.maxphyaddr < 40 { primary { require hlt_exiting } }"
    for width in (39, 40):
        cpu = replace(processor(), facts={"maxphyaddr": value.known(8, width)})
        assert resolved(compiled(body, cpu, database=database), "primary").required == (HLT if width == 39 else 0)
    body = "param lazy : u8 = 1\nwhen lazy == 1 { primary { require hlt_exiting } }"
    assert resolved(compiled(body, processor(), database=database), "primary").required == HLT
    assert resolved(compiled(body, processor(), database=database, lazy=2), "primary").required == 0


@pytest.mark.parametrize(
    "condition", ["primary.hlt_exiting", "hlt_exiting", "tsc_offset == 0", "exception_bitmap != 0", "guest_rip > 4"]
)
def test_when_never_tests_resolved_values(condition: str, database: Database) -> None:
    result = compiled(f"when {condition} {{ primary {{ require hlt_exiting }} }}", processor(), database=database)
    assert (found(result), result.by_cpu) == (["out-of-scope"], {})


def test_an_unknown_when_makes_its_bits_unknown(database: Database) -> None:
    body = """
      when cpu.smx { primary { require hlt_exiting }  exceptions { intercept machine_check }  tsc_offset = 1 }
      when cpu.smx and false { primary { require mwait_exiting } }
      primary { require monitor_exiting }
      when cpu.smx { primary { prefer monitor_exiting; forbid rdtsc_exiting } }
    """
    result = compiled(body, processor(), database=database)
    assert result.vmcs is not None
    word = resolved(result, "primary").value
    assert (~word.known & word.mask, word.bits) == (HLT, MONITOR | PRIMARY_DEFAULT1)
    bitmap = result.vmcs.fields["exception_bitmap"].value
    assert ~bitmap.known & bitmap.mask == 1 << 18
    assert result.vmcs.fields["tsc_offset"].value == value.unknown(64)


def test_two_whens_that_both_hold_and_disagree_are_an_error_with_both_spans(database: Database) -> None:
    body = """
      when supported(enable_ept)  { primary { forbid  invlpg_exiting } }
      when supported(enable_vpid) { primary { require invlpg_exiting } }
    """
    result = compiled(body, processor(), database=database)
    assert found(result) == ["conditions-disagree"]
    error = finding(result)
    places = [error.span, *(label.span for label in error.labels)]
    assert [(span.first.line, span.text) for span in places if span] == [(4, "invlpg_exiting"), (3, "invlpg_exiting")]


def test_two_whens_that_disagree_are_no_error_where_only_one_holds(database: Database) -> None:
    body = """
      when supported(enable_ept)  { primary { forbid  invlpg_exiting } }
      when supported(enable_vpid) { primary { require invlpg_exiting } }
    """
    for control, expected in ((EPT, 0), (VPID, INVLPG)):
        result = compiled(body, processor(procbased_ctls2=only(control)), database=database)
        assert (result.ok, resolved(result, "primary").value.bits & INVLPG) == (True, expected)


def test_two_whens_that_give_a_field_different_values_are_an_error_with_both_spans(database: Database) -> None:
    body = "when supported(enable_ept) { tsc_offset = 1 }\nwhen supported(enable_vpid) { tsc_offset = 2 }"
    result = compiled(body, processor(), database=database)
    assert found(result) == ["conditions-disagree"]
    assert [place(finding(result)), finding(result).labels[0].span.text] == ["tsc_offset = 2", "tsc_offset = 1"]
    same = compiled(body.replace("= 2", "= 1"), processor(), database=database)
    assert same.ok


# --- for cpus --------------------------------------------------------------------------------------------------


def test_for_cpus_names_the_targets_so_that_a_hook_needs_no_arguments(database: Database) -> None:
    body = "for cpus conroe_core2_x6800, ice_lake_i7_1065g7\nfor cpus yonah_core_duo_t2600"
    result = compiled(body, database=database)
    assert list(result.by_cpu) == ["conroe_core2_x6800", "ice_lake_i7_1065g7", "yonah_core_duo_t2600"]


def test_a_cpu_that_is_given_overrides_for_cpus(tmp_path: Path, database: Database) -> None:
    body = "for cpus conroe_core2_x6800\nsecondary { require enable_ept }"
    assert not compiled(body, database=database).ok
    given = compiled(body, "ice_lake_i7_1065g7", database=database)
    assert (given.ok, list(given.by_cpu)) == (True, ["ice_lake_i7_1065g7"])
    path = tmp_path / "read_here.json"
    msrs = {"0x480": "0x0", "0x482": hex(only(SECONDARY)), "0x48b": hex(only(EPT))}
    path.write_text(json.dumps(msrs))
    given = compiled(body, str(path), database=database)
    assert (given.ok, list(given.by_cpu)) == (True, ["read_here"])


def test_without_cpus_only_what_no_cpu_could_grant_is_an_error(database: Database) -> None:
    every = " ".join(
        f"{word.name} {{ prefer {', '.join(word.by_name)} }}"
        for word in database.words.values()
        if word.name not in ("secondary", "vm_entry")  # in those some exclude each other
    )
    asking = "secondary { require enable_ept, enable_pml, unrestricted_guest }\ntertiary { require enable_hlat }"
    for body in (
        every,
        asking,
        "primary { forbid cr3_load_exiting }",
        "pin_based { require virtual_nmis, nmi_exiting }",
    ):
        result = compiled(body, database=database)
        assert (result.ok, list(result.by_cpu)) == (True, ["unknown"]), found(result)
    for body in (
        "pin_based { require virtual_nmis; forbid nmi_exiting }",
        "secondary { require unrestricted_guest; forbid enable_ept }",
        "primary { forbid activate_secondary_controls }\nsecondary { require enable_ept }",
        "vm_entry { require entry_to_smm, deactivate_dual_monitor_treatment }",
    ):
        assert not compiled(body, database=database).ok, body


# --- scenarios -------------------------------------------------------------------------------------------------


def test_scenarios_are_parsed_and_kept(database: Database) -> None:
    body = """
      scenario "all of it" {
        set tsc_offset = 0x1000
        memory 0x1000 = 1, 2
        on cpu 0 { vmxon [0x2000]; vmclear [0x3000] }
        event external_interrupt 0x30
        guest in al, 0x60
        on exit hlt { guest hlt; resume }
        expect no exit, exit hlt where qualification.port == 1, edx_eax == host_tsc + 0x1000
      }
    """
    result = compiled(body, processor(), database=database)
    assert result.policy is not None
    (scenario,) = result.policy.scenarios
    kinds = [tree.SetParam, tree.MemoryWrite, tree.OnCpu, tree.Event, tree.Execute, tree.OnExit, tree.Expect]
    assert [type(statement) for statement in scenario.body] == kinds
    expect = scenario.body[-1]
    assert isinstance(expect, tree.Expect)
    assert [(e.no_exit, e.reason and e.reason.text) for e in expect.expectations] == [
        (True, None),
        (False, "hlt"),
        (False, None),
    ]


def test_a_mistake_in_a_scenario_is_found_although_scenarios_are_not_bound(database: Database) -> None:
    result = compiled('scenario "s" { guest hlt\nexpect }', processor(), database=database)
    assert found(result) == ["incomplete-statement"]


# --- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "name", "meant"),
    [
        ("primary { require hlt_exitng }", "unknown-control", "hlt_exiting"),
        ("primry { require hlt_exiting }", "unknown-block", "primary"),
        ("tsc_offest = 1", "unknown-field", "tsc_offset"),
        ("when suported(enable_ept) { }", "unknown-function", "supported"),
        ("for cpus ice_lake_i7_1065g", "unknown-cpu", "ice_lake_i7_1065g7"),
        ("exceptions { intercept page_falt }", "unknown-target", "page_fault"),
        ("extends kvm_clasic", "policy-not-found", "kvm_classic"),
        ("primary { requre hlt_exiting }", "unknown-statement", "require"),
    ],
)
def test_an_unknown_name_is_reported_with_what_was_probably_meant(
    body: str, name: str, meant: str, database: Database
) -> None:
    result = compiled(body, database=database)
    assert found(result) == [name]
    assert finding(result).help == f"did you mean `{meant}`?"


def test_ten_broken_statements_are_ten_findings(database: Database) -> None:
    broken = [
        "primary { require }",
        "primary { require hlt_exiting mwait_exiting }",
        "primary { requir hlt_exiting }",
        "tsc_offset = ",
        "tsc_offset = (1 + ",
        "exceptions { intercept page_fault when }",
        "when supported(enable_ept { primary { require hlt_exiting } }",
        'summary "no end',
        "param size u8",
        "guest_rip = 0xzz",
    ]
    result = compiled("\n".join(broken), database=database)
    assert [d.span.first.line - 2 for d in result.diagnostics if d.span] == list(range(10))
