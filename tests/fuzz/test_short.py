"""A short run of the fuzzers, always with the same inputs; `python tests/fuzz/run.py READER` is the long one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import workers
from tests.fuzz.mutations import Mutator
from tests.fuzz.readers import READERS, Reader
from tests.fuzz.workers import input_of, run
from vmcsc.architecture.database import Database

COUNTS = {
    "policy": 200,
    "spec": 40,
    "cpu": 200,
    "msr": 200,
    "configuration": 200,
    "cache": 200,
    "state": 150,
    "bytecode": 150,
    "listing": 100,
    "log": 300,
    "kernel-lists": 60,
    "kernel-code": 60,
}


@pytest.mark.parametrize("reader", READERS)
def test_every_mutated_input_ends_in_findings_or_success_within_its_limits(reader: str) -> None:
    tally = run(reader, seed=1, count=COUNTS[reader], workers=2)
    assert tally.failures == []
    assert tally.count == COUNTS[reader]


@pytest.mark.parametrize("reader", READERS)
def test_the_same_number_is_always_the_same_input(reader: str) -> None:
    samples = list(READERS[reader].samples())
    first = [input_of(reader, 7, index, samples) for index in range(30)]
    assert [input_of(reader, 7, index) for index in range(0, 30, 10)] == first[::10]
    assert len(set(first)) > 20


# --- the harness itself: what it is there to see, it sees ---


def crash(path: Path, database: Database) -> str:
    raise KeyError("of no use")


def die(path: Path, database: Database) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def burn(path: Path, database: Database) -> str:
    until = time.process_time() + workers.SECONDS + 0.1
    while time.process_time() < until:
        pass
    return "late"


def grow(path: Path, database: Database) -> str:
    return str(len(bytearray(b"x") * (workers.MEGABYTES << 20)))


@pytest.mark.parametrize(
    ("command", "what"),
    [(crash, "KeyError"), (die, "killed by signal 9"), (burn, "more than 0.2 s"), (grow, "more than 120 MB")],
)
def test_a_reader_that_fails_is_caught_with_the_number_of_the_input(
    command: object, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SECONDS", 0.2)
    monkeypatch.setattr(workers, "MEGABYTES", 120)
    monkeypatch.setitem(READERS, "cpu", Reader("x", lambda: [b"a"], (command,)))  # type: ignore[arg-type]
    tally = run("cpu", seed=0, count=2, workers=1)
    assert [failure.index for failure in tally.failures] == [0, 1]
    assert all(what in failure.what for failure in tally.failures)
    assert tally.count == 2


def test_inputs_are_of_every_size_up_to_more_than_is_read() -> None:
    sizes = [len(Mutator([b"policy p {\n}\n" * 20], Random(seed)).input()) for seed in range(2000)]
    assert min(sizes) < 100
    assert max(sizes) > 1 << 19
