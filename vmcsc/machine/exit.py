"""VM exit: information recorded, guest state saved, MSRs stored, host state and MSRs loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.machine.event import EventType
from vmcsc.machine.msr_areas import load_msrs, store_msrs
from vmcsc.machine.outcome import Stopped, VmExit
from vmcsc.machine.processor import Processor
from vmcsc.machine.vmcs_data import VmcsData

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine

ENTRY_FAILURE = 1 << 31
"""The bit of the exit reason that tells of a VM entry that failed."""

PENDING_TRAP = 1 << 28
"""The bit of the exit reason that tells of a monitor-trap-flag exit that still waits."""

ABORT_STORE, ABORT_LOAD = 1, 4
"""VMX-abort indicators: MSRs could not be stored, or not be loaded (SDM: VMX Aborts)."""

_VALID = 1 << 31


def leave(machine: Machine, p: Processor, exit: VmExit) -> None:
    """Take `p` out of the guest (or back from a failed VM entry). Raises `Stopped` for a VMX abort."""
    vmcs = p.vmcs
    assert vmcs is not None
    slots, fields = machine.slots, vmcs.fields
    _record(machine, p, fields, exit)
    if not exit.failed_entry:
        vmcs.set(slots.entry_interruption_info, fields[slots.entry_interruption_info] & ~_VALID)
        machine.transfers.save_guest(p, vmcs)
        if fields[slots.vm_exit_msr_store_count]:
            _areas(machine, p, vmcs, fields, store=True)
    machine.transfers.load_host(p, fields, machine.memory.read)
    if fields[slots.vm_exit_msr_load_count]:
        _areas(machine, p, vmcs, fields, store=False)
    p.vmx_root = True
    p.mtf_pending = 0
    p.delivering = None
    machine.last_exit = exit


def _record(machine: Machine, p: Processor, fields: list[int], exit: VmExit) -> None:
    """The exit-information fields, which no rule of VM entry reads."""
    slots = machine.slots
    number = machine.database.exit_reasons[exit.reason].number
    fields[slots.exit_reason] = number | (ENTRY_FAILURE if exit.failed_entry else PENDING_TRAP * p.mtf_pending)
    fields[slots.exit_qualification] = exit.qualification
    if exit.failed_entry:  # nothing else is recorded
        return
    event = p.delivering
    fields[slots.exit_interruption_info] = 0
    fields[slots.idt_vectoring_info] = 0 if event is None else event.information
    if event is not None:
        fields[slots.idt_vectoring_error_code] = event.error_code or 0
    length = exit.length if exit.length is not None or event is None else event.length
    fields[slots.exit_instruction_length] = length or 0
    fields[slots.exit_instruction_information] = exit.information
    for name, value in exit.fields.items():
        fields[slots.of[name]] = value
    taken = fields[slots.exit_interruption_info]
    if taken & _VALID and taken >> 8 & 7 == EventType.NMI:
        p.nmi_blocked = True


def _areas(machine: Machine, p: Processor, vmcs: VmcsData, fields: list[int], *, store: bool) -> None:
    slots = machine.slots
    if store:
        refused = store_msrs(machine, p, fields[slots.vm_exit_msr_store_address], fields[slots.vm_exit_msr_store_count])
    else:
        refused = load_msrs(machine, p, fields[slots.vm_exit_msr_load_address], fields[slots.vm_exit_msr_load_count])
    if refused is not None:
        indicator = ABORT_STORE if store else ABORT_LOAD
        machine.memory.write(vmcs.address + 4, 32, indicator)
        what = "stored" if store else "loaded"
        raise Stopped(f"VMX abort {indicator}: entry {refused} of the MSRs to be {what} at the VM exit is not accepted")
