"""The guest's own paging: a linear address to a guest-physical one, in each of its modes (SDM: Paging)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.machine.ept import Meaning, Reference, physical_of
from vmcsc.machine.event import consult
from vmcsc.machine.outcome import Fault
from vmcsc.records import dataclass

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_PRESENT, _WRITABLE, _USER, _ACCESSED, _DIRTY, _LARGE = 1, 2, 4, 0x20, 0x40, 0x80
_EXECUTE_DISABLE = 1 << 63
_ADDRESS = 0x000FFFFF_FFFFF000
_PG, _WP = 1 << 31, 1 << 16
_PSE, _PAE, _LA57, _SMEP, _SMAP = 1 << 4, 1 << 5, 1 << 12, 1 << 20, 1 << 21
_LMA, _NXE = 1 << 10, 1 << 11
_AC = 1 << 18


@dataclass(slots=True)
class _Walk:
    """One translation: what is asked, the entries used so far by guest-physical address, and what they allow."""

    linear: int
    reference: Reference
    user: bool
    used: list[tuple[int, int]]
    rights: int = _WRITABLE | _USER
    execute_disable: bool = False


def translate(machine: Machine, p: Processor, linear: int, reference: Reference, user: bool) -> tuple[int, Meaning]:
    """The guest-physical address and what is known of the linear one. Raises `Fault` and `VmExit`."""
    if not p.cr0 & _PG:
        return linear & 0xFFFFFFFF, Meaning(linear, valid=True, final=True, user=True)
    walk = _Walk(linear, reference, user, [])
    if p.efer & _LMA:
        levels = 5 if p.cr4 & _LA57 else 4
        guest = _down(machine, p, walk, p.cr3 & _ADDRESS, levels)
    elif p.cr4 & _PAE:
        pointer = int(getattr(p, f"pdpte{linear >> 30 & 3}"))
        if not pointer & _PRESENT:
            raise _fault(machine, p, walk, present=False)
        guest = _down(machine, p, walk, pointer & _ADDRESS, 2)
    else:
        guest = _down_32(machine, p, walk)
    _check(machine, p, walk)
    _mark(machine, p, walk)
    meaning = Meaning(
        linear, valid=True, final=True, user=bool(walk.rights & _USER), writable=bool(walk.rights & _WRITABLE),
        execute_disable=walk.execute_disable,
    )  # fmt: skip
    return guest, meaning


def _down(machine: Machine, p: Processor, walk: _Walk, table: int, level: int) -> int:
    """64-bit entries from `level` down; the guest-physical address."""
    while True:
        shift = 12 + 9 * (level - 1)
        entry = _read(machine, p, walk, table + (walk.linear >> shift & 0x1FF) * 8, 64)
        leaf = level == 1 or (bool(entry & _LARGE) and level in (2, 3))
        if _reserved(machine, p, entry, level, leaf):
            raise _fault(machine, p, walk, reserved=True)
        walk.execute_disable |= bool(entry & _EXECUTE_DISABLE)
        if leaf:
            mask = (1 << shift) - 1
            return entry & _ADDRESS & ~mask | walk.linear & mask
        table, level = entry & _ADDRESS, level - 1


def _down_32(machine: Machine, p: Processor, walk: _Walk) -> int:
    """Two levels of 32-bit entries."""
    linear = walk.linear & 0xFFFFFFFF
    entry = _read(machine, p, walk, (p.cr3 & 0xFFFFF000) + (linear >> 22) * 4, 32)
    if entry & _LARGE and p.cr4 & _PSE:
        if entry & 1 << 21:
            raise _fault(machine, p, walk, reserved=True)
        return entry & 0xFFC00000 | (entry >> 13 & 0xFF) << 32 | linear & 0x3FFFFF
    entry = _read(machine, p, walk, (entry & 0xFFFFF000) + (linear >> 12 & 0x3FF) * 4, 32)
    return entry & 0xFFFFF000 | linear & 0xFFF


def _read(machine: Machine, p: Processor, walk: _Walk, guest: int, width: int) -> int:
    """One entry. With accessed and dirty flags for EPT an access to it counts as a write."""
    way = Meaning(walk.linear, valid=True, user=walk.user)
    reference = Reference(read=True, write=bool(p.ept_accessed_dirty), meaning=way)
    physical = physical_of(machine, p, guest, reference)
    if p.apic_accesses and physical & ~0xFFF == p.apic_page:
        consult(machine, p, "apic-walk", (physical & 0xFFF,))
    entry = machine.memory.read(physical, width)
    if not entry & _PRESENT:
        raise _fault(machine, p, walk, present=False)
    walk.used.append((guest, entry))
    walk.rights &= entry
    return entry


def _reserved(machine: Machine, p: Processor, entry: int, level: int, leaf: bool) -> bool:
    if entry & _ADDRESS & -(1 << machine.setting("physical_width", 8)):
        return True
    if entry & _EXECUTE_DISABLE and not p.efer & _NXE:
        return True
    if leaf and level > 1:
        low = entry & (1 << 12 + 9 * (level - 1)) - 1 & ~0x1FFF
        return bool(low) or (level == 3 and not machine.setting("large_1g"))
    return bool(entry & _LARGE) and level > 3


def _check(machine: Machine, p: Processor, walk: _Walk) -> None:
    """The rights of the whole walk (SDM: Access Rights)."""
    reference, is_user = walk.reference, bool(walk.rights & _USER)
    if walk.user:
        denied = not is_user or (reference.write and not walk.rights & _WRITABLE)
    else:
        denied = reference.write and not walk.rights & _WRITABLE and bool(p.cr0 & _WP)
        denied |= is_user and reference.fetch and bool(p.cr4 & _SMEP)
        denied |= is_user and not reference.fetch and bool(p.cr4 & _SMAP) and not p.rflags & _AC
    if denied or (reference.fetch and walk.execute_disable):
        raise _fault(machine, p, walk)


def _mark(machine: Machine, p: Processor, walk: _Walk) -> None:
    """Set the accessed flags, and the dirty flag of a page that is written."""
    last = len(walk.used) - 1
    for at, (guest, entry) in enumerate(walk.used):
        wanted = entry | _ACCESSED | (_DIRTY if at == last and walk.reference.write else 0)
        if wanted != entry:
            way = Meaning(walk.linear, valid=True, user=walk.user)
            physical = physical_of(machine, p, guest, Reference(read=True, write=True, meaning=way))
            machine.memory.write(physical, 64 if p.cr4 & _PAE else 32, wanted)


def _fault(machine: Machine, p: Processor, walk: _Walk, *, present: bool = True, reserved: bool = False) -> Fault:
    """The page fault with its error code (SDM: Page-Fault Exceptions)."""
    fetch = walk.reference.fetch and (bool(p.cr4 & _SMEP) or (bool(p.cr4 & _PAE) and bool(p.efer & _NXE)))
    code = int(present) | walk.reference.write << 1 | walk.user << 2 | reserved << 3 | fetch << 4
    return Fault(machine.exception_by_mnemonic["#PF"], code, address=walk.linear)


def pdptes(machine: Machine, p: Processor, cr3: int) -> list[int]:
    """The four PDPTEs that CR3 points to. Raises `Fault` for reserved bits, and `VmExit`."""
    found = []
    for at in range(4):
        physical = physical_of(machine, p, (cr3 & 0xFFFFFFE0) + 8 * at, Reference(read=True))
        entry = machine.memory.read(physical, 64)
        high = entry & _ADDRESS & -(1 << machine.setting("physical_width", 8))
        if entry & _PRESENT and (entry & 0x1E6 or high or entry >> 52):
            raise Fault(machine.general_protection, 0)
        found.append(entry)
    return found
