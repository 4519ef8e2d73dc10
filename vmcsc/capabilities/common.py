"""What several processors have in common, as a processor of its own: whatever it allows, each of them allows.

How bits and facts combine is stated in the specs (`common:`). What is unknown of one stays unknown, unless another
decides it: where one lacks a feature, it is not common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce

from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import bits_of
from vmcsc.architecture.model import Bits, Fact, Msr
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.capabilities.settings import (
    AllowedSetting,
    fixed_registers,
    grouped,
    msr_parts,
    number_text,
    register_settings,
    word_settings,
)
from vmcsc.expression import value
from vmcsc.expression.value import Value
from vmcsc.records import dataclass, replace


@dataclass(frozen=True)
class Common:
    """The common processor, and remarks by MSR or fact name where numbers differ and one had to be chosen."""

    cpu: Cpu
    remarks: Mapping[str, tuple[str, ...]]


def common_cpu(database: Database, cpus: Sequence[Cpu], name: str = "common") -> Common:
    """The processor `name` that allows what all of `cpus` allow."""
    combining = _Combining(database, cpus)
    msrs = {msr.name: combining.msr(msr) for msr in database.capability_msrs}
    facts = {fact.name: combining.fact(fact) for fact in database.facts.values()}
    names = ", ".join(cpu.name for cpu in cpus)
    title = f"what {names if len(cpus) <= _NAMED else f'{len(cpus)} CPUs'} have in common"
    known = {name: read for name, read in msrs.items() if read.known}
    cpu = Cpu(name, title, _existing(known, database), {name: read for name, read in facts.items() if read.known})
    origins = dict.fromkeys((*cpu.msrs, *cpu.facts), f"combined from {names}")
    remarks = {name: tuple(found) for name, found in combining.remarks.items() if found and name in origins}
    return Common(replace(cpu, origins=origins), remarks)


_NAMED = 3
"""Up to so many processors are named in the title of what they have in common."""


def _existing(msrs: Mapping[str, Value], database: Database) -> dict[str, Value]:
    """The MSRs without those that the common processor lacks by what the others say."""
    left = dict(msrs)
    while True:
        capabilities = Capabilities(database, Cpu("", "", left))
        absent = [name for name in left if capabilities.exists(database.msrs[name]) is False]
        if not absent:
            return left
        for name in absent:
            del left[name]


class _Combining:
    def __init__(self, database: Database, cpus: Sequence[Cpu]) -> None:
        self._db = database
        self._cpus = cpus
        self._capabilities = [Capabilities(database, cpu) for cpu in cpus]
        self.remarks: dict[str, list[str]] = {}

    def msr(self, msr: Msr) -> Value:
        """The common value: each named range by its own rule, the other bits where they are equal."""
        read = [capabilities.msr(msr) for capabilities in self._capabilities]
        named = {bits.name: bits for bits in bits_of(self._db, msr)}
        bits, known = 0, 0
        for part in msr_parts(self._db, msr):
            about = None if part.name is None else named[part.name]
            both = self._combined(msr.name, about, [one.slice(part.high, part.low) for one in read])
            bits, known = bits | both.bits << part.low, known | both.known << part.low
        return Value(64, bits, known)

    def fact(self, fact: Fact) -> Value:
        read = [cpu.facts.get(fact.name, value.unknown(fact.width)) for cpu in self._cpus]
        return self._combined(fact.name, fact, read)

    def _combined(self, owner: str, about: Bits | Fact | None, read: Sequence[Value]) -> Value:
        rule = "equal" if about is None else about.common
        found = _RULES[rule](read)
        if about is not None and rule in _NUMBERS and len(set(read)) > 1:
            texts = [number_text(about, one) for one in read]
            values = "; ".join(
                f"{text} on {', '.join(names)}" for text, names in grouped(texts, [cpu.name for cpu in self._cpus])
            )
            chosen = f"so {number_text(about, found)} here" if found.known else "so unknown here"
            self.remarks.setdefault(owner, []).append(f"{about.name}: {values}; {chosen}")
        return found


def _equal(read: Sequence[Value]) -> Value:
    """The number that all have; nothing of it where two surely differ."""
    differ = any(value.equal(one, read[0]).is_false for one in read)
    return value.unknown(read[0].width) if differ else reduce(value.common, read)


def _least(read: Sequence[Value]) -> Value:
    return _settled(read[0].width, min(one.lowest for one in read), min(one.highest for one in read))


def _greatest(read: Sequence[Value]) -> Value:
    return _settled(read[0].width, max(one.lowest for one in read), max(one.highest for one in read))


def _settled(width: int, lowest: int, highest: int) -> Value:
    return value.known(width, lowest) if lowest == highest else value.unknown(width)


_RULES: Mapping[str, Callable[[Sequence[Value]], Value]] = {
    "and": lambda read: reduce(value.bit_and, read),
    "or": lambda read: reduce(value.bit_or, read),
    "min": _least,
    "max": _greatest,
    "equal": _equal,
}
_NUMBERS = frozenset({"min", "max", "equal"})


def conflicts(database: Database, cpus: Sequence[Cpu]) -> Iterator[str]:
    """The bits that one processor forces to 1 and another to 0, a sentence each: no value satisfies both."""
    capabilities = [Capabilities(database, cpu) for cpu in cpus]
    words = [[word_settings(one, word) for one in capabilities] for word in database.words.values()]
    registers = [[register_settings(one, register) for one in capabilities] for register in fixed_registers(database)]
    for sides in (*words, *registers):
        for part in sides[0].parts:
            for number in range(part.low, part.high + 1):
                here = [side.settings[number] for side in sides]
                if AllowedSetting.FORCED_0 in here and AllowedSetting.FORCED_1 in here:
                    one, zero = (cpus[here.index(s)].name for s in (AllowedSetting.FORCED_1, AllowedSetting.FORCED_0))
                    what = f"`{sides[0].name}.{part.name}`" if part.name else f"bit {number} of `{sides[0].name}`"
                    yield f"{what} must be 1 on {one} and must be 0 on {zero}, so they have no setting in common"
