"""An event that goes through the interrupt-descriptor table, and what the specs say of something that happens."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from vmcsc.machine.outcome import Fault
from vmcsc.records import dataclass

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor


class EventType(IntEnum):
    """The types of interruption information (SDM: Format of the VM-Entry Interruption-Information Field)."""

    EXTERNAL_INTERRUPT = 0
    NMI = 2
    HARDWARE_EXCEPTION = 3
    SOFTWARE_INTERRUPT = 4
    PRIVILEGED_SOFTWARE_EXCEPTION = 5
    SOFTWARE_EXCEPTION = 6
    OTHER_EVENT = 7

    @property
    def by_software(self) -> bool:
        return self in (4, 5, 6)


@dataclass(frozen=True, slots=True)
class Event:
    """`error_code` is None where delivery pushes none; `length` is that of the instruction of a software event.

    `detail` is the linear address of a page fault, or the conditions of a debug exception.
    """

    vector: int
    type: EventType
    error_code: int | None = None
    length: int = 0
    detail: int = 0

    @property
    def information(self) -> int:
        """The IDT-vectoring information of this event."""
        return 1 << 31 | self.vector | self.type << 8 | (self.error_code is not None) << 11


def event_of(machine: Machine, fault: Fault, length: int) -> Event:
    """The event that an exception of the guest is; `length` is that of the instruction that raised it."""
    vector = machine.database.exceptions[fault.name].vector
    type_ = EventType(fault.type)
    detail = fault.qualification if fault.address is None else fault.address
    return Event(vector, type_, fault.error_code, length if type_.by_software else 0, detail)


def consult(machine: Machine, p: Processor, group: str, values: tuple[int, ...] = ()) -> str | None:
    """What a group of specs/machine/events.yaml says: raises the VM exit, or returns the algorithm (None: nothing)."""
    assert p.vmcs is not None
    decision = machine.decision(group)
    fields = p.vmcs.fields
    index = decision.non_root(p, fields, machine.memory.read, values)
    if index < 0:
        return None
    step = decision.steps[index]
    if step.action == "do":
        return step.target
    raise decision.outcome(index, p, fields, machine.memory, values)
