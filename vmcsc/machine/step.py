"""One step of a logical processor: what waits at the boundary, then an instruction and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.machine.deliver import raised
from vmcsc.machine.event import EventType
from vmcsc.machine.events import advance, boundary
from vmcsc.machine.execute import Executable, execute
from vmcsc.machine.exit import leave
from vmcsc.machine.outcome import Fault, Outcome, Stopped, VmExit

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_STI = 0x1
_MOV_SS = 0x2


def step(machine: Machine, p: Processor, executable: Executable) -> Outcome | None:
    """Execute one instruction unless an event comes before it, and tell what came of it (None: it completed).

    Raises `Stopped` where the processor is inactive, or where the machine does not model what would follow.
    """
    if p.waiting or p.watch or not p.non_root:
        exit = boundary(machine, p)
        if exit is not None:
            return exit
    if p.activity_state:
        raise Stopped("the processor is halted, and nothing that waits wakes it")
    blocking = p.interruptibility_state & (_STI | _MOV_SS)
    guest = p.non_root
    machine.read_tsc = p.tsc
    outcome = execute(machine, p, executable)
    if isinstance(outcome, Fault):
        if not guest:
            return outcome
        return _raised(machine, p, outcome, executable.length)
    if blocking:
        p.interruptibility_state &= ~blocking
    advance(machine, p, 1)
    if p.trap_active and guest and p.non_root:
        p.mtf_pending = p.waiting = 1
    return outcome


def _raised(machine: Machine, p: Processor, fault: Fault, length: int) -> Outcome | None:
    """An exception of the guest: the VM exit that it comes to, or None where the guest's handler got it."""
    try:
        raised(machine, p, fault, length)
    except VmExit as exit:
        if exit.length is None and EventType(fault.type).by_software:
            exit.length = length
        leave(machine, p, exit)
        return exit
    if p.trap_active:
        p.mtf_pending = p.waiting = 1
    return None
