"""The long forms: genuine dumps of other kernels, and every rule in every shipped state on every shipped processor.

`python tests/diagnose/run.py [VERSION ...]` compares every field of dumps that the code of these kernels prints; the
packages linux-source-VERSION lie in VMCSC_LINUX_SOURCES (default: /usr/src). With `--tree DIR --file FILE`, of a tree
whose arch/x86 is DIR and which has dump_vmcs in FILE below it. `--cpus [NAME ...]` diagnoses violations.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.diagnose.dumper import Dumper, build, build_from
from tests.diagnose.genuine import wrong_with
from tests.diagnose.given import dumped, only_dump, shown
from tests.diagnose.patterns import combinations
from tests.diagnose.violations import cases, cpus_of, processor
from tests.kvm.run import VERSIONS
from tests.kvm.trees import why_not
from vmcsc.architecture.database import Database
from vmcsc.diagnose.diagnosis import diagnose_dump
from vmcsc.loading import load
from vmcsc.resources import SPECS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"kernels (default: {', '.join(VERSIONS)})")
    parser.add_argument("--tree", type=Path, metavar="DIR", help="arch/x86 of a kernel instead")
    parser.add_argument("--file", default="kvm/vmx/vmx.c", help="where it has dump_vmcs (default: kvm/vmx/vmx.c)")
    parser.add_argument("--cpus", nargs="*", metavar="NAME", help="violations on these processors (default: all)")
    arguments = parser.parse_args()
    database = load()
    with TemporaryDirectory() as folder:
        if arguments.cpus is not None:
            dumper = Dumper(build(VERSIONS[-1], Path(folder)))
            return int(sum(_violations(name, dumper, database) for name in arguments.cpus or cpus_of(SPECS)) > 0)
        if arguments.tree is not None:
            return _genuine(str(arguments.tree), build_from(arguments.tree, arguments.file, Path(folder)), database)
        failed = 0
        for version in arguments.versions or VERSIONS:
            if reason := why_not(version):
                print(f"{version}: {reason}")
                return 2
            own = Path(folder) / version
            own.mkdir()
            failed |= _genuine(version, build(version, own), database)
        return failed


def _genuine(name: str, program: Path, database: Database) -> int:
    """Every optional line there and not there: 0 where every field is read as it was printed."""
    dumper, wrong, dumps = Dumper(program), 0, 0
    for title, values, has, lists in combinations(database):
        found = wrong_with(dumper, values, has, lists, database)
        dumps += 1
        wrong += bool(found)
        for one in found[:5]:
            print(f"{name}: {title}: {one}")
    dumper.close()
    print(f"{name}: {dumps} dumps, {wrong} not read as they were printed")
    return int(wrong > 0)


def _violations(name: str, dumper: Dumper, database: Database) -> int:
    started, count, wrong = time.monotonic(), 0, 0
    guests, rules = set(), set()
    for case in cases(processor(name, database), database):
        text, told, listed = dumped(case.state, dumper, database)
        diagnosis = diagnose_dump(only_dump(text, database), database, case.cpu)
        got = {one.result.rule.id for one in diagnosis.violated}
        count += 1
        guests.add(case.guest)
        rules |= got
        if got != shown(case.violated, case.state, told, listed):
            wrong += 1
            print(f"{case.name}: diagnosed as {', '.join(sorted(got)) or 'valid'}")
    took = time.monotonic() - started
    print(
        f"{name}: {count} states of {len(guests)} guests, {len(rules)} rules diagnosed, {wrong} wrong, in {took:.0f} s"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
