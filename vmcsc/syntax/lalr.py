"""Runs the parse table over a piece of text and has the nodes built. What does not fit is left to Lark to explain.

A node stands where its first and last token stand, as in Lark's trees: those of an operand in parentheses are counted
for the operator around it, and not for the operand.
"""

from __future__ import annotations

from typing import Any

from vmcsc.syntax.grammar import Grammar


class Mistake(Exception):
    """The text does not fit the grammar, or perhaps only in a way that Lark knows."""


class Token(str):
    """A token's text, and where it stands."""

    __slots__ = ("end_pos", "start_pos")
    start_pos: int
    end_pos: int


class Place:
    """Where a node stands; None where it has no tokens."""

    __slots__ = ("end_pos", "start_pos")

    def __init__(self, start_pos: int | None, end_pos: int | None) -> None:
        self.start_pos = start_pos
        self.end_pos = end_pos


class _Entry:
    """A symbol on the stack: its value, its place with parentheses around it, and the height of its tree."""

    __slots__ = ("end", "height", "start", "value")

    def __init__(self, value: Any, start: int | None, end: int | None, height: int) -> None:
        self.value = value
        self.start = start
        self.end = end
        self.height = height


def parse(grammar: Grammar, text: str, start: int, end: int, rule: str, builder: Any) -> tuple[Any, int]:
    """What the builder makes of `text[start:end]`, which is to be a `rule`, and how high the tree is."""
    states = [grammar.starts[rule]]
    stack: list[_Entry] = []
    actions, words, symbols = grammar.actions, grammar.words, grammar.symbols
    scan = grammar.tokens.scanner(text, start, end).match  # type: ignore[attr-defined]  # not in its stub
    place = start
    while place < end:
        match = scan()
        if match is None:
            raise Mistake
        kind, place = match.lastgroup, match.end()
        if kind == "_":
            continue
        token = Token(match.group())
        token.start_pos, token.end_pos = match.start(), place
        if kind is None:
            kind = symbols[token]
        elif token in words and words[token] in actions[states[-1]]:
            kind = words[token]
        while True:
            action = actions[states[-1]].get(kind)
            if action is None:
                raise Mistake
            if action & 1:
                _reduce(grammar, action >> 1, states, stack, builder)
                continue
            states.append(action >> 1)
            stack.append(_Entry(token, token.start_pos, place, 0))
            break
    return _ended(grammar, grammar.ends[rule], states, stack, builder)


def _ended(grammar: Grammar, end: int, states: list[int], stack: list[_Entry], builder: Any) -> tuple[Any, int]:
    while True:
        action = grammar.actions[states[-1]].get("$END")
        if action is None:
            raise Mistake
        _reduce(grammar, action >> 1, states, stack, builder)
        if states[-1] == end:
            return stack[-1].value, stack[-1].height


def _reduce(grammar: Grammar, number: int, states: list[int], stack: list[_Entry], builder: Any) -> None:
    """Put what the rule makes of the topmost symbols in their place."""
    name, size, method, single, plan = grammar.rules[number]
    parts = stack[len(stack) - size :]
    del stack[len(stack) - size :], states[len(states) - size :]
    children: list[Any] = []
    height = 0
    for place in plan:
        if place >= 0:
            children.append(parts[place].value)
            height = max(height, parts[place].height)
        elif place == -1:
            children.append(None)
        else:
            children += parts[-2 - place].value
            height = max(height, parts[-2 - place].height)
    start = next((part.start for part in parts if part.start is not None), None)
    end = next((part.end for part in reversed(parts) if part.end is not None), None)
    if not method:
        value: Any = children
    elif single and len(children) == 1:
        value = children[0]
    else:
        value = getattr(builder, method)(Place(start, end), children)
        height += 1
    stack.append(_Entry(value, start, end, height))
    states.append(grammar.gotos[states[-1]][name])
