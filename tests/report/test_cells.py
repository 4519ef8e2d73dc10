"""What a terminal shows of a text, and how wide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vmcsc.report.cells import cells, visible, width


def test_printable_text_is_shown_as_it_is() -> None:
    assert visible("require hlt_exiting — 漢字 é") == "require hlt_exiting — 漢字 é"


def test_escape_sequences_are_shown_and_never_sent() -> None:
    assert visible("\x1b[31mred\x1b[0m") == r"\x1b[31mred\x1b[0m"
    assert visible("\x9b31m") == r"\x9b31m"  # the one-byte CSI of 8-bit terminals
    assert visible("a\rb\nc\x07") == r"a\rb\nc\x07"


def test_characters_that_turn_the_direction_or_hide_are_shown_as_escapes() -> None:
    assert visible("\u202edesrever\u200b") == r"\u202edesrever\u200b"


def test_bytes_of_a_path_that_are_not_utf_8_are_shown_as_escapes() -> None:
    assert visible(b"caf\xe9.vmcs".decode("utf-8", "surrogateescape")) == r"caf\udce9.vmcs"


@given(st.text())
def test_nothing_visible_is_unprintable(text: str) -> None:
    assert visible(text).isprintable()


def test_wide_characters_take_two_columns_and_combining_marks_none() -> None:
    assert width("abc") == 3
    assert width("漢字") == 4
    assert width("e\N{COMBINING ACUTE ACCENT}") == 1


def test_a_tab_fills_up_to_the_next_stop() -> None:
    assert cells("\ta\tb") == ["    ", "a", "   ", "b"]
    assert cells("漢\tb") == ["漢", "  ", "b"]


@given(st.text(alphabet=st.characters(exclude_characters="\n")))
def test_there_is_one_cell_for_each_character(line: str) -> None:
    assert len(cells(line)) == len(line)
