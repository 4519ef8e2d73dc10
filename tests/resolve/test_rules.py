"""Which rules speak of controls alone, and when one is violated."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control
from vmcsc.diagnostic import Diagnostics
from vmcsc.resolve.rules import ControlRule, bind_rule_part, control_rules, violated

NMI, VNMI, ACK = "pin_based.nmi_exiting", "pin_based.virtual_nmis", "vm_exit.acknowledge_interrupt_on_exit"


def rule(database: Database, when: str | None, require: str) -> ControlRule:
    made = replace(database, rules=(replace(database.rules[0], when=when, require=require),))
    (bound,) = control_rules(made)
    return bound


def test_only_rules_that_read_nothing_but_controls_are_taken(database: Database) -> None:
    rules = [
        (VNMI, NMI),
        (VNMI, "supported(pin_based.nmi_exiting)"),
        ("cpu.smx", NMI),
        (f"{VNMI} and ia32_vmx_misc.activity_hlt", NMI),
        (None, f"not {VNMI} or {NMI}"),
        ("nothing_is_named_so", NMI),
    ]
    made = tuple(replace(database.rules[0], id=str(n), when=w, require=r) for n, (w, r) in enumerate(rules))
    assert [bound.rule.id for bound in control_rules(replace(database, rules=made))] == ["0", "4"]


def test_a_rule_lists_each_control_that_it_reads_once_in_the_order_of_the_text(database: Database) -> None:
    bound = rule(database, f"{VNMI} and not {ACK}", f"{NMI} == {VNMI}")
    assert [control.path for control in bound.controls] == [VNMI, ACK, NMI]


def test_the_shipped_rules_are_violated_exactly_where_when_holds_and_require_does_not(database: Database) -> None:
    """By Python's own reading of their text, for every setting of their controls."""
    rules = control_rules(database)
    assert len(rules) >= 24
    for bound in rules:
        paths = [control.path for control in bound.controls]
        for settings in product((False, True), repeat=len(paths)):
            now = dict(zip(paths, settings, strict=True))
            names = {path.replace(".", "_"): setting for path, setting in now.items()}
            when, require = (_python(part or "True", paths) for part in (bound.rule.when, bound.rule.require))
            expected = bool(eval(when, {}, names)) and not eval(require, {}, names)
            assert violated(bound, lambda control, now=now: now[control.path]) is expected, bound.rule.id  # type: ignore[misc]


def _python(text: str, paths: list[str]) -> str:
    for path in paths:
        text = text.replace(path, path.replace(".", "_"))
    return text


@pytest.mark.parametrize("settings", list(product((False, None, True), repeat=2)))
def test_an_unknown_setting_leaves_open_only_what_hangs_on_it(
    settings: tuple[bool | None, bool | None], database: Database
) -> None:
    bound = rule(database, VNMI, NMI)
    now = dict(zip((VNMI, NMI), settings, strict=True))
    outcomes = {
        a and not b
        for a in ((False, True) if now[VNMI] is None else (now[VNMI],))
        for b in ((False, True) if now[NMI] is None else (now[NMI],))
    }
    assert violated(bound, lambda control: now[control.path]) is (outcomes.pop() if len(outcomes) == 1 else None)


def test_a_flipped_control_counts_as_its_opposite(database: Database) -> None:
    bound = rule(database, VNMI, NMI)

    def setting(control: Control) -> bool:
        return control.path == VNMI

    assert violated(bound, setting) is True
    assert violated(bound, setting, database.controls[VNMI]) is False
    assert violated(bound, setting, database.controls[NMI]) is False
    assert violated(bound, setting, database.controls[ACK]) is True


def test_a_part_of_a_rule_may_read_controls_which_a_policy_may_not(database: Database) -> None:
    diagnostics = Diagnostics()
    assert bind_rule_part(NMI, database, diagnostics) is not None
    assert bind_rule_part("pin_based.nmi_exitin", database, diagnostics) is None
    assert len(diagnostics) == 1


def test_no_shipped_rule_between_controls_contradicts_another_on_the_way_to_a_fixpoint(database: Database) -> None:
    """Whatever one rule drops or raises, no rule asks for the opposite: raising never undoes a drop."""
    rules = control_rules(database)
    needed = {rule.rule.require for rule in rules if " " not in rule.rule.require}
    excluded = {rule.rule.require.removeprefix("not ") for rule in rules if rule.rule.require.startswith("not ")}
    assert needed & excluded == set()
