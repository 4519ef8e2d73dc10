"""Scenarios that come out as they should, pass or fail: a row of the YAML files here each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.rows import ROWS, text_of
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.pipeline import compile
from vmcsc.scenario.result import ScenarioResult
from vmcsc.scenario.test import run_scenarios

NEVER = {
    "io_smi": "SMM: the dual-monitor treatment is left out",
    "other_smi": "SMM: the dual-monitor treatment is left out",
    "rsm": "SMM: the dual-monitor treatment is left out",
    "internal_35": "no exit of an architecture",
    "internal_42": "no exit of an architecture",
    "entry_failure_machine_check": "a platform event during VM entry",
    "sgx_conflict": "SGX: the machine has no enclaves",
}
"""Exit reasons that no scenario produces, and why."""

DUAL_MONITOR = {16, 17, 18, 19, 20, 22, 23, 24, 25}
"""VM-instruction errors of the dual-monitor treatment, and numbers that none has."""


def said(findings: tuple[Diagnostic, ...]) -> str:
    return "\n".join(line for one in findings for line in (one.message, *one.notes))


@pytest.fixture(scope="module")
def results(database: Database, everything: Cpu) -> dict[str, ScenarioResult | str]:
    """What came of each row by its title; the findings where it does not compile."""
    found: dict[str, ScenarioResult | str] = {}
    for row in ROWS:
        cpu = everything if "cpu" not in row else read_cpu(row["cpu"], database, Diagnostics())
        compiled = compile(text_of(row), cpu, database)
        if compiled.policy is None or not compiled.ok:
            found[row["title"]] = said(compiled.diagnostics)
        else:
            (found[row["title"]],) = run_scenarios(compiled.policy, database, cpu)
    return found


def test_titles_differ() -> None:
    assert len({row["title"] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["title"])
def test_a_scenario_comes_out_as_it_should(row: dict[str, Any], results: dict[str, ScenarioResult | str]) -> None:
    result = results[row["title"]]
    assert not isinstance(result, str), result
    missing = [part for part in row.get("fails", ()) if part not in said(result.findings)]
    assert missing == [], said(result.findings)
    assert result.passed is ("fails" not in row), said(result.findings)


def test_every_exit_reason_is_produced(database: Database, results: dict[str, ScenarioResult | str]) -> None:
    runs = [one for one in results.values() if isinstance(one, ScenarioResult)]
    produced = {h.exited.reason for one in runs for h in one.happenings if h.exited is not None}
    architectural = {name for name in database.exit_reasons if not name.startswith("internal_")}
    never = ", ".join(f"{name} ({database.exit_reasons[name].number}): {why}" for name, why in NEVER.items())
    print(f"exit reasons produced: {len(produced)} of {len(architectural)}; never: {never}")
    assert produced | NEVER.keys() == set(database.exit_reasons)
    assert produced & NEVER.keys() == set()
    assert len(produced) >= 65


def test_every_instruction_error_is_produced(database: Database) -> None:
    """Rows whose bodies expect the number; the dual-monitor treatment is left out."""
    bodies = " ".join(row["body"] for row in ROWS if "fails" not in row)
    numbers = {error.number for error in database.instruction_errors.values()} - DUAL_MONITOR
    assert {n for n in numbers if f"vm_instruction_error == {n}" not in bodies + " "} == set()
