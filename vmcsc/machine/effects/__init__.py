"""What instructions do once nothing stands in their way: the algorithms that `do:` names in specs/machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vmcsc.assembly.instruction import Instruction

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

Effect = Callable[["Machine", "Processor", Instruction, "tuple[int, ...]"], "bool | None"]
"""Takes the machine, the processor, the instruction and its operand values; True where it set RIP itself."""

MODULES = ("simple", "vmx")
"""The modules of this package; each has `EFFECTS`, its algorithms by name."""


def effect_of(name: str) -> Effect:
    """The algorithm of that name. Raises `KeyError` where there is none."""
    for module in MODULES:
        effects: Mapping[str, Any] = import_module(f"{__name__}.{module}").EFFECTS
        if name in effects:
            return effects[name]  # type: ignore[no-any-return]
    raise KeyError(name)
