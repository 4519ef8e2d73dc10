"""Control and debug registers where nothing exits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine import apic
from vmcsc.machine.effects import Effect, finish, number_of, take
from vmcsc.machine.outcome import Fault
from vmcsc.machine.paging import pdptes

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_ALL = 0xFFFFFFFF_FFFFFFFF
_PE, _TASK_SWITCHED, _LMSW, _PG = 1, 8, 0xF, 1 << 31
_PAE, _PCIDE = 1 << 5, 1 << 17
_LME, _LMA = 1 << 8, 1 << 10
_KEEP_TRANSLATIONS = 1 << 63
"""Bit 63 of the source of MOV to CR3, which is not written."""


def _masked(machine: Machine, p: Processor, number: int) -> tuple[int, int]:
    """The guest/host mask and read shadow that hold for a control register now; in root operation neither does."""
    if p.vmcs is None or not p.non_root or number not in (0, 4):
        return 0, 0
    fields, slots = p.vmcs.fields, machine.slots
    if number == 0:
        return fields[slots.cr0_guest_host_mask], fields[slots.cr0_read_shadow]
    return fields[slots.cr4_guest_host_mask], fields[slots.cr4_read_shadow]


def write_control_register(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """Masked bits keep their value (SDM: Changes to Instruction Behavior in VMX Non-Root Operation)."""
    number, source = number_of(instruction.operands[0]), take(machine, p, instruction.operands[1])
    if number == 8:
        _write_priority(machine, p, source)
        return
    mask, _ = _masked(machine, p, number)
    value = int(getattr(p, f"cr{number}")) & mask | source & ~mask & _ALL
    _set(machine, p, number, value)


def _set(machine: Machine, p: Processor, number: int, value: int) -> None:
    """Write CR0, CR2, CR3 or CR4 after the checks that do not exit. Raises `Fault` and `VmExit`."""
    if number in (0, 4) and p.vmx_operation and not machine.fixed(p, number, value):
        raise Fault(machine.general_protection, 0)
    if number == 3:
        value &= ~_KEEP_TRANSLATIONS if p.cr4 & _PCIDE else _ALL
    cr0, cr3, cr4 = (value if number == n else int(getattr(p, f"cr{n}")) for n in (0, 3, 4))
    long_mode = bool(cr0 & _PG and p.efer & _LME)
    if cr0 & _PG and (not cr0 & _PE or (p.efer & _LME and not cr4 & _PAE)):
        raise Fault(machine.general_protection, 0)
    if number != 2 and p.non_root and cr0 & _PG and cr4 & _PAE and not long_mode:
        p.pdpte0, p.pdpte1, p.pdpte2, p.pdpte3 = pdptes(machine, p, cr3)
    setattr(p, f"cr{number}", value)
    if number == 0:
        p.efer = p.efer | _LMA if long_mode else p.efer & ~_LMA


def _write_priority(machine: Machine, p: Processor, source: int) -> None:
    if source >> 4:
        raise Fault(machine.general_protection, 0)
    if p.non_root and p.tpr_shadow:
        apic.written(machine, p, apic.TPR, source << 4)
    else:
        p.cr8 = source


def read_control_register(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    number = number_of(instruction.operands[1])
    if number == 8 and p.non_root and p.tpr_shadow:
        value = machine.memory.read(p.virtual_apic_page + apic.TPR, 32) >> 4 & 0xF
    else:
        mask, shadow = _masked(machine, p, number)
        value = int(getattr(p, f"cr{number}")) & ~mask & _ALL | shadow & mask
    finish(machine, p, instruction.operands[0], value)


def clear_task_switched(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    mask, _ = _masked(machine, p, 0)
    if not mask & _TASK_SWITCHED:
        p.cr0 &= ~_TASK_SWITCHED


def load_status_word(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """LMSW: PE, MP, EM and TS that are not masked; PE is never cleared."""
    mask, _ = _masked(machine, p, 0)
    wanted = take(machine, p, instruction.operands[0]) & _LMSW | p.cr0 & _PE
    _set(machine, p, 0, p.cr0 & ~(_LMSW & ~mask) | wanted & _LMSW & ~mask)


def store_status_word(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    mask, shadow = _masked(machine, p, 0)
    finish(machine, p, instruction.operands[0], p.cr0 & ~mask & _ALL | shadow & mask)


def write_debug_register(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    number = _debug(number_of(instruction.operands[0]))
    setattr(p, f"dr{number}", take(machine, p, instruction.operands[1]))


def read_debug_register(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    number = _debug(number_of(instruction.operands[1]))
    finish(machine, p, instruction.operands[0], int(getattr(p, f"dr{number}")))


def _debug(number: int) -> int:
    """DR4 and DR5 are other names of DR6 and DR7."""
    return number + 2 if number in (4, 5) else number


EFFECTS: Mapping[str, Effect] = {
    "write_control_register": write_control_register,
    "read_control_register": read_control_register,
    "clear_task_switched": clear_task_switched,
    "load_status_word": load_status_word,
    "store_status_word": store_status_word,
    "write_debug_register": write_debug_register,
    "read_debug_register": read_debug_register,
}
