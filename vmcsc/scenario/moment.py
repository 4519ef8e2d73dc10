"""The state of a processor at one moment, as conditions of a scenario see it: after an instruction, or at an exit."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.expression import nodes, value
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.value import Value
from vmcsc.machine.machine import Machine
from vmcsc.machine.processor import Processor
from vmcsc.records import dataclass

NONE = (1 << 64) - 1
"""What stands for "no vector" among `OPERANDS`."""


@dataclass(frozen=True)
class Moment:
    """Registers by name, fields of the current VMCS by slot (None: there is none), memory, and `OPERANDS`."""

    machine: Machine
    registers: Mapping[str, int]
    fields: tuple[int, ...] | None
    operands: Mapping[str, int]
    state: Mapping[str, int]

    def read(self, leaf: nodes.Leaf) -> Value:
        """The value of what a condition reads; unknown only where there is no current VMCS."""
        match leaf:
            case nodes.RegisterBits():
                return value.known(leaf.width, self.registers[leaf.register.name] >> leaf.low & (1 << leaf.width) - 1)
            case nodes.FieldBits():
                return self._field(leaf.field.name, leaf.low, leaf.width)
            case nodes.ControlBit():
                return value.truth(self._setting(leaf))
            case nodes.Operand():
                return value.known(leaf.width, self.operands[leaf.name] >> leaf.low & (1 << leaf.width) - 1)
            case nodes.Memory():
                address = evaluate(leaf.address, self.read)
                return value.known(leaf.width, self.machine.memory.read(address.bits, leaf.width))
            case nodes.ProcessorState():
                return self._state(leaf)
            case _:
                return value.known(leaf.width, self.machine.settled.read(leaf))

    def _field(self, name: str, low: int, width: int) -> Value:
        if self.fields is None:
            return value.unknown(width)
        return value.known(width, self.fields[self.machine.slots.of[name]] >> low & (1 << width) - 1)

    def _setting(self, leaf: nodes.ControlBit) -> bool | None:
        database = self.machine.database
        bits = [leaf.control, *database.activators(database.words[leaf.control.word])]
        found = [self._field(database.words[one.word].field, one.bit, 1).bit(0) for one in bits]
        return None if None in found else all(found)

    def _state(self, leaf: nodes.ProcessorState) -> Value:
        derived = self.machine.operation.processor.get(leaf.state.name)
        if derived is not None:
            return evaluate(self.machine.code.number(derived, leaf.width), self.read)
        return value.known(leaf.width, self.state[leaf.state.name])


def moment_of(machine: Machine, p: Processor, operands: Mapping[str, int]) -> Moment:
    """The state of `p` now."""
    stored = {name: int(getattr(p, name)) for name in machine.database.state if name not in machine.operation.processor}
    fields = None if p.vmcs is None else tuple(p.vmcs.fields)
    return Moment(machine, p.registers(machine.operation), fields, dict(operands), stored)
