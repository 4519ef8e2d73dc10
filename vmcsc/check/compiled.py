"""The rules as generated code, for many states: a rule whose inputs are all known costs a fraction of a microsecond.

What is not wholly known is evaluated rule by rule in the three-valued way. The results are those of `evaluate_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control
from vmcsc.capabilities.cpu import Cpu
from vmcsc.check.evaluate import RuleResult, Status, evaluate_rule, evaluate_rules, rules_of
from vmcsc.check.generate import generate, is_small
from vmcsc.check.memory import Memory
from vmcsc.check.state import State
from vmcsc.expression import nodes
from vmcsc.expression.rules import BoundRule
from vmcsc.expression.value import Value

WARM_UP = 16
"""States of one database that are evaluated in the slow way before it pays to generate code."""

MAX_CPUS = 256
"""CPUs whose answers are kept."""

_Ints = Sequence[int]
_Results = list[RuleResult]
_Check = Callable[[_Ints, _Ints, _Ints, _Results, _Results, Any, Any, Callable[[int], None]], _Results]


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
    """The rules that read something, as masks: those that read it at all, and those where it decides if they apply."""

    def __init__(self, rules: Iterable[BoundRule]) -> None:
        self.all: dict[tuple[str | int, ...], int] = {}
        self.when: dict[tuple[str | int, ...], int] = {}
        self.leaves: dict[tuple[str | int, ...], nodes.Leaf] = {}
        for index, rule in enumerate(rules):
            for leaf in rule.leaves():
                self.leaves.setdefault(leaf.key, leaf)
                self.all[leaf.key] = self.all.get(leaf.key, 0) | 1 << index
            deciding = [rule.when] if rule.area is None else [rule.when, rule.area.count, rule.area.address]
            for leaf in (leaf for part in deciding for leaf in nodes.leaves(part)):
                self.when[leaf.key] = self.when.get(leaf.key, 0) | 1 << index

    def of(self, leaf: nodes.Leaf) -> tuple[int, int]:
        return self.all.get(leaf.key, 0), self.when.get(leaf.key, 0)


class _Open:
    """The rules that read something unknown, in the sense of `_Readers`."""

    __slots__ = ("all", "when")

    def __init__(self, readers: tuple[int, int]) -> None:
        self.all, self.when = readers

    def add(self, readers: tuple[int, int]) -> None:
        self.all |= readers[0]
        self.when |= readers[1]


class _Named:
    """Inputs that are read by name: the fields, or the processor's state. What is unknown in them counts as 0."""

    def __init__(self, widths: Mapping[str, int], parts: Iterable[tuple[str, nodes.Leaf, int]], readers: _Readers) -> None:
        self._masks = [(name, (1 << width) - 1) for name, width in widths.items()]
        self._parts: dict[str, list[tuple[int, tuple[int, int]]]] = {name: [] for name in widths}
        for name, leaf, low in parts:
            self._parts[name].append(((1 << leaf.width) - 1 << low, readers.of(leaf)))

    def read(self, values: Mapping[str, Value], unsettled: _Open) -> tuple[list[int], set[str]]:
        """The values as ints, and the names of those that are not wholly known."""
        get, missing = values.get, set()
        numbers = []
        for name, mask in self._masks:
            value = get(name)
            if value is not None and value.known == mask:
                numbers.append(value.bits)
                continue
            missing.add(name)
            known = 0 if value is None else value.known
            numbers.append(0 if value is None else value.bits & mask)
            for part, readers in self._parts[name]:
                if part & ~known:
                    unsettled.add(readers)
        return numbers, missing


class CompiledRules:
    """The rules of a database as one function."""

    def __init__(self, database: Database) -> None:
        self._rules = rules_of(database)
        text, inputs = generate(self._rules, database)
        scope: dict[str, Any] = {"__builtins__": {"range": range, "min": min, "max": max}, "Unknown": Unknown}
        exec(compile(text, "<rules>", "exec"), scope)  # of numbers and names that `generate` made up
        self._check: _Check = scope["check"]
        self._not_applicable = [RuleResult(bound, Status.NOT_APPLICABLE) for bound in self._rules]
        self._passed = [RuleResult(bound, Status.PASSED) for bound in self._rules]
        self._violated = [RuleResult(bound, Status.VIOLATED) for bound in self._rules]
        readers = _Readers(self._rules)
        left_out = sum(1 << index for index, bound in enumerate(self._rules) if not is_small(bound))
        self._left_out = (left_out, left_out)
        fields = [(leaf.field.name, leaf, leaf.low) for leaf in readers.leaves.values() if isinstance(leaf, nodes.FieldBits)]
        states = [(leaf.state.name, leaf, 0) for leaf in readers.leaves.values() if isinstance(leaf, nodes.ProcessorState)]
        widths = {name: database.fields[name].width for name in inputs.fields}
        self._fields = _Named(widths, fields, readers)
        self._state = _Named({name: database.state[name].width for name in inputs.state}, states, readers)
        self._controls = _controls(database, readers)
        self._asked = [(leaf, readers.of(leaf)) for leaf in inputs.capabilities]
        self._cpus: dict[int, tuple[Cpu, list[int], tuple[int, int]]] = {}

    def results(self, state: State) -> tuple[RuleResult, ...]:
        """The result of each rule over `state`."""
        unsettled = _Open(self._left_out)
        fields, partial = self._fields.read(state.fields, unsettled)
        for control, words, readers in self._controls if partial else ():
            if not partial.isdisjoint(words) and state.setting(control) is None:
                unsettled.add(readers)
        processor, _ = self._state.read(state.processor, unsettled)
        capabilities, unanswered = self._capabilities(state)
        unsettled.add(unanswered)
        late: list[int] = []
        results = self._check(
            fields, capabilities, processor,
            self._not_applicable.copy(), self._passed, self._violation, _reader(state.memory), late.append,
        )  # fmt: skip
        self._settle(results, late, unsettled, state)
        return tuple(results)

    def _settle(self, results: _Results, late: Iterable[int], unsettled: _Open, state: State) -> None:
        """Evaluate in the other way what the function could not, unless it certainly does not apply."""
        for index in late:
            unsettled.add((1 << index, 1 << index))
        pending = unsettled.all
        while pending:
            index = pending.bit_length() - 1
            pending ^= 1 << index
            if unsettled.when >> index & 1 or results[index] is not self._not_applicable[index]:
                results[index] = evaluate_rule(self._rules[index], state)

    def _violation(self, index: int, element: int | None) -> RuleResult:
        return self._violated[index] if element is None else RuleResult(self._rules[index], Status.VIOLATED, element)

    def _capabilities(self, state: State) -> tuple[list[int], tuple[int, int]]:
        """What the CPU answers, and the rules for which it does not: the same for every state on one CPU."""
        cpu = state.capabilities.cpu
        kept = self._cpus.get(id(cpu))
        if kept is None or kept[0] is not cpu:
            unsettled, numbers = _Open((0, 0)), []
            for leaf, readers in self._asked:
                value = state.read(leaf)
                numbers.append(value.bits & (1 << leaf.width) - 1)
                if not value.is_known:
                    unsettled.add(readers)
            if len(self._cpus) >= MAX_CPUS:
                self._cpus.clear()
            kept = self._cpus[id(cpu)] = (cpu, numbers, (unsettled.all, unsettled.when))
        return kept[1], kept[2]


def _controls(database: Database, readers: _Readers) -> list[tuple[Control, tuple[str, ...], tuple[int, int]]]:
    """The controls that rules read, and for each the fields that its setting in force depends on."""
    found = []
    for leaf in readers.leaves.values():
        if isinstance(leaf, nodes.ControlBit):
            own = database.words[leaf.control.word]
            activating = (database.words[control.word].field for control in database.activators(own))
            found.append((leaf.control, (own.field, *activating), readers.of(leaf)))
    return found


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
