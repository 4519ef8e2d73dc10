"""What differs between processors: setting by setting, bit by bit, fact by fact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import bits_of
from vmcsc.architecture.model import Bits, Fact, Msr
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.capabilities.settings import (
    Part,
    Settings,
    capability_bits,
    fixed_registers,
    msr_parts,
    number_text,
    register_settings,
    word_settings,
)
from vmcsc.expression import value
from vmcsc.expression.value import Value
from vmcsc.records import dataclass

FACTS = "processor"
"""The section of what is not in an MSR, as in a CPU file."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A thing that is not the same everywhere: where it belongs, its name, its bits, and a text for each side.

    `name` is empty for bits that have none. `details` says the same as `texts` in a form for programs.
    """

    section: str
    name: str
    place: str
    texts: tuple[str, ...]
    details: tuple[Mapping[str, Any], ...]


def compare_cpus(database: Database, cpus: Sequence[Cpu]) -> tuple[Difference, ...]:
    """What is not the same on all of `cpus`: controls, fixed bits, bits of MSRs, facts. Unknown differs from known."""
    capabilities = [Capabilities(database, cpu) for cpu in cpus]
    found: list[Difference] = []
    for word in database.active_order:
        found += _settings([word_settings(one, word) for one in capabilities])
    for register in fixed_registers(database):
        found += _settings([register_settings(one, register) for one in capabilities])
    for msr in capability_bits(database):
        found += _bits(database, msr, [one.msr(msr) for one in capabilities])
    for fact in database.facts.values():
        read = [cpu.facts.get(fact.name, value.unknown(fact.width)) for cpu in cpus]
        if len(set(read)) > 1:
            found.append(_numbers(FACTS, fact.name, "", fact, read))
    return tuple(found)


def _settings(sides: Sequence[Settings]) -> Iterator[Difference]:
    for part in sides[0].parts:
        first = part.low
        for number in range(part.low, part.high + 1):
            here = [side.settings[number] for side in sides]
            if number < part.high and here == [side.settings[number + 1] for side in sides]:
                continue
            if len(set(here)) > 1:
                place = Part(number, first, part.name).place
                details = tuple({"setting": setting.value} for setting in here)
                texts = tuple(setting.value for setting in here)
                yield Difference(sides[0].name, part.name or "", place, texts, details)
            first = number + 1


def _bits(database: Database, msr: Msr, read: Sequence[Value]) -> Iterator[Difference]:
    named = {bits.name: bits for bits in bits_of(database, msr)}
    for part in msr_parts(database, msr):
        here = [one.slice(part.high, part.low) for one in read]
        if len(set(here)) > 1:
            bits = None if part.name is None else named[part.name]
            yield _numbers(msr.name, part.name or "", part.place, bits, here)


def _numbers(section: str, name: str, place: str, about: Bits | Fact | None, read: Sequence[Value]) -> Difference:
    details = tuple(number_details(one) for one in read)
    return Difference(section, name, place, tuple(number_text(about, one) for one in read), details)


def number_details(number: Value) -> Mapping[str, Any]:
    """A number for programs: null where nothing of it is known, with `known` where only some bits are."""
    if not number.known:
        return {"value": None}
    return {"value": number.bits} if number.is_known else {"value": number.bits, "known": number.known}
