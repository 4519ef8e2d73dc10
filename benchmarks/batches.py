"""How many states a second the rules run over: one after the other, and over arrays of numpy."""

from __future__ import annotations

import sys
from pathlib import Path

from measure import Row, computing

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.check.states import base, build
from vmcsc.check.check import check_fields
from vmcsc.expression.value import Value
from vmcsc.loading import load

STATES = 100_000
ONE_BY_ONE = 2000


def rows(rounds: int) -> list[Row]:
    try:
        import numpy as np

        from vmcsc.check.many import check_many
    except ModuleNotFoundError:
        return [Row("many states over arrays", None, "states/s", note="pip install 'vmcsc[batch]'")]
    database = load()
    state = build(database, base("long"))
    cpu, chance = state.capabilities.cpu, np.random.default_rng(1)
    fields = {}
    for name, field in database.fields.items():
        value = np.full(STATES, state.fields[name].bits, dtype=np.uint64)
        bit = np.uint64(1) << chance.integers(0, field.width, STATES).astype(np.uint64)
        fields[name] = np.where(chance.random(STATES) < 0.02, value ^ bit, value)
    distinct = len(np.unique(np.stack(list(fields.values()), axis=1), axis=0))
    assert distinct >= STATES * 0.9, distinct
    whole = np.uint64(2**64 - 1)
    masked = {}
    for name, value in fields.items():
        some = chance.integers(0, 2**63, STATES, dtype=np.uint64)
        masked[name] = (value, np.where(chance.random(STATES) < 0.02, some, whole))
    processor = {name: one.bits for name, one in state.processor.items()}
    singles = [{name: Value(database.fields[name].width, int(value[n]), -1) for name, value in fields.items()}
               for n in range(ONE_BY_ONE)]  # fmt: skip

    def one_by_one() -> None:
        for own in singles:
            assert check_fields(own, cpu, database, None, state.processor).verdict is not None

    times = min(rounds, 5)
    return [
        Row("states one by one", ONE_BY_ONE / computing(one_by_one, times), "states/s", at_least=3000),
        Row("states over arrays", STATES / computing(lambda: check_many(fields, cpu, processor, database), times),
            "states/s", at_least=300_000),
        Row("states over arrays, partly known", STATES / computing(
            lambda: check_many(masked, cpu, processor, database), min(times, 2)), "states/s"),
    ]  # fmt: skip
