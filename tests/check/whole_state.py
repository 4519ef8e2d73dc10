"""A 64-bit guest under a 64-bit host with every field known, for a processor with EPT and TRUE MSRs."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.architecture.database import Database
from vmcsc.expression.value import Value, known

SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")

CONTROLS = {
    "pin_based_vm_execution_controls": 0x3F,
    "primary_vm_execution_controls": 0x9400_6172,
    "secondary_vm_execution_controls": 0xA2,
    "virtual_processor_id": 1,
    "msr_bitmap": 0x2000,
    "ept_pointer": 0x301E,
    "vm_exit_controls": 0x2B_EFFB,
    "vm_entry_controls": 0xD3FF,
}
HOST = {
    "host_cr0": 0x8005_0033,
    "host_cr3": 0x1000,
    "host_cr4": 0x36_26E0,
    "host_rip": 0xFFFF_FFFF_8100_0000,
    "host_cs_selector": 0x10,
    "host_tr_selector": 0x40,
    "host_gdtr_base": 0xFFFF_FE00_0000_1000,
    "host_ia32_efer": 0xD01,
    "host_ia32_pat": 0x0407_0506_0007_0106,
}
GUEST = {
    "guest_cr0": 0x8005_0033,
    "guest_cr3": 0x4000,
    "guest_cr4": 0x2020,
    "guest_rip": 0x40_1000,
    "guest_rflags": 2,
    "guest_dr7": 0x400,
    "guest_ia32_efer": 0xD01,
    "guest_ia32_pat": 0x0007_0406_0007_0406,
    "vmcs_link_pointer": (1 << 64) - 1,
    "guest_tr_access_rights": 0x8B,
    "guest_tr_limit": 0x67,
    "guest_ldtr_access_rights": 0x1_0000,
    **{f"guest_{segment}_selector": 0x10 for segment in SEGMENTS},
    **{f"guest_{segment}_limit": 0xFFFF_FFFF for segment in SEGMENTS},
    **{f"guest_{segment}_access_rights": 0xA09B if segment == "cs" else 0xC093 for segment in SEGMENTS},
}
PROCESSOR = {"vmx_operation": 1, "vmx_root": 1, "protected_mode": 1, "ia_32e_mode": 1, "current_vmcs": 0x8000}


def numbers(database: Database) -> dict[str, int]:
    """Every field, 0 where the tables above say nothing."""
    return dict.fromkeys(database.fields, 0) | CONTROLS | HOST | GUEST


def fields_of(raw: Mapping[str, int], database: Database) -> dict[str, Value]:
    return {name: known(database.fields[name].width, number) for name, number in raw.items()}


def processor_of(database: Database, **changed: int) -> dict[str, Value]:
    """Everything that a rule may ask of the processor's state."""
    raw = dict.fromkeys(database.state, 0) | PROCESSOR | changed
    return {name: known(database.state[name].width, number) for name, number in raw.items()}
