"""The smallest change of a subject that is still not foreseen: fewest fields, then fewest bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.bochs.compare import Compared, Trial, compared
from vmcsc.bochs.tools import Tools


def shrink(one: Compared, tools: Tools) -> Compared:
    """Leave out fields, words of memory and bits as long as the difference stays. Each round is one boot."""
    while True:
        smaller = [found for found in compared(tools, list(_smaller(one.trial)), Counter()) if not found.foreseen]
        if not smaller:
            return one
        one = smaller[0]


def _smaller(trial: Trial) -> Iterator[Trial]:
    subject = trial.subject
    for name in trial.fields:
        yield Trial(subject, {n: bits for n, bits in trial.fields.items() if n != name}, trial.memory, trial.origin)
    for address in trial.memory:
        words = {a: bits for a, bits in trial.memory.items() if a != address}
        yield Trial(subject, trial.fields, words, trial.origin)
    for name, bits in trial.fields.items():
        different = bits ^ subject.fields.get(name, 0)
        if different & different - 1:
            while different:
                bit = different & -different
                different ^= bit
                yield Trial(subject, {**trial.fields, name: bits ^ bit}, trial.memory, trial.origin)
