"""Descriptor-table registers where nothing exits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine.access import load, store
from vmcsc.machine.effects import Effect, address, finish, take

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor


def _store_table(name: str) -> Effect:
    def effect(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
        at = address(p, instruction.operands[0])
        store(machine, p, at, 16, getattr(p, f"{name}_limit") & 0xFFFF)
        store(machine, p, at + 2, 64, getattr(p, f"{name}_base"))

    return effect


def _load_table(name: str) -> Effect:
    def effect(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
        at = address(p, instruction.operands[0])
        limit, base = load(machine, p, at, 16), load(machine, p, at + 2, 64)
        setattr(p, f"{name}_limit", limit)
        setattr(p, f"{name}_base", base)

    return effect


def _store_selector(name: str) -> Effect:
    def effect(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
        finish(machine, p, instruction.operands[0], getattr(p, f"{name}_selector"))

    return effect


def _load_selector(name: str) -> Effect:
    def effect(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
        setattr(p, f"{name}_selector", take(machine, p, instruction.operands[0]))

    return effect


EFFECTS: Mapping[str, Effect] = {
    **{f"store_{name}": _store_table(name) for name in ("gdtr", "idtr")},
    **{f"load_{name}": _load_table(name) for name in ("gdtr", "idtr")},
    **{f"store_{name}": _store_selector(name) for name in ("ldtr", "tr")},
    **{f"load_{name}": _load_selector(name) for name in ("ldtr", "tr")},
}
