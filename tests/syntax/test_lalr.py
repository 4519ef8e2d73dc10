"""Our driver of the parse table makes of every text what Lark makes of it, and leaves to Lark what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.syntax.policy_writer import PolicyWriter
from vmcsc.architecture.database import Database
from vmcsc.cache import Cache
from vmcsc.diagnostic import Diagnostics
from vmcsc.source import Source
from vmcsc.syntax import grammar as grammar_module
from vmcsc.syntax import lalr
from vmcsc.syntax.builder import Builder
from vmcsc.syntax.grammar import STARTS, Grammar, grammar, lark, table_of
from vmcsc.syntax.parser import _Parser, parse_expression, parse_policy_file
from vmcsc.syntax.shape import Chunk

SHIPPED = sorted((Path(__file__).parent.parent.parent / "specs" / "policies").glob("*.vmcs"))
WORDS = [
    "require", "prefer", "when", "state", "guest", "on", "cpu", "exit", "in", "not", "and", "or", "param", "extends",
    "policy", "intercept", "pass", "all", "read", "expect", "no", "memory", "resume", "override", "a", "b.c", "1",
    "0x1F", "2z", "1_000", '"text"', "(", ")", "[", "]", ",", ":", "..", ".", "=", "==", "<", "<<", "<=", "~", "-", "+",
    "*", "&", "|", "^", "#c\n", "\n", " ", "cpu0", "exitx", "$", "é",
]  # fmt: skip


class OnlyLark(_Parser):
    """The parser as if our driver did not exist."""

    def parse(self, rule: str, chunk: Chunk) -> Any:
        return self._with_lark(rule, chunk)


def in_both_ways(rule: str, text: str) -> None:
    source = Source("t", text)
    outcomes = []
    for parser in (_Parser, OnlyLark):
        diagnostics = Diagnostics()
        node = parser(source, diagnostics).parse(rule, Chunk(0, len(text)))
        outcomes.append((node, diagnostics.found))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_policies_come_to_the_same_nodes_at_the_same_places(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(path.name, path.read_text(encoding="utf-8"))
    ours = parse_policy_file(source, Diagnostics())
    monkeypatch.setattr(_Parser, "parse", OnlyLark.parse)
    assert ours == parse_policy_file(source, Diagnostics())


@pytest.mark.parametrize("seed", range(40))
def test_random_policies_come_to_the_same_nodes_at_the_same_places(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source("t", PolicyWriter(Random(seed)).text())
    ours = parse_policy_file(source, Diagnostics())
    monkeypatch.setattr(_Parser, "parse", OnlyLark.parse)
    assert ours == parse_policy_file(source, Diagnostics())


def test_the_expressions_of_the_specs_come_to_the_same_nodes(database: Database) -> None:
    for rule in database.rules[::7]:
        for text in (rule.when, rule.require):
            if text is not None:
                in_both_ways("expression", text)


@given(st.sampled_from(STARTS), st.lists(st.sampled_from(WORDS), max_size=12), st.sampled_from(["", " "]))
@settings(deadline=None, max_examples=1500)
def test_words_in_any_order_come_to_the_same_node_or_the_same_finding(
    rule: str, words: list[str], between: str
) -> None:
    in_both_ways(rule, between.join(words))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("header", "on cpu0"),  # Lark takes the keyword without a space behind it where no name can stand
        ("expression", "(a) + (b)"),
        ("expression", "((a))[3:1]"),
        ("expression", "a in [1, 2..3, (b)]"),
        ("expression", "~-~a not in [in]"),
        ("expression", "f()"),
        ("expression", "0x10000000000000000 + $"),
        ("expression", "0x10000000000000000 + 5z"),
        ("expression", "(" * 70 + "a" + ")" * 70),
        ("expression", "-" * 70 + "a"),
        ("expression", ""),
        ("statement", "intercept read write 1..2, fs_base when a == 1"),
        ("scenario_statement", "in al, [0x60]"),
        ("scenario_statement", "expect no exit, exit hlt where a == 1, b"),
    ],
)
def test_corners_come_to_the_same_node_or_the_same_finding(rule: str, text: str) -> None:
    in_both_ways(rule, text)


def test_what_fits_is_parsed_without_lark(monkeypatch: pytest.MonkeyPatch) -> None:
    grammar()
    monkeypatch.setattr("vmcsc.syntax.parser.lark", None)
    assert parse_expression(Source("t", "a and (b or c) == 0x3"), Diagnostics()) is not None


def test_what_does_not_fit_is_a_mistake_for_lark_to_explain() -> None:
    for text in ("a +", "a b", "$", '"'):
        with pytest.raises(lalr.Mistake):
            lalr.parse(grammar(), text, 0, len(text), "expression", Builder(Source("t", text)))


def test_the_table_goes_to_json_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmcsc.cache.SETTLED", -1e9)
    cache = Cache(str(tmp_path / "vmcsc"))
    made = grammar_module._raw(cache)
    monkeypatch.setattr(grammar_module, "lark", None)
    kept = grammar_module._raw(Cache(str(tmp_path / "vmcsc")))
    assert kept == json.loads(json.dumps(made)) == json.loads(json.dumps(table_of(lark())))
    source = Source("t", "x & 1 == 0 and f(y, 2)")
    nodes = [
        lalr.parse(Grammar(raw), source.text, 0, len(source.text), "expression", Builder(source))[0]
        for raw in (made, kept)
    ]
    assert nodes[0] == nodes[1]
