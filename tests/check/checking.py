"""What `check_fields` says of a state that the tables could describe."""

from __future__ import annotations

from tests.check.changes import NONE, Change
from tests.check.states import base, build
from vmcsc.architecture.database import Database
from vmcsc.check.check import Checked, check_fields
from vmcsc.check.evaluate import Status


def checked(database: Database, change: Change = NONE, name: str = "long") -> Checked:
    state = build(database, change.apply(base(name)))
    return check_fields(state.fields, state.capabilities.cpu, database, state.memory, state.processor)


def outcomes(found: Checked) -> list[str]:
    return [str(outcome) for outcome in found.verdict.outcomes]


def violated(database: Database, change: Change, name: str = "long") -> set[str]:
    """The rules that the state violates; nothing of it may be undetermined."""
    found = checked(database, change, name)
    assert found.of(Status.UNDETERMINED) == ()
    return {result.rule.id for result in found.of(Status.VIOLATED)}
