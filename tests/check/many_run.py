"""Random neighbours of valid states one by one, over columns, and in C: `python tests/check/many_run.py`."""

from __future__ import annotations

import argparse
import sys
import time
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.backends.checked_in_c import Given, compiled
from tests.backends.checked_in_c import differences as in_c
from tests.check.batches import Numbers, differences, neighbours, one_by_one
from tests.check.states import BASES
from vmcsc import compile, emit
from vmcsc.loading import load

PART = 500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000, metavar="N", help="distinct states (default: 200000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which states (default: 0)")
    parser.add_argument("--compiler", default="gcc", metavar="CC", help="gcc, or clang with its sanitizers")
    arguments = parser.parse_args()
    database, started, done, wrong = load(), time.monotonic(), 0, 0
    distinct: set[int] = set()
    with TemporaryDirectory() as folder:
        program = checker(Path(folder), arguments.compiler)
        part = 0
        while len(distinct) < arguments.count:
            part += 1
            for cpu, states in neighbours(database, PART, arguments.seed * 100_000 + part):
                checks = one_by_one(cpu, states, database)
                given = [Given(fields, processor, cpu, None) for fields, processor in states]
                found = [*differences(cpu, states, database, checks), *in_c(program, given, database, checks=checks)]
                wrong += bool(found)
                done += len(states)
                distinct.update(_digest(cpu.name, *one) for one in states)
                for one in found[:3]:
                    print(f"part {part}: {one}")
    took = time.monotonic() - started
    print(
        f"{done} states ({len(distinct)} distinct ones) around {len(BASES)} valid ones in {took:.0f} s: "
        f"{wrong} parts in which something differs"
    )
    return int(wrong > 0)


def _digest(cpu: str, fields: Numbers, processor: Numbers) -> int:
    """A number by which states differ: of 128 bits, so that no two of them share one by chance."""
    values = (*sorted(fields.items()), *sorted(processor.items()))
    text = ";".join(f"{name}={value.bits:x}/{value.known:x}" for name, value in values)
    return int.from_bytes(blake2b(f"{cpu};{text}".encode(), digest_size=16).digest())


def checker(folder: Path, compiler: str) -> Path:
    """The generated checker as a program, with the sanitizers."""
    vmcs = compile("minimal", "ice_lake_i7_1065g7").vmcs
    assert vmcs is not None
    [header] = emit(vmcs, "c-checker")
    return compiled(
        str(header.content),
        folder,
        "-O1",
        "-fsanitize=undefined,address",
        "-fno-sanitize-recover=all",
        compiler=compiler,
    )


if __name__ == "__main__":
    sys.exit(main())
