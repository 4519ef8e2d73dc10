"""Controls that need or exclude each other, and what they need to be used at all."""

from __future__ import annotations

from tests.check.changes import memory, off, on, put, state
from tests.check.rows import ERROR_8, Check
from tests.check.shapes import excludes, needs

SHADOW = on("tpr_shadow") + put(virtual_apic_address=0x9000) + memory({0x9080: 0})
POSTED = SHADOW + on("external_interrupt_exiting", "interrupt_delivery", "exit.acknowledge")
POSTED += put(posted_interrupt_notification_vector=0xF2, posted_interrupt_descriptor_address=0xA000)
TRACED = on("entry.load_rtit", "exit.clear_rtit", "pt_guest_physical")
THIRD = on("tertiary_controls") + put(hlat_pointer=0xB000, pid_pointer_table_address=0xC000)

CHECKS = [
    needs("exec-virtual-nmi-needs-nmi-exiting", "test_nmi_ctrls", "virtual_nmis", "nmi_exiting"),
    needs("exec-nmi-window-needs-virtual-nmi", "test_nmi_ctrls", "nmi_window", "virtual_nmis", on("nmi_exiting")),
    *(
        needs(f"exec-{rule}-needs-tpr-shadow", "test_apic_virtual_ctls", control, "tpr_shadow", SHADOW)
        for rule, control in (("x2apic", "x2apic_mode"), ("apicreg", "apic_registers"), ("vid", "interrupt_delivery"))
    ),
    needs(
        "exec-ipiv-needs-tpr-shadow",
        "SDM, VM-Execution Control Fields: IPI virtualization is among the controls that use of the TPR shadow gates",
        "ipi_virtualization",
        "tpr_shadow",
        SHADOW + THIRD,
    ),
    excludes("exec-x2apic-excl-apic-access", "test_apic_virtual_ctls", "x2apic_mode", "apic_accesses", SHADOW),
    needs(
        "exec-vid-needs-extint", "test_virtual_intr_ctls", "interrupt_delivery", "external_interrupt_exiting", SHADOW
    ),
    needs("exec-pi-needs-vid", "test_posted_intr", "posted", "interrupt_delivery", POSTED),
    needs("exec-pi-needs-ack-on-exit", "test_posted_intr", "posted", "exit.acknowledge", POSTED),
    needs("exec-pml-needs-ept", "test_pml", "pml", "ept", put(pml_address=0xD000)),
    needs("exec-ug-needs-ept", "test_ept_eptp", "unrestricted", "ept"),
    needs("exec-mbec-needs-ept", "test_mode_based_execute_control", "mbec", "ept"),
    needs(
        "exec-spp-needs-ept",
        "SDM, VM-Execution Control Fields: sub-page write permissions",
        "spp",
        "ept",
        put(sub_page_permission_table_pointer=0xE000),
    ),
    needs(
        "exec-eptp-switching-needs-ept",
        "SDM, VM-Execution Control Fields: EPTP switching",
        "eptp_switching",
        "ept",
        on("vm_functions") + put(eptp_list_address=0xF000),
    ),
    *(
        needs(rule, "SDM, VM-Execution Control Fields: tracing to guest-physical addresses", *controls, TRACED)
        for rule, controls in {
            "exec-ptgpa-needs-ept": ("pt_guest_physical", "ept"),
            "exec-ptgpa-needs-load-rtit": ("pt_guest_physical", "entry.load_rtit"),
            "exec-ptgpa-needs-clear-rtit": ("pt_guest_physical", "exit.clear_rtit"),
        }.items()
    ),
    *(
        needs(rule, "SDM, VM-Execution Control Fields: what EPT gates", control, "ept", THIRD)
        for rule, control in {
            "exec-hlat-needs-ept": "hlat",
            "exec-eptpw-needs-ept": "paging_write",
            "exec-gpv-needs-ept": "paging_verification",
        }.items()
    ),
    needs("exit-save-preempt-needs-timer", "test_vmx_preemption_timer", "exit.save_timer", "preemption_timer"),
    excludes(
        "entry-smm-deact-exclusive",
        "SDM, VM-Entry Control Fields: entry to SMM along with deactivation of the dual-monitor treatment",
        "entry.to_smm",
        "entry.deactivate",
        state(smm=1) + on("by_smi") + put(executive_vmcs_pointer=0x7000) + memory({0x7000: 0x15}),
    ),
    Check(
        "asz-host32-ia32e-guest",
        "test_host_addr_size",
        base="32-bit host",
        given=put(guest_cr4=0x2020, guest_ia32_efer=0xD01),
        violated=[on("entry.ia32e")],
        passed=[put(guest_ia32_efer=0)],
        also=("asz-legacy-ia32e-guest",),
        because="A processor outside IA-32e mode cannot enter such a guest either, and one inside needs a 64-bit host.",
        outcome=ERROR_8,
    ),
    Check(
        "asz-host32-ia32e-guest",
        "test_host_addr_size",
        given=put(host_cr4=0x26E0, host_rip=0xC1000000, host_ss_selector=0x18, host_ia32_efer=0),
        violated=[off("exit.host64")],
        passed=[],
        idle=[put(host_cr4=0x26E0, host_ia32_efer=0xD01)],
        also=("asz-ia32e-host64",),
        because="A processor in IA-32e mode needs a 64-bit host, and one outside cannot enter such a guest either.",
        outcome=ERROR_8,
    ),
]
