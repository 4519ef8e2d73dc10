"""The rules that speak of control bits alone, and what gives way where they are violated.

A rule that is violated drops the one preferred control whose dropping mends it; where none would, it raises the one
avoided control whose raising mends it. Two that could give way alike are for the policy's author to decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control, Rule
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind_condition
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.expression.value import Value, truth
from vmcsc.records import dataclass
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression


@dataclass(frozen=True, slots=True)
class ControlRule:
    """A rule with its bound condition: it is violated where `violation` is true."""

    rule: Rule
    violation: nodes.Node
    controls: tuple[Control, ...]


def bind_rule_part(
    text: str, database: Database, diagnostics: Diagnostics, source: Source | None = None
) -> nodes.Node | None:
    """The `when` or `require` of a rule, bound, or None after reporting what is wrong with it."""
    parsed = parse_expression(source or Source("<rule>", text), diagnostics)
    return None if parsed is None else bind_condition(parsed, Scope(database, controls=True), diagnostics)


@lru_cache(maxsize=8)
def control_rules(database: Database) -> tuple[ControlRule, ...]:
    """The rules of `database` that read nothing but controls, in the order of the specs."""
    return tuple(_bound(database))


def _bound(database: Database) -> Iterator[ControlRule]:
    for rule in database.rules:
        if not _speaks_of_controls_alone(rule, database):
            continue
        ignored = Diagnostics()
        when = nodes.Constant(1, 1) if rule.when is None else bind_rule_part(rule.when, database, ignored)
        require = bind_rule_part(rule.require, database, ignored)
        if when is None or require is None:
            continue  # `vmcsc specs` reports it
        violation = nodes.Operation(1, "&", when, nodes.Invert(1, require))
        leaves = tuple(nodes.leaves(violation))
        if all(isinstance(leaf, nodes.ControlBit) for leaf in leaves):
            controls = dict.fromkeys(leaf.control.path for leaf in leaves if isinstance(leaf, nodes.ControlBit))
            yield ControlRule(rule, violation, tuple(database.controls[path] for path in controls))


_WORDS = re.compile(r"[a-z_][a-z0-9_.]*")
_LOGIC = frozenset({"and", "or", "not", "true", "false"})


def _speaks_of_controls_alone(rule: Rule, database: Database) -> bool:
    """Whether every name in the rule is the path of a control; so the others need not be bound here."""
    names = set(_WORDS.findall(f"{rule.when or ''} {rule.require}")) - _LOGIC
    return rule.each is None and names <= database.controls.keys()


Setting = Callable[[Control], bool | None]
"""The setting in force of a control: 0 while its word is inactive, None where it is unknown."""


def violated(rule: ControlRule, setting: Setting, flipped: Control | None = None) -> bool | None:
    """Whether the rule is violated, also as if `flipped` had the opposite setting."""

    def read(leaf: nodes.Leaf) -> Value:
        assert isinstance(leaf, nodes.ControlBit)
        now = setting(leaf.control)
        return truth(now if leaf.control is not flipped or now is None else not now)

    return evaluate(rule.violation, read).bit(0)
