"""Where statements and blocks begin and end, whatever they say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics
from vmcsc.source import Source
from vmcsc.syntax.shape import MAX_DEPTH, STARTERS, Chunk, shape_of

Outline = list["str | tuple[str, Outline]"]


def outline(text: str) -> Outline:
    """The statements of `text` as strings, its blocks as (header, content); there must be no findings."""
    diagnostics = Diagnostics()
    shape = shape_of(Source("t", text), diagnostics)
    assert not diagnostics.found, diagnostics.found
    return _outline(text, shape.chunks)


def _outline(text: str, chunks: list[Chunk]) -> Outline:
    found: Outline = []
    for chunk in chunks:
        own = text[chunk.start : chunk.end]
        found.append(own if chunk.children is None else (own, _outline(text, chunk.children)))
    return found


def findings(text: str) -> list[tuple[str, str]]:
    """The name of each finding's code and the text it points at."""
    names = {code.id: code.name for code in codes.ALL}
    diagnostics = Diagnostics()
    shape_of(Source("t", text), diagnostics)
    return [(names[d.code], "" if d.span is None else d.span.text) for d in diagnostics]


def test_a_newline_ends_a_statement() -> None:
    assert outline("require a\nforbid b\n") == ["require a", "forbid b"]


def test_a_semicolon_ends_a_statement() -> None:
    assert outline("require a; forbid b;; allow c;") == ["require a", "forbid b", "allow c"]


def test_a_closing_brace_ends_a_statement() -> None:
    assert outline("primary { require a }") == [("primary", ["require a"])]


def test_blocks_nest_and_siblings_follow() -> None:
    text = "policy p { when x { primary { require a; forbid b } }\nvm_exit { } }"
    assert outline(text) == [("policy p", [("when x", [("primary", ["require a", "forbid b"])]), ("vm_exit", [])])]


def test_a_statement_goes_on_behind_a_comma() -> None:
    assert outline("require a,\n  b,   # why\n\n  c\nforbid d") == ["require a,\n  b,   # why\n\n  c", "forbid d"]


def test_a_statement_goes_on_inside_parentheses_and_brackets() -> None:
    assert outline("x = (1 +\n 2)\ny = 3") == ["x = (1 +\n 2)", "y = 3"]
    assert outline("x = a in [1\n 2]\ny = 3") == ["x = a in [1\n 2]", "y = 3"]


def test_a_word_that_begins_statements_ends_what_a_comma_or_parenthesis_left_open() -> None:
    for starter in sorted(STARTERS):
        assert outline(f"require a,\n{starter} b") == ["require a,", f"{starter} b"]
        assert outline(f"x = (1 +\n{starter} b") == ["x = (1 +", f"{starter} b"]


def test_an_assignment_on_the_next_line_ends_what_a_comma_or_parenthesis_left_open() -> None:
    assert outline("require a,\ntsc_offset = 1") == ["require a,", "tsc_offset = 1"]
    assert outline("x = (1 +\nmsr.bits=1") == ["x = (1 +", "msr.bits=1"]


def test_a_block_on_the_next_line_ends_what_a_parenthesis_left_open_but_not_what_a_comma_did() -> None:
    assert outline("x = (1 +\nio { a }") == ["x = (1 +", ("io", ["a"])]
    assert outline("x = (1 +\n io + 2)") == ["x = (1 +\n io + 2)"]
    assert outline("policy p extends a,\n b { c }") == [("policy p extends a,\n b", ["c"])]


def test_a_comparison_on_the_next_line_ends_nothing() -> None:
    assert outline("expect no exit,\n a == 1,\n b<=2") == ["expect no exit,\n a == 1,\n b<=2"]


def test_a_word_that_begins_statements_ends_nothing_on_the_same_line() -> None:
    assert outline("intercept page_fault when a,\n  b when c") == ["intercept page_fault when a,\n  b when c"]
    assert outline("x = param x : u64") == ["x = param x : u64"]


def test_a_word_that_only_begins_like_a_starter_ends_nothing() -> None:
    assert outline("require a,\nrequired") == ["require a,\nrequired"]


def test_a_surplus_parenthesis_does_not_swallow_the_next_statement() -> None:
    assert outline("x 1)\ny (2\n)\nz 3") == ["x 1)", "y (2\n)", "z 3"]


def test_a_semicolon_or_brace_ends_a_statement_inside_parentheses_too() -> None:
    assert outline("b { x = (1 +; y = 2 }") == [("b", ["x = (1 +", "y = 2"])]


def test_marks_inside_strings_and_comments_are_text() -> None:
    text = 'summary "a; b } { # c"\n# a comment; } {\nrequire a # ; }\n'
    assert outline(text) == ['summary "a; b } { # c"', "require a"]


def test_an_escaped_quote_does_not_end_a_string() -> None:
    assert outline(r'summary "a \" } b"; x = 1') == [r'summary "a \" } b"', "x = 1"]


def test_comments_are_recorded_where_they_stand() -> None:
    text = '# one\nrequire a # two\nsummary "# no"\n#three'
    shape = shape_of(Source("t", text), Diagnostics())
    assert [span.text for span in shape.comments] == ["# one", "# two", "#three"]


def test_a_block_records_where_its_brace_closes() -> None:
    text = "a { b }  "
    (block,) = shape_of(Source("t", text), Diagnostics()).chunks
    assert text[: block.close] == "a { b }"


def test_a_carriage_return_belongs_to_no_statement() -> None:
    assert outline("require a\r\nforbid b\r\n") == ["require a", "forbid b"]


def test_blocks_that_are_never_closed_are_one_finding_at_the_innermost() -> None:
    assert findings("policy p {\n primary {\n require a\n") == [("unclosed-block", "primary")]


def test_an_unclosed_block_keeps_what_stands_in_it() -> None:
    (block,) = shape_of(Source("t", "primary { require a"), Diagnostics()).chunks
    assert block.children is not None
    assert len(block.children) == 1


def test_each_surplus_closing_brace_is_one_finding() -> None:
    assert findings("a { } } }") == [("unexpected-brace", "}")] * 2


def test_what_follows_a_surplus_brace_is_still_split() -> None:
    diagnostics = Diagnostics()
    text = "a { }\n}\nb { c }"
    chunks = shape_of(Source("t", text), diagnostics).chunks
    assert _outline(text, chunks) == [("a", []), ("b", ["c"])]


def test_a_block_without_a_name_is_one_finding() -> None:
    assert findings("a { { x } }") == [("unexpected-brace", "{")]


def test_a_string_without_an_end_is_one_finding_and_ends_with_its_line() -> None:
    assert findings('summary "abc ; }\nrequire a') == [("unterminated-string", '"abc ; }')]


def test_blocks_nest_to_the_limit_and_no_deeper() -> None:
    assert findings("a {" * MAX_DEPTH + "}" * MAX_DEPTH) == []
    assert findings("a {" * (MAX_DEPTH + 9) + "}" * (MAX_DEPTH + 9)) == [("nested-too-deep", "{")]


@given(st.text(alphabet=st.sampled_from('a ,;{}()[]"\\#\n\r'), max_size=80))
def test_chunks_are_in_order_do_not_overlap_and_lose_no_text(text: str) -> None:
    shape = shape_of(Source("t", text), Diagnostics())
    spans = [(span.start, span.end) for span in shape.comments]
    pending = list(shape.chunks)
    while pending:
        chunk = pending.pop()
        assert 0 <= chunk.start < chunk.end <= len(text)
        spans.append((chunk.start, chunk.end))
        for child in chunk.children or ():
            assert chunk.start < child.start
            assert child.end <= chunk.close
            pending.append(child)
    covered = {offset for start, end in spans for offset in range(start, end)}
    left = {text[offset] for offset in range(len(text)) if offset not in covered}
    assert left <= set(" \r\n;{}")
