"""The rules as generated code, for many states: a rule whose inputs are all known costs a fraction of a microsecond.

What is not wholly known is evaluated rule by rule in the three-valued way. The results are those of `evaluate_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control
from vmcsc.capabilities.cpu import Cpu
from vmcsc.check.evaluate import RuleResult, Status, evaluate_rule, evaluate_rules, rules_of
from vmcsc.check.generate import generate, is_small, reads_memory
from vmcsc.check.memory import Memory
from vmcsc.check.state import State
from vmcsc.expression import nodes
from vmcsc.expression.rules import BoundRule
from vmcsc.expression.value import Value

WARM_UP = 16
"""States of one database that are evaluated in the slow way before it pays to generate code."""

MAX_CPUS = 256
"""CPUs whose answers are kept."""

MAX_REMEMBERED = 100_000
"""Results of rules over partly known inputs that are kept."""

_Key = tuple[str | int, ...]
_Masks = tuple[int, int]
"""Rules by their numbers: those that read something, and those of them where it decides whether they apply."""


class Evaluator:
    """Evaluates the rules of one database over states, in the way that is faster for as many as there were."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._states = 0
        self._compiled: CompiledRules | None = None

    def results(self, state: State) -> tuple[RuleResult, ...]:
        """The result of each rule over `state`, in the order of the rules."""
        if self._compiled is None:
            self._states += 1
            if self._states <= WARM_UP:
                return tuple(evaluate_rules(rules_of(self._database), state))
            self._compiled = CompiledRules(self._database)
        return self._compiled.results(state)


@lru_cache(maxsize=8)
def evaluator(database: Database) -> Evaluator:
    """The evaluator of `database`, always the same."""
    return Evaluator(database)


class Unknown(Exception):
    """Memory that is not known was read."""


class _Readers:
    """Which rules read what."""

    def __init__(self, rules: Iterable[BoundRule]) -> None:
        self.leaves: dict[_Key, nodes.Leaf] = {}
        self._any: dict[_Key, int] = {}
        self._deciding: dict[_Key, int] = {}
        for index, rule in enumerate(rules):
            for leaf in rule.leaves():
                self.leaves.setdefault(leaf.key, leaf)
                self._any[leaf.key] = self._any.get(leaf.key, 0) | 1 << index
            deciding = [rule.when] if rule.area is None else [rule.when, rule.area.count, rule.area.address]
            for leaf in (leaf for part in deciding for leaf in nodes.leaves(part)):
                self._deciding[leaf.key] = self._deciding.get(leaf.key, 0) | 1 << index

    def of(self, leaf: nodes.Leaf) -> _Masks:
        return self._any.get(leaf.key, 0), self._deciding.get(leaf.key, 0)


class _Open:
    """The rules that read something unknown, and a description of all that is unknown."""

    __slots__ = ("any", "deciding", "unknown")

    def __init__(self, readers: _Masks = (0, 0)) -> None:
        self.any, self.deciding = readers
        self.unknown: list[object] = []

    def add(self, readers: _Masks) -> None:
        self.any |= readers[0]
        self.deciding |= readers[1]


class _Named:
    """Inputs that are read by name: the fields, or the processor's state. What is unknown in them counts as 0."""

    def __init__(
        self, widths: Mapping[str, int], leaves: Iterable[tuple[str, nodes.Leaf, int]], readers: _Readers
    ) -> None:
        self._masks = [(name, (1 << width) - 1) for name, width in widths.items()]
        self._parts: dict[str, list[tuple[int, _Masks]]] = {name: [] for name in widths}
        for name, leaf, low in leaves:
            self._parts[name].append(((1 << leaf.width) - 1 << low, readers.of(leaf)))

    def read(self, values: Mapping[str, Value], unsettled: _Open) -> tuple[list[int], dict[str, int]]:
        """The values as ints, and which bits are known of those that are not wholly known."""
        get = values.get
        partial: dict[str, int] = {}
        numbers = []
        for name, mask in self._masks:
            value = get(name)
            if value is not None and value.known == mask:
                numbers.append(value.bits)
                continue
            known = partial[name] = 0 if value is None else value.known
            numbers.append(0 if value is None else value.bits & mask)
            for part, readers in self._parts[name]:
                if part & ~known:
                    unsettled.add(readers)
        unsettled.unknown.append(tuple(partial.items()))
        return numbers, partial


class CompiledRules:
    """The rules of a database as one function."""

    def __init__(self, database: Database) -> None:
        self._rules = rules_of(database)
        text, inputs = generate(self._rules, database)
        scope: dict[str, Any] = {"__builtins__": {"range": range, "min": min, "max": max}, "Unknown": Unknown}
        exec(compile(text, "<rules>", "exec"), scope)  # of numbers and names that `generate` made up
        self._check: Callable[..., tuple[_Key | None, ...]] = scope["check"]
        self._not_applicable = [RuleResult(bound, Status.NOT_APPLICABLE) for bound in self._rules]
        self._passed = [RuleResult(bound, Status.PASSED) for bound in self._rules]
        self._violated = [RuleResult(bound, Status.VIOLATED) for bound in self._rules]
        self._over_memory = frozenset(index for index, bound in enumerate(self._rules) if reads_memory(bound))
        self._left_out = sum(1 << index for index, bound in enumerate(self._rules) if not is_small(bound))
        readers = _Readers(self._rules)
        leaves = list(readers.leaves.values())
        fields = [(leaf.field.name, leaf, leaf.low) for leaf in leaves if isinstance(leaf, nodes.FieldBits)]
        self._fields = _Named({name: database.fields[name].width for name in inputs.fields}, fields, readers)
        states = [(leaf.state.name, leaf, 0) for leaf in leaves if isinstance(leaf, nodes.ProcessorState)]
        self._state = _Named({name: database.state[name].width for name in inputs.state}, states, readers)
        self._controls = list(_controls(database, readers))
        self._asked = [(leaf, readers.of(leaf)) for leaf in inputs.capabilities]
        self._cpus: dict[int, tuple[Cpu, list[int], _Open]] = {}
        self._remembered = _Remembered()

    def results(self, state: State) -> tuple[RuleResult, ...]:
        """The result of each rule over `state`."""
        unsettled = _Open((self._left_out, self._left_out))
        fields, partial = self._fields.read(state.fields, unsettled)
        if partial:
            self._read_controls(state, partial, unsettled)
        processor, _ = self._state.read(state.processor, unsettled)
        capabilities = self._capabilities(state, unsettled)
        late: list[int] = []
        results = self._not_applicable.copy()
        read = self._check(
            fields, capabilities, processor, results, self._passed, self._violation,
            _reader(state.memory), late.append, state.memory is None or unsettled.any,
        )  # fmt: skip
        for index in late:
            unsettled.add((1 << index, 1 << index))
        if unsettled.any:
            self._settle(results, read, unsettled, state)
        return tuple(results)

    def _settle(self, results: list[RuleResult], read: Sequence[_Key | None], unsettled: _Open, state: State) -> None:
        """Evaluate in the other way what the function could not, unless it certainly does not apply."""
        remembered = self._remembered.of(tuple(unsettled.unknown))
        pending = unsettled.any
        while pending:
            index = pending.bit_length() - 1
            pending ^= 1 << index
            if not unsettled.deciding >> index & 1 and results[index] is self._not_applicable[index]:
                continue
            values = read[index] if read else None  # nothing is told where only memory turned out to be unknown
            if values is None or (state.memory is not None and index in self._over_memory):
                results[index] = evaluate_rule(self._rules[index], state)
                continue
            result = remembered.get((index, values))
            if result is None:
                result = remembered[index, values] = evaluate_rule(self._rules[index], state)
            results[index] = result

    def _violation(self, index: int, element: int | None) -> RuleResult:
        return self._violated[index] if element is None else RuleResult(self._rules[index], Status.VIOLATED, element)

    def _read_controls(self, state: State, partial: Mapping[str, int], unsettled: _Open) -> None:
        """Note the controls that are unknown: 0 in an inactive word is known, whatever else of it is not."""
        unknown = []
        for place, (control, words, readers) in enumerate(self._controls):
            if not partial.keys().isdisjoint(words) and state.setting(control) is None:
                unsettled.add(readers)
                unknown.append(place)
        unsettled.unknown.append(tuple(unknown))

    def _capabilities(self, state: State, unsettled: _Open) -> list[int]:
        """What the CPU answers, and for which rules it does not: the same for every state on one CPU."""
        cpu = state.capabilities.cpu
        kept = self._cpus.get(id(cpu))
        if kept is None or kept[0] is not cpu:
            if len(self._cpus) >= MAX_CPUS:
                self._cpus.clear()
            kept = self._cpus[id(cpu)] = (cpu, *self._ask(state))
        unsettled.add((kept[2].any, kept[2].deciding))
        unsettled.unknown += kept[2].unknown
        return kept[1]

    def _ask(self, state: State) -> tuple[list[int], _Open]:
        numbers, unsettled, unknown = [], _Open(), []
        for place, (leaf, readers) in enumerate(self._asked):
            value = state.read(leaf)
            numbers.append(value.bits)
            if not value.is_known:
                unsettled.add(readers)
                unknown.append((place, value.known))
        unsettled.unknown.append(tuple(unknown))
        return numbers, unsettled


class _Remembered:
    """The results of rules over inputs that were met before, apart for each pattern of what is unknown in a state."""

    def __init__(self) -> None:
        self._patterns: dict[object, dict[tuple[int, _Key], RuleResult]] = {}

    def of(self, pattern: object) -> dict[tuple[int, _Key], RuleResult]:
        if sum(map(len, self._patterns.values())) > MAX_REMEMBERED or len(self._patterns) > MAX_CPUS:
            self._patterns.clear()
        return self._patterns.setdefault(pattern, {})


def _controls(database: Database, readers: _Readers) -> Iterator[tuple[Control, tuple[str, ...], _Masks]]:
    """The controls that rules read, and for each the fields that its setting in force depends on."""
    for leaf in readers.leaves.values():
        if isinstance(leaf, nodes.ControlBit):
            own = database.words[leaf.control.word]
            activating = (database.words[control.word].field for control in database.activators(own))
            yield leaf.control, (own.field, *activating), readers.of(leaf)


def _reader(memory: Memory | None) -> Callable[[int, int], int]:
    """Reads memory, each place once; raises `Unknown`."""
    seen: dict[tuple[int, int], int] = {}

    def read(address: int, width: int) -> int:
        place = (address, width)
        if place not in seen:
            value = None if memory is None else memory.read(address, width)
            if value is None or not value.is_known:
                raise Unknown
            seen[place] = value.bits
        return seen[place]

    return read
