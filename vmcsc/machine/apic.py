"""Virtualization of the local APIC: the APIC-access page, the virtual-APIC page, virtual and posted interrupts.

SDM: APIC Virtualization and Virtual Interrupts. Which accesses are virtualized stands in specs/machine/events.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vmcsc.machine.event import consult

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

TPR, PPR, EOI, VISR, VIRR, ICR_HIGH = 0x80, 0xA0, 0xB0, 0x100, 0x200, 0x310
_READ, _WRITE, _DELIVERY = 0, 1, 3
"""Types of linear accesses in the qualification."""


def read(machine: Machine, p: Processor, offset: int, size: int, linear: int) -> int:
    """A read from the APIC-access page: from the virtual-APIC page, unless it exits."""
    consult(machine, p, "apic-read", (offset, size, linear, _READ if p.delivering is None else _DELIVERY))
    return machine.memory.read(p.virtual_apic_page + offset, 8 * size)


def write(machine: Machine, p: Processor, offset: int, size: int, value: int, linear: int) -> None:
    consult(machine, p, "apic-write", (offset, size, linear, _WRITE if p.delivering is None else _DELIVERY))
    written(machine, p, offset, value, 8 * size)


def fetch(machine: Machine, p: Processor, offset: int, linear: int) -> None:
    consult(machine, p, "apic-fetch", (offset, linear))


def written(machine: Machine, p: Processor, offset: int, value: int, width: int = 32) -> None:
    """Write a register of the virtual-APIC page and do what follows. Raises `VmExit`, trap-like."""
    place = p.virtual_apic_page + offset
    machine.memory.write(place, width, value)
    found = machine.memory.read(p.virtual_apic_page + (offset & ~0xF), 32)
    todo = consult(machine, p, "apic-written", (offset & ~0xF, found))
    if todo is not None:
        ACTIONS[todo](machine, p, found)


def virtualize_tpr(machine: Machine, p: Processor, _: int = 0) -> None:
    """TPR virtualization: a new priority may let an interrupt through, or ask for the monitor."""
    if p.interrupt_delivery:
        virtualize_ppr(machine, p)
    else:
        consult(machine, p, "tpr-virtualized")


def virtualize_ppr(machine: Machine, p: Processor) -> None:
    tpr, serving = machine.memory.read(p.virtual_apic_page + TPR, 32) & 0xFF, p.interrupt_status >> 8
    priority = tpr if tpr >> 4 >= serving >> 4 else serving & 0xF0
    machine.memory.write(p.virtual_apic_page + PPR, 32, priority)


def virtualize_eoi(machine: Machine, p: Processor, _: int = 0) -> None:
    vector = p.interrupt_status >> 8
    _set_bit(machine, p, VISR, vector, 0)
    p.interrupt_status = p.interrupt_status & 0xFF | _highest(machine, p, VISR) << 8
    virtualize_ppr(machine, p)
    consult(machine, p, "eoi-virtualized", (vector,))


def virtualize_self_ipi(machine: Machine, p: Processor, value: int) -> None:
    vector = value & 0xFF
    _set_bit(machine, p, VIRR, vector, 1)
    p.interrupt_status = p.interrupt_status & 0xFF00 | max(p.interrupt_status & 0xFF, vector)


def mask_icr_high(machine: Machine, p: Processor, value: int) -> None:
    machine.memory.write(p.virtual_apic_page + ICR_HIGH, 32, value & 0xFF000000)


def acknowledge(machine: Machine, p: Processor) -> int:
    """The virtual interrupt that is delivered next (SDM: Virtual-Interrupt Delivery)."""
    vector = p.interrupt_status & 0xFF
    _set_bit(machine, p, VISR, vector, 1)
    _set_bit(machine, p, VIRR, vector, 0)
    machine.memory.write(p.virtual_apic_page + PPR, 32, vector & 0xF0)
    p.interrupt_status = vector << 8 | _highest(machine, p, VIRR)
    return vector


def post(machine: Machine, p: Processor, vector: int) -> None:
    """Another agent posts an interrupt: its bit, the outstanding notification, and the notification itself."""
    assert p.vmcs is not None
    slots, fields = machine.slots, p.vmcs.fields
    descriptor = fields[slots.posted_interrupt_descriptor_address]
    place = descriptor + vector // 32 * 4
    machine.memory.write(place, 32, machine.memory.read(place, 32) | 1 << vector % 32)
    machine.memory.write(descriptor + 32, 32, machine.memory.read(descriptor + 32, 32) | 1)
    p.interrupts.append(fields[slots.posted_interrupt_notification_vector])


def take_posted(machine: Machine, p: Processor) -> None:
    """The notification came: what was posted becomes pending (SDM: Posted-Interrupt Processing)."""
    assert p.vmcs is not None
    descriptor = p.vmcs.fields[machine.slots.posted_interrupt_descriptor_address]
    machine.memory.write(descriptor + 32, 32, machine.memory.read(descriptor + 32, 32) & ~1)
    highest = 0
    for at in range(8):
        posted = machine.memory.read(descriptor + 4 * at, 32)
        if posted:
            place = p.virtual_apic_page + VIRR + 16 * at
            machine.memory.write(place, 32, machine.memory.read(place, 32) | posted)
            machine.memory.write(descriptor + 4 * at, 32, 0)
            highest = 32 * at + posted.bit_length() - 1
    p.interrupt_status = p.interrupt_status & 0xFF00 | max(p.interrupt_status & 0xFF, highest)


def _set_bit(machine: Machine, p: Processor, register: int, vector: int, value: int) -> None:
    place = p.virtual_apic_page + register + vector // 32 * 16
    bits = machine.memory.read(place, 32) & ~(1 << vector % 32)
    machine.memory.write(place, 32, bits | value << vector % 32)


def _highest(machine: Machine, p: Processor, register: int) -> int:
    """The highest vector whose bit is 1, or 0."""
    for at in reversed(range(8)):
        bits = machine.memory.read(p.virtual_apic_page + register + 16 * at, 32)
        if bits:
            return 32 * at + bits.bit_length() - 1
    return 0


ACTIONS: Mapping[str, Callable[[Machine, Processor, int], None]] = {
    "virtualize_tpr": virtualize_tpr,
    "virtualize_eoi": virtualize_eoi,
    "virtualize_self_ipi": virtualize_self_ipi,
    "mask_icr_high": mask_icr_high,
}
