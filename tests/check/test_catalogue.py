"""Every check of the catalogue is a rule; what the catalogue says besides, of the base state and of order, is so."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.check.changes import NONE, memory, off, on, put
from tests.check.checking import checked, outcomes
from tests.check.rows import base_results
from tests.check.states import BASES
from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import Status

CATALOGUE = (Path(__file__).parent / "catalogue.txt").read_text().split()
"""The ids of the checks that the SDM describes."""

INEXPRESSIBLE: dict[str, str] = {}
"""Checks that the language of rules cannot express, each with the reason."""

LEAST = 378

ERRATA = Path(__file__).parent.parent.parent / "docs" / "sdm-errata.md"


def test_every_id_of_the_catalogue_is_a_rule(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    rules = {rule.id for rule in database.rules}
    covered = [id for id in CATALOGUE if id in rules]
    counted = f"{len(covered)} of {len(CATALOGUE)} catalogue ids covered, {len(INEXPRESSIBLE)} not expressible"
    with capsys.disabled():
        print("\nrules: " + counted, *(f"{id}: {reason}" for id, reason in INEXPRESSIBLE.items()), sep="\n  ")
    assert set(CATALOGUE) - set(covered) == set(INEXPRESSIBLE)
    assert len(covered) >= LEAST


def test_the_catalogue_names_each_check_once() -> None:
    assert len(CATALOGUE) == len(set(CATALOGUE)) == 382


def test_every_rule_is_in_the_catalogue(database: Database) -> None:
    assert {rule.id for rule in database.rules} <= set(CATALOGUE)


@pytest.mark.parametrize("name", BASES)
def test_every_base_state_enters_with_nothing_undetermined(database: Database, name: str) -> None:
    wrong = [
        result.rule.id
        for result in base_results(database, name).values()
        if result.status in (Status.VIOLATED, Status.UNDETERMINED)
    ]
    assert wrong == []
    assert checked(database, NONE, name).verdict.enters is True


def test_secondary_controls_are_not_looked_at_while_they_are_inactive(database: Database) -> None:
    reserved = put(secondary_vm_execution_controls=0xFFFFFFFF)
    assert outcomes(checked(database, reserved + off("secondary_controls"))) == []
    assert outcomes(checked(database, reserved)) == ["instruction error 7"]


def test_tertiary_controls_are_not_looked_at_while_they_are_inactive(database: Database) -> None:
    reserved = put(tertiary_vm_execution_controls=(1 << 64) - 1)
    assert outcomes(checked(database, reserved)) == []
    assert outcomes(checked(database, reserved + on("tertiary_controls"))) == ["instruction error 7"]


def test_secondary_exit_controls_are_not_looked_at_while_they_are_inactive(database: Database) -> None:
    reserved = put(secondary_vm_exit_controls=(1 << 64) - 1)
    assert outcomes(checked(database, reserved)) == []
    assert outcomes(checked(database, reserved + on("exit.secondary_controls"))) == ["instruction error 7"]


def test_inactive_controls_act_as_0(database: Database) -> None:
    """Nothing that they would need is asked for."""
    asking = on("unrestricted", "vpid", "pml", "spp", "interrupt_delivery", "shadowing", "tsc_scaling") + off("ept")
    assert outcomes(checked(database, asking + off("secondary_controls"))) == []


def test_controls_come_before_the_guest_state_and_that_before_the_msrs_to_load(database: Database) -> None:
    guest = put(guest_rflags=0)
    msrs = put(vm_entry_msr_load_count=1, vm_entry_msr_load_address=0) + memory({0: 0xC0000100})
    assert outcomes(checked(database, msrs)) == ["exit reason 34, qualification 1"]
    assert outcomes(checked(database, msrs + guest)) == ["exit reason 33, qualification 0"]
    assert outcomes(checked(database, msrs + guest + put(virtual_processor_id=0))) == ["instruction error 7"]
    assert outcomes(checked(database, msrs + guest + put(host_cs_selector=0))) == ["instruction error 8"]


def test_controls_and_host_state_come_in_any_order_and_the_usual_one_is_named_first(database: Database) -> None:
    both = put(virtual_processor_id=0, host_cs_selector=0)
    assert outcomes(checked(database, both)) == ["instruction error 7", "instruction error 8"]


def test_the_errata_speak_of_rules_that_there_are(database: Database) -> None:
    named = re.findall(r"`([a-z0-9*]+(?:-[a-z0-9*]+)+)`", ERRATA.read_text())
    assert len(named) > 20
    assert [name for name in named if not any(fnmatchcase(rule.id, name) for rule in database.rules)] == []
