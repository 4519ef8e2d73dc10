"""Mutants of the rules: each differs from a rule in one operator, constant or bit position of its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bits, Rule
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind, bind_condition
from vmcsc.expression.rules import BoundArea, BoundRule, rule_scope
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression

_TOKEN = re.compile(
    r"(?P<number>0x[0-9a-fA-F]+|\d+)|(?P<name>[a-z_]\w*(?:\.[a-z_]\w*)*)"
    r"|(?P<operator>not\s+in|==|!=|<=|>=|<<|>>|\.\.|[<>&|^~+*()\[\],-])"
)

OPERATORS: Mapping[str, tuple[str, ...]] = {
    "==": ("!=", "<=", ">="),
    "!=": ("==",),
    "<=": ("<", ">="),
    ">=": (">", "<="),
    "<": ("<=", ">"),
    ">": (">=", "<"),
    "&": ("|", "^"),
    "|": ("&", "^"),
    "^": ("&", "|"),
    "~": ("",),
    "+": ("-",),
    "-": ("+",),
    "*": ("+",),
    "<<": (">>",),
    ">>": ("<<",),
    "and": ("or",),
    "or": ("and",),
    "not": ("",),
    "in": ("not in",),
    "not in": ("in",),
}
"""What an operator is replaced by. Of `x == 0` the mutant `x <= 0` is left out: unsigned numbers are not below 0."""

FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "must_be_1": ("may_be_1",),
    "may_be_1": ("must_be_1",),
    "supported": ("forced",),
    "fits": ("sign_extended",),
    "sign_extended": ("fits",),
}
"""What a function that is built in is replaced by."""


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    slice: bool = False

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class Mutant:
    """A rule with one edit in a part of it: `when`, `require`, `address`, `count`, or a function that it calls."""

    rule: str
    part: str
    text: str
    edit: str
    bound: BoundRule

    @property
    def name(self) -> str:
        return f"{self.rule} {self.part} {self.edit}"


def tokens(text: str) -> list[Token]:
    """Tokens of an expression; numbers within a bit slice are marked."""
    found: list[Token] = []
    depth: list[bool] = []
    for match in _TOKEN.finditer(text):
        kind, token = str(match.lastgroup), match.group()
        if kind == "name" and token in ("and", "or", "not", "in"):
            kind = "operator"
        if token == "]":
            depth.pop()
        found.append(Token(kind, token, match.start(), bool(depth) and depth[-1]))
        if token == "[":
            before = found[-2] if len(found) > 1 else found[-1]
            depth.append(before.kind == "name" or before.text in (")", "]"))
    return found


def constants(value: int) -> list[int]:
    """Other constants than this: one more, one less, and each with one bit flipped."""
    width = 64 if value > 0xFFFF else value.bit_length() + 1
    near = {value + 1, value - 1, *(value ^ 1 << bit for bit in range(width))}
    return sorted(number for number in near - {value} if number >= 0)


class Mutator:
    """Makes the mutants of bound rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mutants(self, bound: BoundRule, chosen: Callable[[], bool] = lambda: True) -> Iterator[Mutant]:
        """Every mutant that has a meaning, if `chosen`; an edit after which the widths disagree is none."""
        named = self._values(bound)
        for part, text, rebuild in self._parts(bound):
            for edit, mutated in self._edits(bound.rule, text, named):
                again = rebuild(mutated) if chosen() else None
                if again is not None:
                    yield Mutant(bound.rule.id, part, mutated, edit, again)

    def _parts(self, bound: BoundRule) -> Iterator[tuple[str, str, Callable[[str], BoundRule | None]]]:
        rule, area = bound.rule, bound.area
        if rule.when is not None:
            yield "when", rule.when, lambda text: self._with_condition(bound, text, when=True)
        yield "require", rule.require, lambda text: self._with_condition(bound, text, when=False)
        if area is not None:
            yield "address", area.area.address, lambda text: self._with_area(bound, area, text, address=True)
            yield "count", area.area.count, lambda text: self._with_area(bound, area, text, address=False)
        for name in sorted(self._called(f"{rule.when} {rule.require}")):
            body = self._database.functions[name].body
            yield f"function {name}", body, lambda text, name=name: self._with_function(bound, name, text)  # type: ignore[misc]

    def _called(self, text: str) -> set[str]:
        """The functions of the specs that an expression calls, and those that these call."""
        own = {token.text for token in tokens(text) if token.text in self._database.functions}
        return own.union(*(self._called(self._database.functions[name].body) for name in own))

    def _with_condition(self, bound: BoundRule, text: str, *, when: bool) -> BoundRule | None:
        condition = self._condition(text, bound.rule, self._database)
        if condition is None:
            return None
        return replace(bound, when=condition) if when else replace(bound, require=condition)

    def _with_area(self, bound: BoundRule, area: BoundArea, text: str, *, address: bool) -> BoundRule | None:
        diagnostics = Diagnostics()
        parsed = parse_expression(Source("<mutant>", text), diagnostics)
        scope = rule_scope(self._database, replace(bound.rule, each=None))
        node = None if parsed is None else bind(parsed, 64 if address else 32, scope, diagnostics)
        if node is None:
            return None
        return replace(bound, area=replace(area, address=node) if address else replace(area, count=node))

    def _with_function(self, bound: BoundRule, name: str, text: str) -> BoundRule | None:
        functions = {**self._database.functions, name: replace(self._database.functions[name], body=text)}
        database = replace(self._database, functions=functions)
        rule = bound.rule
        when = bound.when if rule.when is None else self._condition(rule.when, rule, database)
        require = self._condition(rule.require, rule, database)
        return None if when is None or require is None else replace(bound, when=when, require=require)

    @staticmethod
    def _condition(text: str, rule: Rule, database: Database) -> nodes.Node | None:
        diagnostics = Diagnostics()
        parsed = parse_expression(Source("<mutant>", text), diagnostics)
        return None if parsed is None else bind_condition(parsed, rule_scope(database, rule), diagnostics)

    @staticmethod
    def _values(bound: BoundRule) -> Mapping[str, int]:
        """The names of values that the rule may compare with."""
        return {name: number for leaf in bound.leaves() for name, number in leaf.values.items()}

    def _edits(self, rule: Rule, text: str, named: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """Each edit of the text in words, and the text after it."""
        found = tokens(text)
        for position, token in enumerate(found):
            for other in self._others(rule, found, position, named):
                mutated = text[: token.start] + other + text[token.end :]
                yield f"{_around(found, position)} -> {other or 'nothing'}", mutated
        yield from _shifted_slices(text, found)

    def _others(self, rule: Rule, found: list[Token], position: int, named: Mapping[str, int]) -> Iterator[str]:
        """What may stand in the place of a token."""
        token = found[position]
        if token.kind == "operator":
            after = found[position + 1] if position + 1 < len(found) else token
            zero = after.text == "0" or named.get(after.text, 1) == 0
            yield from (other for other in OPERATORS.get(token.text, ()) if not (zero and other == "<="))
        elif token.kind == "number" and token.slice:
            yield from (str(number) for number in (int(token.text) + 1, int(token.text) - 1) if number >= 0)
        elif token.kind == "number":
            yield from (str(number) for number in constants(int(token.text, 0)))
        elif token.text in FUNCTIONS:
            yield from FUNCTIONS[token.text]
        elif token.text in named:
            yield from (str(number) for number in constants(named[token.text]))
        elif "." in token.text:
            yield from self._neighbours(rule, *token.text.split(".", 1))

    def _neighbours(self, rule: Rule, head: str, name: str) -> Iterator[str]:
        """The bits above and below the named ones, by name."""
        database = self._database
        if head in database.words:
            names = [control.name for control in database.words[head].controls]
        else:
            named: tuple[Bits, ...] = ()
            if head in database.msr_names:
                named = database.msr_names[head].bits
            elif head in database.fields and (layout := database.layout_of(database.fields[head])):
                named = layout.bits
            elif rule.each is not None and head == rule.each[0]:
                named = database.layouts[database.areas[rule.each[1]].layout].bits
            names = [bits.name for bits in sorted(named, key=lambda bits: bits.low)]
        if name in names:
            place = names.index(name)
            yield from (f"{head}.{names[near]}" for near in (place - 1, place + 1) if 0 <= near < len(names))


def _around(found: list[Token], position: int) -> str:
    """A token among its neighbours, so that one sees which it is."""
    before = " ".join(token.text for token in found[max(0, position - 3) : position])
    after = " ".join(token.text for token in found[position + 1 : position + 4])
    return f"{before} <{found[position].text}> {after}".strip()


def _shifted_slices(text: str, found: list[Token]) -> Iterator[tuple[str, str]]:
    """Bit slices moved up or down by one bit."""
    for match in re.finditer(r"\[(\d+):(\d+)\]", text):
        high, low = int(match[1]), int(match[2])
        for step in (1, -1):
            if low + step >= 0:
                moved = f"[{high + step}:{low + step}]"
                yield f"<{match[0]}> at {match.start()} -> {moved}", text[: match.start()] + moved + text[match.end() :]
