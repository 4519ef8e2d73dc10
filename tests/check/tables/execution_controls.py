"""Allowed settings of the VM-execution controls, and the addresses and numbers that they make the processor use."""

from __future__ import annotations

from dataclasses import replace

from tests.check.bits import EPT_CAP, PIN, PRIMARY, SECONDARY, TERTIARY, VMFUNC
from tests.check.changes import Change, flipped, memory, off, on, put, state
from tests.check.rows import ERROR_7, Check
from tests.check.shapes import region, width
from tests.check.states import WIDTH
from tests.check.tables.control_dependencies import POSTED, SHADOW, THIRD

CONTROLS = "SDM, VM-Execution Control Fields"
PIN_ALLOWED, PIN_FORCED = 0xFF, 0x16
PRIMARY_FORCED = 0x04006172
EPT = on("ept")


def _ept_cap(*names: str) -> Change:
    """The processor has these EPT capabilities and no others."""
    return put(**{EPT_CAP: 0}) + on(*names)


CHECKS = [
    Check(
        "exec-pin-reserved",
        "test_pin_based_ctls",
        field=PIN,
        violated=[
            *flipped(PIN, PIN_FORCED, 1, 2, 4),
            *flipped(PIN, PIN_FORCED, (31, 8)),
            PIN_FORCED | 1 << 8 & ~2,
            put(ia32_vmx_true_pinbased_ctls=0xFE << 32 | 0x16, pin_based_vm_execution_controls=0x17),
        ],
        passed=[
            PIN_FORCED,
            *flipped(PIN, PIN_FORCED | 9, 0, 6),
            put(ia32_vmx_true_pinbased_ctls=0xFF << 32, pin_based_vm_execution_controls=0),
        ],
        outcome=ERROR_7,
    ),
    Check(
        "exec-proc-reserved",
        "test_primary_processor_based_ctls",
        given=off("secondary_controls"),
        field=PRIMARY,
        violated=[
            *flipped(PRIMARY, PRIMARY_FORCED, 1, 4, 5, 6, 8, 13, 14, 26),
            *flipped(PRIMARY, PRIMARY_FORCED, 0, 18),
        ],
        passed=[PRIMARY_FORCED, *flipped(PRIMARY, PRIMARY_FORCED, 2, 3, 7, 15, 16, 30)],
        outcome=ERROR_7,
    ),
    Check(
        "exec-proc2-reserved",
        "test_secondary_processor_based_ctls",
        given=on("secondary_controls"),
        field=SECONDARY,
        violated=[
            *flipped(SECONDARY, 0, 28, 29),
            put(ia32_vmx_procbased_ctls2=4 << 32, secondary_vm_execution_controls=8),
        ],
        passed=[0, *flipped(SECONDARY, 0, 2, 3, 31)],
        idle=[off("secondary_controls") + put(secondary_vm_execution_controls=1 << 28)],
        outcome=ERROR_7,
    ),
    Check(
        "exec-proc3-reserved",
        f"{CONTROLS}: reserved bits of the tertiary controls",
        given=on("tertiary_controls"),
        field=TERTIARY,
        violated=flipped(TERTIARY, 0, 10, 11, 13, 32, 63),
        passed=[0, *flipped(TERTIARY, 0, 0, 9, 12)],
        idle=[off("tertiary_controls") + put(tertiary_vm_execution_controls=1 << 63)],
        outcome=ERROR_7,
    ),
    Check(
        "exec-cr3-target-count",
        "test_cr3_targets",
        field="cr3_target_count",
        violated=[5, 256 + 4, 1 << 31, put(ia32_vmx_misc=0x3003C1E7, cr3_target_count=4)],
        passed=[4, 0, put(ia32_vmx_misc=0x3104C1E7, cr3_target_count=256)],
        outcome=ERROR_7,
    ),
    *region("exec-io-bitmap-a", "io_bitmap_a", "test_io_bitmaps", "io_bitmaps"),
    *region("exec-io-bitmap-b", "io_bitmap_b", "test_io_bitmaps", "io_bitmaps"),
    *region("exec-msr-bitmap", "msr_bitmap", "test_msr_bitmap", "msr_bitmaps"),
    *region("exec-vapic", "virtual_apic_address", "test_apic_virt_addr", "tpr_shadow"),
    Check(
        "exec-tpr-threshold-reserved",
        "test_tpr_threshold",
        given=SHADOW + memory({0x9080: 0xF0}),
        violated=flipped("tpr_threshold", 0, (31, 4)),
        passed=flipped("tpr_threshold", 0, (3, 0)),
        idle=[
            off("tpr_shadow") + put(tpr_threshold=1 << 31),
            on("interrupt_delivery", "external_interrupt_exiting") + put(tpr_threshold=1 << 31),
        ],
        outcome=ERROR_7,
    ),
    Check(
        "exec-tpr-threshold-vtpr",
        "test_tpr_threshold",
        given=SHADOW + put(tpr_threshold=3),
        violated=[memory({0x9080: 0x2F}), memory({0x9080: 0xFFFFFF2F}), memory({0x9080: 0x12})],
        passed=[memory({0x9080: 0x30}), memory({0x9080: 0xF0}), put(tpr_threshold=15) + memory({0x9080: 0xF0})],
        idle=[
            off("tpr_shadow"),
            on("apic_accesses") + put(apic_access_address=0xFEE00000),
            on("interrupt_delivery", "external_interrupt_exiting"),
        ],
        outcome=ERROR_7,
    ),
    *region("exec-apic-access", "apic_access_address", "test_apic_access_addr", "apic_accesses"),
    Check(
        "exec-pi-vector",
        "test_posted_intr",
        given=POSTED + on("posted"),
        violated=flipped("posted_interrupt_notification_vector", 0xF2, (15, 8)),
        passed=[*flipped("posted_interrupt_notification_vector", 0, (7, 0))],
        idle=[off("posted") + put(posted_interrupt_notification_vector=0x100)],
        outcome=ERROR_7,
    ),
    *region("exec-pi-desc", "posted_interrupt_descriptor_address", "test_posted_intr", "posted", POSTED, 64),
    Check(
        "exec-vpid-zero",
        "test_vpid",
        field="virtual_processor_id",
        violated=[0],
        passed=[1, 0xFFFF, 0x100],
        idle=[off("vpid") + put(virtual_processor_id=0)],
        outcome=ERROR_7,
    ),
    Check(
        "exec-eptp-memtype",
        "test_ept_eptp",
        given=EPT,
        field="ept_pointer",
        violated=[
            *(0x3018 | kind for kind in (1, 2, 3, 4, 5, 7)),
            put(ept_pointer=0x3018) + _ept_cap("ept.walk4", "ept.wb"),
            put(ept_pointer=0x3018) + _ept_cap("ept.walk4", "ept.walk5", "ept.wb"),
            put(ept_pointer=0x301E) + _ept_cap("ept.walk4", "ept.uc"),
            put(ept_pointer=0x301E, **{EPT_CAP: 1 << 6 | 1 << 8 | 1 << 16}),
        ],
        passed=[
            0x3018,
            0x301E,
            put(ept_pointer=0x3018) + _ept_cap("ept.walk4", "ept.uc"),
            put(ept_pointer=0x301E) + _ept_cap("ept.walk4", "ept.wb"),
        ],
        idle=[off("ept") + put(ept_pointer=0x3019)],
        outcome=ERROR_7,
    ),
    Check(
        "exec-eptp-walk-length",
        "test_ept_eptp",
        given=EPT,
        field="ept_pointer",
        violated=[
            *(0x3006 | levels << 3 for levels in (0, 1, 2, 5, 6, 7)),
            put(ept_pointer=0x301E) + _ept_cap("ept.walk5", "ept.wb", "ept.uc"),
            put(ept_pointer=0x301E, **{EPT_CAP: 1 | 1 << 7 | 1 << 14}),
            put(ept_pointer=0x3026) + _ept_cap("ept.walk4", "ept.wb", "ept.uc"),
        ],
        passed=[
            0x301E,
            0x3026,
            put(ept_pointer=0x301E) + _ept_cap("ept.walk4", "ept.wb"),
            put(ept_pointer=0x3026) + _ept_cap("ept.walk5", "ept.wb"),
        ],
        idle=[off("ept") + put(ept_pointer=0x3006)],
        outcome=ERROR_7,
    ),
    Check(
        "exec-eptp-ad",
        "test_eptp_ad_bit",
        given=EPT + _ept_cap("ept.walk4", "ept.wb"),
        field="ept_pointer",
        violated=[0x305E, put(ept_pointer=0x305E, **{EPT_CAP: 1 << 6 | 1 << 14 | 1 << 20 | 1 << 22})],
        passed=[0x301E, put(ept_pointer=0x309E) + on("ept.sss")],
        idle=[put(ept_pointer=0x305E) + on("ept.ad"), off("ept") + put(ept_pointer=0x305E)],
        outcome=ERROR_7,
    ),
    Check(
        "exec-eptp-sss",
        f"{CONTROLS}: bit 7 of the EPTP",
        given=EPT + _ept_cap("ept.walk4", "ept.wb", "ept.ad"),
        field="ept_pointer",
        violated=[0x309E, put(ept_pointer=0x309E, **{EPT_CAP: 1 << 6 | 1 << 14 | 1 << 22 | 1 << 25})],
        passed=[0x301E, 0x305E],
        idle=[put(ept_pointer=0x309E) + on("ept.sss"), off("ept") + put(ept_pointer=0x309E)],
        outcome=ERROR_7,
    ),
    Check(
        "exec-eptp-reserved-low",
        "test_ept_eptp",
        given=EPT + on("ept.sss"),
        violated=flipped("ept_pointer", 0x301E, (11, 8)),
        passed=flipped("ept_pointer", 0x301E, 12, 7, 6),
        idle=[off("ept") + put(ept_pointer=0x311E)],
        outcome=ERROR_7,
    ),
    Check(
        "exec-eptp-reserved-high",
        "test_ept_eptp",
        given=EPT,
        field="ept_pointer",
        violated=flipped("ept_pointer", 0x301E, WIDTH, 51, 52, 63),
        passed=flipped("ept_pointer", 0x301E, WIDTH - 1, 32),
        idle=[off("ept") + put(ept_pointer=1 << 63)],
        outcome=ERROR_7,
    ),
    *region("exec-pml", "pml_address", "test_pml", "pml"),
    *region("exec-spptp", "sub_page_permission_table_pointer", f"{CONTROLS}: sub-page permissions", "spp"),
    Check(
        "exec-vmfunc-reserved",
        f"{CONTROLS}: reserved bits of the VM-function controls",
        given=on("vm_functions"),
        violated=flipped(VMFUNC, 0, 1, 31, 32, 63),
        passed=[put(**{VMFUNC: 0}), put(**{VMFUNC: 1})],
        idle=[off("vm_functions") + put(**{VMFUNC: 2})],
        outcome=ERROR_7,
    ),
    *region("exec-eptp-list", "eptp_list_address", f"{CONTROLS}: EPTP switching", "eptp_switching", on("vm_functions")),
    *region("exec-vmread-bitmap", "vmread_bitmap", f"{CONTROLS}: VMCS shadowing", "shadowing"),
    *region("exec-vmwrite-bitmap", "vmwrite_bitmap", f"{CONTROLS}: VMCS shadowing", "shadowing"),
    *region("exec-ve-info", "ve_information_address", f"{CONTROLS}: EPT violations as #VE", "ept_violation_ve"),
    Check(
        "exec-rtit-trace-active",
        f"{CONTROLS}: IA32_RTIT_CTL.TraceEn is 1 at the time of VM entry",
        given=on("exit.clear_rtit"),
        violated=[state(trace_enabled=1) + on("entry.load_rtit")],
        passed=[state(trace_enabled=1)],
        idle=[on("entry.load_rtit")],
        outcome=ERROR_7,
    ),
    Check(
        "exec-tsc-multiplier-zero",
        f"{CONTROLS}: TSC scaling",
        given=on("tsc_scaling"),
        field="tsc_multiplier",
        violated=[0],
        passed=[1, 1 << 48, 1 << 63],
        idle=[off("tsc_scaling")],
        outcome=ERROR_7,
    ),
    region(
        "exec-ipiv-table",
        "pid_pointer_table_address",
        f"{CONTROLS}: PID-pointer table",
        "ipi_virtualization",
        SHADOW + THIRD,
        size=8,
    )[0],
    replace(
        width(
            "exec-ipiv-table-width",
            "pid_pointer_table_address",
            f"{CONTROLS}: PID-pointer table",
            SHADOW + THIRD + on("ipi_virtualization"),
            idle=off("ipi_virtualization"),
        ),
        also=("exec-ipiv-last-entry-width",),
        because="The last entry lies behind the first.",
    ),
    Check(
        "exec-ipiv-last-entry-width",
        f"{CONTROLS}: the last entry of the PID-pointer table",
        given=SHADOW + THIRD + on("ipi_virtualization"),
        violated=[
            put(pid_pointer_table_address=(1 << WIDTH) - 8, last_pid_pointer_index=1),
            put(pid_pointer_table_address=(1 << WIDTH) - 0x7FFF8, last_pid_pointer_index=0xFFFF),
            on("basic.32_bits") + put(pid_pointer_table_address=(1 << 32) - 8, last_pid_pointer_index=1),
        ],
        passed=[
            put(pid_pointer_table_address=(1 << WIDTH) - 8),
            put(pid_pointer_table_address=(1 << WIDTH) - 16, last_pid_pointer_index=1),
            put(pid_pointer_table_address=(1 << WIDTH) - 0x80000, last_pid_pointer_index=0xFFFF),
            on("basic.32_bits") + put(pid_pointer_table_address=(1 << 32) - 16, last_pid_pointer_index=1),
        ],
        idle=[off("ipi_virtualization") + put(pid_pointer_table_address=(1 << WIDTH) - 8, last_pid_pointer_index=1)],
        outcome=ERROR_7,
    ),
    Check(
        "exec-hlatp-reserved",
        f"{CONTROLS}: HLAT",
        given=THIRD + on("hlat"),
        violated=flipped("hlat_pointer", 0xB018, (2, 0), (11, 5), WIDTH, 52, 63),
        passed=flipped("hlat_pointer", 0xB018, 3, 4, 12, WIDTH - 1),
        idle=[off("hlat") + put(hlat_pointer=1)],
        outcome=ERROR_7,
    ),
    *region("exec-pasid-low", "low_pasid_directory_address", f"{CONTROLS}: PASID translation", "pasid"),
    *region("exec-pasid-high", "high_pasid_directory_address", f"{CONTROLS}: PASID translation", "pasid"),
]
