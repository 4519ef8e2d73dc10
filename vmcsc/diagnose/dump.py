"""What was read of a log: dumps with the fields that they tell, and messages about entries."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.architecture.dumps import Form
from vmcsc.check.vmcs_file import WrittenVmcs
from vmcsc.expression.value import Value
from vmcsc.records import dataclass, field
from vmcsc.source import Span

MAX_LISTED = 50
"""Lines that were not understood are listed as far as this, for each dump; the others are counted."""


@dataclass(frozen=True, slots=True)
class Event:
    """A message about an entry. `means` is one of those in specs/kernels/dumps.yaml, `values` its numbers and texts."""

    means: str
    span: Span
    values: Mapping[str, int | str]
    says: str = ""

    @property
    def line(self) -> int:
        return self.span.first.line


@dataclass(slots=True)
class Dump:
    """One dump. What is not in `fields` was not told; a value may be known in part.

    `spans`: where a field is told. `lists`: MSRs and their values by the title of a list, `areas`: the area of memory
    that such a list is the content of. `remarks`: values that are not of the field that one takes them for.
    `disputed`: fields that the dump tells twice and differently, which are unknown therefore. `strange`: lines within
    the dump that were not understood, and `strangers` how many there are. `written` is a VMCS in JSON or YAML, of which
    it then is.
    """

    form: Form
    first_line: int
    last_line: int = 0
    fields: dict[str, Value] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    lists: dict[str, list[dict[str, int]]] = field(default_factory=dict)
    areas: dict[str, str] = field(default_factory=dict)
    remarks: list[tuple[Span, str]] = field(default_factory=list)
    disputed: dict[str, Span] = field(default_factory=dict)
    strange: list[Span] = field(default_factory=list)
    strangers: int = 0
    events: list[Event] = field(default_factory=list)
    headed: bool = False
    written: WrittenVmcs | None = None

    def tell(self, name: str, value: Value, span: Span) -> None:
        """Take a value of a field, or more bits of it."""
        known = self.fields.get(name)
        if known is None:
            self.fields[name], self.spans[name] = value, span
        elif (known.bits ^ value.bits) & known.known & value.known or name in self.disputed:
            self.disputed[name] = span
            self.fields[name] = Value(value.width, 0, 0)
        else:
            self.fields[name] = Value(value.width, known.bits | value.bits, known.known | value.known)

    def find_strange(self, span: Span) -> None:
        """Take note of a text that was not understood."""
        self.strangers += 1
        if len(self.strange) < MAX_LISTED:
            self.strange.append(span)


@dataclass(frozen=True, slots=True)
class Log:
    """A text that was read. `further`: how many dumps it has besides `dumps`; `lines`: how many lines were looked at,
    and `unread`: whether there are more. `fragments` are the numbers of lines that begin what looks like a part of a
    dump and is too little to be one."""

    name: str
    dumps: tuple[Dump, ...]
    events: tuple[Event, ...]
    lines: int
    further: int = 0
    unread: bool = False
    fragments: tuple[int, ...] = ()
