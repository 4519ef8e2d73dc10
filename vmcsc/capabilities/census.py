"""Which of several processors have a thing: a control, a field, an MSR and its bits, a fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bits, Control, ControlWord, Fact, Field, Msr
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.capabilities.settings import AllowedSetting, allowed_settings, grouped, number_text
from vmcsc.expression import value

Census = Sequence[tuple[str, tuple[str, ...]]]
"""What holds, and the names of the processors for which it does."""


def census(database: Database, cpus: Sequence[Cpu], entry: object, owner: object = None) -> Census:
    """How `cpus` stand to a control, a word, a field, an MSR, a fact, or some bits of the MSR `owner`.

    Empty where that depends on no processor.
    """
    if not cpus or not varies(entry, owner):
        return ()
    says = _QUESTIONS[type(entry)]
    texts = [says(Capabilities(database, cpu), entry, owner) for cpu in cpus]
    return grouped(texts, [cpu.name for cpu in cpus])


def varies(entry: object, owner: object = None) -> bool:
    """Whether processors may differ in the entry, or in the bits `entry` of the MSR `owner`."""
    match entry:
        case Field():
            return entry.exists is not None or entry.status == "internal"
        case Msr():
            return entry.exists is not None or entry.capability
        case Bits():
            return isinstance(owner, Msr) and owner.capability
        case _:
            return type(entry) in _QUESTIONS


def control_setting(capabilities: Capabilities, control: Control) -> AllowedSetting:
    """The allowed settings of one control."""
    allowed = capabilities.allowed(capabilities.database.words[control.word])
    return allowed_settings(allowed.must_be_1, allowed.may_be_1)[control.bit]


def _has(whether: bool | None) -> str:
    return "unknown" if whether is None else "there" if whether else "not there"


def _msr_text(capabilities: Capabilities, msr: Msr) -> str:
    exists = capabilities.exists(msr)
    if not msr.capability or exists is False:
        return _has(exists)
    return number_text(None, capabilities.msr(msr))


def _bits_text(capabilities: Capabilities, bits: Bits, owner: Msr) -> str:
    if capabilities.exists(owner) is False:
        return "no such MSR"
    return number_text(bits, capabilities.msr(owner).slice(bits.high, bits.low))


def _fact_text(capabilities: Capabilities, fact: Fact) -> str:
    return number_text(fact, capabilities.cpu.facts.get(fact.name, value.unknown(fact.width)))


_QUESTIONS: Mapping[type, Any] = {
    Control: lambda capabilities, control, _owner: control_setting(capabilities, control).value,
    ControlWord: lambda capabilities, word, _owner: _has(capabilities.allowed(word).exists),
    Field: lambda capabilities, field, _owner: _has(capabilities.has_field(field)),
    Msr: lambda capabilities, msr, _owner: _msr_text(capabilities, msr),
    Bits: _bits_text,
    Fact: lambda capabilities, fact, _owner: _fact_text(capabilities, fact),
}
