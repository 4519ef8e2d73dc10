"""Comments behind code: which share a column, and that the columns are settled at once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vmcsc.syntax.comments import GAP, Line, render

WIDTHS = st.integers(0, 30)
LINES = st.lists(
    st.tuples(WIDTHS, st.one_of(st.none(), st.integers(0, 45)), st.integers(0, 1)).map(
        lambda drawn: Line(0, "x" * drawn[0], "#" if drawn[1] is not None else "", drawn[1], drawn[2])
    ),
    max_size=12,
)


def columns(text: str) -> list[int]:
    return [line.find("#") for line in text.split("\n")[:-1]]


def again(lines: list[Line], text: str) -> list[Line]:
    """The lines as they are read from the result."""
    return [
        Line(line.indent, line.code, line.comment, None if line.column is None else column, line.scope)
        for line, column in zip(lines, columns(text), strict=True)
    ]


@settings(max_examples=500)
@given(LINES)
def test_the_columns_are_settled_at_once(lines: list[Line]) -> None:
    text = render(lines)
    assert render(again(lines, text)) == text


@given(LINES)
def test_comments_of_one_column_stay_in_one_behind_the_longest_of_their_lines(lines: list[Line]) -> None:
    found = columns(render(lines))
    for line, column in zip(lines, found, strict=True):
        if line.column is None:
            continue
        together = [
            (other, at) for other, at in zip(lines, found, strict=True)
            if other.column is not None and other.scope == line.scope
        ]  # fmt: skip
        assert {at for other, at in together if other.column == line.column} == {column}
        assert column == max((len(other.code) + GAP if other.code else 0) for other, at in together if at == column)


def test_a_comment_that_stands_alone_is_where_its_line_begins() -> None:
    assert render([Line(4, comment="# a"), Line(), Line(2, "x", "# b", 9)]) == "    # a\n\n  x  # b\n"


def test_a_comment_joins_the_column_above_before_the_one_below() -> None:
    codes = [("aaaa", 9), ("aaaa", 9), ("b", 4), ("cc", 7), ("cc", 7)]
    lines = [Line(0, code, "#", column) for code, column in codes]
    assert columns(render(lines)) == [6, 6, 6, 4, 4]
