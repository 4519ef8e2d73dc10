"""Tables: however narrow, nothing of a cell is lost; however wide the cells, only a terminal makes them wrap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vmcsc.cli.table import table
from vmcsc.report.cells import visible, width

texts = st.text(st.sampled_from("ab_ .,[]/\\:0x世\x1b\n"), max_size=40)
rows = st.lists(st.tuples(texts, texts, texts), max_size=5)


def characters(text: str) -> list[str]:
    return sorted(character for character in text if not character.isspace())


@given(rows, st.integers(40, 130), st.sets(st.integers(0, 2)))
def test_nothing_is_lost_and_no_line_is_longer_than_the_terminal(
    cells: list[tuple[str, str, str]], columns: int, wrap: set[int]
) -> None:
    text = table(("one", "two", "three"), cells, width=columns, color=False, wrap=sorted(wrap) or (-1,))
    shown = "".join(visible(cell) for row in (("one", "two", "three"), *cells) for cell in row)
    assert characters(text) == characters(shown)
    assert all(width(line) <= columns for line in text.splitlines())


@given(rows)
def test_nothing_is_wrapped_where_there_is_no_terminal(cells: list[tuple[str, str, str]]) -> None:
    assert table(("one", "two", "three"), cells, width=None, color=False).count("\n") == len(cells) + 1


def test_the_columns_that_may_wrap_do_and_the_others_stay_whole() -> None:
    text = table(("name", "what"), [("a_name_of_18_chars", "word " * 20)], width=50, color=False)
    assert text.splitlines()[1].startswith("a_name_of_18_chars  word word")
    assert len(text.splitlines()) > 3


def test_colour_changes_nothing_but_the_heading() -> None:
    plain, colored = (table(("a", "b"), [("[red]x", "y")], width=None, color=color) for color in (False, True))
    assert colored.splitlines()[1:] == plain.splitlines()[1:]
    assert "\x1b[1m" in colored
