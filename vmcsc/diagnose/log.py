"""A log to the dumps and messages in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vmcsc.architecture.database import Database
from vmcsc.architecture.dumps import dumps_of
from vmcsc.diagnose.dump import Dump, Event, Log
from vmcsc.diagnose.lines import Bytes, Lines
from vmcsc.diagnose.reader import Reader
from vmcsc.diagnose.where import Where

MAX_DUMPS = 32
"""Dumps of one log that are kept; the others are counted."""

MAX_EVENTS = 1000
"""Messages that are kept."""

MAX_CALLERS = 64
"""Tasks and processors whose lines are told apart."""

ENOUGH = 3
"""Fields of which a dump without any heading has at least one more, if the log has other dumps."""

_CALLER = re.compile(r"\]\s?\[\s*([TC]\d{1,9})\s*\]")


def read_log(stream: Bytes, name: str, database: Database) -> Log:
    """Read a log of any size in bounded memory. Nothing in it is an error; `OSError` is the stream's."""
    dumps = dumps_of(database)
    lines = Lines(stream, name, dumps.anchors)
    headings = [form.sections[0].title for form in dumps.forms if form.sections[0].title]
    kept, nowhere = _Kept(), Where(dumps)
    readers: dict[str, Reader] = {}
    last: Reader | None = None
    for number, text in lines:
        caller = _caller(text)
        reader = last if not caller and last is not None else readers.get(caller)
        if reader is None:
            if len(readers) >= MAX_CALLERS:
                kept.take(readers.pop(next(iter(readers))), over=True)
            reader = readers[caller] = Reader(database, nowhere)
        last = reader
        reader.line(lines.source(number, text))
        kept.take(reader)
        lines.open = reader.reading or any(one.reading for one in readers.values())
        if kept.full:
            lines.only = headings
    for reader in readers.values():
        kept.take(reader, over=True)
    return kept.log(name, lines)


def _caller(text: str) -> str:
    """The task or processor that printed the line, where the kernel says it; lines without one go on with the last."""
    found = _CALLER.search(text, 0, 80) if "][" in text or "] [" in text else None
    return "" if found is None else found[1]


class _Kept:
    """What is kept of a log."""

    def __init__(self) -> None:
        self._dumps: list[Dump] = []
        self._events: list[Event] = []
        self._further = 0

    def take(self, reader: Reader, over: bool = False) -> None:
        """Take what the reader has finished; `over`: there is no more for it."""
        if over:
            reader.end()
        for dump in reader.finished:
            if len(self._dumps) < MAX_DUMPS:
                self._dumps.append(dump)
            else:
                self._further += 1
        self._events += reader.events[: MAX_EVENTS - len(self._events)]
        reader.finished.clear()
        reader.events.clear()

    @property
    def full(self) -> bool:
        """Whether no more dumps are kept."""
        return len(self._dumps) >= MAX_DUMPS

    def log(self, name: str, lines: Lines) -> Log:
        found = sorted(self._dumps, key=lambda dump: dump.first_line)
        whole = [dump for dump in found if dump.headed or len(dump.fields) > ENOUGH]
        dumps = whole or found
        fragments = tuple(dump.first_line for dump in found if dump not in dumps)
        _attach(self._events, dumps)
        further = self._further + lines.occurrences
        return Log(name, tuple(dumps), tuple(self._events), lines.count, further, lines.unread, fragments)


def _attach(events: Iterable[Event], dumps: list[Dump]) -> None:
    """Each message belongs to the dump that is nearest."""
    for event in events:
        near = min(dumps, key=lambda dump: _distance(event, dump), default=None)
        if near is not None:
            near.events.append(event)


def _distance(event: Event, dump: Dump) -> int:
    return max(dump.first_line - event.line, event.line - dump.last_line, 0)
