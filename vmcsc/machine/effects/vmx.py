"""The VMX instructions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine.effects import Effect
from vmcsc.machine.entry import enter

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor


def launch(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> bool:
    enter(machine, p, launch=True)
    return True


def resume(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> bool:
    enter(machine, p, launch=False)
    return True


EFFECTS: Mapping[str, Effect] = {"launch": launch, "resume": resume}
