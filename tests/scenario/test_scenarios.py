"""Scenarios that pass as they should and fail as they should: one row of scenarios.yaml each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.pipeline import compile
from vmcsc.scenario.test import run_scenarios

ROWS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "scenarios.yaml").read_text())


@pytest.fixture(scope="module")
def cpu(database: Database) -> Cpu:
    """One that has everything that the rows use."""
    found = read_cpu("wildcat_lake_d0651", database, Diagnostics())
    assert found is not None
    return found


def text_of(row: dict[str, Any]) -> str:
    """A policy of one scenario; statements stand in a line of their own where a comma and a space part them."""
    body = row["body"]
    for word in ("guest", "expect", "set", "event", "on", "memory"):
        body = body.replace(f", {word} ", f"\n{word} ").replace(f"}} {word} ", f"}}\n{word} ")
    return (
        f'policy p {{\n{row.get("policy", "").replace("  ", chr(10))}\nscenario "{row["title"]}" {{\n{body}\n}}\n}}\n'
    )


def said(findings: tuple[Diagnostic, ...]) -> str:
    return "\n".join(line for one in findings for line in (one.message, *one.notes))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["title"])
def test_a_scenario_comes_out_as_it_should(row: dict[str, Any], database: Database, cpu: Cpu) -> None:
    compiled = compile(text_of(row), cpu, database)
    assert compiled.policy is not None and compiled.ok, compiled.diagnostics
    (result,) = run_scenarios(compiled.policy, database, cpu)
    if "fails" in row:
        missing = [part for part in row["fails"] if part not in said(result.findings)]
        assert not result.passed and missing == [], said(result.findings)
    else:
        assert result.passed, said(result.findings)
