"""Delivery of an event through the interrupt-descriptor table of the guest, in each mode that has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.machine.access import load, store
from vmcsc.machine.event import Event, EventType, consult
from vmcsc.machine.outcome import Fault

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_TASK, _INTERRUPT, _TRAP = 5, 6, 7
"""Types of gates, without the bit that tells 32 from 16 bits."""

_TASK_GATE = 3
"""The source of a task switch that goes through a gate."""

_VM, _NT, _TF, _IF, _RF = 1 << 17, 1 << 14, 1 << 8, 1 << 9, 1 << 16
_LMA, _PE = 1 << 10, 1
_RPL = 3


def through_table(machine: Machine, p: Processor, event: Event) -> None:
    """Push the return frame and go on at the handler. Raises `Fault` and `VmExit`."""
    if event.vector == 14 and event.type is EventType.HARDWARE_EXCEPTION:
        p.cr2 = event.detail
    if p.efer & _LMA:
        _long(machine, p, event)
    elif p.cr0 & _PE:
        _protected(machine, p, event)
    else:
        _real(machine, p, event)


def _fault(machine: Machine, mnemonic: str, selector: int, event: Event, table: int = 0) -> Fault:
    """A fault of delivery: the error code has bit 0 unless software asked for the event, bit 1 for the table."""
    return Fault(machine.exception_by_mnemonic[mnemonic], selector & ~_RPL | table | (not event.type.by_software))


def _gate(machine: Machine, p: Processor, event: Event, size: int) -> int:
    """The entry of the table for the event, after the checks that every mode makes."""
    index = event.vector * size
    if index + size - 1 > p.idtr_limit:
        raise _fault(machine, "#GP", index * 8 // size, event, 2)
    gate = load(machine, p, p.idtr_base + index, 64, system=True)
    kind, dpl = gate >> 40 & 0x1F, gate >> 45 & 3
    if kind & 0x17 not in (_TASK, _INTERRUPT, _TRAP) or (size == 16 and kind & 0xF < 0xE):
        raise _fault(machine, "#GP", index * 8 // size, event, 2)
    if event.type in (EventType.SOFTWARE_INTERRUPT, EventType.SOFTWARE_EXCEPTION) and dpl < _cpl(p):
        raise _fault(machine, "#GP", index * 8 // size, event, 2)
    if not gate >> 47 & 1:
        raise _fault(machine, "#NP", index * 8 // size, event, 2)
    return gate


def _cpl(p: Processor) -> int:
    return p.ss_access_rights >> 5 & 3


def _code_segment(machine: Machine, p: Processor, selector: int, event: Event) -> int:
    """The descriptor of the handler's segment."""
    if selector & ~_RPL == 0 or (selector | 7) > p.gdtr_limit:
        raise _fault(machine, "#GP", selector, event)
    descriptor = load(machine, p, p.gdtr_base + (selector & ~7), 64, system=True)
    if descriptor >> 43 & 3 != 3 or descriptor >> 45 & 3 > _cpl(p):
        raise _fault(machine, "#GP", selector, event)
    if not descriptor >> 47 & 1:
        raise _fault(machine, "#NP", selector, event)
    return descriptor


def _return_ip(p: Processor, event: Event) -> int:
    return p.rip + event.length


def _long(machine: Machine, p: Processor, event: Event) -> None:
    """64-bit mode and compatibility mode (SDM: 64-Bit Mode Interrupt and Exception Handling)."""
    gate = _gate(machine, p, event, 16)
    high = load(machine, p, p.idtr_base + event.vector * 16 + 8, 64, system=True) & 0xFFFFFFFF
    target = gate & 0xFFFF | gate >> 32 & 0xFFFF0000 | high << 32
    selector, stack_number = gate >> 16 & 0xFFFF, gate >> 32 & 7
    descriptor = _code_segment(machine, p, selector, event)
    cpl, dpl = _cpl(p), descriptor >> 45 & 3
    inner = dpl < cpl and not descriptor >> 42 & 1
    stack = p.rsp
    if stack_number:
        stack = load(machine, p, p.tr_base + 0x1C + 8 * stack_number, 64, system=True)
    elif inner:
        stack = load(machine, p, p.tr_base + 4 + 8 * dpl, 64, system=True)
    frame = [] if event.error_code is None else [event.error_code]
    frame += [_return_ip(p, event), p.cs_selector, p.rflags, p.rsp, p.ss_selector]
    top = (stack & ~0xF) - 8 * len(frame)
    for number, value in enumerate(frame):
        store(machine, p, top + 8 * number & 0xFFFFFFFF_FFFFFFFF, 64, value, system=True)
    if inner:
        p.ss_selector, p.ss_access_rights = dpl, 0x10000 | dpl << 5
    p.rsp = top & 0xFFFFFFFF_FFFFFFFF
    _enter_handler(p, gate, target, selector, descriptor, dpl if inner else cpl)


def _protected(machine: Machine, p: Processor, event: Event) -> None:
    """Protected mode: a task gate asks for a task switch, which always exits."""
    gate = _gate(machine, p, event, 8)
    selector = gate >> 16 & 0xFFFF
    if gate >> 40 & 7 == _TASK:
        consult(machine, p, "task-switch", (selector, _TASK_GATE))
    wide = bool(gate >> 43 & 1)
    target = gate & 0xFFFF | (gate >> 32 & 0xFFFF0000 if wide else 0)
    descriptor = _code_segment(machine, p, selector, event)
    cpl, dpl = _cpl(p), descriptor >> 45 & 3
    frame = [] if event.error_code is None else [event.error_code]
    frame += [_return_ip(p, event) & 0xFFFFFFFF, p.cs_selector, p.rflags & 0xFFFFFFFF]
    stack, base = p.rsp & 0xFFFFFFFF, p.ss_base
    if dpl < cpl and not descriptor >> 42 & 1:
        frame += [stack, p.ss_selector]
        stack = load(machine, p, p.tr_base + 4 + 8 * dpl, 32, system=True)
        p.ss_selector = load(machine, p, p.tr_base + 8 + 8 * dpl, 32, system=True) & 0xFFFF
        base, p.ss_base, p.ss_access_rights = 0, 0, 0xC093 | dpl << 5
    size = 4 if wide else 2
    for value in reversed(frame):
        stack = stack - size & 0xFFFFFFFF
        store(machine, p, base + stack & 0xFFFFFFFF, 8 * size, value & (1 << 8 * size) - 1, system=True)
    p.rsp = stack
    _enter_handler(p, gate, target, selector, descriptor, min(dpl, cpl))


def _real(machine: Machine, p: Processor, event: Event) -> None:
    """Real-address mode: the table has a far pointer for each vector."""
    if event.vector * 4 + 3 > p.idtr_limit:
        raise Fault(machine.general_protection, None)
    pointer = load(machine, p, p.idtr_base + event.vector * 4, 32, system=True)
    for value in (p.rflags, p.cs_selector, _return_ip(p, event)):
        p.rsp = p.rsp & ~0xFFFF | p.rsp - 2 & 0xFFFF
        store(machine, p, p.ss_base + (p.rsp & 0xFFFF), 16, value & 0xFFFF, system=True)
    p.rflags &= ~(_IF | _TF)
    p.cs_selector = pointer >> 16
    p.cs_base, p.rip = p.cs_selector << 4, pointer & 0xFFFF


def _enter_handler(p: Processor, gate: int, target: int, selector: int, descriptor: int, cpl: int) -> None:
    p.rflags &= ~(_TF | _NT | _RF | _VM | (_IF if gate >> 40 & 1 == 0 else 0))
    p.cs_selector = selector & ~_RPL | cpl
    p.cs_access_rights = descriptor >> 40 & 0xF0FF
    limit = descriptor & 0xFFFF | descriptor >> 32 & 0xF0000
    p.cs_limit = limit << 12 | 0xFFF if descriptor >> 55 & 1 else limit
    p.cs_base = descriptor >> 16 & 0xFFFFFF | descriptor >> 32 & 0xFF000000
    p.ss_access_rights = p.ss_access_rights & ~0x60 | cpl << 5
    p.rip = target
