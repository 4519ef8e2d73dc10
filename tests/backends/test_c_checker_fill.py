"""`vmcsc_fill_cpu` reads every capability MSR that a processor has at once, and none that it has not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.backends.checked_in_c import STRICT
from vmcsc import compile, emit
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.diagnostic import Diagnostics

READING = """#include "vmcsc_checker.h"
#include <stdio.h>

static unsigned count;
static unsigned long long table[64][2];

static int read_msr(void *context, uint32_t index, uint64_t *value)
{
    (void)context;
    for (unsigned i = 0; i < count; i++)
        if (table[i][0] == index) {
            *value = table[i][1];
            return 1;
        }
    printf("%#x is not there\\n", (unsigned)index);
    return 0;
}

int main(void)
{
    static struct vmcsc_cpu cpu, known;
    const uint64_t *values = (const uint64_t *)&cpu, *masks = (const uint64_t *)&known;
    while (scanf("%llx %llx", &table[count][0], &table[count][1]) == 2)
        count++;
    vmcsc_fill_cpu(&cpu, &known, read_msr, 0);
    for (unsigned i = 0; i < sizeof(cpu) / 8; i++)
        if (masks[i])
            printf("%u %#llx %#llx\\n", i, (unsigned long long)values[i], (unsigned long long)masks[i]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    vmcs = compile("minimal", database=database).vmcs
    assert vmcs is not None
    folder = tmp_path_factory.mktemp("fill")
    (folder / "vmcsc_checker.h").write_text(str(emit(vmcs, "c-checker")[0].content))
    (folder / "reading.c").write_text(READING)
    command = ["gcc", *STRICT, "-O1", str(folder / "reading.c"), "-o", str(folder / "reading")]
    subprocess.run(command, check=True)
    return folder / "reading"


@pytest.mark.parametrize("name", ["ice_lake_i7_1065g7", "arrow_lake_ultra5_245k", "yonah_core_duo_t2600"])
def test_what_a_processor_has_is_read_in_one_go(name: str, program: Path, database: Database) -> None:
    cpu = read_cpu(name, database, Diagnostics())
    assert isinstance(cpu, Cpu)
    capabilities = Capabilities(database, cpu)
    exist = {place: msr for place, msr in enumerate(database.capability_msrs) if capabilities.exists(msr)}
    there = {place: msr for place, msr in exist.items() if msr.name in cpu.msrs}
    text = "\n".join(f"{msr.index:x} {cpu.msrs[msr.name].bits:x}" for msr in there.values())
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=True)
    expected = [f"{place} {cpu.msrs[msr.name].bits:#x} {(1 << 64) - 1:#x}" for place, msr in there.items()]
    lacking = [f"{msr.index:#x} is not there" for msr in exist.values() if msr.name not in cpu.msrs]
    lines = done.stdout.replace(" 0 ", " 0x0 ").splitlines()
    assert sorted(lines) == sorted([*expected, *lacking]), "it asks for no MSR that does not exist"
