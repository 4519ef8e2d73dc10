"""VM exit: information recorded, guest state saved, host state loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.machine.outcome import VmExit
from vmcsc.machine.processor import Processor

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine

ENTRY_FAILURE = 1 << 31
"""The bit of the exit reason that tells of a VM entry that failed."""


def leave(machine: Machine, p: Processor, exit: VmExit) -> None:
    """Take `p` out of the guest (or back from a failed VM entry)."""
    vmcs = p.vmcs
    assert vmcs is not None
    slots, fields = machine.slots, vmcs.fields
    _record(machine, fields, exit)
    if not exit.failed_entry:
        vmcs.set(slots.entry_interruption_info, fields[slots.entry_interruption_info] & 0x7FFFFFFF)
        machine.transfers.save_guest(p, vmcs)
    machine.transfers.load_host(p, fields)
    p.vmx_root = True
    p.mtf_pending = 0
    machine.last_exit = exit


def _record(machine: Machine, fields: list[int], exit: VmExit) -> None:
    """The exit-information fields, which no rule of VM entry reads."""
    slots = machine.slots
    number = machine.database.exit_reasons[exit.reason].number
    fields[slots.exit_reason] = number | (ENTRY_FAILURE if exit.failed_entry else 0)
    fields[slots.exit_qualification] = exit.qualification
    fields[slots.exit_interruption_info] = fields[slots.idt_vectoring_info] = 0
    fields[slots.exit_instruction_length] = exit.length or 0
    fields[slots.exit_instruction_information] = exit.information
    for name, value in exit.fields.items():
        fields[slots.of[name]] = value
