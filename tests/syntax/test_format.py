"""The formatter: one layout for one policy, nothing lost, nothing changed, and the style that people would write."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.syntax.policy_writer import PolicyWriter
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.resources import SPECS
from vmcsc.source import Source, UnreadableText, read_source
from vmcsc.syntax import tree
from vmcsc.syntax.format import format_source
from vmcsc.syntax.parser import parse_policy_file

CASES = Path(__file__).parent.parent / "cases"
SHIPPED = sorted((SPECS / "policies").rglob("*.vmcs"))
POLICIES = [*SHIPPED, *sorted(CASES.rglob("*.vmcs"))]


def formatted(text: str) -> str:
    """The canonical layout of a text without mistakes."""
    diagnostics = Diagnostics()
    result = format_source(Source("t.vmcs", text), diagnostics)
    assert result is not None, [(str(d.span), d.message) for d in diagnostics]
    return result


def inside(text: str) -> str:
    """What becomes of the body of a block."""
    first, *lines, last = formatted(f"block {{\n{text}\n}}\n").splitlines()
    assert (first, last) == ("block {", "}")
    assert all(line.startswith("  ") or not line for line in lines)
    return "\n".join(line[2:] for line in lines)


def without_places(node: Any) -> Any:
    """A tree as plain values, without its spans."""
    if isinstance(node, tuple):
        return tuple(map(without_places, node))
    if not dataclasses.is_dataclass(node):
        return node
    kept = [f.name for f in dataclasses.fields(node) if f.name not in ("span", "source", "comments")]
    return type(node).__name__, *(without_places(getattr(node, name)) for name in kept)


def parsed(text: str) -> tuple[tree.PolicyFile, bool]:
    diagnostics = Diagnostics()
    return parse_policy_file(Source("t.vmcs", text), diagnostics), not diagnostics.failed


def assert_faithful(text: str) -> None:
    """Formatting keeps the tree and the comments, and formatting again changes nothing."""
    before, good = parsed(text)
    assert good
    result = formatted(text)
    after, good = parsed(result)
    assert good
    assert without_places(after.body) == without_places(before.body)
    assert [span.text for span in after.comments] == [span.text.rstrip(" \t\r") for span in before.comments]
    assert formatted(result) == result


# --- nothing is lost -------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_a_random_policy_in_an_odd_layout_keeps_its_tree_and_comments_and_is_settled_at_once(seed: int) -> None:
    assert_faithful(PolicyWriter(Random(seed)).text())


def good_policies() -> Iterator[str]:
    for path in POLICIES:
        try:
            text = read_source(path).text
        except UnreadableText:
            continue
        if parsed(text)[1]:
            yield text


def test_the_policies_of_this_project_keep_their_trees_and_comments() -> None:
    texts = list(good_policies())
    assert len(texts) >= len(SHIPPED) > 0
    for text in texts:
        assert_faithful(text)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**64 - 1), st.sampled_from(SHIPPED))
def test_a_shipped_policy_in_disarray_is_brought_back(seed: int, path: Path) -> None:
    """Indentation, blanks between words and line ends do not matter, where no columns depend on them."""
    random = Random(seed)
    text = path.read_text(encoding="utf-8")
    lines = [re.sub(r"^ *", lambda _: " " * random.randint(0, 9), line) for line in text.splitlines()]
    lines = [f"{line}{random.choice(('', ' ', chr(9)))}" for line in lines]
    scattered = random.choice(("\n", "\r\n")).join(lines)
    bare = [re.sub(r"\s*#.*", "", line) for line in formatted(scattered).splitlines()]
    assert bare == [re.sub(r"\s*#.*", "", line) for line in text.splitlines()]
    assert_faithful(scattered)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_policies_are_in_canonical_layout(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_the_result_is_clean(seed: int) -> None:
    """No blanks at the end of a line, no tabs before code, never two blank lines, no blank line at either end."""
    result = formatted(PolicyWriter(Random(seed)).text())
    assert not re.search(r"[ \t\r]$", result, re.MULTILINE)
    assert not re.search(r"^ *\t", result, re.MULTILINE)
    assert not re.search(r"\n\n\n|^\n|\{\n\n|\n\n *\}", result)
    assert result == "" or (result.endswith("\n") and not result.endswith("\n\n"))


# --- what cannot be formatted ----------------------------------------------------------------------------------

WORDS = 'policy p require a = == - .. . 1 when override scenario expect guest in not { } ( ) [ ] " "s" ; , # \\ \u00e4'
PIECES = st.sampled_from([*WORDS.split(), " ", "\n", "# c\n", "\r", "\t"])


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=40).map("".join), st.lists(PIECES).map(" ".join)))
@example("a { b = 1 # c")
@example("{}")
@example("\ufeffrequire a")
@example("require a\u2028, b")
def test_any_text_is_formatted_or_refused_with_a_finding(text: str) -> None:
    diagnostics = Diagnostics()
    result = format_source(Source("t.vmcs", text), diagnostics)
    assert (result is None) == diagnostics.failed
    reported = Diagnostics()
    parse_policy_file(Source("t.vmcs", text), reported)
    assert places(diagnostics) == places(reported)
    if result is not None:
        assert_faithful(text)


def places(diagnostics: Iterable[Diagnostic]) -> list[tuple[str, str, str]]:
    return [(found.code, found.message, str(found.span)) for found in diagnostics]


def test_every_mistake_is_reported_even_those_that_are_not_shown() -> None:
    diagnostics = Diagnostics(limit=10)
    assert format_source(Source("t.vmcs", "require\n" * 1200), diagnostics) is None
    assert len(diagnostics) + diagnostics.suppressed == 1200
    assert diagnostics.failed


# --- style: lines and blanks -----------------------------------------------------------------------------------


def test_a_level_is_two_blanks_and_a_statement_a_line() -> None:
    text = 'policy   p{summary"s";primary{\n\trequire  a,b\n}}'
    assert formatted(text) == 'policy p {\n  summary "s"\n  primary {\n    require a, b\n  }\n}\n'


def test_a_fragment_and_an_empty_text_are_formatted_too() -> None:
    assert formatted("  require a ;forbid b") == "require a\nforbid  b\n"
    assert formatted("\n \n") == ""
    assert formatted("#c") == "#c\n"


def test_line_ends_are_newlines_and_the_last_line_has_one() -> None:
    assert formatted("block {\r\n  require a  # c\r\n}\r\n") == "block {\n  require a  # c\n}\n"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("x=a+b*2", "x = a + b * 2"),
        ("x = a<<2|b>>3&~c^d", "x = a << 2 | b >> 3 & ~c ^ d"),
        ("x = - a - -b", "x = -a - -b"),
        ("x = - ( a )", "x = -(a)"),
        ("x = ( (1) )", "x = ((1))"),
        ("x = f ( a ,b )", "x = f(a, b)"),
        ("x = f( )", "x = f()"),
        ("x = a [ 31 : 16 ]", "x = a[31:16]"),
        ("x = a . b . c", "x = a.b.c"),
        ("x = 0x1F + 0b1_0 + 1_000", "x = 0x1F + 0b1_0 + 1_000"),
        ("x=param y:u64=0", "x = param y : u64 = 0"),
        ("override  x=1", "override x = 1"),
        ("intercept 1 .. 3,all", "intercept 1..3, all"),
        ("intercept pf when e&1==0", "intercept pf when e & 1 == 0"),
        ("pass read  write a", "pass read write a"),
        ("for  cpus a,b", "for cpus a, b"),
        ('summary "a  #  b"', 'summary "a  #  b"'),
        ("when not(a)and(b)or not c{}", "when not (a) and (b) or not c {}"),
        ("when x in[1,4 .. 6]{}", "when x in [1, 4..6] {}"),
        ("when x not  in [-1]{}", "when x not in [-1] {}"),
        ("policy p extends  a,b{}", "policy p extends a, b {}"),
    ],
)
def test_words_are_parted_as_people_part_them(written: str, canonical: str) -> None:
    assert formatted(written) == f"{canonical}\n"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("guest in al,0x60", "guest in al, 0x60"),
        ("guest  mov[rsp-8],rax", "guest mov [rsp - 8], rax"),
        ("vmclear(a)", "vmclear (a)"),
        ("expect no  exit,rax==1", "expect no exit, rax == 1"),
        ("expect exit io where(q.port)==1", "expect exit io where (q.port) == 1"),
        ("event nmi -1", "event nmi -1"),
        ("memory 0x10+8=1,-2", "memory 0x10 + 8 = 1, -2"),
        ("set x=-1", "set x = -1"),
        ("on cpu(0){resume}", "on cpu (0) { resume }"),
    ],
)
def test_so_are_the_words_of_scenarios(written: str, canonical: str) -> None:
    assert formatted(f'scenario "s" {{\n{written}\n}}') == f'scenario "s" {{\n  {canonical}\n}}\n'


def test_one_blank_line_at_most_is_kept_and_none_inside_braces() -> None:
    assert inside("\n\nrequire a\n\n\n\nrequire b\nrequire c\n\n") == "require a\n\nrequire b\nrequire c"


# --- style: blocks ---------------------------------------------------------------------------------------------


def test_a_block_stays_on_the_one_line_that_it_was_written_on() -> None:
    assert formatted("io{intercept all;pass 0x80}") == "io { intercept all; pass 0x80 }\n"
    assert formatted("when a{io{pass 1} b=2;;c=3;}") == "when a { io { pass 1 } b = 2; c = 3 }\n"


def test_a_block_on_several_lines_stays_open() -> None:
    assert formatted("io { intercept all\n}") == "io {\n  intercept all\n}\n"


def test_a_block_with_nothing_in_it_is_closed() -> None:
    assert formatted("io {\n\n}") == "io {}\n"


def test_a_block_that_is_too_long_for_its_line_is_opened_and_its_comment_stays_with_its_name() -> None:
    names = "a" * 85
    assert formatted(f"io {{ require {names} }} # c") == f"io {{ require {names} }}  # c\n"
    assert formatted(f"io {{ require {names}; b = 1 }} # c") == f"io {{  # c\n  require {names}\n  b = 1\n}}\n"


def test_braces_of_one_line_blocks_below_each_other_are_in_one_column() -> None:
    assert formatted("io {pass 1}\nexceptions {}\n\nmsrs {}") == "io         { pass 1 }\nexceptions {}\n\nmsrs {}\n"


def test_blocks_of_different_kinds_have_no_common_column() -> None:
    assert formatted("io {}\nwhen supported(a) {}\nwhen b {}") == "io {}\nwhen supported(a) {}\nwhen b            {}\n"


def test_columns_are_given_up_where_a_line_would_become_too_long() -> None:
    long = "c" * 80
    text = f"when {long} {{ a = 1 }}\nwhen b {{ {'d' * 40} = 1 }}\n"
    assert formatted(text) == text


# --- style: columns --------------------------------------------------------------------------------------------


def test_the_names_of_all_stances_of_a_block_begin_in_one_column() -> None:
    assert inside("require a\n\n# c\nprefer b\nx = 1\nallow c") == "require a\n\n# c\nprefer  b\nx = 1\nallow   c"
    assert inside("allow a\nprefer b") == "allow  a\nprefer b"


def test_an_override_stands_out_of_that_column() -> None:
    assert inside("override require a\nallow b\nprefer c") == "override require a\nallow  b\nprefer c"


def test_assignments_below_each_other_have_their_signs_in_one_column() -> None:
    assert inside("a.b = 1\nlonger = 2\n\nc=3") == "a.b    = 1\nlonger = 2\n\nc = 3"
    assert inside("a = 1\nrequire x\nlonger = 2") == "a = 1\nrequire x\nlonger = 2"


# --- style: long statements ------------------------------------------------------------------------------------


def test_a_list_that_fits_becomes_one_line() -> None:
    assert inside("require a,\n  b,\n\n  c") == "require a, b, c"


def test_a_long_list_is_broken_after_commas_below_its_first_name() -> None:
    names = [f"a_control_with_number_{n}" for n in range(6)]
    expected = f"require {', '.join(names[:3])},\n        {', '.join(names[3:])}\nprefer  x"
    assert inside(f"require {','.join(names)}\nprefer x") == expected


def test_what_can_be_broken_keeps_to_100_columns() -> None:
    names = ", ".join(f"n{n}" for n in range(400))
    for text in (f"forbid {names}", f"intercept {names}", f"for cpus {names}", f"x = f({names})", f"extends {names}"):
        lines = formatted(f"block {{\n{text}\n}}").splitlines()
        assert max(map(len, lines)) in range(90, 101)


def test_no_line_begins_with_a_word_that_begins_statements() -> None:
    """There, the statement would end."""
    text = f"require {'a' * 60}, {'b' * 25}, allow, c"
    assert formatted(text) == f"require {'a' * 60},\n        {'b' * 25}, allow, c\n"


def test_a_condition_is_broken_in_its_parentheses_only() -> None:
    long = "supported(secondary.a_control_with_a_long_name)"
    flat = f"when {long} and {long} and not {long} {{\n  a = 1\n}}\n"
    assert formatted(flat) == flat
    assert formatted(f"when ({long} and {long} and not {long}) {{ a = 1 }}") == (
        f"when ({long}\n      and {long}\n      and not {long}) {{\n  a = 1\n}}\n"
    )


# --- style: comments -------------------------------------------------------------------------------------------


def test_a_comment_alone_is_indented_with_its_block() -> None:
    assert inside("        # a\nrequire a\n# b\n") == "# a\nrequire a\n# b"


def test_a_comment_behind_a_statement_stays_there_two_blanks_away() -> None:
    assert inside("require a#b") == "require a  #b"
    assert inside("require a; require b # b") == "require a\nrequire b  # b"
    assert inside("require a ; # a\n; # b") == "require a  # a\n# b"


def test_comments_behind_braces_stay_there() -> None:
    text = "primary {  # a\n  require a  # b\n}  # c\n"
    assert formatted(text) == text
    assert formatted("primary { # a\n }") == "primary {}  # a\n"


def test_comments_that_the_author_put_into_one_column_stay_in_one() -> None:
    assert inside("require aaa     # a\nrequire b       # b") == "require aaa  # a\nrequire b    # b"
    assert inside("require aaa # a\n\nrequire c\nrequire b   # b") == "require aaa  # a\n\nrequire c\nrequire b    # b"


def test_comments_in_different_columns_are_not_put_into_one() -> None:
    assert inside("require aaa  # a\nrequire b  # b") == "require aaa  # a\nrequire b  # b"


def test_comments_of_different_blocks_have_different_columns() -> None:
    text = "a {\n  require long_name  # a\n}\nb {\n  require x          # b\n}\n"
    assert formatted(text) == text.replace("x          #", "x  #")


def test_a_comment_next_to_a_column_joins_it() -> None:
    text = "require aaa  # a\nrequire b    # b\nrequire c # c\nrequire dddddd # d"
    assert inside(text) == ("require aaa     # a\nrequire b       # b\nrequire c       # c\nrequire dddddd  # d")


def test_a_comment_next_to_a_column_does_not_move_it_far() -> None:
    text = f"require aaa  # a\nrequire b    # b\nrequire {'c' * 20}  # c"
    assert inside(text) == text


def test_a_comment_continued_below_itself_stays_below_itself() -> None:
    assert inside("require a     # one\n              # two\n              # three\n\n              # four") == (
        "require a  # one\n           # two\n           # three\n\n# four"
    )


def test_comments_within_a_list_stay_where_they_are_and_keep_its_lines() -> None:
    text = "require a, b,  # first\n        # second\n        c,\n        d  # third"
    assert inside(text) == text
    assert inside("require a, b, # first\n\n # second\n c,\n d # third") == text


def test_a_comment_within_parentheses_stays_there() -> None:
    assert inside("x = (1 + # a\n2\n# b\n)") == "x = (1 +  # a\n     2\n     # b\n     )"


def test_a_list_with_a_comment_behind_it_keeps_its_lines() -> None:
    text = "require a,\n        b  # what b is for"
    assert inside(text) == text


def test_a_comment_that_directs_this_program_goes_on_speaking_of_the_same_lines() -> None:
    """Neither joined, so that it would speak of more, nor broken, so that it would speak of less."""
    directive = "# vmcsc: ignore[VMX3003] we know"
    for text in (
        f"require {'a' * 50}, {'b' * 50}  {directive}",
        f"{directive}\n# more\nrequire {'a' * 50}, {'b' * 50}",
        f"{directive}\nrequire a,\n        b",
        f"require a,  {directive}\n        b",
        f"when (a\n      and b) {{  {directive}\n  c = 1\n}}",
    ):
        assert inside(text) == text
