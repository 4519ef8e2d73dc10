"""Policies that nobody writes in good faith: nothing raises, and what is found is bounded and lies inside the text."""

from __future__ import annotations

import time

import pytest

from vmcsc.architecture.database import Database
from vmcsc.diagnostic import MAX_SENTENCE
from vmcsc.pipeline import compile
from vmcsc.report import render
from vmcsc.source import MAX_BYTES

MANY = 3000
LONG = 100_000
PATIENCE = 60
"""Seconds. Anything that grows with the square of the text takes longer; a slow machine does not."""


def policy(*lines: str) -> str:
    return "\n".join(["policy p {", *lines, "}"])


def each(template: str, count: int = MANY) -> str:
    """`template` many times, a line each, with its `#` numbered."""
    return policy(*(template.replace("#", str(number)) for number in range(count)))


LONG_LINES = {
    "control": policy(f"primary {{ require {'a' * LONG} }}"),
    "field": policy(f"{'a' * LONG} = 1"),
    "block": policy(f"{'a' * LONG} {{ }}"),
    "name": policy(f"tsc_offset = {'a' * LONG}"),
    "path": policy(f"tsc_offset = {'a.' * LONG}b"),
    "function": policy(f"tsc_offset = {'f' * LONG}(1)"),
    "cpu": policy(f"for cpus {'a' * LONG}"),
    "parent": policy(f"extends {'a' * LONG}"),
    "include": policy(f'include "{"a" * LONG}"'),
    "text": policy(f'summary "{"x" * LONG}"'),
    "open text": policy(f'summary "{"x" * LONG}'),
    "comment": policy(f"# {'x' * LONG}"),
    "decimal": policy(f"tsc_offset = {'9' * LONG}"),
    "hexadecimal": policy(f"tsc_offset = 0x{'f' * LONG}"),
    "zeros": policy(f"tsc_offset = {'0' * LONG}"),
    "no number": policy(f"tsc_offset = 1{'z' * LONG}"),
    "semicolons": policy(";" * LONG),
    "names": policy(f"primary {{ require {', '.join(['hlt_exiting'] * MANY)} }}"),
    "targets": policy(f"io {{ intercept {', '.join(map(str, range(MANY)))} }}"),
    "cpus": policy(f"for cpus {', '.join(['yonah_core_duo_t2600'] * MANY)}"),
    "list": policy(f"when cpu.maxphyaddr in [{', '.join(str(n % 256) for n in range(MANY))}] {{ }}"),
    "operators": policy("tsc_offset = 1 " + "&|^<>=!~-+*/%@$?" * MANY),
}
DEEP = {
    "parentheses": policy(f"tsc_offset = {'(' * LONG}1{')' * LONG}"),
    "open parentheses": policy(f"tsc_offset = {'(' * LONG}"),
    "open brackets": policy(f"tsc_offset = {'[' * LONG}"),
    "not": policy(f"when {'not ' * MANY}true {{ }}"),
    "minus": policy(f"tsc_offset = {'-' * MANY}1"),
    "slices": policy(f"tsc_offset = 1{'[0]' * MANY}"),
    "sum": policy(f"tsc_offset = {'1 + ' * MANY}1"),
    "or": policy(f"when {'true or ' * MANY}true {{ }}"),
    "shifts": policy(f"tsc_offset = 1{' << 500' * 30}"),
    "products": policy(f"tsc_offset = {' * '.join(['0xffffffffffffffff'] * 60)}"),
    "calls": policy(f"tsc_offset = {'u64(' * MANY}1{')' * MANY}"),
    "blocks": policy(f"{'when true { ' * MANY}{'}' * MANY}"),
    "open blocks": policy("primary { " * MANY),
    "closing braces": policy("}" * MANY),
    "opening braces": "{" * MANY,
    "chain of parameters": policy(
        "param p0 : u64 = 1", *(f"param p{n} : u64 = p{n - 1} + 1" for n in range(1, MANY)), f"tsc_offset = p{MANY - 1}"
    ),
    "parameters that double": policy(
        "param p0 : u64 = 1", *(f"param p{n} : u64 = p{n - 1} + p{n - 1}" for n in range(1, 64)), "tsc_offset = p63"
    ),
    "parameter of itself": policy("param a : u64 = a", "tsc_offset = a"),
}
MANY_STATEMENTS = {
    "blocks": each("primary { require hlt_exiting }"),
    "unknown controls": each("primary { require hlt_exitin# }"),
    "unknown fields": each("tsc_ofset# = 1"),
    "unknown blocks": each("primery# { }"),
    "unknown statements": each("requre# hlt_exiting"),
    "unknown names": each("tsc_offset = offset#"),
    "unknown functions": each("tsc_offset = suported#(1)"),
    "unknown MSRs": each("msrs { pass fs_bas# }"),
    "unknown parents": each("extends kvm#"),
    "missing files": each('include "file#.vmcs"'),
    "assignments": each("tsc_offset = 1"),
    "assignments under conditions": each("when supported(secondary.enable_ept) { tsc_offset = 1 }"),
    "controls under conditions": each("when supported(secondary.enable_ept) { primary { require hlt_exiting } }"),
    "overrides": "policy p extends kvm_classic {\n" + "primary { override avoid hlt_exiting }\n" * MANY + "}",
    "parameters": each("param p# : u64 = #"),
    "parameters of no type": each("param p# : u65 = #"),
    "scenarios": each('scenario "s#" { guest hlt }'),
    "scenarios of one title": each('scenario "s" { guest hlt }'),
    "exceptions": each("exceptions { intercept page_fault when error_code & 1 == 0 }"),
}
ODD = {
    "nothing but a brace": "{",
    "a brace and a quote": '{"',
    "a quote and a backslash": policy('summary "\\'),
    "an accented name": policy("primary { require h\u00e9t_exiting }"),
    "a dotless i": policy("primary { require hlt_ex\u0131ting }"),
    "full-width digits": policy("tsc_offset = \uff11\uff12"),
    "superscript digits": policy("tsc_offset = \u00b2"),
    "other blanks": policy("tsc_offset\u00a0=\u30001"),
    "other line ends": policy("tsc_offset = 1\u2028tsc_offset = 2\u2029", "\x85"),
    "an emoji": policy("\U0001f600 { }"),
    "a lone surrogate": policy("tsc_offset = '\ud800'"),
    "carriage returns": policy("\r" * LONG),
    "line ends": policy("\n" * LONG),
    "too much": "{" + " " * MAX_BYTES,
}
TEXTS = {
    f"{kind}: {name}": text
    for kind, texts in {"long": LONG_LINES, "deep": DEEP, "many": MANY_STATEMENTS, "odd": ODD}.items()
    for name, text in texts.items()
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_hostile_policy_costs_findings_that_are_bounded_and_lie_inside_its_text(
    text: str, database: Database
) -> None:
    started = time.monotonic()
    result = compile(text, database=database)
    assert time.monotonic() - started < PATIENCE
    for finding in result.diagnostics:
        assert all(len(said) <= MAX_SENTENCE for said in (finding.message, *finding.notes, finding.help or ""))
        if finding.span is not None:
            start, end, length = finding.span.start, finding.span.end, len(finding.span.source.text)
            assert 0 <= start <= end <= max(length, start + 1)
    full = render(result.diagnostics, "full", False)
    assert len(full) < 2000 * max(1, len(result.diagnostics))
    assert full.isascii() or all(c.isprintable() or c == "\n" for c in full)


def test_a_chain_of_parameters_has_the_value_at_its_end(database: Database) -> None:
    result = compile(DEEP["chain of parameters"], database=database)
    assert result.vmcs is not None
    assert result.vmcs.fields["tsc_offset"].value.bits == MANY


def test_parameters_that_double_wrap_around_at_their_width(database: Database) -> None:
    result = compile(DEEP["parameters that double"], database=database)
    assert result.vmcs is not None
    assert result.vmcs.fields["tsc_offset"].value.bits == 1 << 63


def test_beyond_the_limit_findings_are_only_counted(database: Database) -> None:
    result = compile(MANY_STATEMENTS["unknown fields"], database=database)
    assert len(result.diagnostics) + result.suppressed == MANY
    assert result.suppressed > 0


@pytest.mark.parametrize("text", ["tsc_offset = 1\n" * 70_000, "a, " * 340_000], ids=["statements", "words"])
def test_a_text_longer_than_any_policy_is_refused_without_being_parsed(text: str, database: Database) -> None:
    result = compile(policy(text), database=database)
    assert [finding.code for finding in result.diagnostics] == ["VMX1014"]


def test_of_an_enormous_statement_it_is_only_said_that_it_has_a_mistake(database: Database) -> None:
    text = "policy p {\n  tsc_offset = " + " ".join(f"or{number}" for number in range(5000)) + "\n}\n"
    (finding,) = compile(text, None, database).diagnostics
    assert finding.code == "VMX1014"
    assert "has a mistake, and is too long to say which" in finding.message
