"""Compare VM entries with Bochs: `python tests/bochs/run.py [--rows] [--states] [--bits] [--neighbours N]`.

Prints how many states agree, how many differ as judged, and every one that differs otherwise, shrunk.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bochs import dialect
from tests.bochs.compare import Trial, compared
from tests.bochs.foretold import WRONG, foretelling
from tests.bochs.shrink import shrink
from tests.bochs.trials import further, neighbours, rows, single_bits, subjects
from tests.bochs.witness import witness
from vmcsc.architecture.emulator import emulator_of
from vmcsc.bochs.image import build
from vmcsc.bochs.processor import read_model
from vmcsc.bochs.tools import find_tools

MAX_SHRUNK = 40
"""Differences of one model that are shrunk."""


@dataclass(frozen=True)
class What:
    """Which states: the `rows` of the rule tables, the `states` as they are, contexts in which every single bit is
    turned over, and a `count` of random neighbours. `foretell`: the checks as C are asked about each too."""

    rows: bool = False
    states: bool = False
    bits: tuple[str, ...] = ()
    count: int = 0
    seed: str = "1"
    foretell: bool = False


@dataclass
class Tally:
    """What came of the states of some models. `rules` counts violations, `unjudged` are differences in words."""

    states: int = 0
    agree: int = 0
    judged: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    foretold: Counter[str] = field(default_factory=Counter)
    unjudged: list[str] = field(default_factory=list)
    different: int = 0

    def add(self, other: Tally) -> None:
        self.states += other.states
        self.agree += other.agree
        self.different += other.different
        self.judged += other.judged
        self.skipped += other.skipped
        self.rules += other.rules
        self.foretold += other.foretold
        self.unjudged += other.unjudged

    def line(self, models: int) -> str:
        return (
            f"compared {self.states} states on {models} models: agree {self.agree}, "
            f"judged {self.states - self.agree - self.different}, unjudged {self.different}"
        )


def compare_model(name: str, what: What, count: int) -> Tally:
    """Compare states on one model, `count` random ones among them."""
    database, tools = dialect.database(), find_tools()
    model, tally = read_model(name, database, tools, witness() if what.foretell else None), Tally()
    known = subjects(database, model, tally.skipped)
    trials: list[Trial] = []
    if what.states:
        trials += [Trial(subject, {}, {}, "the state itself") for subject in known.values()]
        trials += [trial for subject in known.values() for trial in further(subject)]
    if what.rows:
        trials += rows(database, known, tally.skipped)
    trials += [trial for context in what.bits for trial in single_bits(database, known[context])]
    for number, subject in enumerate(known.values()):
        share = count // len(known) + (number < count % len(known))
        trials += neighbours(database, subject, share, what.seed)
    trials.sort(key=lambda trial: list(known).index(trial.subject.name))
    different = []
    for one in compared(tools, trials, tally.skipped):
        tally.states += 1
        if one.seen.said:
            came = foretelling(one)
            tally.foretold[f"{came}\n    {one}" if came.startswith(WRONG) else came] += 1
        tally.rules.update(one.expected.violated)
        if not one.foreseen:
            different.append(one)
        elif one.agrees:
            tally.agree += 1
        else:
            tally.judged.update(one.expected.because)
    tally.different = len(different)
    seen: set[object] = set()
    for one in different:
        kind = (tuple(one.expected.violated), one.seen.parts, one.seen.lost)
        if kind not in seen and len(seen) < MAX_SHRUNK:
            seen.add(kind)
            tally.unjudged.append(str(shrink(one, tools)))
    return tally


def compare_models(models: Sequence[str], what: What, jobs: int = 2) -> Tally:
    """Compare on several models; the random neighbours are spread over them."""
    total = Tally()
    shares = [what.count // len(models) + (number < what.count % len(models)) for number in range(len(models))]
    build(find_tools(), witness() if what.foretell else None)  # once, and not in each of the processes
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(compare_model, name, what, share) for name, share in zip(models, shares, strict=True)]
        for one in waiting:
            total.add(one.result())
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", help="CPU models of Bochs (default: all that have VMX)")
    parser.add_argument("--rows", action="store_true", help="every row of the rule tables")
    parser.add_argument("--states", action="store_true", help="every shipped state and every context of the tables")
    parser.add_argument("--bits", action="store_true", help="every bit of every field turned over, in three contexts")
    parser.add_argument("--neighbours", type=int, default=0, metavar="N", help="so many random neighbours")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--foretell", action="store_true", help="compare what the checks in C say before each entry")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rules", action="store_true", help="say how often each rule was violated")
    options = parser.parse_args(arguments)
    models = options.models or list(emulator_of(dialect.database()).models)
    begin = time.monotonic()
    bits = ("long", "protected", "32-bit host") if options.bits else ()
    what = What(options.rows, options.states, bits, options.neighbours, options.seed, options.foretell)
    tally = compare_models(models, what, options.jobs)
    print("\n".join(tally.unjudged))
    if options.rules:
        for rule in dialect.database().rules:
            print(f"{tally.rules[rule.id]:7} {rule.id}")
    for heading, counted in (("judged", tally.judged), ("not run there", tally.skipped), ("foretold", tally.foretold)):
        print("".join(f"{heading}: {number} {name}\n" for name, number in counted.most_common()), end="")
    print(f"{tally.line(len(models))} in {time.monotonic() - begin:.0f} s")
    return 1 if tally.different else 0


if __name__ == "__main__":
    sys.exit(main())
