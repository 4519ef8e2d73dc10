"""Texts, places in them, and which texts are not taken in at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmcsc.source import MAX_BYTES, Position, Source, UnreadableText, read_source, source_of_bytes


def refusal(data: bytes) -> UnreadableText:
    with pytest.raises(UnreadableText) as caught:
        source_of_bytes(data, "a.vmcs")
    return caught.value


@given(st.text(alphabet=st.sampled_from("a\té\U0001f600\r\n")), st.data())
def test_a_position_counts_newlines_and_the_code_points_since_the_last(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    before = text[:offset]
    expected = Position(before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
    assert Source("t", text).position(offset) == expected


@given(st.text(alphabet=st.sampled_from("ab\n")))
def test_the_lines_of_a_source_are_those_of_its_text(text: str) -> None:
    lines = text.split("\n")
    source = Source("t", text)
    assert [source.line(number) for number in range(1, len(lines) + 1)] == lines


def test_a_line_has_neither_its_line_feed_nor_its_carriage_return() -> None:
    source = Source("t", "first\r\nsecond\r\n")
    assert (source.line(1), source.line(2), source.line(3)) == ("first", "second", "")


def test_a_position_outside_the_text_is_the_nearest_one_inside() -> None:
    source = Source("t", "ab")
    assert source.position(-5) == Position(1, 1)
    assert source.position(99) == Position(1, 3)


def test_a_span_prints_as_name_line_and_column() -> None:
    source = Source("p/q.vmcs", "ab\ncd ef\n")
    span = source.span(6, 8)
    assert span.text == "ef"
    assert str(span) == "p/q.vmcs:2:4"
    assert span.last == Position(2, 6)


def test_two_spans_join_from_the_start_of_one_to_the_end_of_the_other() -> None:
    source = Source("t", "one two three")
    assert source.span(0, 3).to(source.span(8, 13)).text == "one two three"


def test_a_file_is_read_under_the_name_that_the_user_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.vmcs"
    path.write_text("policy ä {}\n", encoding="utf-8")
    source = read_source(path, "./a.vmcs")
    assert (source.name, source.text, source.path) == ("./a.vmcs", "policy ä {}\n", path)
    assert read_source(path).name == str(path)


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    assert source_of_bytes(b"\xef\xbb\xbfpolicy", "a").text == "policy"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "absent.vmcs", "no such file"),
        (lambda folder: folder, "not a regular file"),
        (lambda _: Path("/dev/zero"), "not a regular file"),
        (lambda folder: folder / "a\0b", "no such file"),
    ],
    ids=["absent", "folder", "device", "NUL in the path"],
)
def test_what_is_no_readable_regular_file_is_refused(tmp_path: Path, make: Callable[[Path], Path], reason: str) -> None:
    with pytest.raises(UnreadableText) as caught:
        read_source(make(tmp_path))
    assert reason in caught.value.reason
    assert caught.value.span is None


def test_the_largest_text_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"#" * MAX_BYTES)
    assert len(read_source(path).text) == MAX_BYTES
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(UnreadableText, match="larger than"):
        read_source(path)


def test_invalid_utf_8_is_refused_at_its_place() -> None:
    error = refusal("ä\nbc".encode() + b"\xff rest")
    assert "UTF-8" in error.reason
    assert error.span is not None
    assert error.span.first == Position(2, 3)


def test_invalid_utf_8_behind_a_byte_order_mark_is_refused_at_its_place() -> None:
    error = refusal(b"\xef\xbb\xbfa\nbc\xff rest")
    assert error.span is not None
    assert error.span.first == Position(2, 3)
    assert refusal(b"\xef\xbb\xbf\xff").span is not None


@pytest.mark.parametrize("character", ["\0", "\x07", "\x1b", "\x0b", "\x7f"])
def test_a_control_character_is_refused_and_named(character: str) -> None:
    error = refusal(f"ab{character}".encode())
    assert f"U+{ord(character):04X}" in error.reason
    assert error.span is not None
    assert error.span.first == Position(1, 3)


@pytest.mark.parametrize("character", [chr(n) for n in (0x202A, 0x202E, 0x2066, 0x2069, 0x200E, 0x200F, 0x061C)])
def test_a_character_that_turns_the_direction_of_text_is_refused(character: str) -> None:
    error = refusal(f"# ok\n{character}x".encode())
    assert f"U+{ord(character):04X}" in error.reason
    assert error.span is not None
    assert error.span.first == Position(2, 1)


@given(st.binary(max_size=64))
def test_any_bytes_are_either_read_or_refused(data: bytes) -> None:
    try:
        source = source_of_bytes(data, "t")
    except UnreadableText as error:
        assert error.reason
    else:
        assert source.text.encode() in (data, data.removeprefix(b"\xef\xbb\xbf"))
