"""VM entry: VMLAUNCH and VMRESUME after their own faults, to the first instruction of the guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.check.verdict import Outcome as Permitted
from vmcsc.machine.exit import leave
from vmcsc.machine.outcome import Fault, VmExit, VmFail
from vmcsc.machine.processor import Processor

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine


def enter(machine: Machine, p: Processor, *, launch: bool) -> None:
    """Enter the guest of the current VMCS, or raise `Fault` or `VmFail`, or exit for invalid guest state.

    The checks are the rules of specs/checks; where several outcomes are permitted, the usual one is taken.
    """
    p.instruction = int(not launch)
    vmcs = p.vmcs
    fields = machine.no_fields if vmcs is None else vmcs.fields
    if vmcs is None or not machine.rules.hold(p, fields, vmcs.dirty, machine.memory):
        _fail(machine, p, machine.rules.permitted(p, fields, machine.memory).outcomes[0])
        return
    vmcs.dirty = 0
    vmcs.launched = vmcs.launched or launch
    machine.transfers.load_guest(p, fields)
    machine.follow(p, fields)
    p.vmx_root = False


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
