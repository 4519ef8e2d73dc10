"""Events of the guest: exceptions that exit or go to its handlers, and what comes of a second one meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.machine.event import Event, EventType, consult, event_of
from vmcsc.machine.gates import through_table
from vmcsc.machine.outcome import Fault, Stopped

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_DOUBLE_FAULT = 8
_PAGE_FAULTS = frozenset({14, 20})
_CONTRIBUTORY = frozenset({0, 10, 11, 12, 13, 21})
"""Vectors by their class (SDM: Interrupt 8, Double Fault Exception)."""

_BLOCKED = 0x3
_NMI_BLOCKED = 0x8


def raised(machine: Machine, p: Processor, fault: Fault, length: int) -> None:
    """An exception of the guest: raises the VM exit that it causes, or delivers it.

    `length` is that of the instruction that raised it.
    """
    event = event_of(machine, fault, length)
    _ask(machine, p, event)
    deliver(machine, p, event)


def deliver(machine: Machine, p: Processor, event: Event) -> None:
    """Deliver an event through the guest's table, and whatever arises from that. Raises `VmExit`."""
    for _ in range(4):  # a triple fault comes at the latest
        p.delivering = event
        try:
            through_table(machine, p, event)
        except Fault as fault:
            event = _second(machine, p, event, event_of(machine, fault, 0))
            continue
        p.delivering = None
        _delivered(p, event)
        return
    raise Stopped("the delivery of an event does not end")


def _second(machine: Machine, p: Processor, first: Event, second: Event) -> Event:
    """The exception to deliver where `second` arises while `first` is delivered; it may exit instead."""
    _ask(machine, p, second)
    if first.vector == _DOUBLE_FAULT and first.type is EventType.HARDWARE_EXCEPTION:
        p.delivering = None
        consult(machine, p, "triple-fault")
        raise Stopped("the processor shuts down")
    if not _doubles(first, second):
        return second
    double = Event(_DOUBLE_FAULT, EventType.HARDWARE_EXCEPTION, 0)
    p.delivering = None  # the information of a double fault has no event before it
    _ask(machine, p, double)
    return double


def _doubles(first: Event, second: Event) -> bool:
    if first.type is not EventType.HARDWARE_EXCEPTION:
        return False
    if first.vector in _PAGE_FAULTS:
        return second.vector in _PAGE_FAULTS | _CONTRIBUTORY
    return first.vector in _CONTRIBUTORY and second.vector in _CONTRIBUTORY


def _ask(machine: Machine, p: Processor, event: Event) -> None:
    """Raise the exit that an exception causes, if it does."""
    code = event.error_code
    consult(machine, p, "exception", (event.vector, event.type, code or 0, int(code is not None), event.detail))


def _delivered(p: Processor, event: Event) -> None:
    """The processor runs on in the handler: nothing that was blocked for one instruction is blocked any more."""
    p.activity_state = 0
    p.interruptibility_state &= ~_BLOCKED
    if event.type is EventType.NMI:
        p.interruptibility_state |= _NMI_BLOCKED
