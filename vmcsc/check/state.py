"""What the rules are run over: fields, capabilities, memory and the state of the processor, each perhaps unknown."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.check.memory import Memory
from vmcsc.expression import nodes, value
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.value import Value


class State:
    """A VMCS as far as it is known, on a processor as far as that is known.

    `fields` and `processor` give values by name; what is not in them is unknown, as is memory that was not given.
    """

    def __init__(
        self,
        database: Database,
        fields: Mapping[str, Value],
        cpu: Cpu,
        memory: Memory | None = None,
        processor: Mapping[str, Value] | None = None,
    ) -> None:
        self.database = database
        self.fields = fields
        self.capabilities = Capabilities(database, cpu)
        self.memory = memory
        self.processor = processor or {}
        self._element: tuple[str, int | None] = ("", None)
        self._read: dict[tuple[str | int, ...], Value] = {}

    def read(self, leaf: nodes.Leaf) -> Value:
        """The value of what a rule reads."""
        if isinstance(leaf, nodes.ElementBits):
            return self._element_bits(leaf)
        if isinstance(leaf, nodes.Memory):  # its address may be read from an element
            return self._fresh(leaf)
        key = leaf.key
        known = self._read.get(key)
        if known is None:
            known = self._read[key] = self._fresh(leaf)
        return known

    def at(self, area: str, address: int | None) -> None:
        """From now on the element of `area` that rules speak of is the one at `address` (None: unknown)."""
        self._element = (area, address)

    def _fresh(self, leaf: nodes.Leaf) -> Value:
        match leaf:
            case nodes.FieldBits():
                whole = self.field(leaf.field.name, leaf.field.width)
                return whole.slice(leaf.low + leaf.width - 1, leaf.low)
            case nodes.ControlBit():
                return value.truth(self.setting(leaf.control))
            case nodes.AllowedBits():
                allowed = self.capabilities.allowed(leaf.word)
                return allowed.must_be_1 if leaf.must_be_1 else allowed.may_be_1
            case nodes.ProcessorState():
                return self.processor.get(leaf.state.name, value.unknown(leaf.width))
            case nodes.Memory():
                address = evaluate(leaf.address, self.read)
                if self.memory is None or not address.is_known:
                    return value.unknown(leaf.width)
                return self.memory.read(address.bits, leaf.width)
            case _:
                return self.capabilities.read(leaf)

    def field(self, name: str, width: int) -> Value:
        return self.fields.get(name, value.unknown(width))

    def setting(self, control: Control) -> bool | None:
        """The setting in force: 0 while the control's word is inactive."""
        words = self.database.words
        own = self.field(words[control.word].field, words[control.word].width).bit(control.bit)
        for activator in self.database.activators(words[control.word]):
            word = words[activator.word]
            active = self.field(word.field, word.width).bit(activator.bit)
            if active is False or own is False:
                return False
            own = own if active else None
        return own

    def _element_bits(self, leaf: nodes.ElementBits) -> Value:
        _, address = self._element
        if self.memory is None or address is None:
            return value.unknown(leaf.width)
        whole = self.memory.read(address, leaf.area.size * 8)
        return whole.slice(leaf.low + leaf.width - 1, leaf.low)
