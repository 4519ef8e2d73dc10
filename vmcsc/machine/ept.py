"""Extended page tables: a guest-physical address to a physical one (SDM: The Extended Page Table Mechanism)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.machine.event import consult
from vmcsc.machine.outcome import Fault, VmExit
from vmcsc.records import dataclass, replace

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_READ, _WRITE, _EXECUTE, _USER_EXECUTE = 1, 2, 4, 1 << 10
_LARGE, _ACCESSED, _DIRTY = 1 << 7, 1 << 8, 1 << 9
_SUB_PAGE, _SUPPRESS = 1 << 61, 1 << 63
_ADDRESS = 0x000FFFFF_FFFFF000
_MEMORY_TYPES = frozenset({0, 1, 4, 5, 6})
_LOGGED = 512
"""Entries of the page-modification log."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is known of the linear address: whether there is one, and its rights.

    `final`: the access is to what it means, and not to a paging structure on the way.
    """

    linear: int = 0
    valid: bool = False
    final: bool = False
    user: bool = False
    writable: bool = True
    execute_disable: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """How memory is accessed, and for which linear address."""

    read: bool = False
    write: bool = False
    fetch: bool = False
    meaning: Meaning = Meaning()

    def of(self, meaning: Meaning) -> Reference:
        return replace(self, meaning=meaning)


@dataclass(slots=True)
class _Walk:
    """The entries used so far by address, and what they allow together."""

    used: list[tuple[int, int]]
    rights: int
    suppress: bool = False


def physical_of(machine: Machine, p: Processor, guest: int, reference: Reference) -> int:
    """The physical address of a guest-physical one. Raises `VmExit`, or `Fault` for a virtualization exception."""
    if not p.ept:
        return guest
    walk = _Walk([], _READ | _WRITE | _EXECUTE | _USER_EXECUTE)
    table, level = p.ept_root, p.ept_levels
    while True:
        address = table + (guest >> 12 + 9 * (level - 1) & 0x1FF) * 8
        entry = machine.memory.read(address, 64)
        present = _READ | _WRITE | _EXECUTE | (_USER_EXECUTE if p.mode_based_execute else 0)
        walk.suppress = bool(entry & _SUPPRESS)
        if not entry & present:
            walk.rights = 0
            _violation(machine, p, guest, reference, walk)
        leaf = level == 1 or (bool(entry & _LARGE) and level in (2, 3))
        if _misconfigured(machine, p, entry, level, leaf):
            consult(machine, p, "ept-misconfiguration", (guest,))
        walk.used.append((address, entry))
        walk.rights &= entry
        if leaf:
            break
        table, level = entry & _ADDRESS, level - 1
    if not _allowed(p, reference, walk.rights) and not _by_sub_page(machine, p, guest, reference, walk, level):
        _violation(machine, p, guest, reference, walk)
    if p.ept_accessed_dirty:
        _mark(machine, p, guest, reference, walk)
    mask = (1 << 12 + 9 * (level - 1)) - 1
    return walk.used[-1][1] & _ADDRESS & ~mask | guest & mask


def _allowed(p: Processor, reference: Reference, rights: int) -> bool:
    execute = _EXECUTE
    if p.mode_based_execute and reference.meaning.user:
        execute = _USER_EXECUTE
    needed = (_READ if reference.read else 0) | (_WRITE if reference.write else 0) | (execute if reference.fetch else 0)
    return rights & needed == needed


def _misconfigured(machine: Machine, p: Processor, entry: int, level: int, leaf: bool) -> bool:
    execute = entry & (_EXECUTE | (_USER_EXECUTE if p.mode_based_execute else 0))
    if not entry & _READ and (entry & _WRITE or (execute and not machine.setting("execute_only"))):
        return True
    if entry & _ADDRESS & -(1 << machine.setting("physical_width", 8)):
        return True
    if not leaf:
        reserved = 0xF8 if level >= 4 else 0x78
        return bool(entry & reserved)
    if level > 1 and (entry & (1 << 12 + 9 * (level - 1)) - 1 & _ADDRESS or not _large_pages(machine, level)):
        return True
    return entry >> 3 & 7 not in _MEMORY_TYPES


def _large_pages(machine: Machine, level: int) -> bool:
    return bool(machine.setting("ept_1g" if level == 3 else "ept_2m"))


def _violation(machine: Machine, p: Processor, guest: int, reference: Reference, walk: _Walk) -> None:
    """A VM exit, or a virtualization exception where the specs say so."""
    meaning, rights = reference.meaning, walk.rights
    values = (
        reference.read, reference.write, reference.fetch,
        rights & 1, rights >> 1 & 1, rights >> 2 & 1, rights >> 10 & 1 if p.mode_based_execute else 0,
        meaning.valid, meaning.final, meaning.user, meaning.writable, meaning.execute_disable,
        guest, meaning.linear, walk.suppress, p.delivering is not None,
    )  # fmt: skip
    if consult(machine, p, "ept-violation", tuple(map(int, values))) is not None:
        _tell_guest(machine, p, guest, tuple(map(int, values)))


def _tell_guest(machine: Machine, p: Processor, guest: int, values: tuple[int, ...]) -> None:
    """Write the virtualization-exception information area and raise the exception (SDM: Convertible EPT Violations)."""
    assert p.vmcs is not None
    decision, fields, slots = machine.decision("ept-violation"), p.vmcs.fields, machine.slots
    index = next(at for at, step in enumerate(decision.steps) if step.action == "exit" and step.when is None)
    exit = decision.outcome(index, p, fields, machine.memory, values)
    area = fields[slots.ve_information_address]
    assert isinstance(exit, VmExit)
    content = machine.database.exit_reasons[exit.reason].number | 0xFFFFFFFF << 32
    for at, value in enumerate((content, exit.qualification, values[13], guest)):
        machine.memory.write(area + 8 * at, 64, value)
    machine.memory.write(area + 32, 16, fields[slots.eptp_index])
    raise Fault(machine.exception_by_mnemonic["#VE"])


def _mark(machine: Machine, p: Processor, guest: int, reference: Reference, walk: _Walk) -> None:
    """Set accessed and dirty flags, and log the page where the latter is new. Raises `VmExit` before that."""
    last = len(walk.used) - 1
    changes = []
    for at, (address, entry) in enumerate(walk.used):
        flags = _ACCESSED | (_DIRTY if at == last and reference.write else 0)
        if entry & flags != flags:
            changes.append((address, entry | flags, bool(flags & ~entry & _DIRTY)))
    if changes and p.page_modification_log:
        consult(machine, p, "pml-full")
    for address, entry, dirty in changes:
        machine.memory.write(address, 64, entry)
        if dirty and p.page_modification_log:
            _log(machine, p, guest)


def _log(machine: Machine, p: Processor, guest: int) -> None:
    assert p.vmcs is not None
    slots, fields = machine.slots, p.vmcs.fields
    index = fields[slots.pml_index]
    machine.memory.write(fields[slots.pml_address] + 8 * (index % _LOGGED), 64, guest & ~0xFFF)
    p.vmcs.set(slots.pml_index, index - 1 & 0xFFFF)


def _by_sub_page(
    machine: Machine, p: Processor, guest: int, reference: Reference, walk: _Walk, level: int
) -> bool:  # fmt: skip
    """Whether the sub-page permission table allows a write that the leaf does not (SDM: Sub-Page Write Permissions)."""
    entry = walk.used[-1][1]
    above = [other for _, other in walk.used[:-1]]
    if not (p.sub_page_permissions and reference.write and level == 1 and entry & _SUB_PAGE and not entry & _WRITE):
        return False
    if not all(other & _WRITE for other in above) or not reference.meaning.final:
        return False
    assert p.vmcs is not None
    table = p.vmcs.fields[machine.slots.sub_page_permission_table_pointer]
    for depth in (4, 3, 2):
        found = machine.memory.read(table + (guest >> 12 + 9 * (depth - 1) & 0x1FF) * 8, 64)
        if not found & 1 or found & ~(_ADDRESS | 1):
            consult(machine, p, "spp", (int(not found & 1), guest, reference.meaning.linear))
        table = found & _ADDRESS
    permissions = machine.memory.read(table + (guest >> 12 & 0x1FF) * 8, 64)
    return bool(permissions >> 2 * (guest >> 7 & 0x1F) & 1)
