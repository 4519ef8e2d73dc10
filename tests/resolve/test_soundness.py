"""What is known of a partly known processor holds on every processor that it may turn out to be.

Random policies, rules and processors; the witness for a wholly known processor is `_witness`, which knows nothing of
the package but the numbers of words and bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.expression import value
from vmcsc.expression.value import Value
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.result import Result

BITS = {
    "pin_based.nmi_exiting": 3,
    "pin_based.virtual_nmis": 5,
    "primary.use_tpr_shadow": 21,
    "primary.activate_secondary_controls": 31,
    "secondary.enable_ept": 1,
    "secondary.unrestricted_guest": 7,
    "secondary.enable_vm_functions": 13,
    "vm_function.eptp_switching": 0,
    "vm_exit.host_address_space_size": 9,
    "vm_entry.ia_32e_mode_guest": 9,
}
CONTROLS = tuple(BITS)
ACTIVATED_BY = {"secondary": "primary.activate_secondary_controls", "vm_function": "secondary.enable_vm_functions"}
MSRS = {  # word: (MSR, TRUE MSR)
    "pin_based": ("ia32_vmx_pinbased_ctls", "ia32_vmx_true_pinbased_ctls"),
    "primary": ("ia32_vmx_procbased_ctls", "ia32_vmx_true_procbased_ctls"),
    "secondary": ("ia32_vmx_procbased_ctls2", None),
    "vm_function": ("ia32_vmx_vmfunc", None),
    "vm_exit": ("ia32_vmx_exit_ctls", "ia32_vmx_true_exit_ctls"),
    "vm_entry": ("ia32_vmx_entry_ctls", "ia32_vmx_true_entry_ctls"),
}
SpecRule = tuple[str | None, str]
"""`when` and `require`."""

Rules = Sequence[SpecRule]

VERBS = ("require", "forbid", "prefer", "avoid", "allow")
SOFT = ("prefer",) * 8 + ("avoid",) * 3
RULE_SHAPES = (
    ("{a}", "{b}"),
    ("{a}", "not {b}"),
    ("not {a}", "not {b}"),
    ("not {a}", "{b}"),
    ("{a} and {b}", "{c}"),
    ("{a}", "{b} or {c}"),
    (None, "not {a} or {b} == {c}"),
)


@dataclass(frozen=True)
class Statement:
    verb: str
    control: str
    condition: str | None


@dataclass(frozen=True)
class Processor:
    """The capability MSRs of the words, `hidden` the bits of each that nobody read."""

    true_controls: bool
    smx: bool
    msrs: Mapping[str, int]
    hidden: Mapping[str, int]

    def whole(self) -> Cpu:
        msrs = {"ia32_vmx_basic": value.known(64, self.true_controls << 55)}
        msrs |= {name: value.known(64, bits) for name, bits in self.msrs.items()}
        return Cpu("whole", "Whole", msrs, {"smx": value.known(1, self.smx)})

    def partial(self) -> Cpu:
        whole = self.whole()
        hidden = {name: self.hidden.get(name, 0) for name in whole.msrs}
        msrs = {name: Value(64, read.bits, ~hidden[name]) for name, read in whole.msrs.items() if hidden[name] != -1}
        return Cpu("partial", "Partial", msrs, {} if self.hidden.get("smx") else whole.facts)


@st.composite
def processors(draw: st.DrawFn) -> Processor:
    """Most of what matters here is allowed and little must be 1; some bits, or whole MSRs, were not read."""
    true_controls = draw(st.booleans())
    refused = draw(st.sets(st.sampled_from(CONTROLS), max_size=3))
    forced = draw(st.sets(st.sampled_from(CONTROLS), max_size=2)) - refused
    unread = draw(st.sets(st.sampled_from(CONTROLS), max_size=4))
    may, must, either = (_msrs(paths) for paths in (set(CONTROLS) - refused, forced, unread))
    msrs = {}
    for word, names in MSRS.items():
        for msr in names if true_controls else names[:1]:
            if msr is not None:
                msrs[msr] = may[word] if word == "vm_function" else may[word] << 32 | must[word]
    if "primary.activate_secondary_controls" in refused:
        del msrs["ia32_vmx_procbased_ctls2"]
    if not msrs.get("ia32_vmx_procbased_ctls2", 0) >> (32 + 13) & 1:
        del msrs["ia32_vmx_vmfunc"]
    shift = draw(st.sampled_from([0, 32]))
    hidden = {msr: either[word] << shift for word, names in MSRS.items() for msr in names if msr is not None}
    for name in draw(st.sets(st.sampled_from([*hidden, "ia32_vmx_basic", "smx"]), max_size=2)):
        hidden[name] = -1
    return Processor(true_controls, draw(st.booleans()), msrs, hidden)


def _msrs(paths: set[str]) -> dict[str, int]:
    """For each word the bits of its controls among `paths`."""
    return {word: sum(1 << BITS[path] for path in paths if path.startswith(f"{word}.")) for word in MSRS}


def _conditional(share: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.one_of(st.none(), st.none(), share)


CONDITIONS = st.sampled_from(
    [f"{no}{function}({path})" for no in ("", "not ") for function in ("supported", "forced") for path in CONTROLS]
    + ["cpu.smx", "ia32_vmx_basic.true_controls", "cpu.smx or supported(primary.use_tpr_shadow)"] * 8
)
statements = st.builds(Statement, st.sampled_from(VERBS + SOFT), st.sampled_from(CONTROLS), _conditional(CONDITIONS))
control_rules = st.builds(
    lambda shape, names: _rule(shape, dict(zip("abc", names[:3], strict=True))),
    st.sampled_from(RULE_SHAPES),
    st.permutations(CONTROLS),
)


def _rule(shape: SpecRule, names: Mapping[str, str]) -> SpecRule:
    when, require = shape
    return (None if when is None else when.format(**names)), require.format(**names)


def policy_text(said: list[Statement]) -> str:
    lines = []
    for statement in said:
        word, name = statement.control.split(".")
        block = f"{word} {{ {statement.verb} {name} }}"
        lines.append(block if statement.condition is None else f"when {statement.condition} {{ {block} }}")
    return "policy p {\n" + "\n".join(lines) + "\n}"


def with_rules(database: Database, rules: Rules) -> Database:
    made = tuple(
        replace(database.rules[0], id=f"r{number}", code=f"VMX48{number:02}", when=when, require=require)
        for number, (when, require) in enumerate(rules)
    )
    return replace(database, rules=made)


@cache
def specs() -> Database:
    """Not a fixture: Hypothesis would print megabytes of it with each failure."""
    return load()


def errors(result: Result) -> set[str]:
    return {d.code for d in result.diagnostics if d.severity.value == "error"}


SLOW = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(st.lists(statements, min_size=2, max_size=9), st.lists(control_rules, min_size=1, max_size=7), processors())
def test_every_known_bit_of_a_partly_known_processor_is_so_on_the_whole_one(
    said: list[Statement], rules: Rules, processor: Processor
) -> None:
    db = with_rules(specs(), rules)
    whole = compile(policy_text(said), processor.whole(), db)
    partial = compile(policy_text(said), processor.partial(), db)
    if not partial.by_cpu:
        assert not whole.by_cpu  # the policy contradicts itself
        return
    assert whole.vmcs is not None
    assert partial.vmcs is not None
    if errors(partial):
        assert errors(whole), (errors(partial), policy_text(said))
    if errors(whole):
        event("the whole processor has errors")
        return
    for name, word in partial.vmcs.words.items():
        known, other = word.value, whole.vmcs.words[name]
        wrong = (known.bits ^ other.value.bits) & known.known
        assert wrong == 0, (name, f"{wrong:#x}", policy_text(said), rules)
        event(f"unknown bits: {bool(~known.known & _msrs(set(CONTROLS)).get(name, 0))}")
        for reason in ("required", "preferred", "forbidden", "avoided", "dropped", "raised", "forced", "refused"):
            assert getattr(word, reason) & ~getattr(other, reason) == 0, (name, reason)
        assert word.inactive & ~(other.inactive | other.refused) == 0, name


@SLOW
@given(st.lists(statements, min_size=2, max_size=9), st.lists(control_rules, min_size=1, max_size=7), processors())
def test_a_wholly_known_processor_gives_what_an_independent_computation_gives(
    said: list[Statement], rules: Rules, processor: Processor
) -> None:
    result = compile(policy_text(said), processor.whole(), with_rules(specs(), rules))
    if result.vmcs is None:
        return
    expected, dropped, raised, violated = _witness(said, rules, processor)
    for path, bit in BITS.items():
        word = result.vmcs.words[path.partition(".")[0]]
        found = (word.value.bit(bit), bool(word.dropped >> bit & 1), bool(word.raised >> bit & 1))
        assert found == (expected[path], path in dropped, path in raised), (path, policy_text(said), rules)
    assert list(result.vmcs.violated) == [f"r{number}" for number in violated]


# --- the witness: (wanted | must be 1) & may be 1, then rule by rule --------------------------------------------


def _witness(
    said: list[Statement], rules: Rules, processor: Processor
) -> tuple[dict[str, bool], set[str], set[str], list[int]]:
    may, must = {}, {}
    for path, bit in BITS.items():
        word = path.partition(".")[0]
        plain, true = MSRS[word]
        msr = processor.msrs.get(true if true and processor.true_controls else plain, 0)
        may[path] = bool((msr if word == "vm_function" else msr >> 32) >> bit & 1)
        must[path] = bool(msr >> bit & 1) and word != "vm_function"
    wishes: dict[str, set[str]] = {verb: set() for verb in VERBS}
    spoken_of = {statement.control for statement in said}
    for statement in said:
        if not _holds(statement.condition, may, must, processor):
            continue
        wishes[statement.verb].add(statement.control)
        over = ACTIVATED_BY.get(statement.control.partition(".")[0])
        while over is not None and statement.verb in ("require", "prefer"):
            if over not in spoken_of:
                wishes[statement.verb].add(over)
            over = ACTIVATED_BY.get(over.partition(".")[0])
    now = {p: (p in wishes["require"] | wishes["prefer"] or must[p]) and may[p] for p in BITS}
    dropped: set[str] = set()
    raised: set[str] = set()

    def setting(path: str, flipped: str | None) -> bool:
        return (now[path] and _in_force(path, now)) != (path == flipped)

    def broken(rule: SpecRule, flipped: str | None = None) -> bool:
        names = {path.replace(".", "_"): setting(path, flipped) for path in BITS}
        when, require = ("True" if part is None else _python(part) for part in rule)
        return bool(eval(when, {}, names)) and not eval(require, {}, names)

    def mend(rule: SpecRule) -> bool:
        if not broken(rule):
            return False
        about = [path for path in BITS if any(path in (part or "") for part in rule)]
        mending = [path for path in about if not broken(rule, path)]
        soft = wishes["prefer"] - wishes["require"] - raised
        drop = [path for path in mending if path in soft and not must[path] and setting(path, None)]
        soft = wishes["avoid"] - wishes["forbid"] - dropped
        lift = [path for path in mending if path in soft and may[path] and not now[path] and setting(path, path)]
        lift = [path for path in lift if _in_force(path, now)]
        if len(drop) == 1:
            now[drop[0]] = False
            dropped.add(drop[0])
        elif not drop and len(lift) == 1:
            now[lift[0]] = True
            raised.add(lift[0])
        else:
            return False
        return True

    while any(mend(rule) for rule in rules):
        pass
    violated = [number for number, rule in enumerate(rules) if broken(rule)]
    in_force = {path: _in_force(path, now) for path in BITS}
    for path in BITS:
        now[path] = now[path] if in_force[path] else must[path] and may[path]
    return now, dropped, raised, violated


def _in_force(path: str, now: Mapping[str, bool]) -> bool:
    over = ACTIVATED_BY.get(path.partition(".")[0])
    return over is None or (now[over] and _in_force(over, now))


def _python(text: str) -> str:
    for path in BITS:
        text = text.replace(path, path.replace(".", "_"))
    return text


def _holds(condition: str | None, may: Mapping[str, bool], must: Mapping[str, bool], processor: Processor) -> bool:
    if condition is None:
        return True
    names = {path.replace(".", "_"): path for path in BITS}
    text = _python(condition).replace("ia32_vmx_basic.true_controls", "true_controls").replace("cpu.smx", "smx")
    functions = {"supported": may.__getitem__, "forced": must.__getitem__}
    return bool(eval(text, functions, {**names, "true_controls": processor.true_controls, "smx": processor.smx}))


# --- cases that random ones rarely meet -------------------------------------------------------------------------


def known(**msrs: int) -> dict[str, Value]:
    return {name: value.known(64, bits) for name, bits in msrs.items()}


PIN, NMI, VNMI = "ia32_vmx_pinbased_ctls", 1 << 3, 1 << 5
TIMER, POSTED = 1 << 6, 1 << 7


def pin(database: Database, body: str, rules: Rules, msr: Value) -> tuple[Result, Value]:
    cpu = Cpu("c", "C", {**known(ia32_vmx_basic=0), PIN: msr})
    result = compile(f"policy p {{ {body} }}", cpu, with_rules(database, rules))
    assert result.vmcs is not None
    return result, result.vmcs.words["pin_based"].value


ALL = (NMI | VNMI | TIMER | POSTED) << 32
EXCLUDE = [("pin_based.nmi_exiting", "not pin_based.virtual_nmis")]


def test_a_preference_that_may_be_a_requirement_is_not_dropped_for_certain(database: Database) -> None:
    """`require` under an unknown condition decides for one of two that exclude each other, or for none."""
    body = "pin_based { prefer nmi_exiting, virtual_nmis } when cpu.smx { pin_based { require nmi_exiting } }"
    result, found = pin(database, body, EXCLUDE, value.known(64, ALL))
    assert not errors(result)
    assert (found.bit(3), found.bit(5)) == (None, None)


def test_a_preference_that_may_be_forced_is_not_dropped_for_certain(database: Database) -> None:
    body = "pin_based { prefer nmi_exiting, virtual_nmis }"
    result, found = pin(database, body, EXCLUDE, Value(64, ALL, ~NMI))
    assert not errors(result)
    assert (found.bit(3), found.bit(5)) == (None, None)


def test_two_that_exclude_each_other_are_no_error_while_one_may_give_way_to_an_earlier_rule(database: Database) -> None:
    rules = [("pin_based.nmi_exiting", "pin_based.activate_vmx_preemption_timer"), *EXCLUDE]
    body = "pin_based { prefer nmi_exiting, virtual_nmis }"
    partial, found = pin(database, body, rules, Value(64, ALL, ~TIMER))  # it may be forced, then nothing gives way
    assert not errors(partial)
    assert (found.bit(3), found.bit(5)) == (None, None)
    decided, found = pin(database, body, rules, value.known(64, ALL))
    assert not errors(decided)
    assert (found.bit(3), found.bit(5)) == (False, True)


def test_what_gives_way_in_any_case_is_known_although_other_rules_are_open(database: Database) -> None:
    rules = [
        ("pin_based.nmi_exiting", "pin_based.external_interrupt_exiting"),
        ("pin_based.virtual_nmis", "pin_based.process_posted_interrupts"),
    ]
    body = "pin_based { prefer nmi_exiting, virtual_nmis }"
    result, found = pin(database, body, rules, Value(64, ALL, ~1))  # whether bit 0 must be 1 is unknown
    assert (found.bit(0), found.bit(3), found.bit(5), found.bit(7)) == (False, False, False, False)
    result, found = pin(database, body, rules, Value(64, ALL | 1 << 32, ~1))
    assert (found.bit(0), found.bit(3), found.bit(5), found.bit(7)) == (None, None, False, False)
    assert result.vmcs is not None
    assert result.vmcs.words["pin_based"].dropped == VNMI


def test_a_word_of_which_nobody_knows_whether_it_is_in_force_is_known_only_where_that_makes_no_difference(
    database: Database,
) -> None:
    cpu = Cpu("c", "C", known(ia32_vmx_basic=0, ia32_vmx_procbased_ctls2=0x0000_0082_0000_0000))
    result = compile("policy p { secondary { prefer enable_ept } }", cpu, database)
    assert result.vmcs is not None
    word = result.vmcs.words["secondary"].value
    assert (word.bit(1), word.bit(7), word.bit(5)) == (None, False, False)
    result = compile("policy p { secondary { require enable_ept } }", cpu, database)
    assert result.vmcs is not None
    assert result.vmcs.words["secondary"].value.bit(1) is True  # else there is an error


@pytest.mark.parametrize(("known_mask", "is_error"), [(-1, True), (~(1 << 6), False), (~(1 << 5), True)])
def test_two_values_of_a_field_disagree_only_where_they_surely_differ(
    known_mask: int, is_error: bool, database: Database
) -> None:
    cpu = Cpu("c", "C", {**known(ia32_vmx_basic=0), "ia32_vmx_misc": Value(64, 1 << 6, known_mask)})
    text = "policy p { when true { tsc_offset = ia32_vmx_misc & 0x40 }\nwhen true { tsc_offset = 0x20 & 0 } }"
    assert ("VMX3010" in errors(compile(text, cpu, database))) is is_error
