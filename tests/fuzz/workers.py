"""Runs a reader over many inputs in processes of their own, which an input may kill, fill or stall without harm."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.mutations import Mutator
from tests.fuzz.readers import READERS
from vmcsc.loading import load
from vmcsc.source import UnreadableText

SECONDS = 2.0
"""CPU time that one input may take: on a machine with nothing else to do this is what the clock shows."""

MEGABYTES = 200
"""Largest resident memory of the process, the interpreter and the specs in it included."""

_STALLED = 60
"""Seconds of the clock without a sign of life after which a worker is killed: it waits for something."""

_CPU_LIMIT = 20
_ADDRESS_SPACE = 2 << 30
_BATCH = 1000
"""Inputs after which a worker is replaced, so that what one left behind is not held against all later ones."""


@dataclass(frozen=True)
class Failure:
    index: int
    what: str
    """The exception and where it came from, or what was exceeded: the same for inputs that fail alike."""
    detail: str = ""


@dataclass
class Tally:
    """What was seen so far: the worst time and memory with the number of their inputs, and what failed."""

    count: int = 0
    seconds: tuple[float, int] = (0.0, -1)
    megabytes: tuple[float, int] = (0.0, -1)
    silent: int = 0
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.count += other.count
        self.silent += other.silent
        self.seconds = max(self.seconds, other.seconds)
        self.megabytes = max(self.megabytes, other.megabytes)
        self.failures += other.failures


def input_of(reader: str, seed: int, index: int, samples: list[bytes] | None = None) -> bytes:
    """The input of that number: always the same for one state of the samples."""
    return Mutator(samples or list(READERS[reader].samples()), Random(f"{reader} {seed} {index}")).input()


def run(reader: str, seed: int, count: int, workers: int, progress: Callable[[Tally], object] = repr) -> Tally:
    """Run `count` inputs. Calls `progress` now and then."""
    context = multiprocessing.get_context("fork")
    database, samples = load(), list(READERS[reader].samples())
    batches = iter([range(first, min(first + _BATCH, count)) for first in range(0, count, _BATCH)])
    total = Tally()
    running: dict[Connection, _Worker] = {}
    while True:
        while len(running) < workers and (batch := next(batches, None)) is not None:
            worker = _Worker.begin(context, (reader, seed, batch, samples, database))
            running[worker.connection] = worker
        if not running:
            return total
        ready = wait(list(running), timeout=5)
        for connection in ready:
            assert isinstance(connection, Connection)
            worker = running[connection]
            try:
                total.add(connection.recv())
                worker.last_sign = time.monotonic()
                continue
            except EOFError:
                del running[connection]
            left = worker.end(total)
            if left:
                again = _Worker.begin(context, (reader, seed, left, samples, database))
                running[again.connection] = again
        for worker in running.values():
            if time.monotonic() - worker.last_sign > _STALLED:
                worker.kill()
        progress(total)


@dataclass
class _Worker:
    process: Any
    connection: Connection
    current: Any
    batch: range
    last_sign: float

    @classmethod
    def begin(cls, context: Any, arguments: tuple[Any, ...]) -> _Worker:
        receiving, sending = context.Pipe(duplex=False)
        current = context.Value("q", -1)
        process = context.Process(target=_work, args=(sending, current, *arguments), daemon=True)
        process.start()
        sending.close()
        return cls(process, receiving, current, arguments[2], time.monotonic())

    def kill(self) -> None:
        self.process.kill()

    def end(self, total: Tally) -> range:
        """Note what killed the worker, if something did; the inputs that are left of its batch."""
        self.process.join()
        self.connection.close()
        index, code = self.current.value, self.process.exitcode
        if code == 0:
            return range(0)
        if code != _FULL:
            total.count += 1
            total.failures.append(Failure(index, _death(code)))
        return range(index + 1, self.batch.stop)


def _death(code: int) -> str:
    if code == -signal.SIGPROF:
        return f"took more than {_CPU_LIMIT} s of CPU time, and was stopped"
    return f"killed by signal {-code} (stalled for {_STALLED} s, or crashed)" if code < 0 else f"exited with {code}"


def _work(
    connection: Connection, current: Any, reader: str, seed: int, batch: range, samples: Any, database: Any
) -> None:
    """The life of a worker: input by input, with a report now and then."""
    _inherited(os.getpid())
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        path = READERS[reader].prepare(Path(folder))
        tally, last = Tally(), time.monotonic()
        for index in batch:
            current.value = index
            path.write_bytes(input_of(reader, seed, index, samples))
            if _one(reader, path, database, index, tally):
                connection.send(tally)  # before something of this size is held against the next one
                break
            if time.monotonic() - last > 1:
                connection.send(tally)
                tally, last = Tally(), time.monotonic()
        else:
            connection.send(tally)
            os.chdir("/")
            return
        os.chdir("/")
    connection.close()
    os._exit(_FULL if index + 1 < batch.stop else 0)


_FULL = 77
"""Exit code of a worker that has grown too large, and said so itself."""


def _one(reader: str, path: Path, database: Any, index: int, tally: Tally) -> bool:
    """Run one input and add to `tally`. Returns whether the process has become too large to go on."""
    seconds, said = 0.0, False
    for command in READERS[reader].commands:
        signal.setitimer(signal.ITIMER_PROF, _CPU_LIMIT)
        started = time.process_time()
        try:
            said |= bool(command(path, database))
        except UnreadableText as error:
            said |= bool(error.reason)  # the sentence of the finding that the command line makes of it
        except BaseException as error:  # whatever it is, it is what we look for
            tally.failures.append(Failure(index, _origin(error), "".join(traceback.format_exception(error)[-6:])))
        seconds = max(seconds, time.process_time() - started)
    signal.setitimer(signal.ITIMER_PROF, 0)
    tally.silent += not said
    megabytes = _peak()
    tally.count += 1
    tally.seconds = max(tally.seconds, (seconds, index))
    if megabytes > tally.megabytes[0]:
        tally.megabytes = (megabytes, index)
    if seconds > SECONDS:
        tally.failures.append(Failure(index, f"more than {SECONDS:g} s", f"{seconds:.2f} s"))
    if megabytes > MEGABYTES:
        tally.failures.append(Failure(index, f"more than {MEGABYTES} MB", f"{megabytes:.0f} MB"))
    return megabytes > MEGABYTES


_AT_REST = 60
"""Megabytes that a worker takes before it has read anything."""


@cache
def _inherited(pid: int) -> float:
    """Megabytes that the worker began with; a process that was forked counts the memory of its parent as its own."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / (1 << 20)


def _peak() -> float:
    """The most megabytes that this worker took, without what it has from its parent."""
    begun = _inherited(os.getpid())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - max(0.0, begun - _AT_REST)


def _origin(error: BaseException) -> str:
    frames = list(_frames(error))
    place = frames[-1] if frames else "?"
    return f"{type(error).__name__}: {str(error)[:80]!r} at {place}"


def _frames(error: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__):
        name = Path(frame.filename)
        if "vmcsc" in name.parts or name.parent.name == "fuzz":
            yield f"{name.parent.name}/{name.name}:{frame.lineno}"
