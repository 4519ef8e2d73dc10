"""Many states as columns, and what the rules in Python say of each of them, for comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random

import numpy as np

from tests.check.all_rows import ROWS
from tests.check.states import BASES, base, build
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.check.check import Checked, check_fields
from vmcsc.check.many import STATUSES, Many, check_many
from vmcsc.expression.value import Value

Numbers = Mapping[str, Value]
One = tuple[Numbers, Numbers]
"""Fields and state of the processor."""

VERDICTS = {False: 0, True: 1, None: 2}


def rows_by_cpu(database: Database) -> list[tuple[Cpu, list[One]]]:
    """The states of all rows, those on one processor together."""
    found: dict[str, tuple[Cpu, list[One]]] = {}
    for row in ROWS:
        state = build(database, row.values())
        cpu = state.capabilities.cpu
        key = repr([sorted((name, value.bits) for name, value in part.items()) for part in (cpu.msrs, cpu.facts)])
        found.setdefault(key, (cpu, []))[1].append((state.fields, state.processor))
    return list(found.values())


def neighbours(database: Database, count: int, seed: int) -> Iterator[tuple[Cpu, list[One]]]:
    """States that differ from a valid one in a bit or two of some fields, and of which not everything is known."""
    chance = Random(seed)
    for name in BASES:
        state = build(database, base(name))
        yield state.capabilities.cpu, [_neighbour(state.fields, state.processor, chance) for _ in range(count)]


def _neighbour(fields: Numbers, processor: Numbers, chance: Random) -> One:
    changed = dict(fields)
    for name in chance.sample(sorted(changed), chance.randrange(4)):
        value = changed[name]
        changed[name] = Value(value.width, value.bits ^ 1 << chance.randrange(value.width), -1)
    return partly((changed, processor), chance) if chance.random() < 0.5 else (changed, processor)


def partly(one: One, chance: Random) -> One:
    """The state with some of it unknown, wholly or bit by bit."""
    parts = []
    for numbers in one:
        known = {}
        for name, value in numbers.items():
            what = chance.random()
            if what < 0.1:
                continue
            known[name] = Value(value.width, value.bits, chance.getrandbits(value.width)) if what < 0.2 else value
        parts.append(known)
    return parts[0], parts[1]


def columns_of(states: Sequence[One], database: Database) -> tuple[dict[str, object], dict[str, object]]:
    """The states as columns of fields and of the processor's state; those that are wholly known have no mask."""
    found = []
    for part, names in enumerate((database.fields, database.state)):
        columns: dict[str, object] = {}
        for name in names:
            values = [one[part].get(name) for one in states]
            bits = np.array([0 if value is None else value.bits for value in values], dtype=np.uint64)
            known = np.array([0 if value is None else value.known for value in values], dtype=np.uint64)
            whole = all(value is not None and value.is_known for value in values)
            columns[name] = bits if whole else (bits, known)
        found.append(columns)
    return found[0], found[1]


def one_by_one(cpu: Cpu, states: Sequence[One], database: Database) -> list[Checked]:
    """What the rules in Python say of each."""
    return [check_fields(own, cpu, database, None, state) for own, state in states]


def differences(
    cpu: Cpu, states: Sequence[One], database: Database, checks: Sequence[Checked] | None = None
) -> list[str]:  # fmt: skip
    """Where columns and rules say different things of a state. `checks`: what rules say, if that is known."""
    fields, processor = columns_of(states, database)
    many = check_many(fields, cpu, processor, database, statuses=True)
    found = []
    for number, checked in enumerate(checks or one_by_one(cpu, states, database)):
        expected = [result.status for result in checked.results]
        got = [STATUSES[status] for status in many.statuses[number]]
        found += [f"{number}: {rule} is {b.value}, not {a.value}"
                  for rule, a, b in zip(many.rules, expected, got, strict=True) if a is not b]  # fmt: skip
        verdict = checked.verdict
        if many.verdict[number] != VERDICTS[verdict.enters]:
            found.append(f"{number}: verdict {many.verdict[number]}, not {verdict.enters}")
        if (verdict.outcomes[0] if verdict.outcomes else None) != usual(many, number):
            found.append(f"{number}: outcome {usual(many, number)}, not {verdict.outcomes[:1]}")
    return found


def usual(many: Many, number: int) -> object:
    """The usual outcome of a state."""
    return many.outcomes[many.outcome[number]] if many.outcome[number] >= 0 else None
