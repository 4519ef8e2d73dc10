"""Accesses to memory by linear addresses: through the guest's paging and EPT, or to the APIC-access page.

The hypervisor's linear addresses are physical ones. Every function raises `Fault` or `VmExit` before anything changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vmcsc.machine import apic
from vmcsc.machine.ept import Reference, physical_of
from vmcsc.machine.paging import translate

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_PAGE = 0xFFF
_ALL = 0xFFFFFFFF_FFFFFFFF


def load(machine: Machine, p: Processor, linear: int, width: int, *, system: bool = False) -> int:
    """Read `width` bits. `system`: an access that the processor makes by itself, as a supervisor."""
    if not p.non_root:
        return machine.memory.read(linear, width)
    value, done = 0, 0
    for address, size in _pieces(linear, width // 8):
        physical = _physical(machine, p, address, Reference(read=True), system)
        if p.apic_accesses and physical & ~_PAGE == p.apic_page:
            piece = apic.read(machine, p, physical & _PAGE, size, address)
        else:
            piece = machine.memory.read(physical, size * 8)
        value |= piece << 8 * done
        done += size
    return value


def store(machine: Machine, p: Processor, linear: int, width: int, value: int, *, system: bool = False) -> None:
    """Write `width` bits; both pages are looked at before a write that reaches into two."""
    if not p.non_root:
        machine.memory.write(linear, width, value)
        return
    places = [
        (_physical(machine, p, address, Reference(write=True), system), size, address)
        for address, size in _pieces(linear, width // 8)
    ]
    for physical, size, address in places:
        piece, value = value & (1 << 8 * size) - 1, value >> 8 * size
        if p.apic_accesses and physical & ~_PAGE == p.apic_page:
            apic.write(machine, p, physical & _PAGE, size, piece, address)
        else:
            machine.memory.write(physical, size * 8, piece)


def fetch(machine: Machine, p: Processor, linear: int) -> None:
    """What fetching an instruction at `linear` leads to; the bytes themselves are not looked at."""
    if p.non_root:
        physical = _physical(machine, p, linear, Reference(fetch=True), False)
        if p.apic_accesses and physical & ~_PAGE == p.apic_page:
            apic.fetch(machine, p, physical & _PAGE, linear)


def _physical(machine: Machine, p: Processor, linear: int, reference: Reference, system: bool) -> int:
    user = not system and p.ss_access_rights >> 5 & 3 == 3
    guest, meaning = translate(machine, p, linear, reference, user)
    return physical_of(machine, p, guest, reference.of(meaning))


def _pieces(linear: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of an access in each page, as address and size in bytes."""
    first = min(size, _PAGE + 1 - (linear & _PAGE))
    yield linear & _ALL, first
    if first < size:
        yield linear + first & _ALL, size - first
