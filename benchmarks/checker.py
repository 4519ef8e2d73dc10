"""How many states a second the generated checker runs over in C, with masks and without, and how large it is."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from measure import Row

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.check.states import base, build
from vmcsc import compile, emit
from vmcsc.architecture.database import Database
from vmcsc.expression.value import Value
from vmcsc.loading import load

STATES = 200_000
VARIANTS = (("with masks", (), 1_500_000), ("all known", ("-DVMCSC_ALL_KNOWN",), 4_000_000))


def rows(rounds: int) -> list[Row]:
    if shutil.which("gcc") is None:
        return [Row("states in C", None, "states/s", note="gcc is not installed")]
    database = load()
    vmcs = compile("minimal", database=database).vmcs
    assert vmcs is not None
    data, found = _states(database), []
    with TemporaryDirectory() as folder:
        for strings in (True, False):
            [artifact] = emit(vmcs, "c-checker", strings=strings)
            Path(folder, artifact.path).write_text(str(artifact.content))
            found.append(
                Row(f"object of the checker{'' if strings else ', without names'}", _size(folder) / 1024, "KB")
            )
        for what, flags, least in VARIANTS:
            program = f"{folder}/checker"
            source = str(Path(__file__).with_name("checker.c"))
            subprocess.run(["gcc", "-std=c99", "-O2", *flags, f"-I{folder}", source, "-o", program], check=True)
            runs = [subprocess.run([program, str(STATES)], input=data, capture_output=True, check=True).stdout
                    for _ in range(min(rounds, 5))]  # fmt: skip
            speed = median(float(run.split()[0]) for run in runs)
            found.append(Row(f"states in C, {what}, -O2", speed, "states/s", at_least=least))
    return found


def _size(folder: str) -> int:
    """Bytes of code and data of a file that calls the checker."""
    text = (
        '#include "vmcsc_checker.h"\n'
        "struct vmcsc_verdict use(const struct vmcsc_state *s, const struct vmcsc_answers *a,"
        " struct vmcsc_results *r)\n"
        "{ return vmcsc_check_state(s, a, r); }\n"
    )
    if "vmcsc_check_name" in Path(folder, "vmcsc_checker.h").read_text():
        text += "const char *name(unsigned rule) { return vmcsc_check_name(rule); }\n"
    Path(folder, "use.c").write_text(text)
    subprocess.run(["gcc", "-std=c99", "-O2", "-c", f"{folder}/use.c", "-o", f"{folder}/use.o"], check=True)
    listed = subprocess.run(["size", f"{folder}/use.o"], capture_output=True, text=True, check=True).stdout
    return sum(int(number) for number in listed.splitlines()[1].split()[:3])


def _states(database: Database) -> bytes:
    """The processor, a valid state, and distinct sets of a bit in each of three fields."""
    chance, state = Random(1), build(database, base("long"))
    cpu = state.capabilities.cpu
    asked = [msr.name for msr in database.capability_msrs] + list(database.facts)
    parts = [_words({**cpu.msrs, **cpu.facts}, asked), _words(state.fields, list(database.fields))]
    parts.append(_words(state.processor, list(database.state)))
    places = {name: place for place, name in enumerate(database.fields)}
    names, seen = sorted(state.fields), set()
    while len(seen) < STATES:
        three = sorted(chance.sample(names, 3))
        changes = [(places[name], 1 << chance.randrange(state.fields[name].width)) for name in three]
        change = struct.pack("<6Q", *(number for one in changes for number in one))
        if change not in seen:
            seen.add(change)
            parts.append(change)
    return b"".join(parts)


def _words(numbers: Mapping[str, Value], names: list[str]) -> bytes:
    values = [numbers.get(name, Value(64, 0, 0)) for name in names]
    return struct.pack(f"<{2 * len(values)}Q", *(one.bits for one in values), *(one.known for one in values))
