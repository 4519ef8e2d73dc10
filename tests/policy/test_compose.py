"""How statements of several policies come together: what remains, under which condition, and what is reported."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors import found, processor
from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes, value
from vmcsc.expression.evaluate import evaluate
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.policy.compose import Override, compose_assignments, compose_paintings, compose_stances
from vmcsc.policy.model import Assignment, Painting, Stance
from vmcsc.source import Source, Span

HERE = Span(Source("t", "t"), 0, 1)
CHAIN = ("lowest", "middle", "top")
VERBS = ("require", "prefer", "forbid", "avoid", "allow")


def condition(name: str | None) -> nodes.Node | None:
    return None if name is None else nodes.Parameter(1, name)


def holds(node: nodes.Node | None, now: Mapping[str, bool | None]) -> bool | None:
    """The condition where the parameters are as in `now`."""

    def read(leaf: nodes.Leaf) -> value.Value:
        assert isinstance(leaf, nodes.Parameter)
        return value.truth(now[leaf.name])

    return True if node is None else evaluate(node, read).bit(0)


def stance(database: Database, verb: str, origin: str, when: str | None = None, override: bool = False) -> Stance:
    control = database.controls["primary.hlt_exiting"]
    return Stance(verb, control, condition(when), HERE, origin, override=override)


def composed(database: Database, *stances: Stance) -> tuple[tuple[Stance, ...], list[str]]:
    diagnostics = Diagnostics()
    remaining = compose_stances(stances, CHAIN, database, diagnostics)
    names = {code.id: code.name for code in codes.ALL}
    return remaining, [names[d.code] for d in diagnostics]


# --- agreement -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", VERBS)
@pytest.mark.parametrize("second", VERBS)
@pytest.mark.parametrize("inherited", [False, True])
def test_which_two_statements_agree(first: str, second: str, inherited: bool, database: Database) -> None:
    """require, prefer and allow agree, forbid and avoid, allow and avoid; the rest contradicts."""
    agreeing = [{"require", "prefer", "allow"}, {"forbid", "avoid"}, {"allow", "avoid"}]
    stances = stance(database, first, "lowest"), stance(database, second, "top" if inherited else "lowest")
    _, reported = composed(database, *stances)
    if not any({first, second} <= group for group in agreeing):
        assert reported == ["needs-override" if inherited else "conflicting-stances"]
    elif first == second and not inherited:
        assert reported == ["repeated"]
    elif inherited and (first, second) in (("require", "prefer"), ("forbid", "avoid")):
        assert reported == ["weaker-than-inherited"]
    else:
        assert reported == []


def test_statements_under_conditions_are_left_to_resolution(database: Database) -> None:
    for one, other in ((None, "a"), ("a", None), ("a", "b")):
        _, reported = composed(
            database, stance(database, "require", "top", one), stance(database, "forbid", "top", other)
        )
        assert reported == []


def test_a_control_about_which_much_is_wrong_is_one_finding_a_statement(database: Database) -> None:
    stances = [stance(database, verb, "top") for verb in ("require", "prefer", "forbid", "avoid")]
    assert composed(database, *stances)[1] == ["conflicting-stances"] * 2


# --- override --------------------------------------------------------------------------------------------------


def test_an_override_without_a_condition_leaves_nothing_of_what_is_inherited(database: Database) -> None:
    stances = [stance(database, "require", "lowest"), stance(database, "prefer", "middle", "a")]
    last = stance(database, "forbid", "top", override=True)
    remaining, reported = composed(database, *stances, last)
    assert (remaining, reported) == ((last,), [])


def test_an_override_concerns_no_statement_of_its_own_policy_and_none_that_derives_from_it(database: Database) -> None:
    overriding = stance(database, "allow", "middle", override=True)
    own, above = stance(database, "prefer", "middle"), stance(database, "require", "top")
    remaining, reported = composed(database, stance(database, "forbid", "lowest"), own, overriding, above)
    assert (remaining, reported) == ((own, overriding, above), [])


def test_an_override_with_nothing_to_replace_is_a_warning(database: Database) -> None:
    assert composed(database, stance(database, "require", "top", override=True))[1] == ["nothing-to-override"]
    both = stance(database, "allow", "top"), stance(database, "require", "top", override=True)
    assert composed(database, *both)[1] == ["nothing-to-override"]


def test_an_override_of_an_override_has_something_to_replace(database: Database) -> None:
    chain = [
        stance(database, "require", "lowest"),
        stance(database, "forbid", "middle", override=True),
        stance(database, "require", "top", override=True),
    ]
    assert composed(database, *chain) == ((chain[2],), [])


STATEMENTS = st.lists(
    st.tuples(st.sampled_from(CHAIN), st.sampled_from([None, "a", "b", "c"]), st.booleans()), min_size=1, max_size=7
)


@settings(deadline=None)
@given(STATEMENTS, st.fixed_dictionaries(dict.fromkeys("abc", st.booleans())))
def test_a_statement_holds_where_its_condition_does_and_nobody_above_overrides_it(
    said: list[tuple[str, str | None, bool]], now: dict[str, bool]
) -> None:
    database = _specs()
    said = sorted(said, key=lambda item: CHAIN.index(item[0]))
    stances = [stance(database, "prefer", origin, when, override) for origin, when, override in said]
    remaining = compose_stances(stances, CHAIN, database, Diagnostics())
    expected = []
    for origin, when, _ in said:
        above = [w for o, w, override in said if override and CHAIN.index(o) > CHAIN.index(origin)]
        if (when is None or now[when]) and not any(w is None or now[w] for w in above):
            expected.append(origin)
    assert [item.origin for item in remaining if holds(item.condition, now)] == expected


@cache
def _specs() -> Database:
    return load()


def test_an_unknown_override_makes_what_it_replaces_unknown(database: Database) -> None:
    inherited, own = stance(database, "require", "lowest"), stance(database, "forbid", "top", "a", override=True)
    remaining, _ = composed(database, inherited, own)
    assert [holds(item.condition, {"a": None}) for item in remaining] == [None, None]


def test_a_thousand_overrides_of_one_control_do_not_deepen_its_condition(database: Database) -> None:
    """Policies may be hostile: no stage may run out of stack."""
    many = [stance(database, "prefer", "top", "a", override=True) for _ in range(5000)]
    remaining, _ = composed(database, stance(database, "require", "lowest"), *many)
    assert holds(remaining[0].condition, {"a": False}) is True


def test_many_statements_about_one_control_take_no_quadratic_time(tmp_path: Path, database: Database) -> None:
    path = tmp_path / "many.vmcs"
    names = ", ".join(["hlt_exiting"] * 10_000)
    path.write_text(f"policy many {{\nprimary {{ require {names} }}\nwhen true {{ primary {{ prefer {names} }} }}\n}}")
    began = time.process_time()
    result = compile(path, processor(), database)
    assert set(found(result)) == {"repeated"}
    assert time.process_time() - began < 20


# --- bitmaps and fields ----------------------------------------------------------------------------------------


def painting(database: Database, origin: str, when: str | None = None) -> Painting:
    return Painting(database.bitmaps["exceptions"], True, (), ((1, 1),), condition(when), HERE, origin)


@pytest.mark.parametrize(("at", "replaced"), [(None, {True, False}), ("a", {True})])
def test_a_block_that_overrides_replaces_what_is_inherited_where_it_applies(
    at: str | None, replaced: set[bool], database: Database
) -> None:
    paintings = [painting(database, "lowest"), painting(database, "middle", "b"), painting(database, "top")]
    overrides = [Override("exceptions", "top", condition(at), HERE)]
    remaining = compose_paintings(paintings, overrides, CHAIN, Diagnostics())
    for now in (True, False):
        held = [item.origin for item in remaining if holds(item.condition, {"a": now, "b": True})]
        assert held == (["top"] if now in replaced else ["lowest", "middle", "top"])


def test_an_empty_block_that_overrides_leaves_nothing(database: Database) -> None:
    overrides = [Override("exceptions", "top", None, HERE)]
    assert compose_paintings([painting(database, "lowest")], overrides, CHAIN, Diagnostics()) == ()


def test_a_block_with_nothing_to_override_is_a_warning(database: Database) -> None:
    diagnostics = Diagnostics()
    compose_paintings([painting(database, "top")], [Override("exceptions", "top", None, HERE)], CHAIN, diagnostics)
    assert [d.code for d in diagnostics] == [codes.NOTHING_TO_OVERRIDE.id]


def assignment(database: Database, origin: str, when: str | None = None, override: bool = False) -> Assignment:
    field = database.fields["tsc_offset"]
    return Assignment(field, nodes.Constant(64, 1), condition(when), HERE, origin, override=override)


def assigned(database: Database, *assignments: Assignment, paintings: tuple[Painting, ...] = ()) -> list[str]:
    diagnostics = Diagnostics()
    compose_assignments(assignments, paintings, CHAIN, diagnostics)
    names = {code.id: code.name for code in codes.ALL}
    return [names[d.code] for d in diagnostics]


def test_a_field_gets_one_value_unless_conditions_or_an_override_decide(database: Database) -> None:
    first = assignment(database, "lowest")
    assert assigned(database, first, assignment(database, "lowest")) == ["assigned-twice"]
    assert assigned(database, first, assignment(database, "top")) == ["needs-override"]
    assert assigned(database, first, assignment(database, "top", override=True)) == []
    assert assigned(database, first, assignment(database, "lowest", "a")) == []


def test_a_field_that_a_bitmap_fills_cannot_be_assigned(database: Database) -> None:
    exceptions = painting(database, "top")
    for name in ("exception_bitmap", "page_fault_error_code_mask", "page_fault_error_code_match"):
        item = Assignment(database.fields[name], nodes.Constant(32, 1), None, HERE, "top")
        assert assigned(database, item, paintings=(exceptions,)) == ["assigned-twice"]
    assert assigned(database, assignment(database, "top"), paintings=(exceptions,)) == []


# --- implied controls ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_only_asking_for_a_control_asks_for_what_activates_its_word(verb: str, database: Database) -> None:
    asked = Stance(verb, database.controls["vm_function.eptp_switching"], condition("a"), HERE, "top")
    remaining = compose_stances([asked], CHAIN, database, Diagnostics())
    paths = ["secondary.enable_vm_functions", "primary.activate_secondary_controls"]
    expected = paths if verb in ("require", "prefer") else []
    assert [item.control.path for item in remaining[1:]] == expected
    assert all(item.implied and item.verb == verb and item.condition is asked.condition for item in remaining[1:])


def test_what_the_policy_says_of_an_activating_control_itself_counts_alone(database: Database) -> None:
    asked = Stance("require", database.controls["vm_function.eptp_switching"], None, HERE, "top")
    own = Stance("allow", database.controls["secondary.enable_vm_functions"], None, HERE, "top")
    remaining = compose_stances([asked, own], CHAIN, database, Diagnostics())
    assert [item.control.path for item in remaining[2:]] == ["primary.activate_secondary_controls"]


def test_an_overridden_statement_implies_nothing(database: Database) -> None:
    ept = database.controls["secondary.enable_ept"]
    stances = [Stance("require", ept, None, HERE, "lowest"), Stance("avoid", ept, None, HERE, "top", override=True)]
    assert compose_stances(stances, CHAIN, database, Diagnostics()) == (stances[1],)


def test_the_processor_answers_the_conditions_that_remain(database: Database) -> None:
    """A condition that composition built evaluates like one that was written."""
    ept = nodes.Supported(1, database.controls["secondary.enable_ept"])
    hlt = database.controls["primary.hlt_exiting"]
    stances = [Stance("require", hlt, None, HERE, "lowest"), Stance("forbid", hlt, ept, HERE, "top", override=True)]
    kept, _ = compose_stances(stances, CHAIN, database, Diagnostics())
    assert kept.condition is not None
    for msr, expected in ((0, True), (1 << 33, False)):
        read = Capabilities(database, processor(procbased_ctls2=msr)).read
        assert evaluate(kept.condition, read) == value.truth(expected)
