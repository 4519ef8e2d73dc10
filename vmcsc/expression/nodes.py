"""Bound expressions: every name resolved, every width settled. Immutable.

Every node is `width` bits wide and wraps at its width; operands of one operator have one width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from vmcsc.architecture.model import Area, Control, ControlWord, Fact, Field, Msr, StateBits
from vmcsc.records import dataclass, field

if TYPE_CHECKING:
    from vmcsc.architecture.operation import Register


@dataclass(frozen=True, slots=True)
class Node:
    width: int


@dataclass(frozen=True, slots=True)
class Constant(Node):
    value: int


@dataclass(frozen=True, slots=True)
class Leaf(Node):
    """Something that is read. `values` names some of its values, for comparisons; `written` is its name."""

    values: Mapping[str, int] = field(default_factory=dict, hash=False, kw_only=True)
    written: str = field(default="", hash=False, compare=False, kw_only=True)

    @property
    def key(self) -> tuple[str | int, ...]:
        """What is read, so that leaves of different rules that read the same have the same key."""
        return (id(self),)


@dataclass(frozen=True, slots=True)
class ControlBit(Leaf):
    """The setting in force of a control: 0 while its word is inactive."""

    control: Control

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("control", self.control.path)


@dataclass(frozen=True, slots=True)
class Supported(Leaf):
    """Whether a control may be 1."""

    control: Control

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("supported", self.control.path)


@dataclass(frozen=True, slots=True)
class Forced(Leaf):
    """Whether a control must be 1."""

    control: Control

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("forced", self.control.path)


@dataclass(frozen=True, slots=True)
class MsrBits(Leaf):
    """Bits `low` and up of a capability MSR; 0 where the processor does not have the MSR."""

    msr: Msr
    low: int

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("msr", self.msr.name, self.low, self.width)


@dataclass(frozen=True, slots=True)
class CpuFact(Leaf):
    fact: Fact

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("cpu", self.fact.name)


@dataclass(frozen=True, slots=True)
class Parameter(Leaf):
    name: str

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("parameter", self.name)


@dataclass(frozen=True, slots=True)
class Operand(Leaf):
    """What a bitmap's condition is about, bits `low` and up of it: the error code of an exception."""

    name: str
    low: int

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("operand", self.name, self.low, self.width)


@dataclass(frozen=True, slots=True)
class FieldBits(Leaf):
    """Bits `low` and up of a VMCS field."""

    field: Field
    low: int

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("field", self.field.name, self.low, self.width)


@dataclass(frozen=True, slots=True)
class AllowedBits(Leaf):
    """The bits of a control word that `must_be_1` (else: that may be 1), from the MSR that counts."""

    word: ControlWord
    must_be_1: bool

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("allowed", self.word.name, int(self.must_be_1))


@dataclass(frozen=True, slots=True)
class ProcessorState(Leaf):
    """Something of the processor's state when it enters."""

    state: StateBits

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("processor", self.state.name)


@dataclass(frozen=True, slots=True)
class ElementBits(Leaf):
    """Bits `low` and up of the element of an area that a rule is about."""

    area: Area
    low: int

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("element", self.area.name, self.low, self.width)


@dataclass(frozen=True, slots=True)
class RegisterBits(Leaf):
    """Bits `low` and up of a register of the machine's processor."""

    register: Register
    low: int

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("register", self.register.name, self.low, self.width)


@dataclass(frozen=True, slots=True)
class Memory(Leaf):
    """`width` bits of physical memory at `address`, little endian."""

    address: Node

    @property
    def key(self) -> tuple[str | int, ...]:
        return ("memory", id(self.address), self.width)


@dataclass(frozen=True, slots=True)
class Fits(Node):
    """Whether `operand` has no bit at or above bit `limit`, which lies between `lowest` and `highest`."""

    operand: Node
    limit: Node
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True)
class SignExtended(Node):
    """Whether the bits of `operand` from bit `limit` - 1 up are all alike; `limit` as in `Fits`."""

    operand: Node
    limit: Node
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True)
class Invert(Node):
    """`not` and `~`, which are the same for one bit."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Operation(Node):
    """`operator` is `& | ^ << >> + - *`; the count of a shift has a width of its own."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """`operator` is `==` or `<`; the others are made of these by `Invert` and by swapping the sides."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Resize(Node):
    """Cut off at `width`, or widened with zeros."""

    operand: Node


@dataclass(frozen=True, slots=True)
class BitSlice(Node):
    """`width` bits of `operand` from bit `low` on."""

    operand: Node
    low: int


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Invert(operand=operand) | Resize(operand=operand) | BitSlice(operand=operand):
            return (operand,)
        case Operation(left=left, right=right) | Comparison(left=left, right=right):
            return (left, right)
        case Fits(operand=operand, limit=limit) | SignExtended(operand=operand, limit=limit):
            return (operand, limit)
        case Memory(address=address):
            return (address,)
        case _:
            return ()


def leaves(node: Node) -> Iterator[Leaf]:
    """What the expression reads, in the order of the text, repetitions included."""
    if isinstance(node, Leaf):
        yield node
    for child in children(node):
        yield from leaves(child)
