"""The bits that the tables switch, by name: numbers from the SDM, so that a wrong number in the specs shows."""

from __future__ import annotations

from collections.abc import Mapping

PIN, PRIMARY, SECONDARY = (f"{word}_vm_execution_controls" for word in ("pin_based", "primary", "secondary"))
TERTIARY, VMFUNC = "tertiary_vm_execution_controls", "vm_function_controls"
EXIT, EXIT2, ENTRY = "vm_exit_controls", "secondary_vm_exit_controls", "vm_entry_controls"
BASIC, MISC, EPT_CAP = "ia32_vmx_basic", "ia32_vmx_misc", "ia32_vmx_ept_vpid_cap"

_CONTROLS: Mapping[str, Mapping[str, int]] = {
    PIN: {"external_interrupt_exiting": 0, "nmi_exiting": 3, "virtual_nmis": 5, "preemption_timer": 6, "posted": 7},
    PRIMARY: {
        "tertiary_controls": 17,
        "tpr_shadow": 21,
        "nmi_window": 22,
        "io_bitmaps": 25,
        "msr_bitmaps": 28,
        "secondary_controls": 31,
    },
    SECONDARY: {
        "apic_accesses": 0,
        "ept": 1,
        "x2apic_mode": 4,
        "vpid": 5,
        "unrestricted": 7,
        "apic_registers": 8,
        "interrupt_delivery": 9,
        "vm_functions": 13,
        "shadowing": 14,
        "pml": 17,
        "ept_violation_ve": 18,
        "pasid": 21,
        "mbec": 22,
        "spp": 23,
        "pt_guest_physical": 24,
        "tsc_scaling": 25,
    },
    TERTIARY: {"hlat": 1, "paging_write": 2, "paging_verification": 3, "ipi_virtualization": 4},
    VMFUNC: {"eptp_switching": 0},
    EXIT: {
        "exit.host64": 9,
        "exit.load_perf": 12,
        "exit.acknowledge": 15,
        "exit.load_pat": 19,
        "exit.load_efer": 21,
        "exit.save_timer": 22,
        "exit.clear_rtit": 25,
        "exit.load_cet": 28,
        "exit.load_pkrs": 29,
        "exit.secondary_controls": 31,
    },
    EXIT2: {"exit.load_fred": 1, "exit.load_spec_ctrl": 2},
    ENTRY: {
        "entry.load_debug": 2,
        "entry.ia32e": 9,
        "entry.to_smm": 10,
        "entry.deactivate": 11,
        "entry.load_perf": 13,
        "entry.load_pat": 14,
        "entry.load_efer": 15,
        "entry.load_bndcfgs": 16,
        "entry.load_rtit": 18,
        "entry.load_uinv": 19,
        "entry.load_cet": 20,
        "entry.load_lbr": 21,
        "entry.load_pkrs": 22,
        "entry.load_fred": 23,
        "entry.load_spec_ctrl": 24,
    },
}

_REGISTERS: Mapping[str, Mapping[str, int]] = {
    "guest_cr0": {"cr0.pe": 0, "cr0.ne": 5, "cr0.wp": 16, "cr0.pg": 31},
    "guest_cr4": {"cr4.pae": 5, "cr4.la57": 12, "cr4.vmxe": 13, "cr4.pcide": 17, "cr4.cet": 23, "cr4.fred": 32},
    "host_cr0": {"host_cr0.wp": 16},
    "host_cr4": {"host_cr4.pae": 5, "host_cr4.la57": 12, "host_cr4.pcide": 17, "host_cr4.cet": 23, "host_cr4.fred": 32},
    "guest_rflags": {"rflags.tf": 8, "rflags.if": 9, "rflags.vm": 17},
    "guest_ia32_debugctl": {"debugctl.btf": 1},
    "guest_interruptibility_state": {"by_sti": 0, "by_mov_ss": 1, "by_smi": 2, "by_nmi": 3, "enclave": 4},
    "guest_pending_debug_exceptions": {"pending.bld": 11, "pending.enabled": 12, "pending.bs": 14, "pending.rtm": 16},
    BASIC: {"basic.32_bits": 48, "basic.dual_monitor": 49, "basic.true": 55, "basic.any_code": 56, "basic.nested": 58},
    MISC: {"misc.hlt": 6, "misc.shutdown": 7, "misc.sipi": 8, "misc.zero_length": 30},
    EPT_CAP: {"ept.walk4": 6, "ept.walk5": 7, "ept.uc": 8, "ept.wb": 14, "ept.ad": 21, "ept.sss": 23},
}

BITS: Mapping[str, tuple[str, int]] = {
    name: (key, bit) for key, named in (*_CONTROLS.items(), *_REGISTERS.items()) for name, bit in named.items()
}
"""For each name what it is a bit of, and the bit's number."""
