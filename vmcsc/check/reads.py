"""What each rule reads, so that a caller can evaluate again only what a change concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import ControlWord, Msr
from vmcsc.capabilities.cpu import condition_of
from vmcsc.check.evaluate import rules_of
from vmcsc.expression import nodes
from vmcsc.expression.rules import BoundRule

Input = tuple[str, str]
"""Something that a caller of `check` gives: `("field", NAME)`, and so for an `msr`, the `cpu` and the `processor`."""

MEMORY: Input = ("memory", "")
"""All of memory: which part of it a rule reads hangs on the values of fields."""


def reads(database: Database, bound: BoundRule) -> frozenset[Input]:
    """Everything the result of the rule may hang on."""
    return frozenset(found for leaf in bound.leaves() for found in _inputs(database, leaf))


def affected(database: Database, changed: Iterable[Input]) -> tuple[BoundRule, ...]:
    """The rules whose result may differ after these inputs changed, in their order."""
    readers = _readers(database)
    found = {position for one in changed for position in readers.get(one, ())}
    rules = rules_of(database)
    return tuple(rules[position] for position in sorted(found))


def fields_named(database: Database, bound: BoundRule) -> tuple[str, ...]:
    """The fields that the rule names itself, by a part of them or by a control, in the order in which it does."""
    found: dict[str, None] = {}
    for leaf in bound.leaves():
        if isinstance(leaf, nodes.FieldBits):
            found[leaf.field.name] = None
        elif isinstance(leaf, nodes.ControlBit):
            found[database.words[leaf.control.word].field] = None
    return tuple(found)


def msrs_in_order(database: Database) -> list[Msr]:
    """The capability MSRs, each behind those that tell whether it exists."""
    waiting = {
        msr.name: {name for kind, name in _msr(database, msr) if kind == "msr"} for msr in database.capability_msrs
    }
    ordered: list[Msr] = []
    while waiting:
        ready = [name for name, asked in waiting.items() if not asked & waiting.keys() - {name}]
        ordered += [database.msrs[name] for name in ready]
        for name in ready:
            del waiting[name]
    return ordered


@lru_cache(maxsize=8)
def _readers(database: Database) -> Mapping[Input, tuple[int, ...]]:
    """For each input the positions of the rules that read it."""
    readers: dict[Input, list[int]] = {}
    for position, bound in enumerate(rules_of(database)):
        for one in reads(database, bound):
            readers.setdefault(one, []).append(position)
    return {one: tuple(positions) for one, positions in readers.items()}


def _inputs(database: Database, leaf: nodes.Leaf) -> Iterator[Input]:
    match leaf:
        case nodes.FieldBits():
            yield "field", leaf.field.name
        case nodes.ControlBit():
            word = database.words[leaf.control.word]
            yield "field", word.field
            yield from (("field", database.words[by.word].field) for by in database.activators(word))
        case nodes.AllowedBits():
            yield from _settings(database, leaf.word)
        case nodes.Supported() | nodes.Forced():
            yield from _settings(database, database.words[leaf.control.word])
        case nodes.MsrBits():
            yield from _msr(database, leaf.msr)
        case nodes.CpuFact():
            yield "cpu", leaf.fact.name
        case nodes.ProcessorState():
            yield "processor", leaf.state.name
        case nodes.Memory() | nodes.ElementBits():
            yield MEMORY
        case _:
            raise TypeError(f"a rule does not read {type(leaf).__name__}")


def _settings(database: Database, word: ControlWord) -> Iterator[Input]:
    for name in (word.msr, word.true_msr):
        if name is not None:
            yield from _msr(database, database.msrs[name])


def _msr(database: Database, msr: Msr) -> Iterator[Input]:
    """The MSR, and whatever says whether there is one; specs whose conditions go in circles are refused."""
    yield "msr", msr.name
    if msr.exists is not None:
        for leaf in nodes.leaves(condition_of(database, msr.exists)):
            yield from _inputs(database, leaf)
