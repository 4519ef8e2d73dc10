"""VM entry: VMLAUNCH and VMRESUME after their own faults, to the first instruction of the guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.check.verdict import Outcome as Permitted
from vmcsc.machine import apic
from vmcsc.machine.deliver import deliver
from vmcsc.machine.event import Event, EventType
from vmcsc.machine.exit import leave
from vmcsc.machine.msr_areas import load_msrs
from vmcsc.machine.outcome import Fault, VmExit, VmFail
from vmcsc.machine.processor import Processor
from vmcsc.machine.vmcs_data import VmcsData

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine

_VALID, _ERROR_CODE = 1 << 31, 1 << 11
_NMI_BLOCKED = 0x8
_MSR_LOADING = 34
"""The exit reason of an entry whose MSRs cannot be loaded."""


def enter(machine: Machine, p: Processor, *, launch: bool) -> None:
    """Enter the guest of the current VMCS, or raise `Fault` or `VmFail`, or exit for invalid guest state.

    The checks are the rules of specs/checks; where several outcomes are permitted, the usual one is taken. Events that
    are injected may raise `VmExit`.
    """
    p.instruction = int(not launch)
    vmcs = p.vmcs
    fields = machine.no_fields if vmcs is None else vmcs.fields
    if vmcs is None or not machine.rules.hold(p, fields, vmcs.dirty, machine.memory):
        _fail(machine, p, machine.rules.permitted(p, fields, machine.memory).outcomes[0])
        return
    area = machine.slots
    refused = load_msrs(machine, p, fields[area.vm_entry_msr_load_address], fields[area.vm_entry_msr_load_count])
    if refused is not None:
        leave(machine, p, VmExit(machine.reason_by_number[_MSR_LOADING], refused, failed_entry=True))
        return
    vmcs.dirty = 0
    vmcs.launched = vmcs.launched or launch
    _run(machine, p, vmcs)


def _run(machine: Machine, p: Processor, vmcs: VmcsData) -> None:
    """Load the guest's state, and deliver what is injected."""
    fields = vmcs.fields
    machine.transfers.load_guest(p, fields, machine.memory.read)
    machine.follow(p, fields)
    p.vmx_root = False
    p.waiting = 1  # what arrived before, and what the guest's state brings
    if not p.virtual_nmis:
        p.nmi_blocked = bool(p.interruptibility_state & _NMI_BLOCKED)
    if p.interrupt_delivery:
        apic.virtualize_ppr(machine, p)
    information = fields[machine.slots.entry_interruption_info]
    if information & _VALID:
        _inject(machine, p, fields, information)


def _inject(machine: Machine, p: Processor, fields: list[int], information: int) -> None:
    """An event that VM entry delivers (SDM: Event Injection); one of the last type only lets the trap flag wait."""
    type_ = EventType(information >> 8 & 7)
    if type_ is EventType.OTHER_EVENT:
        p.mtf_pending = 1
        return
    slots = machine.slots
    code = fields[slots.entry_exception_error_code] if information & _ERROR_CODE else None
    length = fields[slots.entry_instruction_length] if type_.by_software else 0
    p.pending_debug_exceptions = 0
    deliver(machine, p, Event(information & 0xFF, type_, code, length))
    if p.trap_active:
        p.mtf_pending = 1


def _fail(machine: Machine, p: Processor, outcome: Permitted) -> None:
    """What a violated rule causes."""
    parts = dict(outcome.parts)
    if "fault" in parts:
        name = machine.exception_by_mnemonic[f"#{str(parts['fault']).upper()}"]
        raise Fault(name, 0 if machine.database.exceptions[name].error_code else None)
    if "vmfail_invalid" in parts:
        raise VmFail
    if "instruction_error" in parts:
        raise VmFail(machine.error_by_number[int(parts["instruction_error"])])
    reason = machine.reason_by_number[int(parts["exit_reason"])]
    leave(machine, p, VmExit(reason, int(parts.get("qualification", 0)), failed_entry=True))
