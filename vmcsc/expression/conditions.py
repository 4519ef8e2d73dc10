"""The conditions that stand in the specs, checked: each of them means something, and none asks about itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind_condition
from vmcsc.expression.rules import rule_scope
from vmcsc.expression.scope import Scope
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression


def check_conditions(database: Database, diagnostics: Diagnostics) -> None:
    """Report every expression of the specs that cannot be bound.

    The place is in the expression where the YAML has it as it is, else all of it.
    """
    bound: dict[str, nodes.Node] = {}
    for kind, name, key, text, scope in _conditions(database):
        found = Diagnostics()
        written = database.origins.get((f"{kind}.{key}", name))
        in_place = written if written is not None and written.text == text else None  # not folded or quoted
        parsed = parse_expression(in_place.source if in_place else Source("<expression>", text), found, in_place)
        node = None if parsed is None else bind_condition(parsed, scope, found)
        if node is not None and kind == "msrs":
            bound[name] = node
        for problem in found:
            message = f"the `{key}` of `{name}` means nothing: {problem.message}"
            span = problem.span if in_place else written
            diagnostics.report(codes.SPEC_EXPRESSION, message, span, help=problem.help)
    for name in _circular({name: set(_msrs_asked(node, database)) for name, node in bound.items()}):
        message = f"whether there is `{name}` depends on what `{name}` says"
        diagnostics.report(codes.SPEC_EXPRESSION, message, database.origins.get(("msrs", name)))


def _conditions(database: Database) -> Iterator[tuple[str, str, str, str, Scope]]:
    """Kind, name and key of each condition, its text, and the names that it may use."""
    plain = Scope(database)
    for kind, entries in (("fields", database.fields), ("controls", database.controls), ("msrs", database.msrs)):
        for name, entry in entries.items():
            if entry.exists is not None:
                yield kind, name, "exists", entry.exists, plain
    for function in database.functions.values():
        parameters = {name: nodes.Parameter(width, name) for name, width in function.parameters.items()}
        yield "functions", function.name, "body", function.body, Scope(database, state=True, bound=parameters)
    for rule in database.rules:
        scope = rule_scope(database, rule)
        if rule.when is not None:
            yield "checks", rule.id, "when", rule.when, scope
        yield "checks", rule.id, "require", rule.require, scope
    for cause in database.causes:
        if cause.when is not None:
            yield "causes", cause.name, "when", cause.when, Scope(database, controls=True, state=True)


def _msrs_asked(node: nodes.Node, database: Database) -> Iterator[str]:
    for leaf in nodes.leaves(node):
        if isinstance(leaf, nodes.MsrBits):
            yield leaf.msr.name
        elif isinstance(leaf, nodes.Supported | nodes.Forced):
            word = database.words[leaf.control.word]
            yield from (name for name in (word.msr, word.true_msr) if name is not None)


def _circular(asked: Mapping[str, set[str]]) -> Iterator[str]:
    """The names that are reached from themselves."""
    for name in asked:
        reached: set[str] = set()
        pending = set(asked[name])
        while pending:
            reached |= pending
            pending = {further for one in pending for further in asked.get(one, ())} - reached
        if name in reached:
            yield name
