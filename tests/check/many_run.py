"""Random neighbours of valid states over columns and one by one: `python tests/check/many_run.py`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.check.batches import differences, neighbours
from tests.check.states import BASES
from vmcsc.loading import load

PART = 500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000, metavar="N", help="how many states (default: 200000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which states (default: 0)")
    arguments = parser.parse_args()
    database, started, done, wrong = load(), time.monotonic(), 0, 0
    part = 0
    while done < arguments.count:
        part += 1
        for cpu, states in neighbours(database, PART, arguments.seed * 100_000 + part):
            found = differences(cpu, states, database)
            wrong += bool(found)
            done += len(states)
            for one in found[:3]:
                print(f"part {part}: {one}")
    took = time.monotonic() - started
    print(f"{done} states around {len(BASES)} valid ones in {took:.0f} s: {wrong} parts in which something differs")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
