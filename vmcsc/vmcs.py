"""A resolved VMCS: the value of every control word and field, and for every bit why it is so."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import ControlWord, Field
from vmcsc.capabilities.cpu import Cpu
from vmcsc.expression.value import Value, unknown
from vmcsc.policy.model import Policy
from vmcsc.records import dataclass

REASONS = (
    "required",
    "preferred",
    "forbidden",
    "avoided",
    "allowed",
    "forced",
    "refused",
    "dropped",
    "raised",
    "inactive",
    "default1",
)
"""Why a bit is as it is; see `ResolvedWord`."""


@dataclass(frozen=True, slots=True)
class ResolvedWord:
    """A control word with the reasons for its bits, as masks: reasons overlap.

    `required preferred forbidden avoided`: what the policy says of the bit. `allowed`: 0 now, and may be set at run
    time. `forced`: 1 because the CPU insists. `refused`: wanted, but the CPU does not allow it. `dropped`, `raised`:
    preferred or avoided, but a rule between controls decided otherwise. `inactive`: wanted, but the word is not in
    force. `default1`: reserved, and 1 as the SDM asks. Bits with no reason are 0 by default.
    """

    word: ControlWord
    value: Value
    required: int = 0
    preferred: int = 0
    forbidden: int = 0
    avoided: int = 0
    allowed: int = 0
    forced: int = 0
    refused: int = 0
    dropped: int = 0
    raised: int = 0
    inactive: int = 0
    default1: int = 0

    def reasons(self, bit: int) -> tuple[str, ...]:
        """The reasons that speak of `bit`."""
        return tuple(reason for reason in REASONS if getattr(self, reason) >> bit & 1)


@dataclass(frozen=True, slots=True)
class FieldValue:
    """The value of a field that is no control word. `page`: it is the address of one of the policy's pages."""

    field: Field
    value: Value
    page: bool = False


@dataclass(frozen=True)
class Vmcs:
    """What a policy comes to on `cpu`. `fields` are in the order of their encodings; `pages` are 4096 bytes each.

    `violated` are the ids of the rules between controls that remain violated. `unmet` are the areas (types of fields)
    whose state is not what the policy means, so that rules about them say nothing more.
    """

    policy: Policy
    database: Database
    cpu: Cpu
    words: Mapping[str, ResolvedWord]
    fields: Mapping[str, FieldValue]
    pages: Mapping[str, bytes]
    absent: frozenset[str] = frozenset()
    violated: tuple[str, ...] = ()
    unmet: frozenset[str] = frozenset()

    def writes(self, addresses: Mapping[str, int] | None = None) -> list[tuple[Field, Value]]:
        """The VMWRITEs that establish this VMCS, in order: control words, then fields by encoding.

        `addresses` gives the physical address of each page by the name of its field. Fields that the CPU does not
        have are left out.
        """
        given = addresses or {}
        written: list[tuple[Field, Value]] = []
        for word in self.database.active_order:
            resolved = self.words[word.name]
            if word.field not in self.absent:
                written.append((self.database.fields[word.field], resolved.value))
        for name, item in self.fields.items():
            value = item.value
            if item.page:
                value = Value(item.field.width, given[name], -1) if name in given else unknown(item.field.width)
            written.append((item.field, value))
        return written

    def control(self, path: str) -> bool | None:
        """The setting of a control by its path, `primary.hlt_exiting`; None where it is unknown."""
        control = self.database.controls[path]
        return self.words[control.word].value.bit(control.bit)
