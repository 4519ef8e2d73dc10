"""What is decided of a state known in part holds however the rest is, and only what changed need be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.check.all_rows import ROWS
from tests.check.changes import NONE, Key, memory, off, on, put, state
from tests.check.checking import checked, outcomes
from tests.check.states import base, build, inputs
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.check.evaluate import RuleResult, Status, evaluate_rules, rules_of
from vmcsc.check.memory import Memory
from vmcsc.check.reads import affected, reads
from vmcsc.check.state import State
from vmcsc.check.verdict import Outcome, Verdict, verdict
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.rules import BoundRule
from vmcsc.expression.value import Value
from vmcsc.loading import load

DATABASE = load()
RULES = rules_of(DATABASE)
FIELDS = sorted(DATABASE.fields)
EASY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def results(database: Database, state: State) -> tuple[RuleResult, ...]:
    return tuple(evaluate_rules(rules_of(database), state))


@st.composite
def whole_states(draw: st.DrawFn) -> dict[Key, int]:
    """A state of the tables in which a few more fields are changed."""
    values = ROWS[draw(st.integers(0, len(ROWS) - 1))].values()
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=4)):
        width = DATABASE.fields[name].width
        values[name] = values.get(name, 0) ^ 1 << draw(st.integers(0, width - 1))
    return values


@dataclass(frozen=True)
class Hiding:
    """What is hidden of a state: everything of some names, some bits of others, and pieces of memory."""

    names: frozenset[str]
    masks: Mapping[str, int]
    memory: bool

    def of(self, values: Mapping[str, Value]) -> dict[str, Value]:
        shown = {name: value for name, value in values.items() if name not in self.names}
        return {
            name: Value(value.width, value.bits, value.known & ~self.masks.get(name, 0))
            for name, value in shown.items()
        }


@st.composite
def hidings(draw: st.DrawFn) -> Hiding:
    names = [*FIELDS, *DATABASE.facts, *DATABASE.state, *(msr.name for msr in DATABASE.capability_msrs)]
    hidden = draw(st.one_of(st.frozensets(st.sampled_from(names), max_size=12), st.just(frozenset(FIELDS[::3]))))
    masks = draw(st.dictionaries(st.sampled_from(names), st.integers(0, (1 << 64) - 1), max_size=12))
    return Hiding(hidden, masks, draw(st.booleans()))


def partial(database: Database, values: Mapping[Key, int], hiding: Hiding) -> State:
    whole = build(database, values)
    cpu = whole.capabilities.cpu
    pieces = {key: bits.to_bytes(8, "little") for key, bits in values.items() if isinstance(key, int)}
    kept = {address: piece[: address // 8 % 9] for address, piece in pieces.items()} if hiding.memory else pieces
    known = Cpu("made", "Made", hiding.of(cpu.msrs), hiding.of(cpu.facts))
    return State(database, hiding.of(whole.fields), known, Memory(kept), hiding.of(whole.processor))


def allowed(in_part: RuleResult, applies: bool | None) -> set[Status]:
    """What the rule may come to where all is known, after what it came to where a part was."""
    if in_part.status is Status.UNDETERMINED:
        return set(Status) - {Status.UNDETERMINED}
    if in_part.status is Status.PASSED and applies is None:
        return {Status.PASSED, Status.NOT_APPLICABLE}
    return {in_part.status}


@EASY
@given(whole_states(), hidings())
def test_what_is_decided_in_part_holds_for_every_completion(values: dict[Key, int], hiding: Hiding) -> None:
    some = partial(DATABASE, values, hiding)
    for in_part, in_full in zip(results(DATABASE, some), results(DATABASE, build(DATABASE, values)), strict=True):
        bound = in_part.bound
        applies = None if bound.area is not None else evaluate(bound.when, some.read).bit(0)
        if in_full.status is not Status.UNDETERMINED:  # memory that no row gives
            assert in_full.status in allowed(in_part, applies), (bound.rule.id, in_part.status, in_full.status)


def covers(told: Outcome, true: Outcome) -> bool:
    """An outcome without a qualification stands for each."""
    parts = dict(true.parts)
    if "qualification" not in dict(told.parts):
        parts.pop("qualification", None)
    return (told.stage, dict(told.parts)) == (true.stage, parts)


@EASY
@given(whole_states(), hidings())
def test_the_outcome_is_among_those_that_were_told_from_a_part(values: dict[Key, int], hiding: Hiding) -> None:
    told = verdict(DATABASE, results(DATABASE, partial(DATABASE, values, hiding)))
    true = verdict(DATABASE, results(DATABASE, build(DATABASE, values)))
    for outcome in true.outcomes:
        assert any(covers(one, outcome) for one in (*told.outcomes, *told.possible)), (told, true)
    if told.enters is not None and true.enters is not None:
        assert told.enters is true.enters


@EASY
@given(whole_states(), whole_states(), hidings(), st.lists(st.integers(0, 1 << 30), min_size=1, max_size=5))
def test_rules_that_read_nothing_that_changed_come_out_as_before(
    before: dict[Key, int], other: dict[Key, int], hiding: Hiding, picks: list[int]
) -> None:
    """Some of what two states differ in is changed in the one to what it is in the other."""
    differing = sorted((key for key in {*before, *other} if before.get(key) != other.get(key)), key=str)
    chosen = {differing[pick % len(differing)] for pick in picks} if differing else set()
    after = {key: bits for key, bits in before.items() if key not in chosen}
    after |= {key: other[key] for key in chosen if key in other}
    concerned = {bound.rule.id for bound in affected(DATABASE, inputs(chosen))}
    old = results(DATABASE, partial(DATABASE, before, hiding))
    new = results(DATABASE, partial(DATABASE, after, hiding))
    for was, now in zip(old, new, strict=True):
        if now.rule.id not in concerned:
            assert (was.status, was.element) == (now.status, now.element), now.rule.id


def test_what_changed_concerns_few_rules(database: Database) -> None:
    assert {bound.rule.id for bound in affected(database, [("field", "virtual_processor_id")])} == {"exec-vpid-zero"}
    assert len(affected(database, [("field", "guest_rip")])) == 2
    assert affected(database, []) == ()
    assert affected(database, [("field", "guest_rsp")]) == ()


def test_rules_are_concerned_in_their_order(database: Database) -> None:
    order = [bound.rule.id for bound in rules_of(database)]
    found = [bound.rule.id for bound in affected(database, [("field", "vm_exit_controls"), ("memory", "")])]
    assert found == sorted(found, key=order.index)


def rule(id: str) -> BoundRule:
    return next(bound for bound in RULES if bound.rule.id == id)


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        (
            "exec-vpid-zero",
            {
                ("field", "primary_vm_execution_controls"),
                ("field", "secondary_vm_execution_controls"),
                ("field", "virtual_processor_id"),
            },
        ),
        (
            "exec-pin-reserved",
            {
                ("field", "pin_based_vm_execution_controls"),
                ("msr", "ia32_vmx_basic"),
                ("msr", "ia32_vmx_pinbased_ctls"),
                ("msr", "ia32_vmx_true_pinbased_ctls"),
            },
        ),
        ("guest-sysenter-esp-canonical", {("field", "guest_ia32_sysenter_esp"), ("cpu", "intel_64"),
                                          ("cpu", "linear_address_width")}),
        ("basic-cpl", {("processor", "cpl")}),
        ("msrload-high-bits", {("field", "vm_entry_msr_load_count"), ("field", "vm_entry_msr_load_address"),
                               ("memory", "")}),
    ],
)  # fmt: skip
def test_a_rule_tells_what_it_reads(database: Database, id: str, expected: set[tuple[str, str]]) -> None:
    assert reads(database, rule(id)) == expected


def test_a_rule_that_reads_an_msr_reads_what_says_whether_there_is_one(database: Database) -> None:
    """EPT capabilities exist with EPT or VPID, and these where there are secondary controls."""
    read = reads(database, rule("exec-eptp-ad"))
    assert {("msr", "ia32_vmx_procbased_ctls2"), ("msr", "ia32_vmx_true_procbased_ctls")} <= read


def test_not_applicable_is_apart_from_passed(database: Database) -> None:
    def status(change: object) -> Status:
        assert isinstance(change, type(NONE))
        return next(r.status for r in checked(database, change).results if r.rule.id == "exec-vpid-zero")

    assert status(NONE) is Status.PASSED
    assert status(off("vpid")) is Status.NOT_APPLICABLE
    assert status(off("secondary_controls")) is Status.NOT_APPLICABLE
    assert status(put(virtual_processor_id=0)) is Status.VIOLATED


def without(values: Mapping[Key, int], *names: str) -> Hiding:
    return Hiding(frozenset(names), {}, False)


@pytest.mark.parametrize(
    ("vpid", "status"), [(0, Status.UNDETERMINED), (1, Status.PASSED)]
)  # with an unknown control the rule is passed where the field is in order anyway
def test_an_unknown_condition_leaves_a_rule_open_only_if_the_requirement_fails(
    database: Database, vpid: int, status: Status
) -> None:
    values = base("long") | {"virtual_processor_id": vpid}
    found = results(database, partial(database, values, without(values, "secondary_vm_execution_controls")))
    assert next(result.status for result in found if result.rule.id == "exec-vpid-zero") is status


def test_controls_and_host_state_are_both_named_where_both_are_wrong(database: Database) -> None:
    found = checked(database, put(virtual_processor_id=0, host_tr_selector=0, guest_rflags=0))
    assert outcomes(found) == ["instruction error 7", "instruction error 8"]
    assert {result.rule.id for result in found.of(Status.VIOLATED)} == {
        "exec-vpid-zero",
        "host-tr-sel-null",
        "guest-rflags-bit1",
    }


def test_every_qualification_of_the_guest_state_is_named(database: Database) -> None:
    wrong = put(guest_rflags=0, vmcs_link_pointer=0xB000, guest_pdpte0=7) + memory({0xB000: 0})
    assert set(outcomes(checked(database, wrong, "pae"))) == {
        "exit reason 33, qualification 0",
        "exit reason 33, qualification 2",
        "exit reason 33, qualification 4",
    }


def test_what_an_undetermined_rule_may_cause_is_possible(database: Database) -> None:
    values = base("long")
    found = verdict(database, results(database, partial(database, values, without(values, "host_cr3"))))
    assert found == Verdict((), found.possible)
    assert [str(outcome) for outcome in found.possible] == ["instruction error 8"]
    assert found.enters is None


def test_an_entry_before_the_bad_one_that_is_unknown_leaves_the_qualification_open(database: Database) -> None:
    area = put(vm_entry_msr_load_count=2, vm_entry_msr_load_address=0xD000)
    assert outcomes(checked(database, area + memory({0xD010: 0xC0000100, 0xD018: 0}))) == ["exit reason 34"]


def test_an_earlier_stage_hides_a_later_one(database: Database) -> None:
    assert outcomes(checked(database, state(blocking_by_mov_ss=1, launch_state=1))) == ["instruction error 26"]
    assert outcomes(checked(database, state(launch_state=1) + put(virtual_processor_id=0))) == ["instruction error 4"]
    assert outcomes(checked(database, on("by_smi") + off("host_cr4.pae"))) == ["instruction error 8"]
