"""Every rule, at its boundary: states in which nothing is wrong but the rule, and their neighbours that enter."""

from __future__ import annotations

import re

import pytest

from tests.check.all_rows import CHECKS, ROWS, TABLES
from tests.check.rows import Row, results
from vmcsc.architecture.database import Database
from vmcsc.check.compiled import CompiledRules
from vmcsc.check.evaluate import RuleResult, Status
from vmcsc.check.verdict import verdict
from vmcsc.loading import load

RULES = [rule.id for rule in load().rules]
FUNCTION = re.compile(r"[a-z_]\w+")


@pytest.fixture(scope="module")
def compiled(database: Database) -> CompiledRules:
    return CompiledRules(database)


def with_status(found: tuple[RuleResult, ...], status: Status) -> set[str]:
    return {result.rule.id for result in found if result.status is status}


def rows_of(rule: str) -> list[Row]:
    return [row for row in ROWS if row.check.rule == rule]


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_comes_out_as_its_table_says(database: Database, rule: str) -> None:
    for row in rows_of(rule):
        by_id, _ = results(database, row)
        found = tuple(by_id.values())
        assert by_id[rule].status is row.status, row.name
        assert with_status(found, Status.VIOLATED) == row.violated, row.name
        assert with_status(found, Status.UNDETERMINED) == set(), row.name
        outcomes = verdict(database, found).outcomes
        assert bool(outcomes) is bool(row.violated), row.name
        assert row.violated != {rule} or outcomes[0].parts == row.check.outcome, row.name


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_has_a_state_that_violates_it_and_one_that_passes(rule: str) -> None:
    assert {row.status for row in rows_of(rule)} >= {Status.VIOLATED, Status.PASSED}


def test_generated_code_comes_to_the_same(database: Database, compiled: CompiledRules) -> None:
    for row in ROWS[::4]:
        by_id, state = results(database, row)
        differing = [
            (row.name, result.rule.id)
            for result in compiled.results(state)
            if (result.status, result.element) != (by_id[result.rule.id].status, by_id[result.rule.id].element)
        ]
        assert differing == []


def test_only_what_cannot_be_violated_alone_is_not() -> None:
    alone = {check.rule for check in CHECKS if check.violated and not check.also}
    excused = {check.rule: check.because for check in CHECKS if check.also}
    assert set(RULES) - alone <= set(excused)
    assert all(check.because for check in CHECKS if check.also or check.elsewhere)


def test_every_table_names_where_it_comes_from(database: Database) -> None:
    sections = {rule.id: rule.section for rule in database.rules}
    for check in CHECKS:
        from_the_manual = check.source.startswith(f"SDM, {sections[check.rule]}")
        assert from_the_manual or FUNCTION.fullmatch(check.source), (check.rule, check.source)


def test_the_tables_speak_of_rules_that_there_are() -> None:
    assert {check.rule for check in CHECKS} == set(RULES)
    assert len(TABLES) >= 10
