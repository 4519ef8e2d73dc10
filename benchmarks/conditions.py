"""Checks of VM entry as one would write them by hand in Python, to compare the rules' speed with."""

from __future__ import annotations

from collections.abc import Mapping

COUNT = 24
"""How many conditions `violations` has."""


def violations(vmcs: Mapping[str, int], width: int = 39, linear: int = 48) -> list[str]:  # noqa: PLR0915
    """The names of the checks that fail for field values by name, on a processor with these widths of addresses."""
    failed: list[str] = []
    entry = vmcs["vm_entry_controls"]
    primary = vmcs["primary_vm_execution_controls"]
    secondary = vmcs["secondary_vm_execution_controls"] if primary >> 31 & 1 else 0
    cr0, cr4, efer, rflags = vmcs["guest_cr0"], vmcs["guest_cr4"], vmcs["guest_ia32_efer"], vmcs["guest_rflags"]
    long_mode = entry >> 9 & 1
    if primary >> 21 & 1 and vmcs["virtual_apic_address"] & 0xFFF:
        failed.append("virtual-APIC page is not aligned")
    if primary >> 28 & 1 and (vmcs["msr_bitmap"] & 0xFFF or vmcs["msr_bitmap"] >> width):
        failed.append("address of the MSR bitmaps")
    if primary >> 25 & 1 and (vmcs["io_bitmap_a"] & 0xFFF or vmcs["io_bitmap_b"] & 0xFFF):
        failed.append("address of an I/O bitmap")
    if secondary >> 5 & 1 and vmcs["virtual_processor_id"] == 0:
        failed.append("VPID is 0")
    if secondary >> 7 & 1 and not secondary >> 1 & 1:
        failed.append("unrestricted guest without EPT")
    if secondary >> 1 & 1 and (vmcs["ept_pointer"] >> width or vmcs["ept_pointer"] & 0xF80):
        failed.append("reserved bits of the EPTP")
    if vmcs["cr3_target_count"] > 4:
        failed.append("CR3-target count")
    if not secondary >> 7 & 1 and cr0 & 0x80000021 != 0x80000021:
        failed.append("fixed bits of CR0")
    if cr0 >> 31 & 1 and not cr0 & 1:
        failed.append("paging without protection")
    if long_mode and not (cr0 >> 31 & 1 and cr4 >> 5 & 1):
        failed.append("IA-32e mode without paging or PAE")
    if cr4 >> 17 & 1 and not long_mode:
        failed.append("PCIDs outside IA-32e mode")
    if vmcs["guest_cr3"] >> width:
        failed.append("width of CR3")
    if entry >> 2 & 1 and vmcs["guest_dr7"] >> 32:
        failed.append("upper half of DR7")
    if entry >> 15 & 1 and (efer >> 10 & 1) != long_mode:
        failed.append("EFER.LMA against the control")
    if entry >> 15 & 1 and cr0 >> 31 & 1 and (efer >> 8 & 1) != (efer >> 10 & 1):
        failed.append("EFER.LME against LMA")
    if not rflags & 2 or rflags & 0xFFFF_FFFF_FFC0_8028:
        failed.append("reserved bits of RFLAGS")
    if rflags >> 17 & 1 and (long_mode or not cr0 & 1):
        failed.append("virtual-8086 mode")
    if vmcs["entry_interruption_info"] & 0x8000_0700 == 0x8000_0000 and not rflags >> 9 & 1:
        failed.append("external interrupt while masked")
    if vmcs["guest_activity_state"] > 3:
        failed.append("activity state")
    if not vmcs["guest_cs_access_rights"] >> 16 & 1 and not vmcs["guest_cs_access_rights"] >> 7 & 1:
        failed.append("CS is not present")
    if vmcs["guest_tr_access_rights"] & 0xF not in (3, 11):
        failed.append("type of TR")
    if (vmcs["guest_fs_base"] + (1 << linear - 1)) % (1 << 64) >> linear:
        failed.append("FS base is not canonical")
    if (vmcs["host_gs_base"] + (1 << linear - 1)) % (1 << 64) >> linear:
        failed.append("host GS base is not canonical")
    if vmcs["host_cs_selector"] == 0 or vmcs["host_cs_selector"] & 7:
        failed.append("host CS selector")
    return failed
