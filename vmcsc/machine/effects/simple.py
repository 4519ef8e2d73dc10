"""Instructions that touch general-purpose registers, flags, ports and the time alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction, RegisterOperand
from vmcsc.machine.effects import Effect, finish, set_register, take

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_ALL = 0xFFFFFFFF_FFFFFFFF
_ZERO = 0x40
_ARITHMETIC = 0x8D5
"""CF, PF, AF, ZF, SF and OF."""

HALTED = 1
"""The activity state of a processor that executed HLT."""


def nothing(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """Nothing that the machine models changes."""


def move(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    finish(machine, p, instruction.operands[0], take(machine, p, instruction.operands[1]))


def halt(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    p.activity_state = HALTED


def arm_monitor(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    p.monitor_armed = 1


def clear_edx_eax(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """The machine counts no events."""
    p.rdx = p.rax = 0


def set_interrupt_flag(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """STI; if the flag was clear, events are blocked until the next instruction is done."""
    if not p.rflags & 0x200:
        p.rflags |= 0x200
        p.interruptibility_state |= 1


def clear_interrupt_flag(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    p.rflags &= ~0x200


def begin_pause_loop(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    p.pause_first = p.pause_last = p.tsc


def count_pause(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    p.pause_last = p.tsc


def no_device(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """Nobody takes the command: ZF says that it has to be tried again."""
    p.rflags = p.rflags & ~_ARITHMETIC | _ZERO


def random_number(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """Deterministic, as everything of the machine: a step of a linear congruential generator over the time."""
    value = p.tsc * 6364136223846793005 + 1442695040888963407 & _ALL
    finish(machine, p, instruction.operands[0], value)
    p.rflags = p.rflags & ~_ARITHMETIC | 1


# --- the time-stamp counter ---


def read_tsc(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    _set_edx_eax(p, p.tsc)


def read_offset_tsc(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    _set_edx_eax(p, offset_tsc(machine, p))


def read_scaled_tsc(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    _set_edx_eax(p, scaled_tsc(machine, p))


def read_tsc_and_aux(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    _set_edx_eax(p, p.tsc)
    p.rcx = p.tsc_aux & 0xFFFFFFFF


def read_offset_tsc_and_aux(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    _set_edx_eax(p, offset_tsc(machine, p))
    p.rcx = p.tsc_aux & 0xFFFFFFFF


def read_scaled_tsc_and_aux(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    _set_edx_eax(p, scaled_tsc(machine, p))
    p.rcx = p.tsc_aux & 0xFFFFFFFF


def read_aux(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    target = instruction.operands[0]
    assert isinstance(target, RegisterOperand)
    set_register(p, target, p.tsc_aux)


def offset_tsc(machine: Machine, p: Processor) -> int:
    """TSC plus the offset of the current VMCS, modulo 2^64 (SDM: Use of TSC Offsetting)."""
    assert p.vmcs is not None
    return p.tsc + p.vmcs.fields[machine.slots.tsc_offset] & _ALL


def scaled_tsc(machine: Machine, p: Processor) -> int:
    """The product of TSC and multiplier, 128 bits, shifted right by 48, plus the offset."""
    assert p.vmcs is not None
    fields, slots = p.vmcs.fields, machine.slots
    return (p.tsc * fields[slots.tsc_multiplier] >> 48) + fields[slots.tsc_offset] & _ALL


def _set_edx_eax(p: Processor, value: int) -> None:
    p.rdx, p.rax = value >> 32, value & 0xFFFFFFFF


# --- ports ---


def read_port(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    target = instruction.operand("data")
    assert isinstance(target, RegisterOperand)
    found = b"".join(bytes([machine.ports.get(o[0] + at & 0xFFFF, 0xFF)]) for at in range(o[1]))
    set_register(p, target, int.from_bytes(found, "little"))


def write_port(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    for at in range(o[1]):
        machine.ports[o[0] + at & 0xFFFF] = p.rax >> 8 * at & 0xFF


EFFECTS: Mapping[str, Effect] = {
    "nothing": nothing,
    "move": move,
    "halt": halt,
    "arm_monitor": arm_monitor,
    "clear_edx_eax": clear_edx_eax,
    "set_interrupt_flag": set_interrupt_flag,
    "clear_interrupt_flag": clear_interrupt_flag,
    "begin_pause_loop": begin_pause_loop,
    "count_pause": count_pause,
    "no_device": no_device,
    "random_number": random_number,
    "read_tsc": read_tsc,
    "read_offset_tsc": read_offset_tsc,
    "read_scaled_tsc": read_scaled_tsc,
    "read_tsc_and_aux": read_tsc_and_aux,
    "read_offset_tsc_and_aux": read_offset_tsc_and_aux,
    "read_scaled_tsc_and_aux": read_scaled_tsc_and_aux,
    "read_aux": read_aux,
    "read_port": read_port,
    "write_port": write_port,
}
