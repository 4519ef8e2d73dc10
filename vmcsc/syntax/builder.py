"""Our nodes for what the parser finds in one statement. One method for each alternative of `policy.lark`."""

from __future__ import annotations

import re
from typing import Any

from vmcsc.source import Source, Span
from vmcsc.syntax import tree
from vmcsc.syntax.lalr import Place as Meta
from vmcsc.syntax.lalr import Token


class BadNumber(Exception):
    """A word that begins like a number and is none."""

    def __init__(self, span: Span, reason: str) -> None:
        super().__init__(reason)
        self.span = span
        self.reason = reason


MAX_NUMBER = (1 << 64) - 1
_HEX_WITH_SUFFIX = re.compile(r"[0-9][0-9A-Fa-f]{0,15}[hH]")


def number_value(text: str, span: Span) -> int:
    """The value of a decimal, `0x` or `0b` number; `_` may group digits. Raises `BadNumber`."""
    digits = text.replace("_", "")
    prefix, base = (digits[:2].lower(), 0) if digits[:2].lower() in ("0x", "0b") else ("", 10)
    if text.endswith("_"):
        raise BadNumber(span, "is not a number: `_` stands between digits")
    if len(digits) > 80:
        raise BadNumber(span, "is not a number that fits 64 bits")
    try:
        value = int(digits, base)
    except ValueError:
        kinds = {"0x": "hexadecimal", "0b": "binary", "": "decimal"}
        hint = f"; hexadecimal is written `0x{digits[:-1]}`" if _HEX_WITH_SUFFIX.fullmatch(digits) else ""
        raise BadNumber(span, f"is not a {kinds[prefix]} number{hint}") from None
    if value > MAX_NUMBER:
        raise BadNumber(span, "does not fit 64 bits")
    return value


class Builder:
    """Gives each node the span of its text in `source`.

    `bad_number` is the first word that begins like a number and is none: it is reported only if nothing else is wrong.
    """

    def __init__(self, source: Source) -> None:
        self.bad_number: BadNumber | None = None
        self._source = source

    def _span(self, place: Meta | Token) -> Span:
        start, end = place.start_pos, place.end_pos
        return Span(self._source, 0 if start is None else start, 0 if end is None else end)

    def _name(self, token: Token) -> tree.Name:
        return tree.Name(str(token), self._span(token))

    @staticmethod
    def _string(token: Token) -> str:
        return str(token)[1:-1].replace('\\"', '"').replace("\\\\", "\\")

    # --- expressions ---

    def number(self, meta: Meta, children: list[Any]) -> tree.Number:
        span = self._span(meta)
        try:
            return tree.Number(span, number_value(str(children[0]), span))
        except BadNumber as error:
            self.bad_number = self.bad_number or error
            return tree.Number(span, 0)

    def path(self, meta: Meta, children: list[Any]) -> tree.Path:
        return tree.Path(self._span(meta), tuple(str(child) for child in children))

    def in_name(self, meta: Meta, _: list[Any]) -> tree.Path:
        return tree.Path(self._span(meta), ("in",))

    def call(self, meta: Meta, children: list[Any]) -> tree.Call:
        arguments = tuple(child for child in children[1:] if child is not None)
        return tree.Call(self._span(meta), str(children[0]), arguments)

    def slice(self, meta: Meta, children: list[Any]) -> tree.Slice:
        operand, high, low = children
        return tree.Slice(self._span(meta), operand, high.value, (low or high).value)

    def _binary(self, meta: Meta, operator: str, left: Any, right: Any) -> tree.Binary:
        return tree.Binary(self._span(meta), operator, left, right)

    def or_(self, meta: Meta, children: list[Any]) -> tree.Binary:
        return self._binary(meta, "or", *children)

    def and_(self, meta: Meta, children: list[Any]) -> tree.Binary:
        return self._binary(meta, "and", *children)

    def bit_or(self, meta: Meta, children: list[Any]) -> tree.Binary:
        return self._binary(meta, "|", *children)

    def bit_xor(self, meta: Meta, children: list[Any]) -> tree.Binary:
        return self._binary(meta, "^", *children)

    def bit_and(self, meta: Meta, children: list[Any]) -> tree.Binary:
        return self._binary(meta, "&", *children)

    def product_(self, meta: Meta, children: list[Any]) -> tree.Binary:
        return self._binary(meta, "*", *children)

    def _signed(self, meta: Meta, children: list[Any]) -> tree.Binary:
        left, operator, right = children
        return self._binary(meta, operator, left, right)

    compare_ = shift_ = sum_ = _signed

    def _operator(self, _: Meta, children: list[Any]) -> str:
        return str(children[0])

    compare = shift = sign = stance = reach = mnemonic = _operator

    def not_(self, meta: Meta, children: list[Any]) -> tree.Unary:
        return tree.Unary(self._span(meta), "not", children[0])

    def negative(self, meta: Meta, children: list[Any]) -> tree.Unary:
        return tree.Unary(self._span(meta), "-", children[0])

    def complement(self, meta: Meta, children: list[Any]) -> tree.Unary:
        return tree.Unary(self._span(meta), "~", children[0])

    def item(self, _: Meta, children: list[Any]) -> tuple[Any, Any]:
        return children[0], children[0] if children[1] is None else children[1]

    def in_(self, meta: Meta, children: list[Any]) -> tree.Membership:
        return tree.Membership(self._span(meta), children[0], tuple(children[1:]), negated=False)

    def not_in(self, meta: Meta, children: list[Any]) -> tree.Membership:
        return tree.Membership(self._span(meta), children[0], tuple(children[1:]), negated=True)

    # --- statements ---

    def names(self, _: Meta, children: list[Any]) -> tuple[tree.Name, ...]:
        return tuple(self._name(child) for child in children)

    def summary(self, meta: Meta, children: list[Any]) -> tree.Summary:
        return tree.Summary(self._span(meta), self._string(children[0]))

    def for_cpus(self, meta: Meta, children: list[Any]) -> tree.ForCpus:
        return tree.ForCpus(self._span(meta), children[0])

    def extends(self, meta: Meta, children: list[Any]) -> tree.Extends:
        return tree.Extends(self._span(meta), children[0])

    def include(self, meta: Meta, children: list[Any]) -> tree.Include:
        return tree.Include(self._span(meta), self._string(children[0]))

    def param(self, meta: Meta, children: list[Any]) -> tree.Param:
        name, kind, default = children
        return tree.Param(self._span(meta), self._name(name), self._name(kind), default)

    def stance_statement(self, meta: Meta, children: list[Any]) -> tree.Stance:
        override, verb, names = children
        return tree.Stance(self._span(meta), verb, names, override is not None)

    def accesses(self, _: Meta, children: list[Any]) -> tuple[str, ...]:
        return tuple(str(child) for child in children)

    def target_all(self, meta: Meta, _: list[Any]) -> tree.Target:
        return tree.Target(self._span(meta), all=True)

    def target_range(self, meta: Meta, children: list[Any]) -> tree.Target:
        first, last = children
        return tree.Target(self._span(meta), first=first.value, last=(last or first).value)

    def target_name(self, meta: Meta, children: list[Any]) -> tree.Target:
        return tree.Target(self._span(meta), name=str(children[0]), condition=children[1])

    def intercept_statement(self, meta: Meta, children: list[Any]) -> tree.Reach:
        verb, accesses, *targets = children
        return tree.Reach(self._span(meta), verb, accesses, tuple(targets))

    def assignment(self, meta: Meta, children: list[Any]) -> tree.Assignment:
        override, target, value = children
        return tree.Assignment(self._span(meta), target, value, None, override is not None)

    def param_assignment(self, meta: Meta, children: list[Any]) -> tree.Assignment:
        override, target, name, kind, default = children
        span = self._span(meta)
        param = tree.Param(Span(self._source, name.start_pos, span.end), self._name(name), self._name(kind), default)
        return tree.Assignment(span, target, None, param, override is not None)

    # --- headers: the body is filled in by the parser ---

    def policy(self, meta: Meta, children: list[Any]) -> tree.Policy:
        return tree.Policy(self._span(meta), self._name(children[0]), children[1] or (), ())

    def when(self, meta: Meta, children: list[Any]) -> tree.When:
        return tree.When(self._span(meta), children[0], ())

    def scenario(self, meta: Meta, children: list[Any]) -> tree.Scenario:
        return tree.Scenario(self._span(meta), self._string(children[0]), ())

    def block(self, meta: Meta, children: list[Any]) -> tree.Block:
        override, name = children
        return tree.Block(self._span(meta), self._name(name), (), override is not None)

    def state(self, meta: Meta, children: list[Any]) -> tree.StateBlock:
        override, area, name = children
        return tree.StateBlock(self._span(meta), self._name(area), self._name(name), (), override is not None)

    def on_cpu(self, meta: Meta, children: list[Any]) -> tree.OnCpu:
        return tree.OnCpu(self._span(meta), children[0], ())

    def on_exit(self, meta: Meta, children: list[Any]) -> tree.OnExit:
        return tree.OnExit(self._span(meta), self._name(children[0]), ())

    # --- scenario statements ---

    def set(self, meta: Meta, children: list[Any]) -> tree.SetParam:
        return tree.SetParam(self._span(meta), self._name(children[0]), children[1])

    def value_operand(self, _: Meta, children: list[Any]) -> tree.Operand:
        return tree.Operand(children[0], memory=False)

    def memory_operand(self, _: Meta, children: list[Any]) -> tree.Operand:
        return tree.Operand(children[0], memory=True)

    def instruction(self, meta: Meta, children: list[Any]) -> tree.Instruction:
        mnemonic, *operands = children
        return tree.Instruction(mnemonic, tuple(o for o in operands if o is not None), self._span(meta))

    def guest(self, meta: Meta, children: list[Any]) -> tree.Execute:
        return tree.Execute(self._span(meta), children[0], guest=True)

    def root(self, meta: Meta, children: list[Any]) -> tree.Execute:
        return tree.Execute(self._span(meta), children[0], guest=False)

    def no_exit(self, meta: Meta, _: list[Any]) -> tree.Expectation:
        return tree.Expectation(self._span(meta), no_exit=True)

    def exit_with(self, meta: Meta, children: list[Any]) -> tree.Expectation:
        return tree.Expectation(self._span(meta), reason=self._name(children[0]), condition=children[1])

    def holds(self, meta: Meta, children: list[Any]) -> tree.Expectation:
        return tree.Expectation(self._span(meta), condition=children[0])

    def expect(self, meta: Meta, children: list[Any]) -> tree.Expect:
        return tree.Expect(self._span(meta), tuple(children))

    def event(self, meta: Meta, children: list[Any]) -> tree.Event:
        return tree.Event(self._span(meta), self._name(children[0]), children[1])

    def memory(self, meta: Meta, children: list[Any]) -> tree.MemoryWrite:
        return tree.MemoryWrite(self._span(meta), children[0], tuple(children[1:]))

    def resume(self, meta: Meta, _: list[Any]) -> tree.Resume:
        return tree.Resume(self._span(meta))
