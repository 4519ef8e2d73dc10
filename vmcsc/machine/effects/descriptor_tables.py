"""Descriptor-table registers where nothing exits. In VMX root operation addresses are physical."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine.effects import Effect, finish
from vmcsc.machine.outcome import Stopped

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor


def _store_table(name: str) -> Effect:
    def store(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
        machine.memory.write(o[0], 16, getattr(p, f"{name}_limit") & 0xFFFF)
        machine.memory.write(o[0] + 2, 64, getattr(p, f"{name}_base"))

    return store


def _load_table(name: str) -> Effect:
    def load(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
        setattr(p, f"{name}_limit", machine.memory.read(o[0], 16))
        setattr(p, f"{name}_base", machine.memory.read(o[0] + 2, 64))

    return load


def _store_selector(name: str) -> Effect:
    def store(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
        finish(machine, p, instruction.operands[0], getattr(p, f"{name}_selector"))

    return store


def _load_selector(name: str) -> Effect:
    def load(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
        setattr(p, f"{name}_selector", o[0])

    return load


def deliver(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    raise Stopped("the event goes to the handler of whoever executes it, and the machine runs no handlers")


_KINDS: Mapping[str, tuple[Callable[[str], Effect], Callable[[str], Effect], tuple[str, ...]]] = {
    "table": (_store_table, _load_table, ("gdtr", "idtr")),
    "selector": (_store_selector, _load_selector, ("ldtr", "tr")),
}

EFFECTS: Mapping[str, Effect] = {
    "deliver": deliver,
    **{f"store_{name}": store(name) for store, _, names in _KINDS.values() for name in names},
    **{f"load_{name}": load(name) for _, load, names in _KINDS.values() for name in names},
}
