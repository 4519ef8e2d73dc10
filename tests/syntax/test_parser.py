"""Policies as trees, and every mistake in them found in one run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics
from vmcsc.resources import SPECS
from vmcsc.source import Source, read_source
from vmcsc.syntax import parser, tree
from vmcsc.syntax.parser import parse_expression, parse_policy_file
from vmcsc.syntax.shape import MAX_DEPTH

NAMES = {code.id: code.name for code in codes.ALL}


def parse(text: str) -> tuple[tree.PolicyFile, list[tuple[str, str]]]:
    """The tree, and for each finding the name of its code and the text it points at."""
    diagnostics = Diagnostics()
    parsed = parse_policy_file(Source("t.vmcs", text), diagnostics)
    return parsed, [(NAMES[d.code], "" if d.span is None else d.span.text) for d in diagnostics]


def statements(text: str) -> tuple[tree.Statement, ...]:
    """What a text without mistakes consists of."""
    parsed, findings = parse(text)
    assert findings == []
    return parsed.body


def expression(text: str) -> tree.Expression:
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("t", text), diagnostics)
    assert parsed is not None, diagnostics.found
    return parsed


# --- trees -----------------------------------------------------------------------------------------------------


def test_a_policy_has_its_name_and_its_statements_with_their_places() -> None:
    (policy,) = statements('policy p {\n  summary "s"\n  extends a, b\n}\n')
    assert isinstance(policy, tree.Policy)
    assert policy.name.text == "p"
    summary, extends = policy.body
    assert isinstance(summary, tree.Summary)
    assert (summary.text, str(summary.span)) == ("s", "t.vmcs:2:3")
    assert isinstance(extends, tree.Extends)
    assert [(name.text, str(name.span)) for name in extends.names] == [("a", "t.vmcs:3:11"), ("b", "t.vmcs:3:14")]


@pytest.mark.parametrize("verb", ["require", "forbid", "prefer", "avoid", "allow"])
@pytest.mark.parametrize("override", [False, True])
def test_a_stance_names_controls_and_may_override(verb: str, override: bool) -> None:
    (stance,) = statements(f"{'override ' if override else ''}{verb} a,\n b")
    assert isinstance(stance, tree.Stance)
    assert (stance.verb, stance.override) == (verb, override)
    assert [name.text for name in stance.names] == ["a", "b"]


def test_an_interception_names_accesses_numbers_ranges_names_and_everything() -> None:
    (reach,) = statements("intercept read write all, 0x80, 0x60..0x64, fs_base, page_fault when error_code & 1 == 0")
    assert isinstance(reach, tree.Reach)
    assert (reach.verb, reach.accesses) == ("intercept", ("read", "write"))
    everything, one, several, named, conditional = reach.targets
    assert everything.all
    assert (one.first, one.last) == (0x80, 0x80)
    assert (several.first, several.last) == (0x60, 0x64)
    assert (named.name, named.condition) == ("fs_base", None)
    assert isinstance(conditional.condition, tree.Binary)


def test_an_interception_without_accesses_names_none() -> None:
    (reach,) = statements("pass 1")
    assert isinstance(reach, tree.Reach)
    assert (reach.verb, reach.accesses) == ("pass", ())


def test_a_field_takes_a_value_or_a_parameter_declared_in_place() -> None:
    value, with_default, without = statements("a = 1\nb = param c : u64 = 5\noverride d = param e : u8")
    assert isinstance(value, tree.Assignment)
    assert (value.target.text, value.param, value.override) == ("a", None, False)
    assert isinstance(with_default, tree.Assignment)
    assert with_default.value is None
    assert with_default.param is not None
    assert with_default.param.span.text == "c : u64 = 5"
    assert isinstance(without, tree.Assignment)
    assert without.override
    assert without.param is not None
    assert (without.param.name.text, without.param.type.text, without.param.default) == ("e", "u8", None)


def test_blocks_know_their_names_and_conditions() -> None:
    when, block = statements("when not supported(enable_ept) { override primary { } }\nio { pass 1 }")
    assert isinstance(when, tree.When)
    assert isinstance(when.condition, tree.Unary)
    (inner,) = when.body
    assert isinstance(inner, tree.Block)
    assert (inner.name.text, inner.override) == ("primary", True)
    assert isinstance(block, tree.Block)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("007", 7),
        ("1_000", 1000),
        ("0xFf", 255),
        ("0XFF", 255),
        ("0b1010", 10),
        ("0x_ffff_ffff", 0xFFFF_FFFF),
        ("18446744073709551615", (1 << 64) - 1),
        ("0xffffffffffffffff", (1 << 64) - 1),
    ],
)
def test_a_number_is_decimal_hexadecimal_or_binary(text: str, value: int) -> None:
    parsed = expression(text)
    assert isinstance(parsed, tree.Number)
    assert parsed.value == value


@pytest.mark.parametrize(
    "text",
    [
        "0x",
        "0b",
        "0b2",
        "0xg",
        "1f",
        "12ab",
        "0o17",
        "1_",
        "0x1_",
        "18446744073709551616",
        "0x1" + "0" * 16,
        "9" * 5000,
    ],
)
def test_a_word_that_begins_like_a_number_and_is_none_is_one_finding_on_it(text: str) -> None:
    _, findings = parse(f"x = 1 + {text}\ny = 2")
    assert findings == [("bad-number", text)]


def test_a_slice_selects_bits_and_one_bit() -> None:
    several, one = expression("a[31:16]"), expression("a[3]")
    assert isinstance(several, tree.Slice)
    assert (several.high, several.low) == (31, 16)
    assert isinstance(one, tree.Slice)
    assert (one.high, one.low) == (3, 3)


def test_a_membership_has_values_and_ranges() -> None:
    parsed = expression("a not in [1, 4..6]")
    assert isinstance(parsed, tree.Membership)
    assert parsed.negated
    assert [(low.span.text, high.span.text) for low, high in parsed.items] == [("1", "1"), ("4", "6")]


def test_a_string_may_hold_quotes_backslashes_and_marks() -> None:
    (summary,) = statements(r'summary "say \"hi\"; a\\b } # no comment"')
    assert isinstance(summary, tree.Summary)
    assert summary.text == r'say "hi"; a\b } # no comment'


def test_two_backslashes_before_a_quote_are_one_backslash_and_the_end() -> None:
    first, second = statements('summary "\\\\"\nsummary "\\\\\\""')
    assert isinstance(first, tree.Summary)
    assert isinstance(second, tree.Summary)
    assert (first.text, second.text) == ("\\", '\\"')


def test_comments_are_kept_with_the_file() -> None:
    parsed, _ = parse("# one\npolicy p { # two\n}\n")
    assert [span.text for span in parsed.comments] == ["# one", "# two"]


def test_an_expression_is_read_from_its_span_and_placed_in_the_whole_text() -> None:
    source = Source("t", "require: a and b\n")
    parsed = parse_expression(source, Diagnostics(), source.span(9, 16))
    assert isinstance(parsed, tree.Binary)
    assert str(parsed.right.span) == "t:1:16"


@pytest.mark.parametrize("path", sorted((SPECS / "policies").glob("*.vmcs")), ids=lambda path: path.stem)
def test_a_shipped_policy_parses_without_findings(path: Path) -> None:
    diagnostics = Diagnostics()
    parsed = parse_policy_file(read_source(path), diagnostics)
    assert diagnostics.found == []
    assert len(parsed.body) == 1


# --- where statements end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", ["\n", ";", " ; ", "\r\n", "\n\n# comment\n"])
def test_newlines_and_semicolons_end_statements(separator: str) -> None:
    assert len(statements(separator.join(["require a", "forbid b", "x = 1"]))) == 3


def test_a_brace_ends_the_statement_before_it() -> None:
    (block,) = statements("primary { require a }")
    assert isinstance(block, tree.Block)
    assert len(block.body) == 1


def test_a_comma_and_a_parenthesis_carry_a_statement_over_the_line() -> None:
    stance, assignment = statements("require a,\n  b, # because\n  c\nx = (1 +\n  2\n)")
    assert isinstance(stance, tree.Stance)
    assert len(stance.names) == 3
    assert isinstance(assignment, tree.Assignment)


def test_a_trailing_comma_costs_its_own_statement_alone() -> None:
    parsed, findings = parse("require a,\nforbid b\n")
    assert [name for name, _ in findings] == ["incomplete-statement"]
    (stance,) = parsed.body
    assert isinstance(stance, tree.Stance)
    assert stance.verb == "forbid"


# --- mistakes --------------------------------------------------------------------------------------------------


BROKEN = [
    ("require", "incomplete-statement"),
    ("forbid a b", "unexpected-text"),
    ("requir hlt_exiting", "unknown-statement"),
    ("x = (1 +", "incomplete-statement"),
    ("x = 1 && 2", "unexpected-text"),
    ("prefer a, 5", "unexpected-text"),
    ("x = 0xzz", "bad-number"),
    ('summary "open', "unterminated-string"),
    ("allow a,", "incomplete-statement"),
    ("when x", "missing-block"),
]


def test_ten_broken_statements_give_exactly_ten_findings_in_one_run() -> None:
    text = "\n".join(["policy p {", *(f"  {broken}" for broken, _ in BROKEN), "  require fine", "}"])
    diagnostics = Diagnostics()
    (policy,) = parse_policy_file(Source("t.vmcs", text), diagnostics).body
    found = sorted((d.span.first.line, NAMES[d.code]) for d in diagnostics if d.span is not None)
    assert found == [(line, name) for line, (_, name) in enumerate(BROKEN, start=2)]
    assert len(diagnostics) == 10
    assert isinstance(policy, tree.Policy)
    assert [statement.span.text for statement in policy.body] == ["require fine"]


@pytest.mark.parametrize(("text", "name"), BROKEN)
def test_a_broken_statement_is_one_finding_on_its_own_line_between_sound_ones(text: str, name: str) -> None:
    diagnostics = Diagnostics()
    source = Source("t", f"require before\n{text}\nrequire behind\n")
    parsed = parse_policy_file(source, diagnostics)
    (finding,) = diagnostics
    assert NAMES[finding.code] == name
    assert finding.span is not None
    assert finding.span.first.line == 2
    assert [statement.span.text for statement in parsed.body] == ["require before", "require behind"]


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("x = a && b", "write `and`"),
        ("x = a || b", "write `or`"),
        ("x = !a", "write `not`"),
        ("x = a = b", "a comparison is written `==`"),
        ("x = a < b < c", "compare only once, and join comparisons with `and`"),
        ("x = 'a'", 'texts stand in double quotes: "..."'),
        ("x = a / b", "comments begin with `#`; there is no division"),
        ("x = a % 2", "there is no remainder; test bits with `&`"),
        ("forbit a", "did you mean `forbid`?"),
    ],
)
def test_a_frequent_mistake_is_told_what_to_write(text: str, help: str) -> None:
    diagnostics = Diagnostics()
    parse_policy_file(Source("t", text), diagnostics)
    (finding,) = diagnostics
    assert finding.help == help


def test_a_broken_header_costs_one_finding_and_its_block() -> None:
    parsed, findings = parse("when a + { primary { require b } }\nrequire c")
    assert [name for name, _ in findings] == ["incomplete-statement"]
    assert len(parsed.body) == 1


def test_an_unclosed_block_still_has_its_statements_checked() -> None:
    _, findings = parse("primary {\n require a\n forbid\n")
    assert sorted(name for name, _ in findings) == ["incomplete-statement", "unclosed-block"]


def test_a_message_shows_a_users_text_printable_and_short() -> None:
    diagnostics = Diagnostics()
    parse_policy_file(Source("t", "x = 1 \u2028" + "y" * 500), diagnostics)
    (finding,) = diagnostics
    assert finding.message.isprintable()
    assert len(finding.message) < 200


# --- limits ----------------------------------------------------------------------------------------------------


def test_blocks_nested_to_the_limit_are_kept_and_deeper_ones_are_one_finding() -> None:
    assert len(statements("when a {" * MAX_DEPTH + "}" * MAX_DEPTH)) == 1
    _, findings = parse("when a {" * (MAX_DEPTH + 5) + "}" * (MAX_DEPTH + 5))
    assert findings == [("nested-too-deep", "{")]


@pytest.mark.parametrize("deep", ["{0}", "~{0}", "not {0}", "1 + {0}", "{0} + 1", "u8({0})", "{0}[1]"])
def test_expressions_beyond_the_limit_are_one_finding_of_one_kind(deep: str) -> None:
    text = "a"
    for _ in range(parser.MAX_DEPTH + 1):
        text = deep.format(f"({text})") if deep == "1 + {0}" else deep.format(text)
    _, findings = parse(f"x = {text}")
    assert [name for name, _ in findings] == ([] if deep == "{0}" else ["nested-too-deep"])


def test_parentheses_alone_nest_no_tree() -> None:
    parsed = expression("(" * 2000 + "a" + ")" * 2000)
    assert isinstance(parsed, tree.Path)


def test_a_row_of_ten_thousand_operators_is_refused_in_time_and_not_by_a_crash() -> None:
    began = time.monotonic()
    for operator in (" + ", " or ", " | ", " == "):
        _, findings = parse("x = " + operator.join(["1"] * 10_000))
        assert len(findings) == 1
    assert time.monotonic() - began < 20


@given(st.text(max_size=120))
@settings(deadline=2000)
def test_arbitrary_text_never_raises_and_ends_soon(text: str) -> None:
    parse(text)


_WORDS = st.sampled_from(
    [
        *(
            "policy",
            "when",
            "scenario",
            "on",
            "cpu",
            "exit",
            "require",
            "forbid",
            "param",
            "intercept",
            "read",
            "override",
        ),
        *(
            "a",
            "b.c",
            "in",
            "not",
            "and",
            "or",
            "all",
            "0x10",
            "7",
            "0b",
            '"s"',
            '"',
            "#",
            "expect",
            "guest",
            "no",
            "where",
        ),
        *(
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            ",",
            ";",
            "\n",
            "=",
            "==",
            "<",
            "..",
            ":",
            "+",
            "-",
            "~",
            "&",
            "\\",
            "\u2028",
            "é",
        ),
    ]
)


@given(st.lists(_WORDS, max_size=40))
@settings(deadline=2000, max_examples=300)
def test_words_of_the_language_in_any_order_never_raise_and_are_placed_inside_the_text(words: list[str]) -> None:
    text = " ".join(words)
    diagnostics = Diagnostics()
    parse_policy_file(Source("t", text), diagnostics)
    for finding in diagnostics:
        assert finding.span is not None
        assert 0 <= finding.span.start <= finding.span.end <= len(text)
        assert finding.message.isprintable()
