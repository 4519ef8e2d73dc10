"""The rules of VM entry over the machine's state: only those whose inputs changed since the last entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import MAX_ELEMENTS, RuleResult, Status, rules_of
from vmcsc.check.verdict import Verdict, verdict
from vmcsc.expression import nodes
from vmcsc.expression.rules import BoundRule
from vmcsc.machine.code import Code
from vmcsc.machine.memory import PhysicalMemory
from vmcsc.machine.processor import Processor
from vmcsc.machine.vmcs_data import slots_of

Check = Callable[[Processor, Sequence[int], Callable[[int, int], int]], int]
"""0 where a rule holds or does not apply, else the number of the element that violates it, or -1."""

MAX_PATTERNS = 512
"""Sets of changed fields whose rules are kept as one function."""

OFTEN = 4
"""So many entries with the same changed fields, and their rules become one function."""


class EntryRules:
    """`violated` tells which rules a VMCS violates, `permitted` what the processor may do then."""

    def __init__(self, database: Database, code: Code) -> None:
        self._database = database
        self._code = code
        self._rules = rules_of(database)
        self._checks: list[Check | None] = [None] * len(self._rules)
        self._readers: dict[int, int] = {}
        self._always = 0
        self._joined: dict[int, Check] = {}
        self._uses: dict[int, int] = {}
        for index, rule in enumerate(self._rules):
            for leaf in rule.leaves():
                self._note(index, leaf)

    def _note(self, index: int, leaf: nodes.Leaf) -> None:
        of = slots_of(self._database).of
        if isinstance(leaf, nodes.FieldBits):
            read = [leaf.field.name]
        elif isinstance(leaf, nodes.ControlBit):
            word = self._database.words[leaf.control.word]
            activating = self._database.activators(word)
            read = [word.field, *(self._database.words[control.word].field for control in activating)]
        else:
            if isinstance(leaf, nodes.ProcessorState | nodes.Memory | nodes.ElementBits):
                self._always |= 1 << index
            return
        for name in read:
            self._readers[of[name]] = self._readers.get(of[name], 0) | 1 << index

    def hold(self, p: Processor, fields: Sequence[int], dirty: int, memory: PhysicalMemory) -> bool:
        """Whether no rule is violated, given that none was before the fields of `dirty` changed."""
        joined = self._joined.get(dirty)
        read = memory.read
        if joined is not None:
            return not joined(p, fields, read)
        checks = self._concerned(dirty)
        self._uses[dirty] = self._uses.get(dirty, 0) + 1
        if self._uses[dirty] == OFTEN:
            self._join(dirty)
        return not any(self._check(index)(p, fields, read) for index in checks)

    def permitted(self, p: Processor, fields: Sequence[int], memory: PhysicalMemory) -> Verdict:
        """What the processor may do, from all rules."""
        return verdict(self._database, self.results(p, fields, memory))

    def results(self, p: Processor, fields: Sequence[int], memory: PhysicalMemory) -> list[RuleResult]:
        """The result of each rule; those that do not apply count as passed."""
        found = []
        for index, rule in enumerate(self._rules):
            element = self._check(index)(p, fields, memory.read)
            status = Status.VIOLATED if element else Status.PASSED
            found.append(RuleResult(rule, status, element if element > 0 else None))
        return found

    def _concerned(self, dirty: int) -> tuple[int, ...]:
        """The numbers of the rules that read one of the fields, or what may change without any."""
        concerned, pending = self._always, dirty
        while pending:
            slot = pending.bit_length() - 1
            pending ^= 1 << slot
            concerned |= self._readers.get(slot, 0)
        return tuple(index for index in range(len(self._rules)) if concerned >> index & 1)

    def _join(self, dirty: int) -> None:
        """Make one function of the checks for a set of changed fields."""
        if len(self._joined) >= MAX_PATTERNS:
            self._joined.clear()
            self._uses.clear()
        lines = [line for index in self._concerned(dirty) for line in self._lines(self._rules[index])]
        self._joined[dirty] = self._code.compile("rules", "p, f, m", [*lines, "return 0"])

    def _check(self, index: int) -> Check:
        check = self._checks[index]
        if check is None:
            check = self._checks[index] = self._compiled(index, self._rules[index])
        return check

    def _compiled(self, index: int, rule: BoundRule) -> Check:
        return self._code.compile(f"rule_{index}", "p, f, m", [*self._lines(rule), "return 0"])

    def _lines(self, rule: BoundRule) -> list[str]:
        """Lines that return where the rule is violated."""
        text = self._code.text
        if rule.area is None:
            return [f"if {text(rule.when)} and not {text(rule.require)}: return -1"]
        size = rule.area.area.size
        return [
            f"a = {text(rule.area.address)}",
            f"for i in range(min({text(rule.area.count)}, {MAX_ELEMENTS})):",
            f"    e = m((a + i * {size}) & {hex((1 << 64) - 1)}, {size * 8})",
            f"    if {text(rule.when)} and not {text(rule.require)}: return i + 1",
        ]
