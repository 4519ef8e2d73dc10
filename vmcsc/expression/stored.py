"""Bound rules as plain values that JSON can keep, and back: binding them all takes longer than the rest of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.expression import nodes
from vmcsc.expression.rules import BoundArea, BoundRule, bind_rules, rule_scope
from vmcsc.expression.scope import Scope

_KIND = "rules"
_BINARY: Mapping[str, type[nodes.Operation | nodes.Comparison]] = {
    **dict.fromkeys("&|^+-*", nodes.Operation),
    "<<": nodes.Operation,
    ">>": nodes.Operation,
    "==": nodes.Comparison,
    "<": nodes.Comparison,
}


def bound_rules(database: Database) -> tuple[BoundRule, ...]:
    """As `bind_rules`, from the database's cache if it has them; rules that do not bind are left out."""
    from vmcsc.diagnostic import Diagnostics

    cache = database.cache
    kept = None if cache is None else cache.get(_KIND, database.key)
    if kept is not None:
        return _restored(kept, database)
    rules = bind_rules(database, Diagnostics())
    if cache is not None:
        stored = _stored(rules, database)
        if stored is not None:
            cache.put(_KIND, database.key, stored)
    return rules


def _stored(rules: tuple[BoundRule, ...], database: Database) -> dict[str, Any] | None:
    """The rules as plain values; None where a name would not be read as what it means now."""
    numbers = {rule.id: number for number, rule in enumerate(database.rules)}
    stored: list[tuple[Any, ...]] = []
    areas: dict[str, tuple[Any, Any]] = {}
    for bound in rules:
        names: dict[str, nodes.Leaf] = {}
        stored.append((numbers[bound.rule.id], plain(bound.when, names), plain(bound.require, names)))
        scope = rule_scope(database, bound.rule)
        if bound.area is not None:
            areas[bound.area.area.name] = (plain(bound.area.address, names), plain(bound.area.count, names))
        if any(scope.resolve(tuple(name.split("."))) != leaf for name, leaf in names.items()):
            return None
    return {"rules": stored, "areas": areas}


def _restored(kept: dict[str, Any], database: Database) -> tuple[BoundRule, ...]:
    found: dict[str, nodes.Leaf] = {}
    everything = Scope(database, controls=True, state=True)
    areas = {
        name: BoundArea(database.areas[name], node(address, everything, found), node(count, everything, found))
        for name, (address, count) in kept["areas"].items()
    }
    rules = []
    for number, when, require in kept["rules"]:
        rule = database.rules[number]
        if rule.each is None:
            rules.append(BoundRule(rule, node(when, everything, found), node(require, everything, found), None))
        else:
            scope, own = rule_scope(database, rule), dict[str, nodes.Leaf]()  # the element is named by each rule
            area = areas.get(rule.each[1])
            rules.append(BoundRule(rule, node(when, scope, own), node(require, scope, own), area))
    return tuple(rules)


def plain(bound: nodes.Node, names: dict[str, nodes.Leaf]) -> Any:
    """The expression as lists, numbers and strings; `names` gets the leaves that are told by their names alone."""
    match bound:
        case nodes.Constant():
            return [bound.width, bound.value]
        case nodes.Operation() | nodes.Comparison():
            return [bound.operator, bound.width, plain(bound.left, names), plain(bound.right, names)]
        case nodes.Invert():
            return ["~", bound.width, plain(bound.operand, names)]
        case nodes.Resize():
            return ["resize", bound.width, plain(bound.operand, names)]
        case nodes.BitSlice():
            return ["bits", bound.width, plain(bound.operand, names), bound.low]
        case nodes.Fits() | nodes.SignExtended():
            kind = "fits" if isinstance(bound, nodes.Fits) else "sign_extended"
            return [kind, plain(bound.operand, names), plain(bound.limit, names), bound.lowest, bound.highest]
        case nodes.Memory():
            return ["memory", bound.width, plain(bound.address, names)]
        case nodes.Supported():
            return ["supported", bound.control.path]
        case nodes.Forced():
            return ["forced", bound.control.path]
        case nodes.AllowedBits():
            return ["must_be_1" if bound.must_be_1 else "may_be_1", bound.word.name]
        case nodes.Leaf():
            name = _name(bound)
            names[name] = bound
            return name
        case _:
            raise TypeError(f"{type(bound).__name__} cannot be kept")


def _name(leaf: nodes.Leaf) -> str:
    """The name by which the scope of a rule finds the leaf."""
    match leaf:
        case nodes.FieldBits() | nodes.ElementBits():
            return leaf.written
        case nodes.ControlBit():
            return leaf.control.path
        case nodes.CpuFact():
            return f"cpu.{leaf.fact.name}"
        case nodes.ProcessorState():
            return f"processor.{leaf.state.name}"
        case nodes.MsrBits():
            bits = (bits.name for bits in leaf.msr.bits if (bits.low, bits.width) == (leaf.low, leaf.width))
            name = next(bits, None)
            return leaf.msr.name if name is None else f"{leaf.msr.name}.{name}"
        case _:
            raise TypeError(f"{type(leaf).__name__} cannot be kept")


def node(kept: Any, scope: Scope, found: dict[str, nodes.Leaf]) -> nodes.Node:
    """The expression that `plain` told; `found` has the leaves that were met before, by name."""
    if isinstance(kept, str):
        if kept not in found:
            leaf = scope.resolve(tuple(kept.split(".")))
            assert isinstance(leaf, nodes.Leaf), kept
            found[kept] = leaf
        return found[kept]
    kind = kept[0]
    if isinstance(kind, int):
        return nodes.Constant(kind, kept[1])
    if kind in _BINARY:
        return _BINARY[kind](kept[1], kind, node(kept[2], scope, found), node(kept[3], scope, found))
    return _OTHERS[kind](kept, scope, found)


_Restore = Callable[[Any, Scope, dict[str, nodes.Leaf]], nodes.Node]
_OTHERS: Mapping[str, _Restore] = {
    "~": lambda k, s, f: nodes.Invert(k[1], node(k[2], s, f)),
    "resize": lambda k, s, f: nodes.Resize(k[1], node(k[2], s, f)),
    "bits": lambda k, s, f: nodes.BitSlice(k[1], node(k[2], s, f), k[3]),
    "fits": lambda k, s, f: nodes.Fits(1, node(k[1], s, f), node(k[2], s, f), k[3], k[4]),
    "sign_extended": lambda k, s, f: nodes.SignExtended(1, node(k[1], s, f), node(k[2], s, f), k[3], k[4]),
    "memory": lambda k, s, f: nodes.Memory(k[1], node(k[2], s, f)),
    "supported": lambda k, s, _: nodes.Supported(1, s.database.controls[k[1]]),
    "forced": lambda k, s, _: nodes.Forced(1, s.database.controls[k[1]]),
    "must_be_1": lambda k, s, _: nodes.AllowedBits(s.database.words[k[1]].width, s.database.words[k[1]], True),
    "may_be_1": lambda k, s, _: nodes.AllowedBits(s.database.words[k[1]].width, s.database.words[k[1]], False),
}
