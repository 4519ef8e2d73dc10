"""Bound rules that were kept are the bound rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.cache import Cache
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes, stored
from vmcsc.expression.emit_text import emit_text
from vmcsc.expression.rules import BoundRule, bind_rules
from vmcsc.expression.stored import bound_rules


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmcsc.cache.SETTLED", -1e9)


def loaded(cache: Cache, *overlays: Path) -> Database:
    database = load_specs(overlays, Diagnostics(), cache=cache)
    assert database is not None
    return database


def texts(rules: tuple[BoundRule, ...]) -> list[tuple[str, str, str]]:
    return [(bound.rule.id, emit_text(bound.when), emit_text(bound.require)) for bound in rules]


def test_the_rules_of_an_earlier_run_are_those_that_binding_makes(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = bind_rules(database, Diagnostics())
    bound_rules(loaded(Cache(str(tmp_path / "vmcsc"))))
    monkeypatch.setattr(stored, "bind_rules", None)
    kept = bound_rules(loaded(Cache(str(tmp_path / "vmcsc"))))
    assert kept == bound
    assert texts(kept) == texts(bound)


def test_every_kind_of_node_that_rules_have_goes_to_json_and_back(database: Database) -> None:
    rules = bind_rules(database, Diagnostics())

    def kinds(node: nodes.Node) -> set[type[nodes.Node]]:
        return {type(node)}.union(*map(kinds, nodes.children(node)))

    seen = set().union(*(kinds(bound.when) | kinds(bound.require) for bound in rules))
    assert {nodes.Fits, nodes.SignExtended, nodes.Memory, nodes.ElementBits, nodes.AllowedBits} <= seen
    plain = json.loads(json.dumps(stored._stored(rules, database)))
    assert stored._restored(plain, database) == rules


RULE = """\
kind: checks
checks:
  - id: house-rule
    code: VMX6990
    section: House rules
    require: guest_cr3 == {number}
    outcome: {{exit_reason: 33, qualification: 0}}
    why: The house wants it so.
"""


def test_rules_of_changed_overlays_are_bound_anew(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    for number in (1, 22):  # of different lengths, so that the change shows even within one tick of the clock
        (overlay / "rules.yaml").write_text(RULE.format(number=number), encoding="utf-8")
        rules = bound_rules(loaded(Cache(str(tmp_path / "vmcsc")), overlay))
        (own,) = (bound for bound in rules if bound.rule.id == "house-rule")
        assert isinstance(own.require, nodes.Comparison)
        assert own.require.right == nodes.Constant(64, number)


def test_rules_whose_names_would_be_read_otherwise_are_not_kept(database: Database) -> None:
    rules = bind_rules(database, Diagnostics())
    leaf = nodes.FieldBits(64, database.fields["guest_rip"], 0, written="guest_rsp")
    wrong = BoundRule(rules[0].rule, nodes.Constant(1, 1), nodes.Comparison(1, "==", leaf, nodes.Constant(64, 0)), None)
    assert stored._stored((wrong,), database) is None
