"""The capabilities of one processor, three-valued: what nobody read is unknown, not absent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import ControlWord, Entry, Field, Msr
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes, value
from vmcsc.expression.bind import bind_condition
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.expression.value import Value
from vmcsc.records import dataclass, field
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression


@dataclass(frozen=True)
class Cpu:
    """One processor: 64-bit MSR values and facts by name; those not in the mappings are unknown.

    `origins` tells where a value comes from, by MSR or fact name.
    """

    name: str
    title: str
    msrs: Mapping[str, Value] = field(default_factory=dict)
    facts: Mapping[str, Value] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)


UNKNOWN_CPU = Cpu("unknown", "an unknown processor")
"""Of which nothing is known: what holds for it holds for every processor."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The allowed settings of a control word: bits that must be 1, bits that may be 1, and the MSR that says so.

    `exists` is false where the processor does not have the MSR, and with it none of the controls.
    """

    must_be_1: Value
    may_be_1: Value
    msr: Msr
    exists: bool | None


class Capabilities:
    """Answers what `cpu` allows, in the terms of the specs."""

    def __init__(self, database: Database, cpu: Cpu) -> None:
        self.database = database
        self.cpu = cpu
        self._exists: dict[str, Value] = {}
        self._allowed: dict[str, Allowed] = {}

    def exists(self, entry: Entry) -> bool | None:
        """Whether the processor has the MSR, field or control that `entry` is."""
        if entry.exists is None:
            return True
        if entry.exists not in self._exists:
            condition = condition_of(self.database, entry.exists)
            self._exists[entry.exists] = evaluate(condition, self.read)
        return self._exists[entry.exists].bit(0)

    def has_field(self, item: Field) -> bool | None:
        """Whether VMWRITE of the field succeeds. Nothing is known of fields that no manual describes."""
        return None if item.status == "internal" else self.exists(item)

    def msr(self, msr: Msr) -> Value:
        """The MSR's value: 0 where it does not exist, unknown where nobody read it."""
        read = self.cpu.msrs.get(msr.name)
        if read is not None:
            return read
        return value.known(64, 0) if self.exists(msr) is False else value.unknown(64)

    def allowed(self, word: ControlWord) -> Allowed:
        """The allowed settings of `word`, from the TRUE capability MSR where the processor has it."""
        if word.name not in self._allowed:
            self._allowed[word.name] = self._read_allowed(word)
        return self._allowed[word.name]

    def allowed_without_true(self, word: ControlWord) -> Allowed:
        """The allowed settings of `word` as they are to software that does not know the TRUE capability MSRs."""
        return self._settings(word, self.database.msrs[word.msr])

    def _read_allowed(self, word: ControlWord) -> Allowed:
        msr = self.database.msrs[word.msr]
        if word.true_msr is None:
            return self._settings(word, msr)
        true_msr = self.database.msrs[word.true_msr]
        has_true = self.exists(true_msr)
        if has_true is not None:
            return self._settings(word, true_msr if has_true else msr)
        legacy, true = self._settings(word, msr), self._settings(word, true_msr)
        return Allowed(
            value.common(legacy.must_be_1, true.must_be_1), value.common(legacy.may_be_1, true.may_be_1), true_msr, True
        )

    def _settings(self, word: ControlWord, msr: Msr) -> Allowed:
        bits, exists = self.msr(msr), self.exists(msr)
        if word.allowed_0:
            return Allowed(bits.slice(31, 0), bits.slice(63, 32), msr, exists)
        return Allowed(value.known(word.width, 0), bits, msr, exists)

    def read(self, leaf: nodes.Leaf) -> Value:
        """The value of what a condition may ask of a processor."""
        match leaf:
            case nodes.Supported():
                allowed = self.allowed(self.database.words[leaf.control.word])
                return allowed.may_be_1.slice(leaf.control.bit, leaf.control.bit)
            case nodes.Forced():
                allowed = self.allowed(self.database.words[leaf.control.word])
                return allowed.must_be_1.slice(leaf.control.bit, leaf.control.bit)
            case nodes.MsrBits():
                return self.msr(leaf.msr).slice(leaf.low + leaf.width - 1, leaf.low)
            case nodes.CpuFact():
                return self.cpu.facts.get(leaf.fact.name, value.unknown(leaf.width))
            case _:
                raise TypeError(f"a processor does not answer {type(leaf).__name__}")


@lru_cache(maxsize=512)
def condition_of(database: Database, text: str) -> nodes.Node:
    """The bound condition of an `exists:`; specs are checked before they are used, so it binds."""
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("<exists>", text), diagnostics)
    bound = None if parsed is None else bind_condition(parsed, Scope(database), diagnostics)
    if bound is None:
        raise ValueError(f"{text!r}: {diagnostics.found[0].message}")
    return bound
