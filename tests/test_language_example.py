"""The policy of the design, word for word: it compiles, and for its CPUs to what the raw MSRs say."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.processors import (
    CR3_LOAD,
    CR3_STORE,
    EPT,
    EXTERNAL_INTERRUPT,
    HLT,
    INVLPG,
    IO_BITMAPS,
    MSR_BITMAPS,
    NMI,
    PIN_DEFAULT1,
    PRIMARY_DEFAULT1,
    SECONDARY,
    TPR_SHADOW,
    TSC_OFFSETTING,
    UNRESTRICTED,
    VNMI,
    VPID,
    found,
    halves,
    only,
    processor,
    raw,
    resolved,
)
from vmcsc.architecture.database import Database
from vmcsc.pipeline import compile
from vmcsc.result import Result
from vmcsc.vmcs import Vmcs

# --- the policy of the design, word for word -------------------------------------------------------------------

DESIGN_EXAMPLE = """\
policy kvm_classic {
  summary "The choices KVM made when it was young"
  for cpus ivy_bridge_i7_3820qm, ice_lake_i7_1065g7

  pin_based {
    require external_interrupt_exiting, nmi_exiting      # a device interrupt always comes back to the host
    prefer  virtual_nmis
  }
  primary {
    require use_tsc_offsetting, use_io_bitmaps, hlt_exiting
    forbid  rdtsc_exiting                                # the guest reads the TSC itself, plus tsc_offset
    prefer  use_tpr_shadow, use_msr_bitmaps
    allow   interrupt_window_exiting                     # off at first; the hypervisor switches it on while it runs
  }
  secondary { prefer enable_ept, enable_vpid, unrestricted_guest }
  vm_exit   { forbid acknowledge_interrupt_on_exit }
  when not supported(enable_ept) {
    primary { require cr3_load_exiting, cr3_store_exiting, invlpg_exiting }
  }
  exceptions { intercept page_fault when error_code & 1 == 0, invalid_opcode, machine_check }
  io   { intercept all; pass 0x80 }
  msrs { intercept all; pass read write fs_base, gs_base }
  tsc_offset = param tsc_offset : u64 = 0

  scenario "RDTSC does not exit and sees the offset" {
    set tsc_offset = 0x1000
    guest rdtsc
    expect no exit, edx_eax == host_tsc + 0x1000
  }
  scenario "port 0x60 exits" {
    guest in al, 0x60
    expect exit io_instruction where qualification.port == 0x60 and qualification.direction == in
  }
}
"""


@pytest.fixture(scope="module")
def design(database: Database) -> Result:
    return compile(DESIGN_EXAMPLE, database=database)


def words(vmcs: Vmcs, names: Iterable[str]) -> dict[str, int]:
    assert all(vmcs.words[name].value.is_known for name in names)
    return {name: vmcs.words[name].value.bits for name in names}


def test_the_policy_of_the_design_compiles_for_its_two_cpus_without_a_finding(design: Result) -> None:
    assert (design.ok, found(design)) == (True, [])
    assert list(design.by_cpu) == ["ivy_bridge_i7_3820qm", "ice_lake_i7_1065g7"]
    assert design.policy is not None
    assert [s.title for s in design.policy.scenarios] == ["RDTSC does not exit and sees the offset", "port 0x60 exits"]


def test_the_words_of_the_policy_of_the_design_follow_from_the_raw_msrs(design: Result, database: Database) -> None:
    wanted = {
        "pin_based": EXTERNAL_INTERRUPT | NMI | VNMI | PIN_DEFAULT1,
        "primary": TSC_OFFSETTING | IO_BITMAPS | HLT | TPR_SHADOW | MSR_BITMAPS | SECONDARY | PRIMARY_DEFAULT1,
        "secondary": EPT | VPID | UNRESTRICTED,
        "vm_exit": sum(1 << bit for bit in (0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14, 16, 17)),
        "vm_entry": sum(1 << bit for bit in (0, 1, 3, 4, 5, 6, 7, 8, 12)),
    }
    for name, vmcs in design.by_cpu.items():
        msrs = raw(name, database)
        assert msrs["ia32_vmx_basic"] >> 55 & 1  # so the TRUE MSRs count
        read = {
            "pin_based": msrs["ia32_vmx_true_pinbased_ctls"],
            "primary": msrs["ia32_vmx_true_procbased_ctls"],
            "secondary": msrs["ia32_vmx_procbased_ctls2"],
            "vm_exit": msrs["ia32_vmx_true_exit_ctls"],
            "vm_entry": msrs["ia32_vmx_true_entry_ctls"],
        }
        expected = {word: (wanted[word] | halves(msr)[0]) & halves(msr)[1] for word, msr in read.items()}
        assert words(vmcs, expected) == expected, name
        assert vmcs.words["primary"].allowed == 1 << 2


def test_the_pages_and_fields_of_the_policy_of_the_design_say_what_it_says(design: Result) -> None:
    for vmcs in design.by_cpu.values():
        ports = int.from_bytes(vmcs.pages["io_bitmap_a"] + vmcs.pages["io_bitmap_b"], "little")
        assert ports == (1 << 0x10000) - 1 & ~(1 << 0x80)
        passed = 1 << 0x100 | 1 << 0x101  # FS and GS base are MSRs 0xc0000100 and 0xc0000101
        low, high = (1 << 0x2000) - 1, (1 << 0x2000) - 1 & ~passed
        page = vmcs.pages["msr_bitmap"]
        parts = [int.from_bytes(page[start : start + 0x400], "little") for start in range(0, 0x1000, 0x400)]
        assert parts == [low, high, low, high]
        fields = {name: item.value.bits for name, item in vmcs.fields.items() if item.value.is_known}
        assert fields["exception_bitmap"] == 1 << 6 | 1 << 14 | 1 << 18
        assert (fields["page_fault_error_code_mask"], fields["page_fault_error_code_match"]) == (1, 0)
        assert fields["tsc_offset"] == 0


def test_a_parameter_of_the_policy_of_the_design_takes_the_value_that_is_given(database: Database) -> None:
    result = compile(DESIGN_EXAMPLE, database=database, params={"tsc_offset": 0x1234})
    assert result.vmcs is not None
    assert result.vmcs.fields["tsc_offset"].value.bits == 0x1234


def test_the_policy_of_the_design_exits_on_cr3_and_invlpg_where_there_is_no_ept(database: Database) -> None:
    result = compile(DESIGN_EXAMPLE, processor(procbased_ctls2=only(VPID)), database)
    shadowing = CR3_LOAD | CR3_STORE | INVLPG
    assert result.ok
    assert resolved(result, "primary").required & shadowing == shadowing
