"""Events that arrive at a logical processor, and what becomes of them between two instructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vmcsc.machine import apic
from vmcsc.machine.deliver import deliver, raised
from vmcsc.machine.event import Event, EventType
from vmcsc.machine.exit import leave
from vmcsc.machine.outcome import Fault, VmExit

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
    p.waiting = 1
    if arrival.kind == "time":
        advance(machine, p, number or 0)
    elif arrival.kind == "interrupt":
        p.interrupts.append(number or 0)
        promote(p)
    elif arrival.kind == "posted":
        apic.post(machine, p, number or 0)
        promote(p)
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
    fields, decision = p.vmcs.fields, machine.decision("boundary")
    try:
        while True:
            index = decision.non_root(p, fields, machine.memory.read, ())
            if index < 0:
                p.waiting = any(getattr(p, name) for name in machine.pending_registers)
                return None
            step = decision.steps[index]
            if step.action == "exit":
                raise decision.outcome(index, p, fields, machine.memory, ())
            ACTIONS[step.target](machine, p)
    except VmExit as exit:
        for name in () if exit.step is None else exit.step.clears:
            setattr(p, name, 0)
        leave(machine, p, exit)
        promote(p)
        return exit


def advance(machine: Machine, p: Processor, ticks: int) -> None:
    """Let `ticks` of the time-stamp counter pass; the VMX-preemption timer counts with it."""
    before, p.tsc = p.tsc, p.tsc + ticks & 0xFFFFFFFF_FFFFFFFF
    if p.timer_active and p.non_root:
        rate = machine.timer_rate
        p.preemption_timer = max(0, p.preemption_timer - ((before + ticks >> rate) - (before >> rate)))


def promote(p: Processor) -> None:
    """The highest vector that waits comes first."""
    if p.interrupts:
        waiting = [*p.interrupts, p.interrupt_vector] if p.interrupt_pending else p.interrupts
        p.interrupts = sorted(waiting)
        p.interrupt_vector = p.interrupts.pop()
        p.interrupt_pending = 1


def _take(p: Processor) -> None:
    """In VMX root operation events go to the host's handlers, which the machine only notes."""
    if p.nmi_pending and not p.nmi_blocked:
        p.nmi_pending = 0
        p.taken.append(NMI)
    while p.interrupt_pending and p.rflags & _IF and not p.interruptibility_state & _BLOCKED:
        p.taken.append(p.interrupt_vector)
        p.interrupt_pending = 0
        promote(p)


# --- what steps between instructions name ---


def _drop(name: str) -> Callable[[Machine, Processor], None]:
    """What was waiting in a register is gone."""
    return lambda _, p: setattr(p, name, 0)


def _deliver_nmi(machine: Machine, p: Processor) -> None:
    p.nmi_pending = 0
    deliver(machine, p, Event(NMI, EventType.NMI))


def _deliver_interrupt(machine: Machine, p: Processor) -> None:
    vector, p.interrupt_pending = p.interrupt_vector, 0
    promote(p)
    deliver(machine, p, Event(vector, EventType.EXTERNAL_INTERRUPT))


def _deliver_virtual_interrupt(machine: Machine, p: Processor) -> None:
    deliver(machine, p, Event(apic.acknowledge(machine, p), EventType.EXTERNAL_INTERRUPT))


def _take_posted_interrupts(machine: Machine, p: Processor) -> None:
    p.interrupt_pending = 0
    promote(p)
    apic.take_posted(machine, p)


def _debug_trap(machine: Machine, p: Processor) -> None:
    conditions = p.pending_debug_exceptions & 0x1400F
    p.pending_debug_exceptions = 0
    raised(machine, p, Fault(machine.exception_by_mnemonic["#DB"], qualification=conditions & ~0x1000), 0)


def _machine_check(machine: Machine, p: Processor) -> None:
    p.machine_check_pending = 0
    raised(machine, p, Fault(machine.exception_by_mnemonic["#MC"]), 0)


ACTIONS: Mapping[str, Callable[[Machine, Processor], None]] = {
    "drop_init": _drop("init_pending"),
    "drop_sipi": _drop("sipi_pending"),
    "drop_bus_lock": _drop("bus_lock_pending"),
    "drop_stall": _drop("stall_pending"),
    "deliver_nmi": _deliver_nmi,
    "deliver_interrupt": _deliver_interrupt,
    "deliver_virtual_interrupt": _deliver_virtual_interrupt,
    "take_posted_interrupts": _take_posted_interrupts,
    "debug_trap": _debug_trap,
    "take_machine_check": _machine_check,
}
