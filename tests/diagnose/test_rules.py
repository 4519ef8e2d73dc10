"""The dump of a state in which one rule is violated is diagnosed as that rule and nothing else, a valid one as valid.

The dumps are those of the kernel's own code. `python tests/diagnose/run.py --cpus` does the same with every shipped
state on every shipped processor, and every change that violates a rule.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.check.all_rows import CHECKS, ROWS
from tests.check.states import BASES, base, build
from tests.diagnose.dumper import Dumper
from tests.diagnose.given import LIST, dumped, only_dump, shown
from tests.diagnose.violations import cases, processor
from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import Status, rules_of
from vmcsc.check.state import State
from vmcsc.diagnose.diagnosis import diagnose_dump
from vmcsc.expression import nodes

VIOLATED = [row for row in ROWS if row.status is Status.VIOLATED]


def diagnosed(state: State, violated: frozenset[str], dumper: Dumper, database: Database) -> tuple[set[str], set[str]]:
    """The rules that the diagnosis of a dump says are violated, and those that such a dump shows."""
    text, told, listed = dumped(state, dumper, database)
    diagnosis = diagnose_dump(only_dump(text, database), database, state.capabilities.cpu)
    return {one.result.rule.id for one in diagnosis.violated}, shown(violated, state, told, listed)


@pytest.fixture(scope="module")
def seen(dumper: Dumper, database: Database) -> Counter[str]:
    """How often each rule was diagnosed over all rows of the tables, after seeing that nothing else ever was."""
    found: Counter[str] = Counter()
    for row in VIOLATED:
        got, expected = diagnosed(build(database, row.values()), row.violated, dumper, database)
        assert got == expected, row.name
        found.update(got)
    return found


def test_a_violated_rule_is_diagnosed_wherever_the_dump_shows_it(seen: Counter[str]) -> None:
    assert sum(seen.values()) > 2500
    assert len(seen) > 250


def test_every_rule_that_reads_only_what_is_printed_is_diagnosed(
    seen: Counter[str], dumper: Dumper, database: Database
) -> None:
    """Which fields are printed is what the kernel's code read for a dump with everything in it."""
    everything = build(database, base("long"))
    full = {name: type(value)(value.width, -1, -1) for name, value in everything.fields.items()}
    _, printed, _ = dumped(State(database, full, everything.capabilities.cpu), dumper, database)
    lacking = {}
    for bound in rules_of(database):
        fields = {leaf.field.name for leaf in bound.leaves() if isinstance(leaf, nodes.FieldBits)}
        words = {
            database.words[leaf.control.word].field for leaf in bound.leaves() if isinstance(leaf, nodes.ControlBit)
        }
        rest = any(isinstance(leaf, nodes.Memory | nodes.ElementBits | nodes.ProcessorState) for leaf in bound.leaves())
        if not rest and fields | words <= printed and not seen[bound.rule.id]:
            lacking[bound.rule.id] = bound.rule.require
    assert lacking.keys() == UNSEEN.keys()


UNSEEN = {
    "exec-apic-access-align": "printed with a TPR shadow only, which the states of the tables do not have there",
    "exec-apic-access-width": "printed with a TPR shadow only, which the states of the tables do not have there",
}  # fmt: skip


def test_the_rules_about_the_msr_load_area_are_diagnosed_from_the_list(seen: Counter[str], database: Database) -> None:
    about = {check.rule for check in CHECKS if check.rule.startswith("msrload-")}
    lost = {"msrload-high-bits", "msrload-smm-only", "msrload-model-specific", "msrload-wrmsr-gp"}
    assert {bound.rule.id for bound in rules_of(database) if bound.rule.each and bound.rule.each[1] == LIST} == about
    assert about - lost <= seen.keys()


@pytest.mark.parametrize("name", BASES)
def test_a_valid_state_is_diagnosed_as_not_violated(name: str, dumper: Dumper, database: Database) -> None:
    assert diagnosed(build(database, base(name)), frozenset(), dumper, database)[0] == set()


def test_shipped_states_are_diagnosed_as_the_rule_that_is_violated_in_them(dumper: Dumper, database: Database) -> None:
    found: Counter[str] = Counter()
    guests = set()
    for case in cases(processor("ice_lake_i7_1065g7", database), database, tries=3):
        got, expected = diagnosed(case.state, case.violated, dumper, database)
        assert got == expected, case.name
        found.update(got)
        guests.add(case.guest)
    assert len(guests) == 9
    assert len(found) > 150
