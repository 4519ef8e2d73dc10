"""`state guest NAME { ... }` and `state host NAME { ... }`: what a policy takes and changes, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processors import compiled, finding, found, place, processor, resolved, without
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import shipped_cpus
from vmcsc.check.evaluate import Status
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.resolve.rules import control_rules
from vmcsc.result import Result

ICE = "ice_lake_i7_1065g7"
IA_32E, HOST_64 = 1 << 9, 1 << 9


def value(result: Result, name: str, cpu: str | None = None) -> int:
    """The value of a field, which is known."""
    vmcs = result.vmcs if cpu is None else result.by_cpu[cpu]
    assert vmcs is not None, [d.message for d in result.diagnostics]
    assert vmcs.fields[name].value.is_known
    return vmcs.fields[name].value.bits


def with_misc(**msrs: int) -> Cpu:
    return processor(misc=0b111 << 6, cr0_fixed0=0x8000_0021, cr4_fixed0=0x2000, **msrs)


# --- what is taken ---


def test_every_field_of_the_state_gets_its_value(database: Database) -> None:
    result = compiled("state guest long_mode { }", ICE, database=database)
    assert result.diagnostics == ()
    assert value(result, "guest_rflags") == 2
    assert value(result, "guest_tr_access_rights") == 0x8B
    assert value(result, "vmcs_link_pointer") == (1 << 64) - 1
    assert result.vmcs is not None and "host_rip" not in result.vmcs.fields


def test_values_that_depend_on_the_processor_are_those_of_the_processor(database: Database) -> None:
    odd = processor(cr0_fixed0=0x8000_0021 | 1 << 16, cr4_fixed0=0x2000 | 1 << 9)
    result = compiled("state guest long_mode { }", odd, database=database)
    assert value(result, "guest_cr0") == 0x8001_0031
    assert value(result, "guest_cr4") == 0x2220


def test_the_block_changes_fields_without_override_and_names_leave_the_beginning_out(database: Database) -> None:
    result = compiled("state guest long_mode { rip = 0x401000; guest_rsp = 0x8000; vmcs_link_pointer = 0x3000 }",
                      ICE, database=database)  # fmt: skip
    assert result.diagnostics == ()
    assert value(result, "guest_rip") == 0x401000
    assert value(result, "guest_rsp") == 0x8000
    assert value(result, "vmcs_link_pointer") == 0x3000
    host = compiled("state host host_64 { rip = 0x1000 }", ICE, database=database)
    assert value(host, "host_rip") == 0x1000


def test_a_value_may_be_a_parameter_or_an_expression(database: Database) -> None:
    body = "param base : u64 = 0x1000\nstate guest long_mode { rip = param entry : u64; rsp = base + 0x10 }"
    result = compiled(body, ICE, database=database, entry=0x7000)
    assert (value(result, "guest_rip"), value(result, "guest_rsp")) == (0x7000, 0x1010)


def test_an_assignment_elsewhere_in_the_policy_counts_more_than_the_state(database: Database) -> None:
    for body in ("guest_rip = 5\nstate guest long_mode { }", "state guest long_mode { }\nguest_rip = 5"):
        result = compiled(body, ICE, database=database)
        assert result.diagnostics == ()
        assert value(result, "guest_rip") == 5


def test_where_the_condition_of_an_assignment_does_not_hold_the_state_counts(database: Database) -> None:
    body = "state guest long_mode { }\nwhen supported(enable_ept) { guest_rsp = 0x1000 }"
    result = compiled(body, ICE, "conroe_core2_x6800", database=database)
    assert [value(result, "guest_rsp", cpu) for cpu in (ICE, "conroe_core2_x6800")] == [0x1000, 0]


def test_a_state_may_stand_under_a_condition(database: Database) -> None:
    body = """when supported(unrestricted_guest) { state guest real_mode { } }
              when not supported(unrestricted_guest) { state guest virtual_8086 { } }"""
    result = compiled(body, ICE, "conroe_core2_x6800", database=database)
    assert result.diagnostics == ()
    assert value(result, "guest_cs_selector", ICE) == 0xF000
    assert value(result, "guest_rflags", "conroe_core2_x6800") == 0x23002


def test_fields_that_a_processor_does_not_have_are_left_out_in_silence(database: Database) -> None:
    result = compiled("state guest long_mode { }\nstate host host_64 { }", "conroe_core2_x6800", database=database)
    assert result.diagnostics == ()
    assert result.vmcs is not None and "guest_ia32_efer" not in result.vmcs.fields
    named = compiled("state guest long_mode { ia32_efer = 0x500 }", "conroe_core2_x6800", database=database)
    assert found(named) == ["field-absent"]


# --- what it asks for ---


def test_a_state_asks_for_the_controls_without_which_it_is_not_valid(database: Database) -> None:
    result = compiled("state guest long_mode { }", with_misc(), database=database)
    assert resolved(result, "vm_entry").value.bits & IA_32E
    assert resolved(result, "vm_exit").value.bits & HOST_64
    real = compiled("state guest real_mode { }", with_misc(), database=database)
    assert resolved(real, "secondary").value.bits & 0x82 == 0x82
    assert resolved(real, "primary").value.bits >> 31, "the word of these controls is in force"


def test_a_policy_that_speaks_of_such_a_control_decides_itself(database: Database) -> None:
    result = compiled("vm_entry { forbid ia_32e_mode_guest }\nstate guest long_mode { }", ICE, database=database)
    assert found(result) == ["state-against-control"]
    assert place(finding(result)) == "state guest long_mode"
    assert [label.span.text for label in finding(result).labels] == ["ia_32e_mode_guest"]


def test_a_processor_that_lacks_what_a_state_needs_is_named_with_the_bit(database: Database) -> None:
    lacking = with_misc(procbased_ctls2=without(1 << 7))
    result = compiled("state guest real_mode { }", lacking, database=database)
    assert found(result) == ["state-not-granted"]
    assert "`supported(secondary.unrestricted_guest)`" in finding(result).message
    assert finding(result).notes == ("Made: IA32_VMX_PROCBASED_CTLS2[63:32] bit 7 is 0",)


def test_a_need_that_is_no_control_is_named_too(database: Database) -> None:
    lacking = processor(misc=0, cr0_fixed0=0x21, cr4_fixed0=0x2000)
    result = compiled("state guest hlt { }", lacking, database=database)
    assert found(result) == ["state-not-granted"]
    assert finding(result).notes == ("Made: IA32_VMX_MISC bit 6 is 0",)


def test_a_need_that_nobody_knows_of_a_named_processor_is_said(database: Database) -> None:
    result = compiled("state guest hlt { }", processor(cr0_fixed0=0x21, cr4_fixed0=0x2000), database=database)
    assert found(result) == ["grant-unknown"]
    assert compiled("state guest hlt { }", database=database).diagnostics == ()


# --- inheritance ---


def in_folder(folder: Path, database: Database, base: str, own: str) -> Result:
    (folder / "base.vmcs").write_text(f"policy base {{ {base} }}")
    (folder / "own.vmcs").write_text(f"policy own {{ extends base\n{own} }}")
    return compile(folder / "own.vmcs", ICE, database)


def test_a_state_is_inherited_with_its_changes(tmp_path: Path, database: Database) -> None:
    result = in_folder(tmp_path, database, "state guest long_mode { rip = 5 }", "guest_rsp = 6")
    assert result.diagnostics == ()
    assert (value(result, "guest_rip"), value(result, "guest_rsp")) == (5, 6)


def test_another_state_takes_the_place_of_an_inherited_one_with_override(tmp_path: Path, database: Database) -> None:
    base = "state guest long_mode { rip = 5 }"
    refused = in_folder(tmp_path, database, base, "state guest pae { }")
    assert found(refused) == ["needs-override"]
    assert finding(refused).help == "write `override state guest pae`"
    result = in_folder(tmp_path, database, base, "override state guest pae { }")
    assert result.diagnostics == ()
    assert value(result, "guest_ia32_efer") == 0
    assert value(result, "guest_rip") == 5, "what the policy said itself stays"
    assert not resolved(result, "vm_entry").value.bits & IA_32E


def test_taking_the_inherited_state_again_to_change_more_of_it_needs_nothing(
    tmp_path: Path, database: Database
) -> None:
    result = in_folder(tmp_path, database, "state guest long_mode { rip = 5 }", "state guest long_mode { rsp = 6 }")
    assert result.diagnostics == ()
    assert (value(result, "guest_rip"), value(result, "guest_rsp")) == (5, 6)
    changed = in_folder(tmp_path, database, "state guest long_mode { rip = 5 }", "state guest long_mode { rip = 6 }")
    assert found(changed) == ["needs-override"]
    again = in_folder(
        tmp_path, database, "state guest long_mode { rip = 5 }", "state guest long_mode { override rip = 6 }"
    )
    assert again.diagnostics == () and value(again, "guest_rip") == 6


# --- mistakes ---


@pytest.mark.parametrize(
    ("body", "name", "text"),
    [
        ("state guest longmode { }", "unknown-state", "longmode"),
        ("state host long_mode { }", "unknown-state", "long_mode"),
        ("state gast long_mode { }", "unknown-state", "gast"),
        ("state guest long_mode { rp = 1 }", "unknown-field", "rp"),
        ("state guest long_mode { host_rip = 1 }", "not-assignable", "host_rip"),
        ("state guest long_mode { tsc_offset = 1 }", "not-assignable", "tsc_offset"),
        ("state guest long_mode { vm_entry_controls = 1 }", "not-assignable", "vm_entry_controls"),
        ("state guest long_mode { exit_reason = 1 }", "read-only-field", "exit_reason"),
        ("state guest long_mode { rflags.if = 1 }", "not-assignable", "rflags.if"),
        ("state guest long_mode { cs_selector = 0x10000 }", "value-too-wide", "0x10000"),
        ("state guest long_mode { require hlt_exiting }", "misplaced-statement", "require hlt_exiting"),
        ("state guest long_mode { rip = 1; guest_rip = 1 }", "assigned-twice", "guest_rip = 1"),
        ("state guest long_mode { } state guest pae { }", "assigned-twice", "state guest pae"),
        ("state guest long_mode", "missing-block", "state guest long_mode"),
        ("state long_mode { }", "incomplete-statement", "e"),
        ("state guest long_mode twice { }", "unexpected-text", "twice"),
        ("override state guest long_mode { }", "nothing-to-override", "override state guest long_mode"),
    ],
)
def test_a_mistake_is_found_where_it_is_and_once(body: str, name: str, text: str, database: Database) -> None:
    result = compiled(body, ICE, database=database)
    assert found(result) == [name]
    assert place(finding(result)) == text


def test_a_slip_in_a_name_gets_a_guess(database: Database) -> None:
    assert finding(compiled("state guest longmode { }", database=database)).help == "did you mean `long_mode`?"
    assert finding(compiled("state guest long_mode { rps = 1 }", database=database)).help == "did you mean `rsp`?"
    assert finding(compiled("state host pae { }", database=database)).help == "write `state guest pae`"


def test_two_states_that_both_hold_are_one_finding_not_one_for_each_field(database: Database) -> None:
    body = """when supported(enable_vpid) { state guest pae { } }
              when supported(enable_ept) { state guest protected_32 { } }"""
    result = compiled(body, ICE, database=database)
    assert found(result) == ["conditions-disagree"]
    assert place(finding(result)) == "state guest protected_32"


# --- the rules of VM entry ---


def test_a_violated_rule_is_an_error_at_the_line_that_violates_it(database: Database) -> None:
    body = "state guest long_mode {\n    rip = 0x1000\n    rflags = 0\n  }\n  state host host_64 { }"
    result = compiled(body, ICE, database=database)
    assert found(result) == ["VMX6313"]
    assert place(finding(result)) == "rflags = 0"
    assert finding(result).cpus == (ICE,)
    assert not result.ok


def test_a_rule_that_the_state_and_another_statement_violate_together_stands_at_the_statement(
    database: Database,
) -> None:
    body = "entry_interruption_info = 0x80000030\nstate guest long_mode { }"  # an interrupt, with RFLAGS.IF clear
    result = compiled(body, ICE, database=database)
    assert found(result) == ["VMX6316"]
    assert place(finding(result)) == "entry_interruption_info = 0x80000030"
    assert [label.span.text for label in finding(result).labels] == ["state guest long_mode"]


def test_a_violation_on_any_processor_is_found_without_one(database: Database) -> None:
    assert found(compiled("state guest long_mode { rflags = 0 }", database=database)) == ["VMX6313"]


def test_a_rule_about_a_state_that_cannot_be_is_not_reported_besides(database: Database) -> None:
    lacking = with_misc(procbased_ctls2=without(1 << 7))
    assert found(compiled("state guest real_mode { rflags = 0 }", lacking, database=database)) == ["state-not-granted"]


def test_a_finding_of_a_rule_can_be_ignored_on_its_line(database: Database) -> None:
    text = f"""policy p {{
      for cpus {ICE}
      state guest long_mode {{
        rflags = 0   # vmcsc: ignore[VMX6313] the hypervisor sets it
      }}
    }}"""
    assert compile(text, None, database).diagnostics == ()


def test_a_rule_between_controls_is_reported_once(database: Database) -> None:
    body = "pin_based { require virtual_nmis; forbid nmi_exiting }\nstate guest long_mode { }"
    assert found(compiled(body, ICE, database=database)) == ["VMX4001"]


def test_control_fields_are_judged_too(database: Database) -> None:
    result = compiled("cr3_target_count = 5", ICE, database=database)  # IA32_VMX_MISC says that there are 4
    assert found(result) == ["VMX4104"]
    assert place(finding(result)) == "cr3_target_count = 5"


@pytest.mark.parametrize("policy", ["kvm_classic", "kvm_6_1", "kvm_7_3", "introspection", "minimal"])
def test_a_policy_of_controls_alone_has_only_the_findings_of_resolution(policy: str, database: Database) -> None:
    between_controls = {rule.rule.code for rule in control_rules(database)}
    result = compile(policy, shipped_cpus(database), database, strict=True)
    assert result.by_cpu.keys() == set(shipped_cpus(database))
    of_rules = {rule.code for rule in database.rules}
    reported = {finding.code for finding in result.diagnostics}
    assert reported & of_rules <= between_controls
    assert "VMX3023" not in reported


def test_what_is_undetermined_is_counted_and_not_reported(database: Database) -> None:
    result = compiled("state guest long_mode { }", ICE, database=database)
    assert result.diagnostics == ()
    counts = result.checked[ICE].counts()
    assert counts[Status.VIOLATED] == 0
    assert counts[Status.PASSED] > 50 and counts[Status.UNDETERMINED] > 50
    assert sum(counts.values()) == len(load().rules)


def test_strictly_a_rule_that_only_lacks_a_fact_of_the_processor_is_said(database: Database) -> None:
    text = """policy p {
        vm_entry { require load_ia32_perf_global_ctrl }
        state guest long_mode { ia32_perf_global_ctrl = 1 << 4 }
    }"""
    cpu = with_misc(cr0_fixed1=(1 << 32) - 1, cr4_fixed1=0x3FFF)
    assert found(compile(text, cpu, database)) == []
    strict = finding(compile(text, cpu, database, strict=True))
    assert strict.code == "VMX3023"
    assert strict.message == "1 rule is undetermined for want of `cpu.perf_global_ctrl_valid_bits`"
    assert strict.notes == ("Made: `guest-perf-global-reserved`",)
    assert found(compile(text, None, database, strict=True)) == [], "of no processor that was named"
