"""The content of one VMCS while a logical processor has it, and the order of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from vmcsc.architecture.database import Database


class Slots:
    """A number for each field, in the order of the encodings, and the way back."""

    def __init__(self, database: Database) -> None:
        self.names = tuple(database.fields)
        self.widths = tuple(field.width for field in database.fields.values())
        self.of: Mapping[str, int] = {name: number for number, name in enumerate(self.names)}

    def __getattr__(self, name: str) -> int:
        """`slots.guest_rip`, for algorithms that move a field."""
        try:
            slot = self.__dict__["of"][name]
        except KeyError:
            raise AttributeError(name) from None
        setattr(self, name, slot)
        return int(slot)


@lru_cache(maxsize=8)
def slots_of(database: Database) -> Slots:
    return Slots(database)


class VmcsData:
    """The fields of one VMCS as numbers by slot, and its launch state.

    `dirty` has a bit for each slot that changed since VM entry last succeeded: only the rules that read one of those
    have to be looked at again. `address` is that of the region; `shadow`: it is a shadow VMCS.
    """

    __slots__ = ("address", "dirty", "fields", "launched", "shadow", "vmxoff_since_launch")

    def __init__(self, address: int, fields: list[int], *, launched: bool = False, shadow: bool = False) -> None:
        self.address = address
        self.fields = fields
        self.launched = launched
        self.shadow = shadow
        self.vmxoff_since_launch = False
        self.dirty = (1 << len(fields)) - 1

    def set(self, slot: int, value: int) -> None:
        if self.fields[slot] != value:
            self.fields[slot] = value
            self.dirty |= 1 << slot
