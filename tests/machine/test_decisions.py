"""What instructions and events come to in a state: a line of decisions.txt each."""

from __future__ import annotations

import pytest

from tests.machine.decisions import Row, came_to, owner_of, rows
from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import Group, InstructionEntry, operation_of

ROWS = list(rows())


@pytest.mark.parametrize("owner", sorted({row.owner for row in ROWS}))
def test_each_state_comes_to_its_step(owner: str, database: Database) -> None:
    steps = owner_of(database, owner).steps
    own: list[Row] = [row for row in ROWS if row.owner == owner]
    found = {(row.line, " ".join(row.settings)): (came_to(row, steps, database), row.expected) for row in own}
    assert {state: both for state, both in found.items() if both[0] != both[1]} == {}


def test_every_step_that_has_a_condition_is_reached(database: Database) -> None:
    operation = operation_of(database)
    reached = {(row.owner, row.expected) for row in ROWS}
    owners: dict[str, InstructionEntry | Group] = {**operation.instructions, **operation.groups}
    conditional = {(name, step.id) for name, one in owners.items() for step in one.steps if step.when is not None}
    assert conditional - reached == set()
