"""The rules of VM entry as bound expressions, and what each of them reads."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Area, Rule
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind, bind_condition
from vmcsc.expression.scope import Scope
from vmcsc.records import dataclass
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression

TRUE = nodes.Constant(1, 1)


@dataclass(frozen=True, slots=True)
class BoundArea:
    """An area with its expressions: where it lies, and how many elements it has (64 and 32 bits)."""

    area: Area
    address: nodes.Node
    count: nodes.Node


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule with its expressions bound; `area` where it holds for each element of one."""

    rule: Rule
    when: nodes.Node
    require: nodes.Node
    area: BoundArea | None

    def leaves(self) -> Iterator[nodes.Leaf]:
        """Everything the rule may read."""
        yield from nodes.leaves(self.when)
        yield from nodes.leaves(self.require)
        if self.area is not None:
            yield from nodes.leaves(self.area.address)
            yield from nodes.leaves(self.area.count)


def rule_scope(database: Database, rule: Rule) -> Scope:
    """The names that the rule may use: everything, and the element of its area."""
    if rule.each is None or rule.each[1] not in database.areas:
        return Scope(database, controls=True, state=True)
    name, area = rule.each
    return Scope(database, controls=True, state=True, element=(name, database.areas[area]))


def bind_rules(database: Database, diagnostics: Diagnostics) -> tuple[BoundRule, ...]:
    """All rules of the specs in their order. Those that do not bind are reported and left out."""
    areas = {name: bind_area(area, database, diagnostics) for name, area in database.areas.items()}
    bound = (
        _bound(rule, database, areas.get(rule.each[1]) if rule.each else None, diagnostics) for rule in database.rules
    )
    return tuple(rule for rule in bound if rule is not None)


def bind_rule(rule: Rule, database: Database, diagnostics: Diagnostics) -> BoundRule | None:
    """One rule by itself, or None after reporting why it does not bind."""
    area = database.areas.get(rule.each[1]) if rule.each else None
    return _bound(rule, database, None if area is None else bind_area(area, database, diagnostics), diagnostics)


def _bound(rule: Rule, database: Database, area: BoundArea | None, diagnostics: Diagnostics) -> BoundRule | None:
    scope = rule_scope(database, rule)
    when = TRUE if rule.when is None else _condition(rule.when, scope, diagnostics)
    require = _condition(rule.require, scope, diagnostics)
    return None if when is None or require is None else BoundRule(rule, when, require, area)


def _condition(text: str, scope: Scope, diagnostics: Diagnostics) -> nodes.Node | None:
    parsed = parse_expression(Source("<rule>", text), diagnostics)
    return None if parsed is None else bind_condition(parsed, scope, diagnostics)


def bind_area(area: Area, database: Database, diagnostics: Diagnostics) -> BoundArea | None:
    scope = Scope(database, controls=True, state=True)
    address = _number(area.address, 64, scope, diagnostics)
    count = _number(area.count, 32, scope, diagnostics)
    return None if address is None or count is None else BoundArea(area, address, count)


def _number(text: str, width: int, scope: Scope, diagnostics: Diagnostics) -> nodes.Node | None:
    parsed = parse_expression(Source("<area>", text), diagnostics)
    return None if parsed is None else bind(parsed, width, scope, diagnostics)
