"""What differs between policies: in what they say, and in what they come to on processors."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vmcsc.architecture.database import Database
from vmcsc.capabilities.compare import Difference
from vmcsc.capabilities.cpu import Cpu
from vmcsc.expression import value
from vmcsc.pipeline import compile
from vmcsc.resolve.compare import compare_vmcses
from vmcsc.resolve.sayings import compare_policies
from vmcsc.vmcs import Vmcs

ICE_LAKE, YONAH = "ice_lake_i7_1065g7", "yonah_core_duo_t2600"


def vmcs(body: str, database: Database, cpu: str | Cpu | None = ICE_LAKE, name: str = "p") -> Vmcs:
    result = compile(f"policy {name} {{\n{body}\n}}", cpu, database)
    assert result.vmcs is not None, [finding.message for finding in result.diagnostics]
    return result.vmcs


def on_cpu(a: str, b: str, database: Database, cpu: str | Cpu = ICE_LAKE) -> dict[str, Difference]:
    return named(compare_vmcses([vmcs(a, database, cpu), vmcs(b, database, cpu)]))


def said(a: str, b: str, database: Database) -> dict[str, Difference]:
    return named(compare_policies(database, [vmcs(a, database, None).policy, vmcs(b, database, None).policy]))


def named(found: Sequence[Difference]) -> dict[str, Difference]:
    names = [f"{difference.section}: {difference.name or difference.place}" for difference in found]
    assert len(set(names)) == len(names), "each thing is listed once"
    return dict(zip(names, found, strict=True))


def texts(found: dict[str, Difference]) -> dict[str, tuple[str, ...]]:
    return {name: difference.texts for name, difference in found.items()}


# --- on a processor --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["kvm-classic", "kvm-6.1", "kvm-7.3", "introspection", "minimal"])
@pytest.mark.parametrize("cpu", [ICE_LAKE, YONAH, None])
def test_a_policy_does_not_differ_from_itself(policy: str, cpu: str | None, database: Database) -> None:
    first, second = (compile(policy, cpu, database) for _ in range(2))
    assert first.vmcs is not None
    assert second.vmcs is not None
    assert compare_vmcses([first.vmcs, second.vmcs]) == ()
    assert compare_policies(database, [first.vmcs.policy, second.vmcs.policy]) == ()


def test_a_control_is_shown_with_its_setting_and_the_reasons_on_each_side(database: Database) -> None:
    found = on_cpu("primary { require hlt_exiting }", "primary { forbid hlt_exiting }", database)
    assert texts(found) == {"primary: hlt_exiting": ("1 required", "0 forbidden")}
    assert found["primary: hlt_exiting"].place == "7"  # SDM: HLT exiting is bit 7
    assert found["primary: hlt_exiting"].details == (
        {"setting": 1, "reasons": ["required"]},
        {"setting": 0, "reasons": ["forbidden"]},
    )


def test_a_control_of_which_nothing_is_said_is_0_by_default(database: Database) -> None:
    assert texts(on_cpu("primary { allow hlt_exiting }", "", database)) == {
        "primary: hlt_exiting": ("0 allowed", "0 default")
    }


def test_a_control_that_is_the_same_for_other_reasons_differs(database: Database) -> None:
    found = on_cpu("primary { require hlt_exiting }", "primary { prefer hlt_exiting }", database)
    assert texts(found) == {"primary: hlt_exiting": ("1 required", "1 preferred")}


def test_one_policy_on_two_processors_shows_what_one_refuses_or_forces(database: Database) -> None:
    body = "pin_based { prefer virtual_nmis; require nmi_exiting }\nprimary { require cr3_load_exiting }"
    found = texts(named(compare_vmcses([vmcs(body, database, YONAH), vmcs(body, database, ICE_LAKE)])))
    assert found["pin_based: virtual_nmis"] == ("0 preferred, refused", "1 preferred")
    assert found["primary: cr3_load_exiting"] == ("1 required, forced", "1 required")
    assert found["primary: cr3_store_exiting"] == ("1 forced", "0 default")
    assert "pin_based: nmi_exiting" not in found


def test_what_nobody_knows_of_a_processor_is_unknown(database: Database) -> None:
    plain = Cpu("plain", "", {"ia32_vmx_basic": value.known(64, 0)})
    found = compare_vmcses([vmcs("primary { prefer hlt_exiting }", database, cpu) for cpu in (plain, ICE_LAKE)])
    assert texts(named(found))["primary: hlt_exiting"] == ("unknown preferred", "1 preferred")


def test_a_rule_that_stays_violated_on_one_side_is_named(database: Database) -> None:
    fine = "pin_based { require nmi_exiting, virtual_nmis }"
    broken = "pin_based { forbid nmi_exiting; require virtual_nmis }"
    found = on_cpu(fine, broken, database)
    assert found["rules: exec-virtual-nmi-needs-nmi-exiting"].texts == ("not violated", "violated")


def test_a_field_is_compared_by_its_value(database: Database) -> None:
    found = on_cpu("tsc_offset = 0x10", "tsc_offset = 0x20", database)
    assert texts(found) == {"fields: tsc_offset": ("0x10", "0x20")}
    assert found["fields: tsc_offset"].details == ({"value": 16}, {"value": 32})
    assert texts(on_cpu("tsc_offset = 0", "", database)) == {"fields: tsc_offset": ("0x0", "not written")}


def test_a_field_that_a_processor_lacks_is_no_field_there(database: Database) -> None:
    body = "virtual_processor_id = 1"
    found = compare_vmcses([vmcs(body, database, YONAH), vmcs(body, database, ICE_LAKE)])
    assert texts(named(found))["fields: virtual_processor_id"] == ("no such field", "0x1")


def test_parameters_differ_by_width_and_default(database: Database) -> None:
    found = on_cpu("param a : u8 = 1\nparam b : u64", "param a : u8 = 2", database)
    assert texts(found) == {"parameters: a": ("u8 = 1", "u8 = 2"), "parameters: b": ("u64", "none")}


# --- bitmaps ---------------------------------------------------------------------------------------------------


def test_ports_that_differ_are_given_as_ranges(database: Database) -> None:
    found = on_cpu("io { intercept all; pass 0x80 }", "io { intercept all; pass 0x60..0x64, 0x80 }", database)
    assert texts(found) == {"io: 0x60..0x64": ("intercept", "pass")}


def test_a_range_that_crosses_from_one_page_to_the_next_is_one_range(database: Database) -> None:
    found = on_cpu("io { intercept all }", "io { pass all; intercept 0 }", database)
    assert texts(found) == {"io: 0x1..0xffff": ("intercept", "pass")}


def test_msrs_are_named_and_accesses_told_apart(database: Database) -> None:
    found = on_cpu("msrs { intercept all }", "msrs { intercept all; pass read fs_base; pass gs_base }", database)
    assert {(d.name, d.place, d.texts) for d in found.values()} == {
        ("ia32_fs_base, ia32_gs_base", "read", ("intercept", "pass")),
        ("ia32_gs_base", "write", ("intercept", "pass")),
    }


def test_a_side_without_a_bitmap_has_none(database: Database) -> None:
    assert texts(on_cpu("io { intercept all; pass 0x80 }", "", database)) == {
        "io: 0x0..0x7f, 0x81..0xffff": ("intercept", "no bitmap"),
        "io: 0x80": ("pass", "no bitmap"),
    }


def test_exceptions_are_named_and_the_error_code_fields_compared(database: Database) -> None:
    found = on_cpu(
        "exceptions { intercept page_fault when error_code & 1 == 1 }", "exceptions { pass page_fault }", database
    )
    assert texts(found) == {
        "exceptions: page_fault": ("intercept", "pass"),
        "fields: page_fault_error_code_mask": ("0x1", "0x0"),
        "fields: page_fault_error_code_match": ("0x1", "0x0"),
    }


# --- what policies say -----------------------------------------------------------------------------------------


def test_what_is_said_of_a_control_is_shown_with_its_condition(database: Database) -> None:
    found = said(
        "when not supported(secondary.enable_ept) { primary { require cr3_load_exiting } }",
        "primary { require cr3_load_exiting }",
        database,
    )
    assert texts(found) == {"primary: cr3_load_exiting": ("require if not supported(secondary.enable_ept)", "require")}
    (statement,) = found["primary: cr3_load_exiting"].details[1]["said"]
    assert (statement["verb"], statement["policy"], statement["place"]) == ("require", "p", "<text>:2:19")


def test_the_order_of_statements_makes_no_difference(database: Database) -> None:
    one, other = "prefer hlt_exiting; allow hlt_exiting", "allow hlt_exiting; prefer hlt_exiting"
    assert said(f"primary {{ {one} }}", f"primary {{ {other} }}", database) == {}


def test_a_statement_that_a_stronger_one_covers_makes_no_difference(database: Database) -> None:
    covered = "primary { require hlt_exiting }\nwhen cpu.smx { primary { prefer hlt_exiting } }"
    assert said(covered, "primary { require hlt_exiting }", database) == {}


def test_a_control_that_another_one_implies_says_so(database: Database) -> None:
    found = texts(said("secondary { require enable_vpid }", "", database))
    assert found["primary: activate_secondary_controls"] == ("require (implied)", "nothing said")


def test_fields_are_compared_as_they_are_written(database: Database) -> None:
    found = said("tsc_offset = param o : u64 = 0", "tsc_offset = 0", database)
    assert texts(found) == {"fields: tsc_offset": ("o", "0"), "parameters: o": ("u64 = 0", "none")}


def test_exceptions_under_conditions_are_compared_with_them(database: Database) -> None:
    conditional = "when cpu.smx { exceptions { intercept invalid_opcode } }\nexceptions { pass breakpoint }"
    found = said(conditional, "exceptions { intercept invalid_opcode }", database)
    assert texts(found) == {"exceptions: invalid_opcode": ("intercept if cpu.smx", "intercept")}


def test_ports_are_compared_without_a_processor(database: Database) -> None:
    found = said("io { intercept 0x10..0x1f }", "io { intercept 0x10..0x17 }", database)
    assert texts(found) == {"io: 0x18..0x1f": ("intercept", "pass")}


def test_the_processors_that_policies_name_are_compared(database: Database) -> None:
    assert texts(said(f"for cpus {ICE_LAKE}", "", database)) == {"policy: for cpus": (ICE_LAKE, "none")}


def test_the_two_policies_of_kvm_differ_in_how_interrupts_are_acknowledged(database: Database) -> None:
    """The choice that the design of KVM turned round: in the classic one the interrupt stays pending."""
    policies = [compile(name, None, database).policy for name in ("kvm-classic", "kvm-6.1")]
    found = named(compare_policies(database, [policy for policy in policies if policy is not None]))
    assert found["vm_exit: acknowledge_interrupt_on_exit"].texts == ("forbid", "require")
