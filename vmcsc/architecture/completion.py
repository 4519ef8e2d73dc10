"""What the specs say a scenario takes where its policy leaves something open."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import Transfer, last_of_kind
from vmcsc.records import dataclass


@dataclass(frozen=True, slots=True)
class CompletedField:
    """A field that gets a value where `when` (None: always) holds; `page` is the content of the page it names."""

    field: str
    value: str
    when: str | None
    page: str | None


@dataclass(frozen=True, slots=True)
class Completion:
    """The names of the processor model and of the states of guest and host, the fields besides, and what the machine
    starts with.

    `start` are the values of registers; `revision` is the expression for the revision identifier of regions; `tables`
    has the levels, the bits of entries that point to a table and of those that map a large page, by the tables' name.
    """

    cpu: str
    guest: str
    host: str
    fields: tuple[CompletedField, ...]
    start: tuple[Transfer, ...]
    revision: str
    tables: Mapping[str, tuple[int, int, int]]


@lru_cache(maxsize=8)
def completion_of(database: Database) -> Completion:
    """The completion that the specs state. Raises `ValueError` where no file does."""
    raw = last_of_kind(database, "completion")
    fields = tuple(
        CompletedField(one["field"], str(one["value"]), one.get("when"), one.get("page")) for one in raw["fields"]
    )
    start = tuple(Transfer(one["register"], False, str(one["value"]), None) for one in raw["start"])
    tables = {name: (one["levels"], one["table"], one["leaf"]) for name, one in raw["tables"].items()}
    states = raw["states"]
    return Completion(raw["cpu"], states["guest"], states["host"], fields, start, str(raw["revision"]), tables)
