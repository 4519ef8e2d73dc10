"""The syntax tree: frozen, every node with its span, nothing looked up yet."""

from __future__ import annotations

from vmcsc.records import dataclass
from vmcsc.source import Source, Span

# --- expressions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expression:
    span: Span


@dataclass(frozen=True, slots=True)
class Number(Expression):
    value: int


@dataclass(frozen=True, slots=True)
class Path(Expression):
    """A dotted name: `cpu.maxphyaddr`, `guest_rflags.if`, `tsc_offset`."""

    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    """`operator` is `not`, `~` or `-`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """`operator` is `and or | ^ & << >> + - *` or a comparison."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Membership(Expression):
    """`operand in [1, 4..6]`; an item is a pair of bounds, the same expression twice for one value."""

    operand: Expression
    items: tuple[tuple[Expression, Expression], ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Slice(Expression):
    """Bits `high` to `low` of `operand`: `x[31:16]`, `x[3]`."""

    operand: Expression
    high: int
    low: int


@dataclass(frozen=True, slots=True)
class Call(Expression):
    function: str
    arguments: tuple[Expression, ...]


# --- statements ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Statement:
    span: Span


@dataclass(frozen=True, slots=True)
class Summary(Statement):
    text: str


@dataclass(frozen=True, slots=True)
class ForCpus(Statement):
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Extends(Statement):
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Include(Statement):
    path: str


@dataclass(frozen=True, slots=True)
class Param(Statement):
    name: Name
    type: Name
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Stance(Statement):
    """`require`, `forbid`, `prefer`, `avoid` or `allow` some controls."""

    verb: str
    names: tuple[Name, ...]
    override: bool


@dataclass(frozen=True, slots=True)
class Target:
    """What is intercepted: everything (`all`), numbers `first`..`last`, or a name with an optional condition."""

    span: Span
    all: bool = False
    first: int | None = None
    last: int | None = None
    name: str | None = None
    condition: Expression | None = None


@dataclass(frozen=True, slots=True)
class Reach(Statement):
    """`intercept` or `pass` some ports, MSRs or exceptions; no access named means all of them."""

    verb: str
    accesses: tuple[str, ...]
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Assignment(Statement):
    """A field and its value, or the parameter that it takes (`param` is then declared here)."""

    target: Path
    value: Expression | None
    param: Param | None
    override: bool


@dataclass(frozen=True, slots=True)
class Block(Statement):
    """`NAME { ... }`: a control word or a bitmap; which of them is not known here."""

    name: Name
    body: tuple[Statement, ...]
    override: bool


@dataclass(frozen=True, slots=True)
class StateBlock(Statement):
    """`state AREA NAME { ... }`: a whole state, and the values of fields that are not as in it."""

    area: Name
    name: Name
    body: tuple[Statement, ...]
    override: bool


@dataclass(frozen=True, slots=True)
class When(Statement):
    condition: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Policy(Statement):
    name: Name
    extends: tuple[Name, ...]
    body: tuple[Statement, ...]


# --- scenarios -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operand:
    value: Expression
    memory: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    mnemonic: str
    operands: tuple[Operand, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class SetParam(Statement):
    name: Name
    value: Expression


@dataclass(frozen=True, slots=True)
class Execute(Statement):
    """One instruction, in the guest or in root operation."""

    instruction: Instruction
    guest: bool


@dataclass(frozen=True, slots=True)
class Expectation:
    """`no exit`, `exit REASON [where CONDITION]` (`reason` set) or a condition alone."""

    span: Span
    reason: Name | None = None
    condition: Expression | None = None
    no_exit: bool = False


@dataclass(frozen=True, slots=True)
class Expect(Statement):
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True)
class Event(Statement):
    name: Name
    argument: Expression | None


@dataclass(frozen=True, slots=True)
class MemoryWrite(Statement):
    address: Expression
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Resume(Statement):
    pass


@dataclass(frozen=True, slots=True)
class OnCpu(Statement):
    number: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class OnExit(Statement):
    reason: Name
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Scenario(Statement):
    title: str
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A parsed file: the statements at its top level (a policy, or a fragment to include) and its comments."""

    source: Source
    body: tuple[Statement, ...]
    comments: tuple[Span, ...]
