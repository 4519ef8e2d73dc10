"""What the specs tell of dumps and messages: forms, sections, and the pieces of text that lines are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.kvm import FOLDER
from vmcsc.architecture.operation import last_of_kind
from vmcsc.errors import VmcscError
from vmcsc.records import dataclass

_SLOT = re.compile(r"<(?:(?P<way>\w+) )?(?P<name>\w*|\*)(?:\[(?P<high>\d+):(?P<low>\d+)\])?(?::(?P<digits>\d+|d))?>")


@dataclass(frozen=True, slots=True)
class Move:
    """Bits `high` to `low` of a field are those of a number from bit `source` on, or their complement."""

    high: int
    low: int
    source: int
    inverted: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """A number in a text: of at least `digits` hexadecimal digits, or decimal (0), or any text (-1).

    It is the value of the field `name` (or what else the name stands for), or of its bits `high` to `low`, or holds
    bits of it as `moves` say. A slot without a name tells nothing.
    """

    name: str
    digits: int
    high: int | None = None
    low: int = 0
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A text: literals without blanks, each with the slot behind it (None behind the last).

    `first` is the word that it begins with. The other attributes are those of specs/kernels/dumps.yaml.
    """

    first: str
    parts: tuple[tuple[str, Slot | None], ...]
    tells: str = ""
    era: str = ""
    says: str = ""
    list: str = ""
    area: str = ""
    entry: bool = False
    means: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a dump: its number, the line above it, if any, as it is (`title`) and without blanks (`heading`), and
    its pieces by the word that they begin with."""

    name: str
    number: int
    title: str
    heading: str
    pieces: Mapping[str, tuple[Piece, ...]]


@dataclass(frozen=True)
class Form:
    """One way of dumping; see specs/kernels/dumps.yaml."""

    name: str
    title: str
    source: str
    absent: str
    begins: Mapping[str, tuple[Piece, ...]]
    sections: tuple[Section, ...]

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields that such a dump may tell."""
        pieces = (piece for section in self.sections for same in section.pieces.values() for piece in same)
        return frozenset(slot.name for piece in pieces if not piece.entry for _, slot in piece.parts if slot) - {""}


@dataclass(frozen=True, slots=True)
class Failure:
    """A field of which values from `least` to `greatest` say that an entry failed; its bits in `mask` are what outcomes
    of rules call `outcome`. `qualified_by` is the field that says more."""

    field: str
    least: int
    greatest: int
    outcome: str
    mask: int
    qualified_by: str | None


@dataclass(frozen=True, slots=True)
class Dumps:
    """All forms, events and failures. `wide_shows` is the fact of the processor that a field of natural width with more
    than 32 bits shows. `anchors`: a part of a large text without any of them holds nothing to read."""

    forms: tuple[Form, ...]
    events: Mapping[str, tuple[Piece, ...]]
    failures: tuple[Failure, ...]
    wide_shows: str
    anchors: tuple[str, ...]


@lru_cache(maxsize=8)
def dumps_of(database: Database) -> Dumps:
    """What the specs tell. Raises `ValueError` where no file does, `VmcscError` where one is not in order."""
    raw = last_of_kind(database, "dumps", FOLDER)
    ways = {name: tuple(_move(one) for one in moves) for name, moves in raw["ways"].items()}
    return Dumps(
        tuple(_form(one, ways) for one in raw["forms"]),
        _by_first(_piece(one, ways) for one in raw["events"]),
        tuple(_failure(one) for one in raw["failures"]),
        raw["wide_shows"],
        tuple(raw["anchors"]),
    )


def _form(raw: Mapping[str, Any], ways: Mapping[str, tuple[Move, ...]]) -> Form:
    sections = tuple(
        Section(
            one["name"], number, title := one.get("heading", ""), "".join(title.split()), _pieces(one["pieces"], ways)
        )
        for number, one in enumerate(raw["sections"])
    )
    begins = _pieces(raw["begins"], ways)
    return Form(raw["name"], raw["title"], raw["source"], raw["absent"], begins, sections)


def _pieces(raw: Any, ways: Mapping[str, tuple[Move, ...]]) -> Mapping[str, tuple[Piece, ...]]:
    return _by_first(_piece(one, ways) for whole in raw for one in _written_out(whole))


def _by_first(pieces: Iterator[Piece]) -> Mapping[str, tuple[Piece, ...]]:
    found: dict[str, list[Piece]] = {}
    for piece in pieces:
        found.setdefault(piece.first, []).append(piece)
    return {first: tuple(same) for first, same in found.items()}


def _written_out(raw: str | Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A piece for each string of its `for`."""
    if isinstance(raw, str):
        yield {"text": raw}
        return
    lists = raw.get("for", {})
    for values in product(*lists.values()):
        text = raw["text"]
        for name, value in zip(lists, values, strict=True):
            text = text.replace(f"{{{name}}}", value).replace(f"{{{name.upper()}}}", value.upper())
        yield {**raw, "text": text}


def _piece(raw: Mapping[str, Any], ways: Mapping[str, tuple[Move, ...]]) -> Piece:
    parts: list[tuple[str, Slot | None]] = []
    end = 0
    for found in _SLOT.finditer(raw["text"]):
        literal = "".join(raw["text"][end : found.start()].split())
        parts.append((literal, _slot(found, ways)))
        end = found.end()
    parts.append(("".join(raw["text"][end:].split()), None))
    further = {name: raw[name] for name in ("tells", "era", "says", "list", "area", "entry", "means") if name in raw}
    return Piece(WORD.findall(raw["text"])[0], tuple(parts), **further)


WORD = re.compile(r"[A-Za-z][A-Za-z0-9_|-]*")
"""A word that a piece may begin with."""


def _slot(found: re.Match[str], ways: Mapping[str, tuple[Move, ...]]) -> Slot:
    name, digits, high, way = found["name"], found["digits"], found["high"], found["way"]
    if way and way not in ways:
        raise VmcscError(f"dumps: nothing is named {way}")
    return Slot(
        "" if name == "*" else name,
        -1 if digits is None else 0 if digits == "d" else int(digits),
        None if high is None else int(high),
        int(found["low"] or 0),
        ways[way] if way else (),
    )


def _failure(raw: Mapping[str, Any]) -> Failure:
    return Failure(raw["field"], raw["from"], raw["to"], raw["outcome"], raw["mask"], raw.get("qualified_by"))


def _move(raw: Mapping[str, Any]) -> Move:
    return Move(raw["to"][0], raw["to"][1], raw["from"][1], raw.get("inverted", False))
