"""Does the file of the specs about dumps name what there is?"""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.dumps import Dumps, Piece, dumps_of
from vmcsc.diagnostic import Diagnostics

_OF_EVENTS = frozenset({"failure", "msr", "value", "name", "bit"})
"""What slots of messages may be named for besides fields."""


def check_dumps(database: Database, diagnostics: Diagnostics) -> None:
    """Report what is wrong with it. Raises `ValueError` where no file is of the kind."""
    for name in dict.fromkeys(_unknown(dumps_of(database), database)):
        diagnostics.report(codes.SPEC_REFERENCE, f"dumps: nothing is named {name}")


def _unknown(dumps: Dumps, database: Database) -> Iterator[str]:
    sections = [section for form in dumps.forms for section in form.sections]
    pieces = [piece for section in sections for same in section.pieces.values() for piece in same]
    for piece in pieces:
        known = _parts(database) if piece.entry else database.fields.keys()
        yield from (name for name in _names(piece) if name not in known)
        yield from () if piece.area in database.areas or not piece.area else (piece.area,)
    for events in dumps.events.values():
        known = database.fields.keys() | _OF_EVENTS
        yield from (name for event in events for name in _names(event) if name not in known)
    for failure in dumps.failures:
        yield from (name for name in (failure.field, failure.qualified_by) if name and name not in database.fields)
    if dumps.wide_shows not in database.facts:
        yield dumps.wide_shows


def _names(piece: Piece) -> Iterator[str]:
    return (slot.name for _, slot in piece.parts if slot is not None and slot.name)


def _parts(database: Database) -> set[str]:
    """What an entry of an area in memory is made of."""
    return {bits.name for area in database.areas.values() for bits in database.layouts[area.layout].bits}
