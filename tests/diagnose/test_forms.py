"""What other programs than Linux's dump_vmcs() print: Xen in each of its forms, the registers and messages of QEMU."""

from __future__ import annotations

import pytest

from tests.diagnose.given import log_of, only_dump
from tests.diagnose.patterns import distinct
from tests.diagnose.written import RAW, written
from vmcsc.architecture.database import Database
from vmcsc.diagnose.dump import Event

XEN = """\
(XEN) d12v0 vmentry failure (reason 0x80000021): Invalid guest state (2)
(XEN) ************* VMCS Area **************
(XEN) *** Guest State ***
(XEN) CR0: actual=0x000000008005003b, shadow=0x0000000080050033, gh_mask=ffffffffffffffff
(XEN) CR3 = 0x800000001a02f080
(XEN) PDPTE0 = 0x0000000000000001  PDPTE1 = 0x0000000000000002
(XEN) RSP = 0xffff880018cf7f50 (0xffff880018cf7f51)  RIP = 0xffffffff8184f058 (0xffffffff8184f059)
(XEN) RFLAGS=0x00000082 (0x00000083)  DR7 = 0x0000000000000400
(XEN) Sysenter RSP=0000000000000001 CS:RIP=0010:ffffffff81851f60
(XEN)        sel  attr  limit   base
(XEN)   CS: 0010 0a09b ffffffff 0000000000000000
(XEN)   DS: 0000 1c000 ffffffff 0000000000000000
(XEN) GDTR:            0000007f ffff88001f40c000
(XEN) LDTR: 0000 1c000 ffffffff 0000000000000000
(XEN) EFER(VMCS) = 0x0000000000000d01  PAT = 0x0007010600070106
(XEN) PreemptionTimer = 0x00000005  SM Base = 0x00000006
(XEN) DebugCtl = 0x0000000000000000  DebugExceptions = 0x0000000000004000
(XEN) Interruptibility = 00000001  ActivityState = 00000002
(XEN) SPEC_CTRL mask = 0x0000000000000003  shadow = 0x0000000000000004
(XEN) *** Host State ***
(XEN) RIP = 0xffff82d040200000 (vmx_asm_vmexit_handler)  RSP = 0xffff83007ffeff70
(XEN) CS=e008 SS=0000 DS=0000 ES=0000 FS=0000 GS=0000 TR=e040
(XEN) EFER = 0x0000000000000d01  PAT = 0x0000050100070406
(XEN) *** Control State ***
(XEN) PinBased=0000003f CPUBased=b6a075fe
(XEN) SecondaryExec=000014eb TertiaryExec=0000000000000000
(XEN) EntryControls=0000d3ff ExitControls=002fefff
(XEN)         reason=80000021 qualification=0000000000000002
(XEN) TSC Offset = 0x0000000000000007  TSC Multiplier = 0x0000000000000008
(XEN) TPR Threshold = 0x00  PostedIntrVec = 0xf4
(XEN) EPT pointer = 0x000000007f6e001e  EPTP index = 0x0009
(XEN) CR3 target0=000000000000000a target1=000000000000000b
(XEN) Virtual processor ID = 0x0005 VMfunc controls = 0000000000000001
(XEN) **************************************
"""

OLD_XEN = """\
(XEN) *** Guest State ***
(XEN) CR3: actual=0x0000000001015080, target_count=3
(XEN)      target0=0000000000000001, target1=0000000000000002
(XEN)      target2=0000000000000003, target3=0000000000000004
(XEN) RFLAGS=0x0000000000010002 (0x0000000000010002)  DR7 = 0x0000000000000400
(XEN) CS: sel=0x0000, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000
(XEN) GDTR:                           limit=0x0000ffff, base=0x0000000000000005
(XEN) Guest PAT = 0x0007040600070406
(XEN) TSC Offset = ffffffff00000000
(XEN) DebugCtl=0000000000000001 DebugExceptions=0000000000000002
(XEN) Interruptibility=0001 ActivityState=0003
(XEN) *** Host State ***
(XEN) RSP = 0xffff83012fd7ff90  RIP = 0xffff82c4801d1d40
(XEN) Host PAT = 0x0000050100070406
(XEN) *** Control State ***
(XEN) PinBased=0000003f CPUBased=b6a075fa SecondaryExec=0000006b
(XEN) VMEntry: intr_info=00000000 errcode=00000000 ilen=00000002
(XEN) VMExit: intr_info=00000001 errcode=00000003 ilen=00000002
(XEN)         reason=80000021 qualification=0000000f
(XEN) EPT pointer = 0x000000012fd7001e
"""


def values(text: str, database: Database) -> dict[str, int]:
    dump = only_dump(text, database)
    assert dump.strange == []
    return {name: value.bits for name, value in dump.fields.items() if value.is_known}


def test_xen_since_4_6(database: Database) -> None:
    expected = {
        "guest_cr0": 0x8005003B, "cr0_read_shadow": 0x80050033, "guest_cr3": 0x800000001A02F080, "guest_pdpte1": 2,
        "guest_rsp": 0xFFFF880018CF7F50, "guest_rip": 0xFFFFFFFF8184F058, "guest_rflags": 0x82, "guest_dr7": 0x400,
        "guest_cs_access_rights": 0xA09B, "guest_cs_limit": 0xFFFFFFFF, "guest_ds_access_rights": 0x1C000,
        "guest_gdtr_limit": 0x7F, "guest_gdtr_base": 0xFFFF88001F40C000, "guest_ia32_efer": 0xD01,
        "guest_ia32_pat": 0x0007010600070106, "vmx_preemption_timer_value": 5, "guest_smbase": 6,
        "guest_pending_debug_exceptions": 0x4000, "guest_interruptibility_state": 1, "guest_activity_state": 2,
        "spec_ctrl_mask": 3, "spec_ctrl_shadow": 4, "host_rip": 0xFFFF82D040200000, "host_rsp": 0xFFFF83007FFEFF70,
        "host_cs_selector": 0xE008, "host_tr_selector": 0xE040, "host_ia32_pat": 0x0000050100070406,
        "primary_vm_execution_controls": 0xB6A075FE, "secondary_vm_execution_controls": 0x14EB,
        "vm_entry_controls": 0xD3FF, "exit_reason": 0x80000021, "exit_qualification": 2, "tsc_offset": 7,
        "tsc_multiplier": 8, "posted_interrupt_notification_vector": 0xF4, "ept_pointer": 0x7F6E001E, "eptp_index": 9,
        "cr3_target_value_0": 10, "cr3_target_value_1": 11, "virtual_processor_id": 5, "vm_function_controls": 1,
    }  # fmt: skip
    found = values(XEN, database)
    assert {name: found.get(name) for name in expected} == expected


def test_xen_before_4_6_where_fewer_digits_and_other_fields_stand(database: Database) -> None:
    found = values(OLD_XEN, database)
    expected = {
        "guest_cr3": 0x1015080, "cr3_target_count": 3, "cr3_target_value_0": 1, "cr3_target_value_3": 4,
        "guest_rflags": 0x10002, "guest_gdtr_base": 5, "guest_ia32_pat": 0x0007040600070406,
        "tsc_offset": 0xFFFFFFFF00000000, "guest_ia32_debugctl": 1, "guest_pending_debug_exceptions": 2,
        "guest_interruptibility_state": 1, "guest_activity_state": 3, "host_rsp": 0xFFFF83012FD7FF90,
        "host_ia32_pat": 0x0000050100070406, "entry_instruction_length": 2, "ept_pointer": 0x12FD7001E,
    }  # fmt: skip
    assert {name: found.get(name) for name in expected} == expected
    assert "exit_instruction_length" not in found  # what is printed there is the length for VM entry
    half = only_dump(OLD_XEN, database).fields["exit_qualification"]
    assert (half.bits, half.known) == (0xF, 0xFFFFFFFF)


def test_efer_that_is_not_the_field_is_not_taken_for_it(database: Database) -> None:
    for line in ("EFER= 0x0000000000000500 (effective)", "EFER= 0x0000000000000500 (autoload)",
                 "EFER(MSR LL) = 0x0000000000000500  PAT = 0x0007010600070106"):  # fmt: skip
        dump = only_dump(f"*** Guest State ***\nCR3 = 0x0000000000001000\n{line}\n", database)
        assert "guest_ia32_efer" not in dump.fields
        assert [says for _, says in dump.remarks] != []
        assert dump.strange == []


@pytest.mark.parametrize("form", [form["name"] for form in RAW["forms"]])
def test_a_text_of_each_piece_is_read_back(form: str, database: Database) -> None:
    """From the texts of the file itself, in which a typing error would show nowhere else."""
    known = distinct(database)
    skip = ("CR3: actual", "(corrupted", "(autoload", "(effective", "MSR LL", "CS:RIP", "RIP=<:4>", "<*>", "target")
    dump = only_dump(written(form, known, skip=skip), database)
    assert dump.strange == []
    widths = {name: field.width for name, field in database.fields.items()}
    for name, value in dump.fields.items():
        assert (value.bits ^ known[name] & (1 << widths[name]) - 1) & value.known == 0 or "access_rights" in name, name


# --- QEMU ---

REGISTERS = """\
EAX=00000000 EBX=00000000 ECX=00000000 EDX=000206c1
ESI=00000000 EDI=00000000 EBP=00000000 ESP=00001234
EIP=0000fff0 EFL=00010002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0
ES =0000 00000000 0000ffff 00009300
CS =f000 ffff0000 0000ffff 00009b00
SS =0010 00000000 ffffffff 00c09300 DPL=0 DS   [-WA]
LDT=0000 00000000 0000ffff 00008200
TR =0000 00000000 0000ffff 00008b00
GDT=     00000001 0000ffff
IDT=     00000002 0000fffe
CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000
DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000
DR6=00000000ffff0ff0 DR7=0000000000000400
EFER=0000000000000000
Code=c5 5a 08 2d 00 00 00 00
"""


def test_registers_of_qemu_give_what_the_vmcs_has_alike(database: Database) -> None:
    dump = only_dump(f"KVM: entry failed, hardware error 0x80000021\n\n{REGISTERS}", database)
    found = {name: (value.bits, value.known) for name, value in dump.fields.items()}
    low, all32 = 0xFFFFFFFF, 0xFFFFFFFF
    assert found["guest_rip"] == (0xFFF0, low)
    assert found["guest_rsp"] == (0x1234, low)
    assert found["guest_rflags"] == (0x10002, (1 << 64) - 1)
    assert found["guest_cs_base"] == (0xFFFF0000, low)
    assert found["guest_cs_access_rights"] == (0x9B, all32)
    assert found["guest_ss_access_rights"] == (0xC093, all32)
    assert found["guest_idtr_limit"] == (0xFFFE, all32)
    assert not {"guest_cr0", "guest_cr3", "guest_cr4", "guest_ia32_efer"} & found.keys()
    assert [event.values for event in dump.events] == [{"exit_reason": 0x80000021}]
    assert dump.strange == []


def test_a_segment_that_is_not_present_is_unusable(database: Database) -> None:
    dump = only_dump(
        REGISTERS.replace("LDT=0000 00000000 0000ffff 00008200", "LDT=0000 00000000 0000ffff 00000000"), database
    )
    assert dump.fields["guest_ldtr_access_rights"].bits == 0x10000


def events(text: str, database: Database) -> list[Event]:
    return list(log_of(text, database).events)


@pytest.mark.parametrize(
    ("text", "means", "told"),
    [
        ("KVM: entry failed, hardware error 0x80000021", "failed", {"exit_reason": 0x80000021}),
        ("KVM: entry failed, hardware error 0x7", "failed", {"vm_instruction_error": 7}),
        ("KVM: entry failed, hardware error 0xffffffff", "failed", {}),  # of another vendor's processor
        ("kvm: vm entry failed with error 0x80000021", "failed", {"exit_reason": 0x80000021}),
        ("(XEN) d3v0 vmentry failure (reason 0x80000021): Invalid guest state (4)", "failed",
         {"exit_reason": 0x80000021, "exit_qualification": 4}),
        ("(XEN) d3v0 vmentry failure (reason 0x80000022): MSR loading (entry 3)", "failed",
         {"exit_reason": 0x80000022}),
        ("(XEN) Failed vm entry (exit reason 0x80000021) caused by invalid guest state (0).", "failed",
         {"exit_reason": 0x80000021, "exit_qualification": 0}),
        ("(XEN) vmcs.c:1842:d3v0 VMLAUNCH error: 0x8", "failed", {"vm_instruction_error": 8}),
        ("(XEN) vmcs.c:1842:d3v0 VMRESUME error: 0x7", "failed", {"vm_instruction_error": 7}),
        ("[  1.0] kvm_intel: set kvm_intel.dump_invalid_vmcs=1 to dump internal KVM state.", "undumped", {}),
        ("[  1.0] kvm [4242]: vcpu0, guest rIP: 0xfff0 vmx: unexpected exit reason 0x3", "other", {"exit_reason": 3}),
        ("qemu-system-x86_64: error: failed to set MSR 0x48b to 0x1ff7fff00000000", "refused_msr",
         {"msr": 0x48B, "value": 0x1FF7FFF00000000}),
        ("qemu: warning: host doesn't support requested feature: MSR(48BH).vmx-xsaves [bit 20]", "refused_bit",
         {"msr": 0x48B, "name": "vmx-xsaves", "bit": 20}),
    ],
)  # fmt: skip
def test_a_message_says_what_it_means(text: str, means: str, told: dict[str, int | str], database: Database) -> None:
    (event,) = events(f"before\n{text}\nafter\n", database)
    assert (event.means, event.values, event.line) == (means, told, 2)
