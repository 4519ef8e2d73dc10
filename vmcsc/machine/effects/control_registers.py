"""Control and debug registers where nothing exits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction, RegisterOperand
from vmcsc.machine.effects import Effect, set_register

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

_ALL = 0xFFFFFFFF_FFFFFFFF
_TASK_SWITCHED = 8


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
    number, source = o[0], o[1]
    mask, _ = _masked(machine, p, number)
    old = int(getattr(p, f"cr{number}"))
    setattr(p, f"cr{number}", old & mask | source & ~mask & _ALL)


def read_control_register(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    number = o[0]
    mask, shadow = _masked(machine, p, number)
    target = instruction.operands[0]
    assert isinstance(target, RegisterOperand)
    set_register(p, target, int(getattr(p, f"cr{number}")) & ~mask & _ALL | shadow & mask)


def clear_task_switched(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    mask, _ = _masked(machine, p, 0)
    if not mask & _TASK_SWITCHED:
        p.cr0 &= ~_TASK_SWITCHED


def write_debug_register(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    setattr(p, f"dr{_debug(o[0])}", o[1])


def read_debug_register(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    target = instruction.operands[0]
    assert isinstance(target, RegisterOperand)
    set_register(p, target, int(getattr(p, f"dr{_debug(o[0])}")))


def _debug(number: int) -> int:
    """DR4 and DR5 are other names of DR6 and DR7."""
    return number + 2 if number in (4, 5) else number


EFFECTS: Mapping[str, Effect] = {
    "write_control_register": write_control_register,
    "read_control_register": read_control_register,
    "clear_task_switched": clear_task_switched,
    "write_debug_register": write_debug_register,
    "read_debug_register": read_debug_register,
}
