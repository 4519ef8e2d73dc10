"""The parse table of `policy.lark` as plain values, which JSON can keep: made by Lark once, and read by `lalr.py`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vmcsc.cache import Cache, digest

if TYPE_CHECKING:
    from lark import Lark

STARTS = ("header", "statement", "scenario_statement", "expression")
_PATH = os.path.join(os.path.dirname(__file__), "policy.lark")


class Grammar:
    """What `lalr.py` runs on.

    `actions` has for each state what a terminal does: 2 * n shifts to state n, 2 * n + 1 reduces by rule n. `rules` are
    (name, size, method of the builder, whether a single child stands for the node, plan): `plan` lists the children
    that the method gets, -1 for None, and -2 - n for all that are in child n.
    """

    def __init__(self, raw: dict[str, Any]) -> None:
        self.starts: dict[str, int] = raw["starts"]
        self.ends: dict[str, int] = raw["ends"]
        self.actions: Sequence[dict[str, int]] = raw["actions"]
        self.gotos: Sequence[dict[str, int]] = raw["gotos"]
        self.rules: Sequence[tuple[str, int, str, bool, Sequence[int]]] = raw["rules"]
        self.words: dict[str, str] = raw["words"]
        """Keywords by their text: where one cannot stand, the text is a name."""
        self.symbols: dict[str, str] = raw["symbols"]
        self.tokens = re.compile(raw["tokens"])
        """One token at a place; the group is the terminal, none for a symbol, `_` for what is ignored."""


class _Loaded:
    """The grammar of this process, and where it is kept for the next one."""

    grammar: Grammar | None = None
    cache: Cache | None = None


def keep_grammar(cache: Cache | None) -> None:
    """From now on take the parse table from `cache`, and put it there once it is made."""
    _Loaded.cache = cache


def grammar() -> Grammar:
    """The grammar of the policy language."""
    if _Loaded.grammar is None:
        _Loaded.grammar = Grammar(_raw(_Loaded.cache))
    return _Loaded.grammar


def _raw(cache: Cache | None) -> dict[str, Any]:
    text = _text()
    kept: dict[str, Any] | None = None if cache is None else cache.get("grammar", digest(text))
    if kept is not None:
        return kept
    made = table_of(lark())
    if cache is not None:
        cache.put("grammar", digest(text), made)
    return made


def _text() -> str:
    with open(_PATH, encoding="utf-8") as stream:
        return stream.read()


def lark() -> Lark:
    """Lark's own parser: it makes the table, and words what does not fit the grammar."""
    if _lark:
        return _lark[0]
    from lark import Lark  # 50 ms, so only where there is no table yet, or a mistake to explain

    _lark.append(Lark(_text(), parser="lalr", start=list(STARTS), propagate_positions=True, maybe_placeholders=True))
    return _lark[0]


_lark: list[Lark] = []


def table_of(parser: Lark) -> dict[str, Any]:
    """The table of a parser in the form of `Grammar`."""
    table = parser.parser.parser._parse_table
    numbers = {rule: number for number, rule in enumerate(parser.rules)}
    actions: list[dict[str, int]] = []
    gotos: list[dict[str, int]] = []
    nonterminals = {rule.origin.name for rule in parser.rules}
    for state in range(len(table.states)):
        entries = table.states[state].items()
        gotos.append({name: target for name, (_, target) in entries if name in nonterminals})
        terminals = ((name, action.name, target) for name, (action, target) in entries if name not in nonterminals)
        actions.append({n: 2 * to if kind == "Shift" else 2 * numbers[to] + 1 for n, kind, to in terminals})
    literals = {t.name: t.pattern.value for t in parser.terminals if type(t.pattern).__name__ == "PatternStr"}
    patterns = {t.name: t.pattern.to_regexp() for t in parser.terminals if t.name not in literals}
    words = {text: name for name, text in literals.items() if re.fullmatch(patterns["NAME"], text)}
    symbols = {text: name for name, text in literals.items() if text not in words}
    return {
        "starts": dict(table.start_states),
        "ends": dict(table.end_states),
        "actions": actions,
        "gotos": gotos,
        "rules": [_rule(rule) for rule in parser.rules],
        "words": words,
        "symbols": symbols,
        "tokens": "|".join(_tokens(patterns, symbols, set(parser.ignore_tokens))),
    }


def _rule(rule: Any) -> tuple[str, int, str, bool, list[int]]:
    """One rule, with Lark's way of leaving out punctuation and of putting None where something optional is not."""
    options = rule.options
    plan: list[int] = []
    place = 0
    for empty in options.empty_indices or [False] * len(rule.expansion):
        if empty:
            plan.append(-1)
            continue
        symbol = rule.expansion[place]
        if options.keep_all_tokens or not (symbol.is_term and symbol.filter_out):
            plan.append(-2 - place if not symbol.is_term and symbol.name.startswith("_") else place)
        place += 1
    name = rule.origin.name
    method = "" if name.startswith("_") else rule.alias or name
    return name, len(rule.expansion), method, bool(options.expand1 and not rule.alias), plan


def _tokens(patterns: dict[str, str], symbols: dict[str, str], ignored: set[str]) -> Iterator[str]:
    """Alternatives of which at most one matches at a place, but for symbols: the longest of them stands first."""
    yield f"(?P<_>{'|'.join(f'(?:{pattern})' for name, pattern in patterns.items() if name in ignored)})"
    yield from (f"(?P<{name}>{pattern})" for name, pattern in patterns.items() if name not in ignored)
    yield from (re.escape(text) for text in sorted(symbols, key=len, reverse=True))
