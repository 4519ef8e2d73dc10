"""Instructions that touch registers alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.assembly.instruction import Instruction
from vmcsc.machine.effects import Effect

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor


def nothing(machine: Machine, p: Processor, instruction: Instruction, o: tuple[int, ...]) -> None:
    """Nothing that the machine models changes."""


EFFECTS: Mapping[str, Effect] = {"nothing": nothing}
