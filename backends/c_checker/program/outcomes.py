"""What a violation of each rule causes, in words, and what there is to say of it."""

from __future__ import annotations

from collections.abc import Sequence

from vmcsc.architecture.database import Database
from vmcsc.check.reads import fields_named
from vmcsc.check.verdict import Outcome, causes_of_rules
from vmcsc.check.words import demand, outcome_text
from vmcsc.expression.rules import BoundRule
from vmcsc.records import dataclass

from ...c_header.text import listed, quoted, wrapped


@dataclass
class _Ways:
    """The tables as they grow: each outcome once, and the fields of all rules in a row."""

    outcomes: dict[tuple[Outcome, int], int]
    fields: list[int]
    rows: list[str]


def outcome_tables(rules: Sequence[BoundRule], database: Database) -> str:
    """The outcomes of VM entry, and for each rule which of them it may cause, its condition, and what it is about."""
    found = _Ways({}, [], [])
    places = {name: place for place, name in enumerate(database.fields)}
    most = max((len(causes.outcomes) for causes in causes_of_rules(database).values()), default=1)
    for bound in rules:
        _add(found, bound, database, places)
    outcomes = [_outcome(outcome, rank, database) for outcome, rank in found.outcomes]
    named = wrapped(", ".join(f"{one}u" for one in found.fields or [0]), "    ", "    ")
    return (
        f"#define STAGES {len(database.stages)}u\n#define OUTCOMES {max(len(outcomes), 1)}u\n\n"
        f"{_STRUCTS.replace('@MOST', str(most))}\n"
        f"static const struct outcome outcomes[OUTCOMES] = {listed(outcomes or [_NO_OUTCOME])};\n\n"
        f"/* The places of the fields that rules name. */\nstatic const uint16_t fields_named[] = {{\n{named}\n}};\n\n"
        f"static const struct way ways[] = {listed(found.rows or [_NONE])};\n"
    )


def _outcome(outcome: Outcome, rank: int, database: Database) -> str:
    text, brief = quoted(outcome_text(dict(outcome.parts), database)), quoted(str(outcome))
    return f"{{{rank}u, {int(outcome.is_qualified)}, {text}, {brief}}}"


def _add(found: _Ways, bound: BoundRule, database: Database, places: dict[str, int]) -> None:
    rule, causes = bound.rule, causes_of_rules(database).get(bound.rule.id)
    pairs = [] if causes is None else causes.outcomes
    numbers = [found.outcomes.setdefault(pair, len(found.outcomes)) for pair in pairs]
    own = [places[name] for name in fields_named(database, bound)]
    texts = (rule.code, rule.id, rule.each[1] if rule.each else "", demand(rule))
    stage = len(database.stages) if causes is None else causes.stage
    ways = ", ".join(f"{one}u" for one in numbers or [0])
    counts = f"{stage}u, {len(numbers)}u, {{{ways}}}, {len(found.fields)}u, {len(own)}u"
    found.rows.append(f"{{{counts}, {', '.join(map(quoted, texts))}}}")
    found.fields += own


_NO_OUTCOME = '{0u, 0, "", ""}'
_NONE = '{0u, 0u, {0u}, 0u, 0u, "", "", "", ""}'

_STRUCTS = """/* An outcome at length and in short, its rank within its stage, and whether it says a qualification. */
struct outcome {
    unsigned rank;
    int qualified;
    const char *text, *brief;
};

/* How a rule fails: the stage and its outcomes, and the fields that it names. */
struct way {
    unsigned stage, count, outcomes[@MOST], fields, fields_count;
    const char *code, *id, *area, *condition;
};
"""
