"""Text to tree: the shape first, then each statement on its own, so that every mistake is found in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics
from vmcsc.records import replace
from vmcsc.source import Source, Span
from vmcsc.syntax import lalr, mistakes, tree
from vmcsc.syntax.builder import Builder
from vmcsc.syntax.grammar import grammar, lark
from vmcsc.syntax.shape import STARTERS, Chunk, shape_of

if TYPE_CHECKING:
    from lark import Tree

MAX_DEPTH = 64
"""How deep expressions may nest. Deeper ones are refused, so that no later stage runs out of stack."""

MAX_EXPLAINED = 1 << 14
"""The longest statement of which Lark, which takes its time, says what does not fit."""


_NOT_IN_SCENARIOS = tree.Policy | tree.When | tree.Scenario | tree.Block | tree.StateBlock


def parse_policy_file(source: Source, diagnostics: Diagnostics) -> tree.PolicyFile:
    """Parse a policy, or a fragment to include. What is broken is reported and left out."""
    shape = shape_of(source, diagnostics)
    body = _Parser(source, diagnostics).body(shape.chunks, in_scenario=False)
    return tree.PolicyFile(source, body, tuple(shape.comments))


def parse_expression(source: Source, diagnostics: Diagnostics, span: Span | None = None) -> tree.Expression | None:
    """Parse the expression that fills `span` (default: all of `source`), or report why it is none."""
    start, end = (0, len(source.text)) if span is None else (span.start, span.end)
    parsed = _Parser(source, diagnostics).parse("expression", Chunk(start, end))
    return parsed if isinstance(parsed, tree.Expression) else None


class _Parser:
    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        self._source = source
        self._diagnostics = diagnostics
        self._builder = Builder(source)

    def body(self, chunks: list[Chunk], *, in_scenario: bool) -> tuple[tree.Statement, ...]:
        statements = (self._statement(chunk, in_scenario) for chunk in chunks if not chunk.broken)
        return tuple(statement for statement in statements if statement is not None)

    def _statement(self, chunk: Chunk, in_scenario: bool) -> tree.Statement | None:
        if chunk.children is None:
            rule = "scenario_statement" if in_scenario else "statement"
            statement: tree.Statement | None = self.parse(rule, chunk)
            return statement if self._in_place(statement, in_scenario) else None
        header = self.parse("header", chunk)
        if header is None or not self._in_place(header, in_scenario):
            return None
        if isinstance(header, tree.Block) and mistakes.refuse_foreign_block(header.name, self._diagnostics):
            return None
        inside = in_scenario or isinstance(header, tree.Scenario | tree.OnCpu | tree.OnExit)
        body = self.body(chunk.children, in_scenario=inside)
        whole: tree.Statement = replace(header, body=body)
        return whole

    def _in_place(self, statement: tree.Statement | None, in_scenario: bool) -> bool:
        """Whether `statement` may stand where it does, as far as scenarios go; reports it otherwise."""
        word = None
        if in_scenario and isinstance(statement, _NOT_IN_SCENARIOS):
            word = "this block"
        elif in_scenario and isinstance(statement, tree.Execute) and statement.instruction.mnemonic in STARTERS:
            word = f"`{statement.instruction.mnemonic}`"  # reads like an instruction with an operand
        if statement is not None and word is not None:
            help = "write it outside the scenario, in the body of the policy"
            self._diagnostics.report(codes.MISPLACED, f"{word} cannot stand in a scenario", statement.span, help=help)
        return word is None

    def parse(self, rule: str, chunk: Chunk) -> Any:
        """The node of the chunk's text, or None after reporting the one mistake that was met first."""
        self._builder.bad_number = None
        try:
            node, height = lalr.parse(grammar(), self._source.text, chunk.start, chunk.end, rule, self._builder)
        except lalr.Mistake:
            return self._with_lark(rule, chunk) if chunk.end - chunk.start <= MAX_EXPLAINED else self._too_long(chunk)
        if height > MAX_DEPTH:
            return self._too_deep(chunk)
        return self._unless_bad_number(node)

    def _with_lark(self, rule: str, chunk: Chunk) -> Any:
        """As `parse`. Lark says what does not fit, and takes what is written without a space: `cpu0` after `on`."""
        from lark.exceptions import UnexpectedInput
        from lark.utils import TextSlice

        try:
            parsed = lark().parse(TextSlice(self._source.text, chunk.start, chunk.end), start=rule)
        except UnexpectedInput as error:
            mistakes.report(error, rule, chunk, self._source, self._diagnostics)
            return None
        self._builder.bad_number = None
        return self._too_deep(chunk) if _depth(parsed) > MAX_DEPTH else self._unless_bad_number(self._built(parsed))

    def _built(self, parsed: Tree[Any]) -> Any:
        children = [self._built(child) if hasattr(child, "children") else child for child in parsed.children]
        place = lalr.Place(getattr(parsed.meta, "start_pos", None), getattr(parsed.meta, "end_pos", None))
        return getattr(self._builder, parsed.data)(place, children)

    def _too_long(self, chunk: Chunk) -> None:
        span = Span(self._source, chunk.start, chunk.start + 1)
        message = f"this statement of {chunk.end - chunk.start} characters has a mistake, and is too long to say which"
        self._diagnostics.report(codes.TOO_LONG, message, span, help="write it as several shorter ones")

    def _too_deep(self, chunk: Chunk) -> None:
        span = Span(self._source, chunk.start, chunk.end)
        message = f"this expression is nested more than {MAX_DEPTH} deep"
        self._diagnostics.report(codes.TOO_DEEP, message, span, help="name parts of it with `param` or simplify it")

    def _unless_bad_number(self, node: Any) -> Any:
        bad = self._builder.bad_number
        if bad is None:
            return node
        self._diagnostics.report(codes.BAD_NUMBER, f"`{mistakes.shown(bad.span.text)}` {bad.reason}", bad.span)
        return None


def _depth(root: Tree[Any]) -> int:
    """The height of a parse tree, without recursion."""
    deepest = 0
    pending: list[tuple[Any, int]] = [(root, 1)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        pending.extend((child, depth + 1) for child in node.children if hasattr(child, "children"))
    return deepest
