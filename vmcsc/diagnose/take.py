"""What a piece of a line tells: values of fields, an MSR of a list, or a message."""

from __future__ import annotations

from vmcsc.architecture.database import Database
from vmcsc.architecture.dumps import Dumps, Move
from vmcsc.diagnose.dump import Dump, Event
from vmcsc.diagnose.match import Found, Match
from vmcsc.expression.value import Value
from vmcsc.source import Source

MAX_ENTRIES = 512
"""Entries of a list of MSRs that are kept."""


def take(dump: Dump, found: Match, source: Source, database: Database, title: str) -> None:
    """Add what the match tells to the dump; `title` is that of the list of MSRs that is being read."""
    piece = found.piece
    if piece.list:
        dump.lists.setdefault(piece.list, [])
        if piece.area:
            dump.areas[piece.list] = piece.area
    elif piece.entry:
        entries = dump.lists.get(title)
        if entries is not None and found.complete and len(entries) < MAX_ENTRIES:
            entries.append({one.slot.name: one.number for one in found.found})
        return
    if piece.says:
        dump.remarks.append((source.span(found.found[0].start, found.end), piece.says))
    for one in found.found:
        if not one.slot.name:
            continue
        span = source.span(one.start, one.end)
        value = _value(one, database.fields[one.slot.name].width)
        if value is None:
            dump.find_strange(span)
        else:
            dump.tell(one.slot.name, value, span)


def event_of(means: str, says: str, found: Match, source: Source, dumps: Dumps) -> Event:
    """The message, with a failure as the field that it is the value of."""
    values: dict[str, int | str] = {}
    for one in found.found:
        if one.slot.name == "failure":
            name = next(
                (failure.field for failure in dumps.failures if failure.least <= one.number <= failure.greatest), ""
            )
            values |= {name: one.number} if name else {}
        elif one.slot.name:
            values[one.slot.name] = one.text if one.slot.digits < 0 else one.number
    return Event(means, source.span(0, len(source.text)), values, says)


def _value(found: Found, width: int) -> Value | None:
    """The value of a field that is `width` bits wide; None where it does not fit."""
    slot, number = found.slot, found.number
    if slot.moves:
        return _moved(slot.moves, number, width)
    if slot.high is not None:
        mask = (1 << slot.high - slot.low + 1) - 1
        return None if number > mask else Value(width, number << slot.low, mask << slot.low)
    return None if number >> width else Value(width, number, -1)


def _moved(moves: tuple[Move, ...], number: int, width: int) -> Value:
    bits = 0
    for move in moves:
        mask = (1 << move.high - move.low + 1) - 1
        part = number >> move.source & mask
        bits |= (part ^ mask if move.inverted else part) << move.low
    return Value(width, bits, -1)
