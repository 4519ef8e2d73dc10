"""Bochs as a dialect of the rules: what it is judged to do otherwise than the manual, as data in judged.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import RuleResult, Status
from vmcsc.check.state import State
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind_condition
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.loading import load
from vmcsc.records import replace
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression

HERE = Path(__file__).parent
OWN = "bochs-"
"""How the ids of checks begin that only Bochs makes; they are an overlay of specs."""


@dataclass(frozen=True)
class Judged:
    """One difference. Where `where` holds, Bochs does not check the rules `lacks`, makes its own check `makes`, or
    `stops`. `model`, `subject`, `fields` and `memory` are the shrunk state that shows it."""

    name: str
    reason: str
    section: str
    model: str
    subject: str
    fields: Mapping[str, int]
    memory: Mapping[int, int] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    makes: str = ""
    stops: bool = False
    where: str = "1 == 1"


@cache
def judged() -> tuple[Judged, ...]:
    raw: Sequence[Mapping[str, Any]] = yaml.safe_load((HERE / "judged.yaml").read_text())["judged"]
    return tuple(Judged(**{**one, "lacks": tuple(one.get("lacks", ()))}) for one in raw)


@cache
def database() -> Database:
    """The specs with the checks that only Bochs makes."""
    return load(HERE / "checks")


@cache
def _condition(text: str) -> nodes.Node:
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("<where>", text), diagnostics)
    scope = Scope(database(), controls=True, state=True)
    bound = None if parsed is None else bind_condition(parsed, scope, diagnostics)
    assert bound is not None, f"{text}: {diagnostics.found[0].message}"
    return bound


@cache
def _by_rule() -> Mapping[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for one in judged():
        for rule in (*one.lacks, one.makes):
            found.setdefault(rule, []).append(one)
    return found


def holds(one: Judged, state: State) -> bool:
    return evaluate(_condition(one.where), state.read).bit(0) is True


def manual(results: Sequence[RuleResult]) -> tuple[RuleResult, ...]:
    """The results of the manual's rules alone."""
    return tuple(result for result in results if not result.rule.id.startswith(OWN))


def as_bochs(results: Sequence[RuleResult], state: State) -> tuple[tuple[RuleResult, ...], tuple[str, ...]]:
    """The results as Bochs has them, and which judged differences made them so."""
    changed, because = [], []
    for one_result in results:
        result = one_result
        if result.status in (Status.VIOLATED, Status.UNDETERMINED) and result.rule.id in _by_rule():
            lacking = [one for one in _by_rule()[result.rule.id] if result.rule.id in one.lacks and holds(one, state)]
            if lacking:
                because += [one.name for one in lacking]
                result = replace(result, status=Status.PASSED)
            elif result.rule.id.startswith(OWN) and result.status is Status.VIOLATED:
                because += [one.name for one in _by_rule()[result.rule.id]]
        changed.append(result)
    return tuple(changed), tuple(because)


def stops(state: State) -> str | None:
    """The name of the judged difference because of which Bochs stops at this state, where the guest would run."""
    return next((one.name for one in judged() if one.stops and holds(one, state)), None)
