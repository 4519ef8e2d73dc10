"""Measure everything that has a target and print it beside the target. `python benchmarks/run.py`"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

import batches
import emulator
import in_process
import kernels
import logs
import machine
import start_up
from measure import table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="runs of each command (default: 25)")
    parser.add_argument(
        "--only",
        choices=("start-up", "in-process", "machine", "bochs", "kernels", "logs", "batches"),
        help="one part of it",
    )
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    rows = []
    if arguments.only in (None, "start-up"):
        with tempfile.TemporaryDirectory() as folder:
            rows += start_up.rows(Path(folder), arguments.rounds)
    if arguments.only in (None, "in-process"):
        rows += in_process.rows(arguments.rounds)
    if arguments.only in (None, "machine"):
        rows += machine.rows(arguments.rounds)
    if arguments.only in (None, "bochs"):
        rows += emulator.rows(arguments.rounds)
    if arguments.only in (None, "kernels"):
        rows += kernels.rows(arguments.rounds)
    if arguments.only in (None, "logs"):
        rows += logs.rows(arguments.rounds)
    if arguments.only in (None, "batches"):
        rows += batches.rows(arguments.rounds)
    print(table(rows))
    load = f"{before:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} CPUs, load {load}")
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
