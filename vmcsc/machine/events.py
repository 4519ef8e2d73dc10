"""Events that arrive at a logical processor, and what becomes of them between two instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.machine.exit import leave
from vmcsc.machine.outcome import Fault, Stopped, VmExit

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

NMI = 2
"""The vector of a non-maskable interrupt."""

_IF = 0x200
_BLOCKED = 0x3
"""Blocking by STI and by MOV SS in the interruptibility state."""


def arrive(machine: Machine, p: Processor, event: str, number: int | None) -> None:
    """Make an event of specs/machine/events.yaml wait at `p`, or let time pass."""
    arrival = machine.operation.arrivals[event]
    if arrival.kind == "time":
        advance(machine, p, number or 0)
    elif arrival.kind == "interrupt":
        p.interrupts.append(number or 0)
        _promote(p)
    else:
        for register, value in ((arrival.pending, 1), (arrival.number, number)):
            if register is not None and value is not None:
                setattr(p, register, value)


def boundary(machine: Machine, p: Processor) -> VmExit | None:
    """What comes before the next instruction of `p`: a VM exit that has been taken, or None."""
    if not p.non_root:
        _take(p)
        return None
    assert p.vmcs is not None
    fields = p.vmcs.fields
    while True:
        decision = machine.boundary
        index = decision.non_root(p, fields, machine.memory.read, ())
        if index < 0:
            return None
        step = decision.steps[index]
        if step.action == "exit":
            exit = decision.outcome(index, p, fields, machine.memory, ())
            assert isinstance(exit, VmExit)
            for name in step.clears:
                setattr(p, name, 0)
            leave(machine, p, exit)
            _promote(p)
            return exit
        _DELIVERIES[step.target](p)


def raised(machine: Machine, p: Processor, fault: Fault) -> VmExit:
    """What an exception of the guest comes to: a VM exit. Raises `Stopped` where it would be delivered to the guest."""
    assert p.vmcs is not None
    vector = machine.database.exceptions[fault.name].vector
    detail = fault.qualification if fault.address is None else fault.address
    o = (vector, fault.error_code or 0, int(fault.error_code is not None), detail)
    fields, decision = p.vmcs.fields, machine.exceptions
    index = decision.non_root(p, fields, machine.memory.read, o)
    if decision.steps[index].action != "exit":
        mnemonic = machine.database.exceptions[fault.name].mnemonic
        raise Stopped(f"{mnemonic} goes to the guest's own handler, and the machine does not run handlers of guests")
    exit = decision.outcome(index, p, fields, machine.memory, o)
    assert isinstance(exit, VmExit)
    leave(machine, p, exit)
    return exit


def advance(machine: Machine, p: Processor, ticks: int) -> None:
    """Let `ticks` of the time-stamp counter pass; the VMX-preemption timer counts with it."""
    before, p.tsc = p.tsc, p.tsc + ticks & 0xFFFFFFFF_FFFFFFFF
    if p.timer_active and p.non_root:
        rate = machine.timer_rate
        p.preemption_timer = max(0, p.preemption_timer - ((before + ticks >> rate) - (before >> rate)))


def _take(p: Processor) -> None:
    """In VMX root operation events go to the host's handlers, which the machine only notes."""
    if p.nmi_pending and not p.nmi_blocked:
        p.nmi_pending = 0
        p.taken.append(NMI)
    while p.interrupt_pending and p.rflags & _IF and not p.interruptibility_state & _BLOCKED:
        p.taken.append(p.interrupt_vector)
        p.interrupt_pending = 0
        _promote(p)


def _promote(p: Processor) -> None:
    """The highest vector that waits comes first."""
    if not p.interrupt_pending and p.interrupts:
        p.interrupts.sort()
        p.interrupt_vector = p.interrupts.pop()
        p.interrupt_pending = 1


def _drop_init(p: Processor) -> None:
    p.init_pending = 0


def _drop_sipi(p: Processor) -> None:
    p.sipi_pending = 0


def _deliver(_: Processor) -> None:
    raise Stopped("the event goes to the guest's own handler, and the machine does not run handlers of guests")


_DELIVERIES = {
    "drop_init": _drop_init,
    "drop_sipi": _drop_sipi,
    "deliver_nmi": _deliver,
    "deliver_interrupt": _deliver,
}
"""The algorithms that steps between instructions name."""
