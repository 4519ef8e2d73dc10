"""The generated checker says of every rule and every state what the rules in Python say, and compiles everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from tests.backends.checked_in_c import STRICT, compiled, differences, of_row, partly_known
from tests.check.all_rows import ROWS
from tests.conftest import skip_or_fail
from vmcsc import VmcscError, compile, emit
from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import Status, rules_of

POLICY = "policy p { pin_based { forbid process_posted_interrupts }\n secondary { require enable_ept } }"
USE = """#include "vmcsc_checker.h"
unsigned used(const struct vmcsc_state *state, const struct vmcsc_answers *cpu, struct vmcsc_results *results);
unsigned used(const struct vmcsc_state *state, const struct vmcsc_answers *cpu, struct vmcsc_results *results)
{
    return vmcsc_check_state(state, cpu, results).enters;
}
"""


def header(database: Database, **options: object) -> str:
    vmcs = compile(POLICY, "ice_lake_i7_1065g7", database).vmcs
    assert vmcs is not None
    [artifact] = emit(vmcs, "c-checker", **options)
    assert artifact.path == "vmcsc_checker.h" and isinstance(artifact.content, str)
    return artifact.content


@pytest.fixture(scope="module")
def whole(database: Database) -> str:
    return header(database)


@pytest.fixture(scope="module")
def sanitized(whole: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checker")
    return compiled(whole, folder, "-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


# --- the same as in Python ---


def test_every_rule_comes_out_alike_in_rows_of_every_kind(sanitized: Path, database: Database) -> None:
    """Without a report of the sanitizers. One row of each check and status, and some of the others."""
    chance = Random(1)
    first = {(row.check.rule, row.check.source, row.status): row for row in ROWS}
    rows = [*first.values(), *chance.sample(ROWS, 800)]
    assert {row.check.rule for row in rows if row.status is Status.VIOLATED} == {row.check.rule for row in ROWS}
    assert list(differences(sanitized, [of_row(row, database) for row in rows], database)) == []


def test_what_is_known_in_part_comes_out_alike(sanitized: Path, database: Database) -> None:
    chance = Random(2)
    states = [partly_known(of_row(row, database), chance) for row in chance.sample(ROWS, 800)]
    assert list(differences(sanitized, states, database)) == []


def test_without_masks_what_is_wholly_known_comes_out_alike(
    whole: str, tmp_path: Path, database: Database
) -> None:  # fmt: skip
    program = compiled(whole, tmp_path, "-O2", "-DVMCSC_ALL_KNOWN")
    rows = Random(3).sample(ROWS, 1500)
    found = list(differences(program, [of_row(row, database) for row in rows], database, all_known=True))
    assert found == []


# --- compilers ---


@pytest.mark.parametrize(
    "command",
    [
        ["gcc", *STRICT, "-ffreestanding", "-O2"],
        ["gcc", *STRICT, "-ffreestanding", "-O0", "-m64"],
        ["gcc", "-std=c11", *STRICT[1:], "-O2"],
        ["g++", "-std=c++17", *STRICT[1:], "-O2"],
        ["gcc", *STRICT, "-ffreestanding", "-O2", "-DVMCSC_ALL_KNOWN"],
        ["g++", "-std=c++17", *STRICT[1:], "-O2", "-DVMCSC_ALL_KNOWN"],
        ["clang", *STRICT, "-ffreestanding", "-O2"],
        ["clang", *STRICT, "-ffreestanding", "-O2", "-DVMCSC_ALL_KNOWN"],
        ["clang", "-x", "c++", "-std=c++17", *STRICT[1:], "-O2"],
    ],
    ids=lambda command: " ".join(command[:2] + command[-1:]),
)
def test_it_compiles_without_a_warning(command: list[str], whole: str, tmp_path: Path) -> None:
    if shutil.which(command[0]) is None:
        skip_or_fail(f"{command[0]} is not installed")
    (tmp_path / "vmcsc_checker.h").write_text(whole)
    name = tmp_path / ("use.cpp" if command[0] == "g++" else "use.c")
    name.write_text(USE)
    done = subprocess.run(
        [*command, "-c", str(name), "-o", str(tmp_path / "use.o")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_needs_nothing_but_integers(database: Database, whole: str, tmp_path: Path) -> None:
    assert re.findall(r"#include.*", whole) == ["#include <stdint.h>"]
    own = "typedef unsigned char uint8_t; typedef unsigned short uint16_t; typedef unsigned uint32_t;\n"
    own += "typedef unsigned long long uint64_t;\n"
    (tmp_path / "vmcsc_checker.h").write_text(header(database, stdint=False))
    (tmp_path / "use.c").write_text(own + USE)
    command = [
        "gcc",
        *STRICT,
        "-ffreestanding",
        "-nostdinc",
        "-c",
        str(tmp_path / "use.c"),
        "-o",
        str(tmp_path / "use.o"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_example_of_the_documentation_compiles(whole: str, tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "checks.md").read_text()
    [example] = re.findall(r"^```c checker\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "vmcsc_checker.h").write_text(whole)
    (tmp_path / "use.c").write_text(example + "void use(void);\nvoid use(void) { check_before_entry(); }\n")
    command = ["gcc", *STRICT, "-ffreestanding", "-c", str(tmp_path / "use.c"), "-o", str(tmp_path / "use.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- what is in it ---


def numbered(text: str) -> int:
    [count] = re.findall(r"#define VMCSC_RULES\s+(\d+)u", text)
    return int(count)


def test_each_rule_stands_below_its_id_and_condition(whole: str, database: Database) -> None:
    assert numbered(whole) == len(rules_of(database))
    for bound in rules_of(database):
        assert f"/* {bound.rule.code} {bound.rule.id}: " in whole
    assert "/* VMX6200 gseg-tr-sel-ti: not guest_tr_selector.ti */" in whole
    assert "/* Checks on Guest Segment Registers */" in whole


def test_rules_can_be_left_out_by_stage_and_by_policy(whole: str, database: Database) -> None:
    guest = header(database, stages="guest_state")
    assert numbered(guest) == sum(rule.outcome.get("exit_reason") == 33 for rule in database.rules)
    both = header(database, stages="guest_state, msr_loading")
    assert numbered(both) > numbered(guest)
    reachable = header(database, reachable=True)
    assert "exec-pi-vector" in whole and "exec-pi-vector" not in reachable
    assert "exec-eptp-memtype" in reachable
    gone = len(rules_of(database)) - numbered(reachable)
    assert gone > 50 and f"{gone} never apply with the controls of p" in reachable
    with pytest.raises(VmcscError, match="there is no stage 'guest'"):
        header(database, stages="guest")


def test_names_can_be_left_out(whole: str, database: Database) -> None:
    assert '"VMX6200 gseg-tr-sel-ti"' in whole
    assert 'VMX6200 gseg-tr-sel-ti"' not in header(database, strings=False)
    assert 'Checks on Guest Segment Registers"' not in header(database, strings=False)


def test_a_violation_is_told_with_its_section_and_the_fields_that_the_rule_reads(
    whole: str, tmp_path: Path, database: Database
) -> None:
    (tmp_path / "vmcsc_checker.h").write_text(whole)
    (tmp_path / "told.c").write_text(TOLD)
    program = tmp_path / "told"
    subprocess.run(["gcc", *STRICT, "-O1", str(tmp_path / "told.c"), "-o", str(program)], check=True)
    lines = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout.splitlines()
    rule = next(one.rule for one in rules_of(database) if one.rule.id == "guest-rflags-bit1")
    encoding = database.fields["guest_rflags"].encoding
    assert f"{rule.code} {rule.id}|{rule.section}|{encoding:#x}" in lines
    assert len(lines) == len(set(lines))


TOLD = """#include "vmcsc_checker.h"
#include <stdio.h>

static void told(void *context, const struct vmcsc_violation *violation)
{
    (void)context;
    printf("%s|%s", violation->name, violation->section);
    for (unsigned i = 0; i < violation->fields_count; i++)
        printf("%c%#x", i ? ' ' : '|', (unsigned)violation->fields[i]);
    printf("\\n");
}

static int zero(void *context, uint32_t number, uint64_t *value)
{
    (void)context, (void)number;
    *value = 0u;
    return 1;
}

int main(void)
{
    static struct vmcsc_cpu cpu, known;
    static struct vmcsc_answers answers;
    static struct vmcsc_state state;
    static struct vmcsc_results results;
    vmcsc_ask(&cpu, &known, &answers);
    vmcsc_fill_fields(&state, zero, 0);
    state.violated = told;
    return vmcsc_check_state(&state, &answers, &results).enters != VMCSC_FAILS;
}
"""
"""Tells of a VMCS whose every field is 0."""
