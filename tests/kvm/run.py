"""Emit patches for real kernel trees and try them: `python tests/kvm/run.py [VERSION ...] [--compile all]`.

VERSION is that of an installed package linux-source-VERSION (default: 6.1 and 6.12); VMCSC_LINUX_SOURCES names another
folder with tarballs. Of each change of changes.yaml the patch is applied to a copy of the tree by git and by patch,
read by gcc, compiled where the table says so, and taken back.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.kvm.trees import CACHE, forget_old_work, prepared, why_not
from tests.kvm.trial import Bench, Tried, changes_for

VERSIONS = ("6.1", "6.12")


def try_version(version: str, compiles: str = "some") -> list[Tried]:
    """Every change for the tree of a version."""
    tree = prepared(version)
    with TemporaryDirectory(prefix="work-", dir=CACHE) as folder:
        bench = Bench.of(version, tree, Path(folder), compiles)
        return [bench.attempt(change) for change in changes_for(version)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("versions", nargs="*", default=VERSIONS, help="versions of installed kernel sources")
    parser.add_argument("--compile", choices=("none", "some", "all"), default="some", help="what is compiled")
    parser.add_argument("--results", metavar="FILE", help="write what became of each change as JSON")
    parser.add_argument("--jobs", type=int, default=2, help="trees at the same time")
    options = parser.parse_args(arguments)
    for version in options.versions:
        if reason := why_not(version):
            parser.error(reason)
    forget_old_work()
    with ProcessPoolExecutor(options.jobs) as pool:
        waiting = [pool.submit(try_version, version, options.compile) for version in options.versions]
        tried = [one for future in waiting for one in future.result()]
    if options.results:
        half = Path(f"{options.results}.half")  # who waits for the file finds the whole of it
        half.write_text(json.dumps([asdict(one) for one in tried], indent=1))
        half.replace(options.results)
    for one in tried:
        if one.wrong:
            print(f"{one.version}: {one.name}: {'; '.join(one.wrong)}")
    for version in options.versions:
        own = [one for one in tried if one.version == version]
        compiled, wrong = sum(one.compiled for one in own), sum(bool(one.wrong) for one in own)
        seconds = sum(one.seconds for one in own)
        print(f"{version}: {len(own)} changes, {compiled} compiled, {wrong} wrong, {seconds:.0f} s")
    return 1 if any(one.wrong for one in tried) else 0


if __name__ == "__main__":
    sys.exit(main())
