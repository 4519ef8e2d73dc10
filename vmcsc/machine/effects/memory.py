"""Instructions that access memory, jump, or come back from a handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine.access import fetch, load, store
from vmcsc.machine.deliver import deliver
from vmcsc.machine.effects import Effect, address, finish, number_of, take
from vmcsc.machine.event import Event, EventType, consult
from vmcsc.machine.outcome import Fault, Stopped, VmExit

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_ALL = 0xFFFFFFFF_FFFFFFFF
_NMI_BLOCKED = 0x8
_DIRECTION = 1 << 10
_SS = 2
_BY_MOV_SS = 0x2
_RPL, _LMA = 3, 1 << 10
_TASK_GATE = 5
_TASKS = frozenset({1, _TASK_GATE, 9})
"""Types of descriptors that a far transfer may go to a task by: available TSSs and task gates."""

BY_CALL, BY_JUMP = 0, 2
"""Sources of task switches in the exit qualification."""


def load_segment(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    finish(machine, p, instruction.operands[0], take(machine, p, instruction.operands[1]))
    if number_of(instruction.operands[0]) == _SS:
        p.interruptibility_state |= _BY_MOV_SS


def jump(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> bool:
    """The fetch at the target belongs to the next instruction, so an exit for it finds RIP there."""
    p.rip = take(machine, p, instruction.operands[0])
    fetch(machine, p, p.rip)
    return True


def far_call(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    _to_task(machine, p, instruction, BY_CALL)


def far_jump(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    _to_task(machine, p, instruction, BY_JUMP)


def _to_task(machine: Machine, p: Processor, instruction: Instruction, source: int) -> None:
    """A far transfer to a task-state segment or task gate, which asks for a task switch (SDM: Task Switching)."""
    at = address(p, instruction.operands[0])
    selector = load(machine, p, at + 4, 16)
    if selector & ~_RPL == 0 or selector | 7 > p.gdtr_limit:
        raise Fault(machine.general_protection, selector & ~_RPL)
    descriptor = load(machine, p, p.gdtr_base + (selector & ~7), 64, system=True)
    kind, dpl = descriptor >> 40 & 0x1F, descriptor >> 45 & 3
    if kind not in _TASKS or not p.non_root:
        raise Stopped("the machine knows no far transfers but those to tasks of a guest")
    if p.efer & _LMA or dpl < max(p.ss_access_rights >> 5 & 3, selector & _RPL):
        raise Fault(machine.general_protection, selector & ~_RPL)
    if not descriptor >> 47 & 1:
        raise Fault(machine.exception_by_mnemonic["#NP"], selector & ~_RPL)
    found = descriptor >> 16 & 0xFFFF if kind == _TASK_GATE else selector
    try:
        consult(machine, p, "task-switch", (found, source))
    except VmExit as exit:
        exit.length = instruction.length
        raise


def push(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    value, top = take(machine, p, instruction.operands[0]), p.rsp - 8 & _ALL
    store(machine, p, top, 64, value)
    p.rsp = top


def pop(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    value = load(machine, p, p.rsp, 64)
    p.rsp = p.rsp + 8 & _ALL
    finish(machine, p, instruction.operands[0], value)


def return_from_handler(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> bool:
    """IRETQ to the same privilege level or an outer one; NMIs are no longer blocked, also where it faults."""
    if not p.non_root:
        p.nmi_blocked = False
    elif p.virtual_nmis or not p.nmi_exiting:
        p.interruptibility_state &= ~_NMI_BLOCKED
    rip, cs, rflags, rsp, ss = (load(machine, p, p.rsp + 8 * at & _ALL, 64) for at in range(5))
    if cs & 3 < p.ss_access_rights >> 5 & 3:
        raise Fault(machine.general_protection, cs & 0xFFFC)
    p.rip, p.cs_selector, p.rflags, p.rsp, p.ss_selector = rip, cs & 0xFFFF, rflags & 0x3F7FD7 | 2, rsp, ss & 0xFFFF
    p.ss_access_rights = p.ss_access_rights & ~0x60 | (cs & 3) << 5
    return True


def return_from_handler_32(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> bool:
    """IRETD to the same privilege level."""
    if p.non_root and (p.virtual_nmis or not p.nmi_exiting):
        p.interruptibility_state &= ~_NMI_BLOCKED
    rip, cs, rflags = (load(machine, p, p.ss_base + p.rsp + 4 * at & 0xFFFFFFFF, 32) for at in range(3))
    p.rip, p.cs_selector, p.rflags, p.rsp = rip, cs & 0xFFFF, rflags & 0x3F7FD7 | 2, p.rsp + 12 & 0xFFFFFFFF
    return True


def input_string(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """INS, once or RCX times; what exits has been decided before."""
    size = o[1]
    for _ in range(_count(p, o[2])):
        found = b"".join(bytes([machine.ports.get(p.rdx + at & 0xFFFF, 0xFF)]) for at in range(size))
        store(machine, p, p.rdi, 8 * size, int.from_bytes(found, "little"))
        p.rdi = _advanced(p, p.rdi, size)
        p.rcx = p.rcx - 1 if o[2] else p.rcx


def output_string(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    size = o[1]
    for _ in range(_count(p, o[2])):
        value = load(machine, p, p.rsi, 8 * size)
        for at in range(size):
            machine.ports[p.rdx + at & 0xFFFF] = value >> 8 * at & 0xFF
        p.rsi = _advanced(p, p.rsi, size)
        p.rcx = p.rcx - 1 if o[2] else p.rcx


def software_interrupt(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> bool:
    """INT n, which is delivered whatever the exception bitmap says; the host's handlers are only noted."""
    if p.non_root:
        deliver(machine, p, Event(o[0], EventType.SOFTWARE_INTERRUPT, length=instruction.length))
        return True
    p.taken.append(o[0])
    return False


MAX_REPETITIONS = 1 << 16
"""Repetitions that one instruction carries out; a real processor would be interrupted long before."""


def _count(p: Processor, repeated: int) -> int:
    return min(p.rcx, MAX_REPETITIONS) if repeated else 1


def _advanced(p: Processor, register: int, size: int) -> int:
    return register + (-size if p.rflags & _DIRECTION else size) & _ALL


EFFECTS: Mapping[str, Effect] = {
    "load_segment": load_segment,
    "jump": jump,
    "far_call": far_call,
    "far_jump": far_jump,
    "push": push,
    "software_interrupt": software_interrupt,
    "pop": pop,
    "return_from_handler": return_from_handler,
    "return_from_handler_32": return_from_handler_32,
    "input_string": input_string,
    "output_string": output_string,
}
