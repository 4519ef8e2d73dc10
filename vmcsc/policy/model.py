"""A bound policy. `condition` is None for what always holds, else a truth value over capabilities and parameters."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.architecture.model import Bitmap, Control, Field
from vmcsc.expression.nodes import Node
from vmcsc.policy.states import State
from vmcsc.records import dataclass
from vmcsc.source import Source, Span
from vmcsc.syntax import tree

POSITIVE = frozenset({"require", "prefer"})
NEGATIVE = frozenset({"forbid", "avoid"})
STRONG = frozenset({"require", "forbid"})


@dataclass(frozen=True, slots=True)
class Stance:
    """What a policy wants of one control. `origin` is the policy that says so.

    `implied`: not written, but needed: asking for a control asks for the control that activates its word.
    """

    verb: str
    control: Control
    condition: Node | None
    span: Span
    origin: str
    override: bool = False
    implied: bool = False

    def opposes(self, other: Stance) -> bool:
        """Whether both cannot be heeded: one wants 1 and the other 0, or one allows what the other forbids."""
        pair = {self.verb, other.verb}
        return bool(pair & POSITIVE and pair & NEGATIVE) or pair == {"allow", "forbid"}


@dataclass(frozen=True, slots=True)
class Assignment:
    """A field and the value that it gets. `state` is the name of the state that gives it, if one does."""

    field: Field
    value: Node
    condition: Node | None
    span: Span
    origin: str
    override: bool = False
    state: str | None = None


@dataclass(frozen=True, slots=True)
class TakenState:
    """A state that a policy takes for the fields of its area of which it says nothing itself."""

    state: State
    condition: Node | None
    span: Span
    origin: str
    override: bool = False


@dataclass(frozen=True, slots=True)
class ErrorCodeTest:
    """The exit happens where `(error code & mask) == match`, or where it is not so if `equal` is false."""

    mask: int
    match: int
    equal: bool


@dataclass(frozen=True, slots=True)
class Painting:
    """`intercept` or `pass` of inclusive ranges of ports, MSRs or vectors; the later of two paintings wins."""

    bitmap: Bitmap
    intercept: bool
    accesses: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...]
    condition: Node | None
    span: Span
    origin: str
    test: ErrorCodeTest | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that the user of the generated code gives; `default` is None where it must be given."""

    name: str
    width: int
    default: Node | None
    span: Span


@dataclass(frozen=True)
class Policy:
    """A policy with everything it inherits, in the order in which it takes effect."""

    name: str
    summary: str | None
    source: Source
    span: Span
    cpus: tuple[tree.Name, ...]
    parameters: Mapping[str, Parameter]
    stances: tuple[Stance, ...]
    assignments: tuple[Assignment, ...]
    paintings: tuple[Painting, ...]
    scenarios: tuple[tree.Scenario, ...]
    sources: tuple[Source, ...] = ()
    states: tuple[TakenState, ...] = ()
