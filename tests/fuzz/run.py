"""Throw mutated samples at a reader: `python tests/fuzz/run.py READER [--count N] [--seed S]`.

Every input must end in findings or in success, within 2 s of CPU time and 200 MB of memory, and never in an exception.
Those that do not are saved. The inputs are the same for the same seed, whatever the number of workers.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from itertools import groupby
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

if TYPE_CHECKING:
    from tests.fuzz.workers import Failure, Tally


def main() -> int:
    from tests.fuzz.readers import READERS
    from tests.fuzz.workers import run

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=READERS, help="what reads the inputs")
    parser.add_argument("--count", type=int, default=100_000, metavar="N", help="how many inputs (default: 100000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which inputs (default: 0)")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: all CPUs)"
    )
    saved = Path(gettempdir()) / "vmcsc-fuzz"
    parser.add_argument("--save", type=Path, default=saved, metavar="DIR", help=f"where failures go (default: {saved})")
    parser.add_argument("--show", type=int, metavar="INDEX", help="only print the input of this number")
    arguments = parser.parse_args()
    if arguments.show is not None:
        from tests.fuzz.workers import input_of

        sys.stdout.buffer.write(input_of(arguments.reader, arguments.seed, arguments.show))
        return 0
    started = time.monotonic()
    tally = run(
        arguments.reader, arguments.seed, arguments.count, arguments.workers, _Progress(arguments, started).show
    )
    _report(arguments, tally, time.monotonic() - started)
    return 1 if tally.failures else 0


class _Progress:
    """Prints every failure of a new kind at once, and how many inputs there were every ten seconds."""

    def __init__(self, arguments: argparse.Namespace, started: float) -> None:
        self._arguments = arguments
        self._started = self._last = started
        self._known: set[str] = set()

    def show(self, tally: Tally) -> None:
        for failure in tally.failures:
            if failure.what not in self._known:
                self._known.add(failure.what)
                print(f"{failure.what}: {_saved(self._arguments, failure)}", flush=True)
        now = time.monotonic()
        if now - self._last > 10:
            self._last = now
            print(f"  {tally.count} inputs in {now - self._started:.0f} s, {len(tally.failures)} failures", flush=True)


def _report(arguments: argparse.Namespace, tally: Tally, elapsed: float) -> None:
    for what, group in groupby(sorted(tally.failures, key=lambda f: (f.what, f.index)), key=lambda f: f.what):
        alike = list({failure.index: failure for failure in group}.values())  # one for all commands of a reader
        print(f"{len(alike)} x {what}")
        for failure in alike[:3]:
            print(f"    {_saved(arguments, failure)}  {failure.detail if failure is alike[0] else ''}")
    print(
        f"{arguments.reader}: {tally.count} inputs (seed {arguments.seed}) in {elapsed:.0f} s, "
        f"{tally.silent} without findings; "
        f"worst time {tally.seconds[0]:.2f} s (input {tally.seconds[1]}), "
        f"worst memory {tally.megabytes[0]:.0f} MB (input {tally.megabytes[1]}), {len(tally.failures)} failures"
    )


def _saved(arguments: argparse.Namespace, failure: Failure) -> Path:
    from tests.fuzz.workers import input_of

    path: Path = arguments.save / f"{arguments.reader}-{arguments.seed}-{failure.index}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(input_of(arguments.reader, arguments.seed, failure.index))
    return path


if __name__ == "__main__":
    sys.exit(main())
