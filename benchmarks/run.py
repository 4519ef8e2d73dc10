"""Measure everything that has a target and print it beside the target. `python benchmarks/run.py`"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

import batches
import checker
import emulator
import in_process
import kernels
import logs
import machine
import start_up
from measure import Row, table


def start_up_rows(rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return start_up.rows(Path(folder), rounds)


PARTS = {
    "start-up": start_up_rows,
    "in-process": in_process.rows,
    "machine": machine.rows,
    "bochs": emulator.rows,
    "kernels": kernels.rows,
    "logs": logs.rows,
    "batches": batches.rows,
    "checker": checker.rows,
}
"""What is measured, by its name on the command line."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="runs of each command (default: 25)")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=[*PARTS], help="some parts of it")
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    rows = []
    for name, measured in PARTS.items():
        if name in arguments.only:
            rows += measured(arguments.rounds)
    print(table(rows))
    load = f"{before:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} CPUs, load {load}")
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
