"""What VM entry makes of many VMCSs at once, over arrays of numpy (the extra `batch`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.check.evaluate import Status, rules_of
from vmcsc.check.verdict import Outcome, causes_of_rules, is_number
from vmcsc.errors import VmcscError
from vmcsc.expression import columns, nodes
from vmcsc.expression.columns import Column
from vmcsc.expression.rules import BoundRule
from vmcsc.expression.value import Value
from vmcsc.records import dataclass

CHUNK = 16384
"""States that are evaluated together: fewer cost more calls, and more do not fit into the processor's cache."""

FAILS, ENTERS, UNDETERMINED = 0, 1, 2
"""The verdicts, as `Many.verdict` has them."""

STATUSES = (Status.NOT_APPLICABLE, Status.PASSED, Status.VIOLATED, Status.UNDETERMINED)
"""What becomes of a rule, by its number in `Many.statuses`."""

_NOT_APPLICABLE, _PASSED, _VIOLATED, _UNDETERMINED = range(4)
_CPU_LEAVES = (nodes.Supported, nodes.Forced, nodes.MsrBits, nodes.CpuFact)

Array = Any


@dataclass(frozen=True, eq=False)
class Many:
    """What became of `count` states.

    `verdict` says of each whether the entry fails (0), succeeds (1) or cannot be told (2). `outcome` is the place of
    the usual outcome in `outcomes`, -1 where none is certain, and `first` that of a rule in `rules` that causes it.
    `counts` has for each rule how many states it is not applicable to, passed, violated and undetermined in. `statuses`
    has a row for each state and a column for each rule, if it was asked for: numbers of `STATUSES`.
    """

    rules: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    verdict: Array
    outcome: Array
    first: Array
    counts: Mapping[str, tuple[int, int, int, int]]
    statuses: Array = None

    @property
    def count(self) -> int:
        return len(self.verdict)

    @property
    def parts(self) -> tuple[str, ...]:
        """What outcomes are made of, as far as it is numbers."""
        named = ((name, number) for one in self.outcomes for name, number in one.parts)
        return tuple(dict.fromkeys(name for name, number in named if is_number(number)))

    def part(self, name: str, missing: int = -1) -> Array:
        """A part of each outcome, such as `exit_reason`, `instruction_error` or `qualification`: a number for each
        state, `missing` where the outcome has no such part or no outcome is certain."""
        numbers = [dict(one.parts).get(name, missing) for one in self.outcomes]
        known = [number if is_number(number) else missing for number in numbers]
        return np.array([*known, missing], dtype=np.int64)[self.outcome]


def check_many(
    fields: Mapping[str, Any],
    cpu: Cpu,
    processor: Mapping[str, Any],
    database: Database,
    *,
    statuses: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Many:
    """As `vmcsc.check_many`; the arguments are of the types that it makes of its own."""
    widths = {name: field.width for name, field in database.fields.items()}
    own = {name: _given(name, raw, widths[name]) for name, raw in fields.items()}
    own |= {f"processor.{name}": _given(name, raw, database.state[name].width) for name, raw in processor.items()}
    lengths = {len(array) for pair in own.values() for array in pair if array is not None and array.ndim}
    if len(lengths) > 1:
        raise VmcscError(f"the arrays have different lengths: {', '.join(map(str, sorted(lengths)))}")
    return _Run(database, cpu, own, max(lengths, default=1)).many(statuses, progress)


def _given(name: str, raw: Any, width: int) -> tuple[Array, Array]:
    """Values and mask as words; raises where they do not fit."""
    values, known = raw if isinstance(raw, tuple) else (raw, None)
    found = _words(name, values)
    if found.size and int(found.max()) >> width:
        raise VmcscError(f"{name!r} is {width} bits wide; {int(found.max())} does not fit")
    return found, None if known is None else _words(name, known)


def _words(name: str, raw: Any) -> Array:
    try:
        array = np.asarray(raw)
        if array.dtype == object:  # numbers above 2^63 - 1, or something else
            array = np.asarray(raw, dtype=np.uint64)
    except (TypeError, ValueError, OverflowError):
        raise VmcscError(f"{name!r} is no array of numbers") from None
    if array.dtype.kind not in "uib" or array.ndim > 1:
        raise VmcscError(f"{name!r} is no array of numbers")
    if array.dtype.kind == "i" and array.size and int(array.min()) < 0:
        raise VmcscError(f"{name!r} has a negative number")
    return array.astype(np.uint64)


class _Run:
    """One call: the rules over the states, chunk by chunk."""

    def __init__(
        self, database: Database, cpu: Cpu, given: Mapping[str, tuple[Array, Array]], count: int
    ) -> None:  # fmt: skip
        self._db = database
        self._capabilities = Capabilities(database, cpu)
        self._given = given
        self._count = count
        self._rules = rules_of(database)
        self._effects = _effects(database)
        self._asked: dict[tuple[str | int, ...], Column] = {}

    def many(self, keep: bool, progress: Callable[[int], None] | None) -> Many:
        verdict, outcome, first = (np.empty(self._count, dtype) for dtype in (np.uint8, np.int32, np.int32))
        counts = np.zeros((len(self._rules), len(STATUSES)), dtype=np.int64)
        kept = np.empty((self._count, len(self._rules)), dtype=np.uint8) if keep else None
        for start in range(0, self._count, CHUNK):
            chunk = slice(start, min(start + CHUNK, self._count))
            with np.errstate(over="ignore"):
                found = self._statuses(chunk)
            for status in range(len(STATUSES)):
                counts[:, status] += np.count_nonzero(found == status, axis=1)
            verdict[chunk], outcome[chunk], first[chunk] = self._effects.of(found)
            if kept is not None:
                kept[chunk] = found.T
            if progress is not None:
                progress(chunk.stop)
        numbers = ((int(a), int(b), int(c), int(d)) for a, b, c, d in counts)
        listed = {bound.rule.id: row for bound, row in zip(self._rules, numbers, strict=True)}
        names = tuple(bound.rule.id for bound in self._rules)
        return Many(names, self._effects.outcomes, verdict, outcome, first, listed, kept)

    def _statuses(self, chunk: slice) -> Array:
        """A row of statuses for each rule, over the states of the chunk."""
        size = chunk.stop - chunk.start
        reader = _Chunk(self._db, self._given, chunk, self._ask)
        found = np.empty((len(self._rules), size), dtype=np.uint8)
        for index, bound in enumerate(self._rules):
            found[index] = reader.status(bound)
        return found

    def _ask(self, leaf: nodes.Leaf) -> Column:
        """What the CPU answers, which is the same for every state."""
        if leaf.key not in self._asked:
            if isinstance(leaf, nodes.AllowedBits):
                allowed = self._capabilities.allowed(leaf.word)
                answer: Value = allowed.must_be_1 if leaf.must_be_1 else allowed.may_be_1
            else:
                answer = self._capabilities.read(leaf)
            self._asked[leaf.key] = columns.constant(answer)
        return self._asked[leaf.key]


class _Chunk:
    """Some states, as rules read them."""

    def __init__(
        self,
        database: Database,
        given: Mapping[str, tuple[Array, Array]],
        chunk: slice,
        ask: Callable[[nodes.Leaf], Column],
    ) -> None:
        self._db = database
        self._given = given
        self._chunk = chunk
        self._ask = ask
        self._read: dict[tuple[str | int, ...], Column] = {}
        self._whens: dict[str | None, Column] = {}

    def status(self, bound: BoundRule) -> Array:
        """What becomes of the rule in each state."""
        area = bound.area
        count = None if area is None else columns.evaluate(area.count, self.leaf)
        applies = self._when(bound)
        if applies.known is None and count is None and not np.any(applies.bits):
            return np.uint8(_NOT_APPLICABLE)
        holds = columns.evaluate(bound.require, self.leaf)
        if applies.known is None and holds.known is None and count is None:
            return _byte(applies.bits) * (np.uint8(_VIOLATED) - _byte(holds.bits))
        idle = columns.known_of(applies) & ~applies.bits
        if count is not None:
            idle = idle | columns.is_false(count)
        passed, broken = holds.bits, applies.bits & columns.known_of(holds) & ~holds.bits
        if count is not None:  # of elements in memory nothing is known
            passed, broken = passed & columns.is_true(count), np.False_
        status = np.where(broken, np.uint8(_VIOLATED), np.uint8(_UNDETERMINED))
        return np.where(idle, np.uint8(_NOT_APPLICABLE), np.where(passed, np.uint8(_PASSED), status))

    def _when(self, bound: BoundRule) -> Column:
        """Many rules have the same condition."""
        if bound.area is not None:
            return columns.evaluate(bound.when, self.leaf)
        text = bound.rule.when
        if text not in self._whens:
            self._whens[text] = columns.evaluate(bound.when, self.leaf)
        return self._whens[text]

    def leaf(self, leaf: nodes.Leaf) -> Column:
        if isinstance(leaf, nodes.Memory | nodes.ElementBits):
            return columns.unknown(leaf.width)
        if isinstance(leaf, (*_CPU_LEAVES, nodes.AllowedBits)):
            return self._ask(leaf)
        if leaf.key not in self._read:
            self._read[leaf.key] = self._fresh(leaf)
        return self._read[leaf.key]

    def _fresh(self, leaf: nodes.Leaf) -> Column:
        match leaf:
            case nodes.FieldBits():
                return columns.slice_of(self._whole(leaf.field.name, leaf.field.width), leaf.low, leaf.width)
            case nodes.ControlBit():
                words = self._db.words
                own = words[leaf.control.word]
                bits = [leaf.control, *self._db.activators(own)]
                settings = [columns.slice_of(self._whole(words[one.word].field, words[one.word].width), one.bit, 1)
                            for one in bits]  # fmt: skip
                found = settings[0]
                for one in settings[1:]:
                    found = columns.bit_and(found, one)
                return found
            case nodes.ProcessorState():
                return self._whole(f"processor.{leaf.state.name}", leaf.state.width)
            case _:
                raise TypeError(f"a rule does not read {type(leaf).__name__}")

    def _whole(self, name: str, width: int) -> Column:
        key = ("whole", name)
        if key not in self._read:
            values, known = self._given.get(name, (np.uint64(0), np.uint64(0)))
            bits, settled = self._cut(values), None if known is None else self._cut(known) & np.uint64((1 << width) - 1)
            column = Column(64, bits if settled is None else bits & settled, settled)
            self._read[key] = columns.slice_of(column, 0, width) if width == 1 else Column(width, column.bits, settled)
        return self._read[key]

    def _cut(self, array: Array) -> Array:
        return array[self._chunk] if np.ndim(array) else array[()]


def _byte(truth: Array) -> Array:
    return truth.view(np.uint8) if np.ndim(truth) else np.uint8(truth)


class _Effects:
    """What follows from the statuses of all rules."""

    def __init__(self, database: Database) -> None:
        caused = causes_of_rules(database)
        ranked = []
        for index, bound in enumerate(rules_of(database)):
            effect = caused.get(bound.rule.id)
            if effect is not None:
                outcome, rank = min(effect.outcomes, key=lambda one: one[1])
                ranked.append((effect.stage, rank, index, outcome))
        ranked.sort(key=lambda one: one[:3])
        self.outcomes = tuple(dict.fromkeys(outcome for *_, outcome in ranked))
        places = {outcome: place for place, outcome in enumerate(self.outcomes)}
        self._backwards = [(index, places[outcome]) for _, _, index, outcome in reversed(ranked)]

    def of(self, found: Array) -> tuple[Array, Array, Array]:
        """The verdict, the place of the usual outcome and that of its rule, for each state."""
        violated, unsettled = found == _VIOLATED, np.zeros(found.shape[1], dtype=np.bool_)
        outcome, first = (np.full(found.shape[1], -1, dtype=np.int32) for _ in range(2))
        for index, place in self._backwards:  # what is written last is what the processor comes to first
            if violated[index].any():
                np.copyto(outcome, np.int32(place), where=violated[index])
                np.copyto(first, np.int32(index), where=violated[index])
            np.logical_or(unsettled, found[index] == _UNDETERMINED, out=unsettled)
        verdict = np.where(first >= 0, FAILS, np.where(unsettled, UNDETERMINED, ENTERS))
        return verdict, outcome, first


@lru_cache(maxsize=8)
def _effects(database: Database) -> _Effects:
    return _Effects(database)
