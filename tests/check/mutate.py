"""Change one thing in one rule at a time and see whether the tables notice: `python tests/check/mutate.py [RULE...]`.

Prints the mutants that every row of the tables lets pass, but for those of which `equivalent_mutants.yaml` proves that
they mean the same as the rule.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.check.all_rows import ROWS
from tests.check.mutants import Mutant, Mutator
from tests.check.states import BASES, base, build, inputs
from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.check.evaluate import Status, evaluate_rules, rules_of
from vmcsc.check.reads import reads
from vmcsc.check.state import State
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.rules import BoundRule

EQUIVALENT = Path(__file__).parent / "equivalent_mutants.yaml"


@dataclass(frozen=True)
class Equivalent:
    """Mutants in the `part` of the rules whose ids match `rules`, by `edit`, both as patterns of the shell."""

    rules: str
    part: str
    edit: str
    proof: str

    def covers(self, mutant: Mutant) -> bool:
        edit = self.edit.replace("[", "[[]")
        return self.covers_rule(mutant.rule) and mutant.part == self.part and fnmatchcase(mutant.edit, edit)

    def covers_rule(self, rule: str) -> bool:
        return fnmatchcase(rule, self.rules)


def equivalents() -> list[Equivalent]:
    return [Equivalent(**entry) for entry in yaml.safe_load(EQUIVALENT.read_text())["equivalent"]]


class Tables:
    """The states that a mutant of one rule is tried on."""

    def __init__(self, database: Database, bound: BoundRule) -> None:
        self._database = database
        self._bound = bound
        own = [row for row in ROWS if row.check.rule == bound.rule.id]
        self._states: list[tuple[State, Status | None, bool]] = [
            (build(database, row.values()), row.status, bound.rule.id in row.violated) for row in own
        ]
        self._states += [(build(database, base(name)), None, False) for name in BASES]
        self._alive: list[BoundRule] = []

    def kills(self, mutant: Mutant) -> bool:
        """Whether some row of the rule, or some state in which nothing is wrong, comes out otherwise."""
        self._alive.append(mutant.bound)  # states remember what they read by the identity of nodes
        return any(self._differs(mutant, *tried) for tried in self._states) or any(
            self._differs(mutant, *tried) for tried in self._others()
        )

    @staticmethod
    def _differs(mutant: Mutant, state: State, expected: Status | None, violated: bool) -> bool:
        (result,) = evaluate_rules([mutant.bound], state)
        if expected is not None:
            return result.status is not expected
        return (result.status is Status.VIOLATED) != violated or result.status is Status.UNDETERMINED

    def _others(self) -> Iterator[tuple[State, Status | None, bool]]:
        """The rows of other rules that change what this rule reads."""
        read = reads(self._database, self._bound)
        for row in ROWS:
            if row.check.rule != self._bound.rule.id and read & inputs({key for key, _, _ in row.change.edits}):
                yield build(self._database, row.values()), None, self._bound.rule.id in row.violated


@dataclass(frozen=True)
class Tally:
    """How many mutants were tried, those that no row notices, and those of them that mean the same as their rule."""

    tried: int
    survivors: tuple[Mutant, ...]
    equivalent: tuple[Mutant, ...]

    @property
    def missed(self) -> tuple[Mutant, ...]:
        """Survivors without a proof."""
        return tuple(mutant for mutant in self.survivors if mutant not in self.equivalent)

    @property
    def rate(self) -> float:
        return len(self.survivors) / max(1, self.tried)


def tally(database: Database, rules: Iterable[BoundRule], share: float = 1, seed: int = 0) -> Tally:
    """Try every mutant of these rules, or a share of them drawn at random."""
    chance, mutator, proven = random.Random(seed), Mutator(database), equivalents()
    tried, survivors = 0, []
    for bound in rules:
        tables = Tables(database, bound)
        for mutant in mutator.mutants(bound, lambda: chance.random() < share):
            tried += 1
            if not tables.kills(mutant):
                survivors.append(mutant)
    same = tuple(mutant for mutant in survivors if any(entry.covers(mutant) for entry in proven))
    return Tally(tried, tuple(survivors), same)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rules", nargs="*", help="ids of rules, as patterns (default: all)")
    parser.add_argument("--share", type=float, default=1, help="try only this share of the mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    database = load_specs([], Diagnostics())
    assert database is not None
    patterns = options.rules or ["*"]
    chosen = [rule for rule in rules_of(database) if any(fnmatchcase(rule.rule.id, pattern) for pattern in patterns)]
    found = tally(database, chosen, options.share, options.seed)
    for mutant in found.survivors:
        print(f"{'equivalent' if mutant in found.equivalent else 'SURVIVES  '} {mutant.name}")
    print(
        f"{found.tried} mutants of {len(chosen)} rules: {len(found.survivors)} survive ({found.rate:.2%}), "
        f"of which {len(found.equivalent)} are proven to mean the same"
    )
    return 1 if found.missed else 0


if __name__ == "__main__":
    sys.exit(main())
