"""Random neighbours of valid states one by one, over columns, and in C: `python tests/check/many_run.py`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.backends.checked_in_c import Given, compiled
from tests.backends.checked_in_c import differences as in_c
from tests.check.batches import differences, neighbours, one_by_one
from tests.check.states import BASES
from vmcsc import compile, emit
from vmcsc.loading import load

PART = 500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000, metavar="N", help="how many states (default: 200000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which states (default: 0)")
    arguments = parser.parse_args()
    database, started, done, wrong = load(), time.monotonic(), 0, 0
    with TemporaryDirectory() as folder:
        program = checker(Path(folder))
        part = 0
        while done < arguments.count:
            part += 1
            for cpu, states in neighbours(database, PART, arguments.seed * 100_000 + part):
                checks = one_by_one(cpu, states, database)
                given = [Given(fields, processor, cpu, None) for fields, processor in states]
                found = [*differences(cpu, states, database, checks), *in_c(program, given, database, checks=checks)]
                wrong += bool(found)
                done += len(states)
                for one in found[:3]:
                    print(f"part {part}: {one}")
    took = time.monotonic() - started
    print(f"{done} states around {len(BASES)} valid ones in {took:.0f} s: {wrong} parts in which something differs")
    return int(wrong > 0)


def checker(folder: Path) -> Path:
    """The generated checker as a program, with the sanitizers."""
    vmcs = compile("minimal", "ice_lake_i7_1065g7").vmcs
    assert vmcs is not None
    [header] = emit(vmcs, "c-checker")
    return compiled(str(header.content), folder, "-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


if __name__ == "__main__":
    sys.exit(main())
