"""A scenario with its names bound: what is done on the machine, step by step, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.assembly.instruction import Instruction
from vmcsc.expression.nodes import Node
from vmcsc.records import dataclass
from vmcsc.source import Span


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done; `span` is the statement it comes from."""

    span: Span


@dataclass(frozen=True, slots=True)
class Guest(Step):
    """The guest executes an instruction; it is entered before if it is not running."""

    instruction: Instruction


@dataclass(frozen=True, slots=True)
class Root(Step):
    """A processor executes an instruction of the hypervisor's."""

    processor: int
    instruction: Instruction


@dataclass(frozen=True, slots=True)
class SetRegister(Step):
    """A register of a processor gets a value, without an instruction. Processor None: the one that runs the guest."""

    processor: int | None
    register: str
    value: int


@dataclass(frozen=True, slots=True)
class WriteField(Step):
    """The hypervisor writes a field of the current VMCS. Processor None: that of the guest."""

    processor: int | None
    field: str
    value: int


@dataclass(frozen=True, slots=True)
class Configure(Step):
    """A processor writes every field of the policy into its current VMCS."""

    processor: int


@dataclass(frozen=True, slots=True)
class Arrive(Step):
    """An event arrives at the processor that runs the guest."""

    event: str
    number: int | None


@dataclass(frozen=True, slots=True)
class MemoryWrite(Step):
    address: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Resume(Step):
    """Back to the guest, behind the instruction that exited."""


@dataclass(frozen=True, slots=True)
class OnExit(Step):
    """From here on, what the hypervisor does at an exit for `reason`."""

    reason: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """`no_exit`, an exit for `reason` where `condition` holds at it (None: whatever), or a condition alone."""

    span: Span
    no_exit: bool = False
    reason: str | None = None
    condition: Node | None = None


@dataclass(frozen=True, slots=True)
class Expect(Step):
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True)
class Scenario:
    """`parameters` and `fields` replace what the policy has; `manual`: it sets the processors up by itself."""

    title: str
    span: Span
    parameters: Mapping[str, int]
    fields: Mapping[str, int]
    controls: Mapping[str, bool]
    registers: Mapping[str, int]
    steps: tuple[Step, ...]
    manual: bool
    processors: int
