"""Where hand-written ports of the checks go wrong, one test each."""

from __future__ import annotations

import time

import pytest

from tests.check.changes import NONE, Change, cpu, memory, off, on, put, state
from tests.check.checking import checked, outcomes, violated
from tests.check.states import ALL, REVISION, WIDTH
from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import MAX_ELEMENTS, Status

UNUSABLE = 1 << 16
BELOW_4G = put(host_cr4=0x26E0, host_rip=0xC1000000, host_ss_selector=0x18, host_ia32_efer=0)
SHADOW = on("tpr_shadow") + put(virtual_apic_address=0x9000, tpr_threshold=3)


# Fields that are not loaded, or not valid


@pytest.mark.parametrize(
    ("control", "field", "rules"),
    [
        ("entry.load_efer", "guest_ia32_efer", {"guest-efer-reserved"}),
        ("entry.load_pat", "guest_ia32_pat", {"guest-pat-type"}),
        ("entry.load_bndcfgs", "guest_ia32_bndcfgs", {"guest-bndcfgs-reserved"}),
        ("entry.load_perf", "guest_ia32_perf_global_ctrl", {"guest-perf-global-reserved"}),
        ("entry.load_debug", "guest_ia32_debugctl", {"guest-debugctl-reserved"}),
        ("entry.load_rtit", "guest_ia32_rtit_ctl", {"guest-rtit-ctl-reserved"}),
        ("entry.load_cet", "guest_ia32_s_cet", {"guest-scet-reserved", "guest-scet-suppress-tracker"}),
        ("entry.load_lbr", "guest_ia32_lbr_ctl", {"guest-lbr-ctl-reserved"}),
        ("entry.load_pkrs", "guest_ia32_pkrs", {"guest-pkrs-high"}),
        ("entry.load_uinv", "guest_uinv", {"guest-uinv-high"}),
        ("entry.load_spec_ctrl", "guest_ia32_spec_ctrl", {"guest-spec-ctrl-reserved"}),
        ("exit.load_efer", "host_ia32_efer", {"host-efer-reserved"}),
        ("exit.load_pat", "host_ia32_pat", {"host-pat-type"}),
        ("exit.load_perf", "host_ia32_perf_global_ctrl", {"host-perf-global-reserved"}),
        ("exit.load_cet", "host_ia32_s_cet", {"host-scet-reserved", "host-scet-suppress-tracker"}),
        ("exit.load_pkrs", "host_ia32_pkrs", {"host-pkrs-high"}),
    ],
)
def test_a_field_is_judged_only_if_its_control_loads_it(
    database: Database, control: str, field: str, rules: set[str]
) -> None:
    wrong = put(**{field: 0xFFFF if field == "guest_uinv" else ALL})
    assert violated(database, wrong + off(control)) == set()
    assert violated(database, wrong + on(control)) == rules


def test_dr7_is_judged_only_if_the_debug_controls_are_loaded(database: Database) -> None:
    assert violated(database, put(guest_dr7=1 << 32) + off("entry.load_debug")) == set()
    assert violated(database, put(guest_dr7=1 << 32)) == {"guest-dr7-high"}


def test_btf_counts_for_pending_debug_exceptions_though_debugctl_is_not_loaded(database: Database) -> None:
    stepping = on("rflags.tf", "by_mov_ss") + off("entry.load_debug")
    assert violated(database, stepping) == {"nreg-pdbg-bs-required"}
    assert violated(database, stepping + on("debugctl.btf")) == set()


def test_pdptes_are_judged_only_with_pae_paging(database: Database) -> None:
    wrong = put(guest_pdpte0=7)
    assert violated(database, wrong, "pae") == {"pdpte-vmcs-reserved"}
    assert violated(database, wrong, "long") == set()
    assert violated(database, wrong, "protected") == set()
    assert violated(database, wrong + on("unrestricted") + off("cr0.pg"), "pae") == set()


def test_an_entry_that_is_not_present_may_have_any_other_bit(database: Database) -> None:
    assert violated(database, put(guest_pdpte2=ALL - 1), "pae") == set()


def test_with_ept_the_pdptes_of_the_vmcs_count_and_without_those_in_memory(database: Database) -> None:
    in_vmcs, in_memory = put(guest_pdpte1=7), memory({0x4008: 7})
    assert violated(database, in_vmcs, "pae without EPT") == set()
    assert violated(database, in_memory, "pae without EPT") == {"pdpte-memory-reserved"}
    assert violated(database, in_memory, "pae") == set()


def test_unusable_segments_are_hardly_judged(database: Database) -> None:
    for segment in ("ds", "es", "fs", "gs"):
        nonsense = put(**{f"guest_{segment}_access_rights": 0xFFFFFFFF, f"guest_{segment}_limit": 1})
        assert violated(database, nonsense) == set(), segment


def test_an_unusable_ss_still_has_the_privilege_level(database: Database) -> None:
    assert violated(database, put(guest_ss_access_rights=UNUSABLE)) == set()
    assert violated(database, put(guest_ss_access_rights=UNUSABLE | 0x60)) == {
        "gseg-ss-dpl-rpl",
        "gseg-cs-dpl-nonconforming",
    }


def test_bases_of_fs_and_gs_are_judged_though_unusable_and_those_of_ds_and_es_are_not(database: Database) -> None:
    def unusable(segment: str, base: int) -> Change:
        return put(**{f"guest_{segment}_access_rights": UNUSABLE, f"guest_{segment}_base": base})

    assert violated(database, unusable("fs", 1 << 47)) == {"gseg-fs-base-canonical"}
    assert violated(database, unusable("gs", 1 << 47)) == {"gseg-gs-base-canonical"}
    assert violated(database, unusable("ds", 1 << 47) + unusable("es", 1 << 47)) == set()


def test_without_valid_interruption_information_nothing_of_the_event_is_judged(database: Database) -> None:
    nonsense = put(entry_interruption_info=ALL >> 33, entry_exception_error_code=ALL >> 32, entry_instruction_length=99)
    assert violated(database, nonsense) == set()


def test_an_error_code_is_judged_only_if_it_is_delivered(database: Database) -> None:
    code = put(entry_exception_error_code=1 << 16)
    assert violated(database, code + put(entry_interruption_info=0x80000306)) == set()
    assert violated(database, code + put(entry_interruption_info=0x80000B0D)) == {"entry-errcode-high"}


def test_addresses_are_judged_only_if_a_control_uses_them(database: Database) -> None:
    endings = ("_bitmap", "bitmap_a", "bitmap_b", "_address", "_pointer")
    controls = [name for name, field in database.fields.items() if field.type == "control" and name.endswith(endings)]
    unused = set(controls) - {"ept_pointer", "exception_bitmap"}
    assert len(unused) > 20
    assert violated(database, put(**dict.fromkeys(unused, ALL))) == set()


# Linear addresses of 48 and 57 bits


def test_canonical_is_what_the_processor_can_translate_at_most(database: Database) -> None:
    base = put(host_fs_base=1 << 55, guest_gdtr_base=1 << 55)
    assert violated(database, base) == {"host-fs-base-canonical", "guest-gdtr-base-canonical"}
    assert violated(database, base, "five levels") == set()
    assert violated(database, base + off("cr4.la57", "host_cr4.la57") + put(host_rip=0x1000), "five levels") == set()
    assert violated(database, put(host_fs_base=1 << 56), "five levels") == {"host-fs-base-canonical"}


def test_the_rip_of_the_host_follows_its_own_la57(database: Database) -> None:
    assert violated(database, put(host_rip=1 << 55), "five levels") == set()
    assert violated(database, put(host_rip=1 << 55) + off("host_cr4.la57"), "five levels") == {
        "asz-host64-rip-canonical"
    }


def test_the_rip_of_the_guest_need_not_be_canonical(database: Database) -> None:
    """An instruction may end where canonical addresses do."""
    assert violated(database, put(guest_rip=1 << 47)) == set()
    assert violated(database, put(guest_rip=1 << 48)) == {"guest-rip-linear-width"}
    assert violated(database, put(guest_rip=1 << 56), "five levels") == set()
    assert violated(database, put(guest_rip=1 << 57), "five levels") == {"guest-rip-linear-width"}


# Control registers


def test_ia32e_mode_needs_pae_and_allows_pcide(database: Database) -> None:
    assert violated(database, off("cr4.pae")) == {"guest-ia32e-needs-pae"}
    assert violated(database, off("host_cr4.pae")) == {"asz-host64-pae"}
    assert violated(database, on("cr4.pcide", "host_cr4.pcide")) == set()
    assert violated(database, on("cr4.pcide"), "pae") == {"guest-pcide-needs-ia32e"}
    assert violated(database, on("host_cr4.pcide"), "32-bit host") == {"asz-host32-pcide"}


def test_cd_and_nw_are_never_looked_at(database: Database) -> None:
    both = put(guest_cr0=0xE0050033, host_cr0=0xE0050033)
    assert violated(database, both + put(ia32_vmx_cr0_fixed1=0x9FFFFFFF)) == set()
    assert violated(database, put(ia32_vmx_cr0_fixed0=0xE0000021)) == set()


def test_an_unrestricted_guest_may_clear_pe_and_pg_and_nothing_else(database: Database) -> None:
    assert violated(database, NONE, "real") == set()
    assert violated(database, put(guest_cr0=0x10), "real") == {"guest-cr0-fixed0"}
    assert violated(database, put(guest_cr0=0x80000030), "real") == {"guest-cr0-pg-needs-pe"}
    assert "guest-cr0-fixed0" in violated(database, off("unrestricted"), "real")


# Capability MSRs


def test_default1_controls_must_be_1_without_true_msrs(database: Database) -> None:
    loads_and_stores_of_cr3 = 1 << 15 | 1 << 16
    cleared = put(primary_vm_execution_controls=(1 << 31 | 0x0401E172) & ~loads_and_stores_of_cr3)
    assert violated(database, cleared, "without Intel 64") == {"exec-proc-reserved"}
    assert violated(database, cleared + off("secondary_controls")) == set()
    debug = put(vm_entry_controls=0x11FB)
    assert violated(database, debug, "without Intel 64") == {"entry-reserved"}


def test_true_msrs_are_not_read_where_basic_does_not_announce_them(database: Database) -> None:
    lenient = put(ia32_vmx_true_pinbased_ctls=0xFF << 32, pin_based_vm_execution_controls=0)
    assert violated(database, lenient) == set()
    assert violated(
        database,
        lenient
        + off("basic.true")
        + put(
            ia32_vmx_procbased_ctls=0xFFFFFFFE << 32,
            ia32_vmx_exit_ctls=0xFFFFFFFF << 32,
            ia32_vmx_entry_ctls=0xFFFFFFFF << 32,
        ),
    ) == {"exec-pin-reserved"}


# The TPR threshold


def test_the_virtual_tpr_counts_only_without_apic_accesses_and_interrupt_delivery(database: Database) -> None:
    low = SHADOW + memory({0x9080: 0x2F})
    assert violated(database, low) == {"exec-tpr-threshold-vtpr"}
    assert violated(database, SHADOW + memory({0x9080: 0x30})) == set()
    assert violated(database, low + on("apic_accesses") + put(apic_access_address=0xA000)) == set()
    assert violated(database, low + on("interrupt_delivery", "external_interrupt_exiting")) == set()
    assert violated(database, low + off("tpr_shadow")) == set()


def test_with_interrupt_delivery_the_whole_threshold_is_free(database: Database) -> None:
    wide = SHADOW + put(tpr_threshold=ALL >> 32) + memory({0x9080: 0})
    assert violated(database, wide) == {"exec-tpr-threshold-reserved", "exec-tpr-threshold-vtpr"}
    assert violated(database, wide + on("interrupt_delivery", "external_interrupt_exiting")) == set()


# MSR areas


def test_the_last_byte_of_an_area_is_computed_without_wrapping(database: Database) -> None:
    last = put(vm_exit_msr_load_count=2, vm_exit_msr_load_address=(1 << 64) - 16)
    assert violated(database, last) == {"exit-msr-load-width", "exit-msr-load-last-byte"}
    assert violated(database, put(vm_exit_msr_load_count=1, vm_exit_msr_load_address=(1 << WIDTH) - 16)) == set()
    assert violated(database, put(vm_exit_msr_load_count=2, vm_exit_msr_load_address=(1 << WIDTH) - 16)) == {
        "exit-msr-load-last-byte"
    }


def test_an_area_without_entries_may_be_anywhere(database: Database) -> None:
    nowhere = put(vm_exit_msr_store_address=ALL, vm_exit_msr_load_address=ALL, vm_entry_msr_load_address=ALL)
    assert violated(database, nowhere) == set()


def test_a_huge_count_takes_bounded_time_and_is_not_passed(database: Database) -> None:
    huge = put(vm_entry_msr_load_count=0xFFFFFFFF, vm_entry_msr_load_address=0x10000)
    filled = memory({0x10000 + 16 * n: 0x175 for n in range(MAX_ELEMENTS)})
    filled += memory({0x10008 + 16 * n: 0 for n in range(MAX_ELEMENTS)})
    started = time.perf_counter()
    found = checked(database, huge + filled)
    assert time.perf_counter() - started < 5
    assert {result.rule.id for result in found.of(Status.UNDETERMINED)} == {
        rule.id for rule in database.rules if rule.id.startswith("msrload-")
    }
    assert found.verdict.enters is None
    assert outcomes(found) == []


def test_a_bad_entry_is_found_in_an_area_of_huge_count(database: Database) -> None:
    huge = put(vm_entry_msr_load_count=0xFFFFFFFF, vm_entry_msr_load_address=0x10000)
    assert outcomes(checked(database, huge + memory({0x10000: 0xC0000100, 0x10008: 0}))) == [
        "exit reason 34, qualification 1"
    ]


def test_the_qualification_is_the_number_of_the_first_bad_entry(database: Database) -> None:
    area = put(vm_entry_msr_load_count=3, vm_entry_msr_load_address=0xD000)
    entries = memory({0xD000: 0x175, 0xD008: 0, 0xD010: 0x277, 0xD018: 2, 0xD020: 0xC0000100, 0xD028: 0})
    assert outcomes(checked(database, area + entries)) == ["exit reason 34, qualification 2"]


# Pending debug exceptions


@pytest.mark.parametrize("blocking", [on("by_mov_ss"), on("by_sti", "rflags.if"), put(guest_activity_state=1)])
def test_a_single_step_is_pending_behind_what_blocks_it(database: Database, blocking: Change) -> None:
    stepping = on("rflags.tf")
    assert violated(database, blocking + stepping) == {"nreg-pdbg-bs-required"}
    assert violated(database, blocking + stepping + on("pending.bs")) == set()
    assert violated(database, blocking + stepping + on("debugctl.btf", "pending.bs")) == {"nreg-pdbg-bs-forbidden"}
    assert violated(database, blocking + on("pending.bs")) == {"nreg-pdbg-bs-forbidden"}


def test_without_blocking_bs_is_free(database: Database) -> None:
    assert violated(database, on("pending.bs")) == set()
    assert violated(database, on("rflags.tf")) == set()


# The VMCS link pointer, and what differs between processors


def test_zero_is_an_address_and_not_the_absence_of_a_link_pointer(database: Database) -> None:
    assert violated(database, put(vmcs_link_pointer=0) + memory({0: 0})) == {"link-revision"}
    assert violated(database, put(vmcs_link_pointer=0) + memory({0: REVISION})) == set()


def test_inactive_secondary_controls_ask_for_an_ordinary_vmcs_at_the_link_pointer(database: Database) -> None:
    linked = put(vmcs_link_pointer=0xB000, vmread_bitmap=0xC000, vmwrite_bitmap=0xC000) + on("shadowing")
    assert violated(database, linked + memory({0xB000: REVISION | 1 << 31})) == set()
    assert violated(database, linked + memory({0xB000: REVISION}) + off("secondary_controls")) == set()


def test_pdptes_and_link_pointer_have_a_qualification_of_their_own(database: Database) -> None:
    wrong = put(vmcs_link_pointer=1) + memory({1: REVISION << 0, 0x4000: 7})
    found = set(outcomes(checked(database, wrong, "pae without EPT")))
    assert found == {"exit reason 33, qualification 2", "exit reason 33, qualification 4"}


def test_a_processor_may_or_may_not_refuse_an_nmi_behind_sti(database: Database) -> None:
    behind = put(entry_interruption_info=0x80000202) + on("by_sti", "rflags.if")
    assert outcomes(checked(database, behind)) == ["exit reason 33, qualification 3", "exit reason 33, qualification 0"]
    assert violated(database, behind + cpu(sti_blocks_nmi=0)) == set()


def test_faults_come_in_their_order(database: Database) -> None:
    """Undefined before the exit of a guest, and that before the privilege level."""
    user = state(cpl=3)
    assert outcomes(checked(database, user)) == ["#GP"]
    assert outcomes(checked(database, user + state(vmx_root=0))) == ["VM exit of the instruction itself"]
    assert outcomes(checked(database, user + state(vmx_root=0, compatibility_mode=1))) == ["#UD"]


def test_a_32_bit_host_on_a_64_bit_processor_has_rules_of_its_own(database: Database) -> None:
    assert violated(
        database,
        off("exit.host64", "entry.ia32e")
        + BELOW_4G
        + put(guest_cr4=0x2000, guest_ia32_efer=0, guest_cs_access_rights=0xC09B),
    ) == {"asz-ia32e-host64"}
