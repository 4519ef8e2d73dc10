"""The tables notice whatever is changed in a rule: a sample of what `python tests/check/mutate.py` tries."""

from __future__ import annotations

from tests.check.mutants import OPERATORS, Mutator, constants, tokens
from tests.check.mutate import equivalents, tally
from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import rules_of
from vmcsc.expression.rules import BoundRule

SHARE, SEED = 0.06, 20261126
"""Some 350 mutants."""


def rule(database: Database, id: str) -> BoundRule:
    return next(bound for bound in rules_of(database) if bound.rule.id == id)


def edits(database: Database, id: str) -> set[str]:
    return {mutant.name.removeprefix(f"{id} ") for mutant in Mutator(database).mutants(rule(database, id))}


def test_no_mutant_of_a_sample_survives_but_those_that_mean_the_same(database: Database) -> None:
    found = tally(database, rules_of(database), SHARE, SEED)
    assert found.tried > 250
    assert [mutant.name for mutant in found.missed] == []
    assert found.rate <= 0.015


def test_every_proof_is_about_a_mutant_that_there_is(database: Database) -> None:
    mutator = Mutator(database)
    for entry in equivalents():
        matching = [
            mutant
            for bound in rules_of(database)
            if entry.covers_rule(bound.rule.id)
            for mutant in mutator.mutants(bound)
            if entry.covers(mutant)
        ]
        assert matching, entry
        assert entry.proof.endswith(".")


def test_operators_constants_and_bit_positions_are_changed(database: Database) -> None:
    assert edits(database, "exec-pi-vector") >= {
        "require posted_interrupt_notification_vector [ 15 <8> ] == 0 -> 9",
        "require posted_interrupt_notification_vector [ 15 <8> ] == 0 -> 7",
        "require posted_interrupt_notification_vector [ <15> 8 ] == -> 14",
        "require <[15:8]> at 36 -> [14:7]",
        "require 15 8 ] <==> 0 -> !=",
        "require 8 ] == <0> -> 1",
        "when <pin_based.process_posted_interrupts> -> pin_based.activate_vmx_preemption_timer",
    }
    assert "function aligned address <&> ( size - -> |" in edits(database, "link-align")
    assert "address guest_cr3 & <0xffffffe0> -> 4294967265" in edits(database, "pdpte-memory-reserved")


def test_a_constant_has_every_neighbour_of_one_bit() -> None:
    assert constants(6) == [2, 4, 5, 7, 14]
    assert len(constants(0xFFFF_FFFF_0000_0000)) >= 64


def test_tokens_tell_bit_slices_from_lists() -> None:
    found = tokens("x[7:4] in [1, 4..6] and not y.z")
    assert [token.text for token in found if token.slice] == ["7", "4"]
    assert [token.text for token in found if token.kind == "operator" and token.text in OPERATORS] == [
        "in",
        "and",
        "not",
    ]
