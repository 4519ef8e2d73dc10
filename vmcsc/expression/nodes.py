"""Bound expressions: every name resolved, every width settled. Immutable.

Every node is `width` bits wide and wraps at its width; operands of one operator have one width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vmcsc.architecture.model import Control, Fact, Msr


@dataclass(frozen=True, slots=True)
class Node:
    width: int


@dataclass(frozen=True, slots=True)
class Constant(Node):
    value: int


@dataclass(frozen=True, slots=True)
class Leaf(Node):
    """Something that is read. `values` names some of its values, for comparisons."""

    values: Mapping[str, int] = field(default_factory=dict, hash=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class ControlBit(Leaf):
    """The setting in force of a control: 0 while its word is inactive."""

    control: Control


@dataclass(frozen=True, slots=True)
class Supported(Leaf):
    """Whether a control may be 1."""

    control: Control


@dataclass(frozen=True, slots=True)
class Forced(Leaf):
    """Whether a control must be 1."""

    control: Control


@dataclass(frozen=True, slots=True)
class MsrBits(Leaf):
    """Bits `low` and up of a capability MSR; 0 where the processor does not have the MSR."""

    msr: Msr
    low: int


@dataclass(frozen=True, slots=True)
class CpuFact(Leaf):
    fact: Fact


@dataclass(frozen=True, slots=True)
class Parameter(Leaf):
    name: str


@dataclass(frozen=True, slots=True)
class Operand(Leaf):
    """What a bitmap's condition is about, bits `low` and up of it: the error code of an exception."""

    name: str
    low: int


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
        case _:
            return ()


def leaves(node: Node) -> Iterator[Leaf]:
    """What the expression reads, in the order of the text, repetitions included."""
    if isinstance(node, Leaf):
        yield node
    for child in children(node):
        yield from leaves(child)
