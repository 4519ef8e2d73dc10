"""Where the states to be compared come from: rule tables, shipped states, and random neighbours of both."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from tests.bochs.compare import UNUSED_MSR, Trial, is_free
from tests.bochs.subjects import Subject, from_tables, shipped, words
from tests.check.all_rows import ROWS
from tests.check.changes import Change, Key
from vmcsc.architecture.database import Database
from vmcsc.bochs.processor import Model
from vmcsc.check.evaluate import rules_of
from vmcsc.expression.nodes import FieldBits

AREAS = (0xD010, 0x105550)
"""Where areas of MSRs may lie; between them they have many bits."""


def subjects(database: Database, model: Model, skipped: Counter[str]) -> dict[str, Subject]:
    """Every context that the model can have: those of the tables, and the shipped states."""
    found = {}
    for _, one in (*from_tables(database, model), *shipped(database, model)):
        if isinstance(one, str):
            skipped[one] += 1
        else:
            found[one.name] = one
    return found


def rows(database: Database, known: dict[str, Subject], skipped: Counter[str]) -> Iterator[Trial]:
    """The states of the rule tables, each as far as fields and memory go: the processor is what it is.

    So a row need not violate its rule there; what it comes to is judged anew.
    """
    seen: set[tuple[str, Change]] = set()
    for row in ROWS:
        subject = known.get(row.check.base)
        kept = Change(tuple(edit for edit in row.change.edits if _can_change(edit[0], database)))
        if subject is None:
            skipped["the model cannot have the context of the row"] += 1
        elif not kept.edits:
            skipped["the row changes the processor alone"] += 1
        elif (row.check.base, kept) in seen:
            skipped["but for the processor the row is like another one"] += 1
        else:
            seen.add((row.check.base, kept))
            yield _changed(database, subject, kept, row.name.split(" (")[0])


def _can_change(key: Key, database: Database) -> bool:
    """Fields, and memory that there is; of other memory nothing is known then."""
    return is_free(key) if isinstance(key, int) else key in database.fields


def _changed(database: Database, subject: Subject, change: Change, origin: str) -> Trial:
    before: dict[Key, int] = {name: subject.fields.get(name, 0) for name in database.fields}
    before |= dict(subject.memory.items())
    after = change.apply(before)
    fields = {
        key: bits & (1 << database.fields[key].width) - 1
        for key, bits in after.items()
        if isinstance(key, str) and bits != before[key]
    }
    after_words = words(after, subject.model)
    memory = {key: bits for key, bits in after_words.items() if bits != subject.memory.get(key, 0)}
    return Trial(subject, fields, memory, origin)


def further(subject: Subject) -> Iterator[Trial]:
    """States that depend on where the harness lies, or need memory: areas of MSRs with one that is not used."""
    yield Trial(subject, {"vmcs_link_pointer": subject.model.host["vmcs"]}, {}, "the link pointer is the current VMCS")
    for area in ("vm_exit_msr_store", "vm_exit_msr_load", "vm_entry_msr_load"):
        for address in AREAS:
            fields = {f"{area}_address": address, f"{area}_count": 1}
            yield Trial(subject, fields, {address: UNUSED_MSR, address + 8: 0}, f"{area} at {address:#x}")


def single_bits(database: Database, subject: Subject) -> Iterator[Trial]:
    """Each bit of each field that some rule reads, turned over."""
    for name in sorted(_read_fields(database) & subject.model.fields):
        for bit in range(database.fields[name].width):
            yield Trial(subject, {name: subject.fields.get(name, 0) ^ 1 << bit}, {}, f"bit {bit} of {name}")


@lru_cache(maxsize=2)
def _read_fields(database: Database) -> frozenset[str]:
    leaves = (leaf for rule in rules_of(database) for leaf in rule.leaves())
    return frozenset(leaf.field.name for leaf in leaves if isinstance(leaf, FieldBits))


def neighbours(database: Database, subject: Subject, count: int, seed: str) -> Iterator[Trial]:
    """States in which 1 to 4 fields are different: a bit, a boundary, another field's value, two fields swapped."""
    chance = random.Random(f"{seed} {subject.model.name} {subject.name}")
    names = sorted(_read_fields(database) & subject.model.fields)
    controls = [word.field for word in database.words.values() if word.field in subject.model.fields]
    for _ in range(count):
        fields: dict[str, int] = {}
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
            name = chance.choice(controls if chance.random() < 0.15 else names)
            width = database.fields[name].width
            bits = fields.get(name, subject.fields.get(name, 0))
            kind = chance.random()
            if kind < 0.55:
                fields[name] = bits ^ 1 << chance.randrange(width)
            elif kind < 0.75:
                fields[name] = _boundary(chance, width)
            else:
                other = chance.choice(names)
                theirs = fields.get(other, subject.fields.get(other, 0))
                fields[name] = theirs & (1 << width) - 1
                if kind > 0.9:
                    fields[other] = bits & (1 << database.fields[other].width) - 1
        yield Trial(subject, fields, {}, f"neighbour of {subject.name}")


def _boundary(chance: random.Random, width: int) -> int:
    """A number at the edge of something: of the width, of a page, of physical and linear addresses."""
    edge = 1 << chance.choice((0, 1, 3, 4, 5, 7, 8, 11, 12, 15, 16, 20, 31, 32, 36, 39, 40, 46, 47, 48, 52, 56, 63))
    return chance.choice((0, -1, edge, edge - 1, -edge, -edge - 1)) & (1 << width) - 1
