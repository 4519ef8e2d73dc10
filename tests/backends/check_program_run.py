"""Any number of spoilt texts for the program of `--main` and for `vmcsc check --state`: run me with --count."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.backends.check_program import SANITIZED, Ran, agreed, built, ran, source
from tests.backends.test_check_program import some_text
from vmcsc.cli import main as vmcsc
from vmcsc.loading import load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, metavar="N", help="how many texts (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which texts (default: 0)")
    arguments = parser.parse_args()
    database, chance, started, wrong, read = load(), Random(arguments.seed), time.monotonic(), 0, 0
    with TemporaryDirectory() as folder:
        program = built(source(database), Path(folder), "gcc", "-std=c99", *SANITIZED)
        path = Path(folder, "state")
        for _ in range(arguments.count):
            path.write_bytes(some_text(database, chance).encode("utf-8", "surrogateescape"))
            ours = ran(program, path)
            read += "error[VMX1001]" not in ours[1]
            found = agreed(ours, lambda: _theirs(path))
            if found is not None:
                wrong += 1
                print(f"{path.read_bytes()!r}\n{found}")
    took = time.monotonic() - started
    print(f"{arguments.count} texts, {read} of them in the form, in {took:.0f} s: {wrong} differences")
    return int(wrong > 0)


def _theirs(path: Path) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = vmcsc(["check", "--state", str(path), "--format", "concise"])
    return code, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    sys.exit(main())
