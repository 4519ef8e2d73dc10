"""Logs of any size: what holds nothing is passed over, lines keep their numbers, and memory does not grow."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.diagnose.given import log_of
from tests.diagnose.patterns import distinct
from tests.diagnose.written import written
from vmcsc.architecture.database import Database
from vmcsc.diagnose.lines import BLOCK, Lines, clean
from vmcsc.diagnose.log import MAX_DUMPS, read_log

NOISE = "Nov 27 08:01:02 pve kernel: [   12.345678] eth0: Link is Up - 1Gbps/Full - flow control rx/tx\n"


def dump_text(database: Database) -> str:
    return written(
        "vmcs", distinct(database), skip=("CR3: actual", "(autoload", "(effective", "MSR LL", "CS:RIP", "(<")
    )


def blocks_of(database: Database, places: list[int], count: int) -> str:
    """So many lines of noise, with a dump before each of the lines at `places`."""
    text = dump_text(database)
    return "".join((text if number in places else "") + NOISE for number in range(count))


def test_dumps_far_within_a_large_log_are_found_with_their_lines(database: Database) -> None:
    count = 4 * BLOCK // len(NOISE)
    places = sorted(random.Random(1).sample(range(count), 12))
    text = blocks_of(database, places, count)
    size = len(dump_text(database).splitlines())
    log = log_of(text, database)
    assert [dump.first_line for dump in log.dumps] == [place + 1 + number * size for number, place in enumerate(places)]
    assert log.lines == count + 12 * size
    assert len({str(dump.fields) for dump in log.dumps}) == 1


def test_a_dump_across_the_end_of_a_block_is_whole(database: Database) -> None:
    whole = log_of(dump_text(database), database).dumps[0].fields
    noise = NOISE * (3 * BLOCK // len(NOISE))
    for shift in range(0, len(dump_text(database)), 397):
        start = 2 * BLOCK - shift
        text = noise[:start].rpartition("\n")[0] + "\n" + dump_text(database) + noise[:BLOCK]
        (dump,) = log_of(text, database).dumps
        assert dump.fields == whole


def test_more_dumps_than_are_kept_are_counted(database: Database) -> None:
    text = (dump_text(database) + NOISE * 30) * (MAX_DUMPS + 40)
    log = log_of(text, database)
    assert (len(log.dumps), log.further) == (MAX_DUMPS, 40)
    assert log.lines == len(text.splitlines())


class Endless(io.RawIOBase):
    """A log that is made while it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, None)) is not None:
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def test_memory_does_not_grow_with_the_log(database: Database) -> None:
    text = dump_text(database).encode()

    def pieces(count: int) -> Iterator[bytes]:
        for number in range(count):
            yield NOISE.encode() * 10_000
            if number % 10 == 0:
                yield text

    def most(count: int) -> int:
        tracemalloc.start()
        read_log(Endless(pieces(count)), "log", database)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    most(1)
    assert most(80) < most(10) + (8 << 20)


def test_a_stream_without_an_end_is_read_up_to_a_limit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def forever() -> Iterator[bytes]:
        yield dump_text(database).encode()
        while True:
            yield NOISE.encode() * 10_000

    monkeypatch.setattr("vmcsc.diagnose.lines.MOST", 20 * BLOCK)
    log = read_log(Endless(forever()), "log", database)
    assert (len(log.dumps), log.unread) == (1, True)
    assert not log_of(dump_text(database), database).unread


def test_a_line_without_an_end_is_looked_at_as_far_as_lines_are(database: Database) -> None:
    log = log_of("*** Guest State *** " + "x" * (3 * BLOCK) + "\nCR3 = 0x0000000000001000\n", database)
    assert log.dumps[0].fields["guest_cr3"].bits == 0x1000


def test_numbers_of_lines_are_those_of_the_text() -> None:
    for text in ("a\nb\n\nc\n", "a\nb\n\nc", "\n\n\n\na", "a"):
        lines = Lines(io.BytesIO(text.encode()), "log", ["nowhere"])
        found = list(lines)
        assert found == [(number, line) for number, line in enumerate(text.split("\n"), 1) if line]
        assert lines.count == len(text.removesuffix("\n").split("\n"))


def test_what_terminals_and_mails_add_is_taken_away() -> None:
    assert clean("> > \x1b[1;31mCR3\x1b[0m = 1 \r") == "CR3 = 1"
    assert clean("\x1b]0;title\x07CR3") == "CR3"
    assert clean("| a\tb\u200b\u202e") == "a b"
    assert clean("|40 TPR") == "|40 TPR"
    assert len(clean("x" * 100_000)) < 10_000
