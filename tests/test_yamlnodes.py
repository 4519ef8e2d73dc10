"""YAML with positions: the core schema of YAML 1.2, and what is refused of the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vmcsc.source import Position, Source
from vmcsc.yamlnodes import MAX_DEPTH, MAX_NODES, YamlDocument, YamlError, read_yaml


def read(text: str) -> YamlDocument:
    return read_yaml(Source("t.yaml", text))


def refusal(text: str) -> YamlError:
    with pytest.raises(YamlError) as caught:
        read(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("31:0", "31:0"),  # YAML 1.1: 1860, base 60
        ("010", 10),  # YAML 1.1: 8
        ("0o10", 8),
        ("no", "no"),  # YAML 1.1: false
        ("on", "on"),
        ("y", "y"),
        ("1_000", "1_000"),  # YAML 1.1: 1000
        ("0b11", "0b11"),  # YAML 1.1: 3
        ("2026-11-25", "2026-11-25"),  # YAML 1.1: a date
        ("0xFFFFFFFFFFFFFFFF", 0xFFFF_FFFF_FFFF_FFFF),
        ("-7", -7),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("1.5", 1.5),
        ("'12'", "12"),
        ('"true"', "true"),
    ],
)
def test_a_plain_scalar_is_what_the_core_schema_of_yaml_1_2_says(text: str, value: object) -> None:
    found = read(f"key: {text}\n").value["key"]
    assert found == value
    assert type(found) is type(value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), 1 << 64) | st.text(alphabet=st.characters(codec="ascii")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner),
    max_leaves=12,
)


@given(_JSON)
def test_json_is_read_as_json(value: Any) -> None:
    assert read(json.dumps(value)).value == value


def test_json_indented_with_tabs_is_read() -> None:
    value = {"msrs": {"0x480": "0x1", "0x481": [1, 2]}}
    assert read(json.dumps(value, indent="\t")).value == value


@pytest.mark.parametrize("style", [True, False])
def test_block_and_flow_style_mean_what_pyyaml_takes_them_to_mean(style: bool) -> None:
    value = {"fields": [{"name": "a", "bits": [1, 2, {"deep": "x y"}]}, {}, []], "other": None}
    assert read(yaml.safe_dump(value, default_flow_style=style)).value == value


def test_every_value_and_key_has_its_place() -> None:
    document = read("fields:\n  - name: tsc_offset\n    bits: {at: 7, name: x}\n")
    assert document.span("fields", 0, "name").text == "tsc_offset"
    assert document.key_span("fields", 0, "bits").first == Position(3, 5)
    assert document.span("fields", 0, "bits").text == "{at: 7, name: x}"
    assert document.span("fields", 0, "bits", "at").first == Position(3, 16)


def test_a_path_that_is_not_there_has_the_place_of_what_is_around_it() -> None:
    document = read("a: {b: 1}\n")
    assert document.span("a", "c", 3).text == "{b: 1}"
    assert document.key_span("a", "c").text == "{b: 1}"


def test_a_key_stays_as_it_is_written() -> None:
    assert read("{0x480: 1, 1152: 2, '9': 3, true: 4}").value == {"0x480": 1, "1152": 2, "9": 3, "true": 4}


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        ("a: 1\nb: 2\na: 3\n", "twice", Position(3, 1)),
        ("a: &x 1\n", "anchors", Position(1, 4)),
        ("a: 1\nb: *x\n", "aliases", Position(2, 4)),
        ("a: !!python/object:os.system x\n", "tags", Position(1, 4)),
        ("a: !!str 1\n", "tags", Position(1, 4)),
        ("<<: {a: 1}\n", "merge", Position(1, 1)),
        ("a: 1\n---\nb: 2\n", "second document", Position(2, 1)),
        ("? [a]\n: 1\n", "key", Position(1, 3)),
        ("1.5: a\n", "key", Position(1, 1)),
        ("~: a\n", "key", Position(1, 1)),
        (f"a: {'9' * 41}\n", "40 digits", Position(1, 4)),
    ],
)
def test_what_is_outside_the_subset_is_refused_at_its_place(text: str, reason: str, place: Position) -> None:
    error = refusal(text)
    assert reason in error.reason
    assert error.span.first == place


def test_text_that_is_no_yaml_is_refused_at_its_place() -> None:
    error = refusal("a: 1\nb: [1, 2\nc: 3\n")
    assert error.span.first.line in (2, 3)
    assert error.reason


def test_nesting_is_allowed_to_the_limit_and_refused_beyond() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH).value is not None
    assert "deep" in refusal("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)).reason


def test_more_values_than_the_limit_are_refused() -> None:
    assert "more than" in refusal("[" + "1," * MAX_NODES + "]").reason


@given(st.text(alphabet=st.sampled_from("ab01:-[]{}&*!|>'\"#\n\t ,?%@`~\ufeff"), max_size=60))
def test_any_text_is_either_read_or_refused_with_a_place_in_it(text: str) -> None:
    try:
        read(text)
    except YamlError as error:
        assert error.reason
        assert 0 <= error.span.start <= len(text)
