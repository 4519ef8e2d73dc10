"""Change one constant of a rule at a time, and see whether the comparison with Bochs notices.

`python tests/bochs/sabotage.py [COUNT] [SEED]` draws from the rules that the comparison violates and Bochs has. States
are those of the comparison's short form.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bochs import dialect
from tests.bochs.compare import Compared, Trial, compared, judgement
from tests.bochs.trials import further, neighbours, rows, single_bits, subjects
from tests.check.mutants import Mutant, Mutator
from tests.check.mutate import equivalents
from vmcsc.bochs.processor import read_model
from vmcsc.bochs.tools import find_tools
from vmcsc.check.evaluate import evaluate_rule, rules_of
from vmcsc.records import replace

MODELS = ("core2_penryn_t9600", "corei5_lynnfield_750", "corei7_skylake_x", "tigerlake")
NEIGHBOURS = 60
"""Of each context."""


def states() -> list[Compared]:
    """The short form of the comparison."""
    database, tools = dialect.database(), find_tools()
    trials: list[Trial] = []
    for model in MODELS:
        known = subjects(database, read_model(model, database, tools), Counter())
        trials += rows(database, known, Counter())
        for subject in known.values():
            trials += [Trial(subject, {}), *further(subject), *neighbours(database, subject, NEIGHBOURS, "short")]
        trials += single_bits(database, known["long"])
    trials.sort(key=lambda trial: (trial.subject.model.name, trial.subject.name))
    return list(compared(tools, trials, Counter()))


def noticed(mutant: Mutant, place: int, seen: Sequence[Compared]) -> tuple[int, int]:
    """On how many states the rule, the one at `place`, says something else once it is changed, and how many of them
    come out otherwise than is foreseen then."""
    told = found = 0
    for one in seen:
        state = one.trial.subject.state(dialect.database(), one.trial.fields, one.trial.memory)
        before = one.expected.results[place]
        after = evaluate_rule(mutant.bound, state)
        if after.status is not before.status:
            told += 1
            results = list(one.expected.results)
            results[place] = replace(after, bound=before.bound)
            found += not Compared(one.trial, judgement(tuple(results), state), one.seen).foreseen
    return told, found


def main(arguments: Sequence[str]) -> int:
    count, seed = (*map(int, arguments), *(20, 1)[len(arguments) :])
    chance, mutator, proven = random.Random(seed), Mutator(dialect.database()), equivalents()
    seen = states()
    violated = Counter(rule for one in seen for rule in one.expected.violated)
    lacking = {rule for one in dialect.judged() for rule in one.lacks}
    implemented = set((Path(__file__).parent / "implemented.txt").read_text().split())
    places = {bound.rule.id: place for place, bound in enumerate(rules_of(dialect.database()))}
    mutants = [
        mutant
        for bound in rules_of(dialect.database())
        if bound.rule.id in implemented - lacking and violated[bound.rule.id]
        for mutant in mutator.mutants(bound)
        if mutant.part in ("when", "require")
        and _is_constant(mutant)
        and not any(same.covers(mutant) for same in proven)
    ]
    constants: dict[str, list[Mutant]] = {}
    for mutant in mutants:  # a constant of many bits is still one
        constants.setdefault(mutant.name.rpartition(" -> ")[0], []).append(mutant)
    missed = 0
    for name in chance.sample(sorted(constants), count):
        mutant = chance.choice(constants[name])
        told, found = noticed(mutant, places[mutant.rule], seen)
        missed += not found
        print(f"{'noticed' if found else 'MISSED '} in {found:4} of the {told:4} states it decides: {mutant.name}")
    print(f"{len(seen)} states, {count} of {len(constants)} constants changed: {count - missed} noticed")
    return 1 if missed else 0


def _is_constant(mutant: Mutant) -> bool:
    """Whether a number was replaced by another one."""
    return re.search(r"<(0x)?[0-9a-f]+> .*-> \d+$", mutant.edit) is not None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
