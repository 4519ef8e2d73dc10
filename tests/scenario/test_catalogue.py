"""Every row of the catalogue of exits is in the machine, or has a reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import Operation, Step, operation_of

HERE = Path(__file__).parent
CATALOGUE: dict[str, Any] = yaml.safe_load((HERE / "catalogue" / "exits.yaml").read_text())
TITLES = {row["title"] for path in HERE.glob("*.yaml") for row in yaml.safe_load(path.read_text())}
ROWS = 221


@pytest.fixture(scope="module")
def operation(database: Database) -> Operation:
    return operation_of(database)


def steps(operation: Operation) -> Iterator[Step]:
    for entry in operation.instructions.values():
        yield from entry.steps
    for group in operation.groups.values():
        yield from group.steps


def test_each_row_is_in_one_place() -> None:
    found = [*CATALOGUE["steps"], *CATALOGUE["shown"], *CATALOGUE["left_out"]]
    assert len(found) == len(set(found)) == ROWS
    print(f"exits.tsv: {ROWS - len(CATALOGUE['left_out'])} of {ROWS} rows, {len(CATALOGUE['left_out'])} with a reason")


def test_rows_that_are_steps_have_a_step(operation: Operation) -> None:
    assert set(CATALOGUE["steps"]) - {step.id for step in steps(operation)} == set()


def test_rows_that_are_shown_have_a_scenario() -> None:
    assert {row: title for row, title in CATALOGUE["shown"].items() if title not in TITLES} == {}


def test_steps_are_named_once(operation: Operation) -> None:
    """A step of one instruction is that of no other, so that a name leads to one condition."""
    seen: dict[str, int] = {}
    for entry in operation.instructions.values():
        for id in {step.id for step in entry.steps}:
            seen[id] = seen.get(id, 0) + 1
    assert {id: count for id, count in seen.items() if count > 1 and not id.startswith("io-")} == {}
