"""Known causes of a violated rule."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Cause, Rule
from vmcsc.check.state import State
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind_condition
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression


def causes_of(rule: Rule, state: State) -> tuple[str, ...]:
    """Why the rule may be violated: what fits this state in particular, or else what fits any."""
    always = (cause.text for cause in _about(rule, state.database) if cause.when is None)
    return fitting_causes(rule, state) or tuple(always)


def fitting_causes(rule: Rule, state: State) -> tuple[str, ...]:
    """The causes whose condition is known to hold."""
    causes = (cause for cause in _about(rule, state.database) if cause.when is not None)
    return tuple(cause.text for cause in causes if _holds(cause, state))


def _about(rule: Rule, database: Database) -> Iterator[Cause]:
    return (cause for cause in database.causes if rule.id in cause.rules or rule.entry in cause.rules)


def _holds(cause: Cause, state: State) -> bool:
    condition = _bound(cause.when or "", state.database)
    return condition is not None and evaluate(condition, state.read).is_true


def _bound(text: str, database: Database) -> nodes.Node | None:
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("<cause>", text), diagnostics)
    return None if parsed is None else bind_condition(parsed, Scope(database, controls=True, state=True), diagnostics)
