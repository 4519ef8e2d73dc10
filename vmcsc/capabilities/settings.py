"""What a processor allows, bit by bit: the settings of control words, and of the registers that VMX fixes bits of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import bits_of
from vmcsc.architecture.model import Bits, ControlWord, Fact, Layout, Msr
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.expression.value import Value
from vmcsc.records import dataclass


class AllowedSetting(Enum):
    """The settings of one bit that a processor allows, as far as they are known."""

    FREE = "free"
    FORCED_1 = "forced 1"
    FORCED_0 = "forced 0"
    CAN_BE_0 = "0 or unknown"
    CAN_BE_1 = "1 or unknown"
    UNKNOWN = "unknown"

    @property
    def symbol(self) -> str:
        """One character, for drawings."""
        return {"free": "*", "forced 1": "1", "forced 0": "0"}.get(self.value, "?")


_SETTINGS = {
    # whether the bit must be 1, whether it may be 1
    (False, True): AllowedSetting.FREE,
    (True, True): AllowedSetting.FORCED_1,
    (True, None): AllowedSetting.FORCED_1,
    (False, False): AllowedSetting.FORCED_0,
    (None, False): AllowedSetting.FORCED_0,
    (False, None): AllowedSetting.CAN_BE_0,
    (None, True): AllowedSetting.CAN_BE_1,
}


def allowed_settings(must_be_1: Value, may_be_1: Value) -> tuple[AllowedSetting, ...]:
    """The allowed settings of each bit, from bit 0 up."""
    pairs = ((must_be_1.bit(number), may_be_1.bit(number)) for number in range(must_be_1.width))
    return tuple(_SETTINGS.get(pair, AllowedSetting.UNKNOWN) for pair in pairs)


@dataclass(frozen=True, slots=True)
class Part:
    """Bits `high` to `low` that have one name, or none: then they are reserved, or nothing here knows them."""

    high: int
    low: int
    name: str | None

    @property
    def place(self) -> str:
        return str(self.low) if self.high == self.low else f"{self.high}:{self.low}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The allowed settings of a control word or a register: of each bit, and the MSRs that say so with their values.

    `exists` is false where the processor does not have the MSRs, and with them none of the controls.
    """

    name: str
    settings: tuple[AllowedSetting, ...]
    msrs: tuple[tuple[Msr, Value], ...]
    parts: tuple[Part, ...]
    exists: bool | None = True

    @property
    def drawing(self) -> str:
        """A symbol for each bit, the highest first."""
        return "".join(setting.symbol for setting in reversed(self.settings))

    def rows(self) -> Iterator[tuple[Part, AllowedSetting]]:
        """Every bit with a name, and the runs of nameless bits with one setting, in ascending order."""
        for part in self.parts:
            if part.name is not None:
                yield part, self.settings[part.low]
                continue
            first = part.low
            for number in range(part.low, part.high + 1):
                if number == part.high or self.settings[number + 1] is not self.settings[first]:
                    yield Part(number, first, None), self.settings[first]
                    first = number + 1


def word_settings(capabilities: Capabilities, word: ControlWord) -> Settings:
    """What the processor allows of a control word."""
    allowed = capabilities.allowed(word)
    return Settings(
        word.name,
        allowed_settings(allowed.must_be_1, allowed.may_be_1),
        ((allowed.msr, capabilities.msr(allowed.msr)),),
        parts_of(word),
        allowed.exists,
    )


def parts_of(word: ControlWord) -> tuple[Part, ...]:
    """The bits of a control word by their controls, in ascending order."""
    return _parts(word.width, [(control.bit, control.bit, control.name) for control in word.controls])


def fixed_registers(database: Database) -> tuple[Layout, ...]:
    """The registers that VMX operation fixes bits of."""
    names = dict.fromkeys(msr.fixes for msr in database.capability_msrs if msr.fixes is not None)
    return tuple(database.layouts[name] for name in names)


def register_settings(capabilities: Capabilities, register: Layout) -> Settings:
    """What the processor allows of such a register in VMX operation."""
    msrs = {msr.form: msr for msr in capabilities.database.capability_msrs if msr.fixes == register.name}
    must, may = msrs["fixed_0"], msrs["fixed_1"]
    values = capabilities.msr(must), capabilities.msr(may)
    named = [(number, number, bits.name) for bits in register.bits for number in range(bits.low, bits.high + 1)]
    return Settings(
        register.name,
        allowed_settings(values[0], values[1]),
        ((must, values[0]), (may, values[1])),
        _parts(register.width, named),
    )


def capability_bits(database: Database) -> tuple[Msr, ...]:
    """The capability MSRs that are neither the allowed settings of a word nor the fixed bits of a register."""
    of_words = {name for word in database.words.values() for name in (word.msr, word.true_msr)}
    return tuple(m for m in database.capability_msrs if m.name not in of_words and m.fixes is None)


def msr_parts(database: Database, msr: Msr) -> tuple[Part, ...]:
    """The 64 bits of an MSR by their names, in ascending order."""
    return _parts(64, [(bits.high, bits.low, bits.name) for bits in bits_of(database, msr)])


def _parts(width: int, named: Sequence[tuple[int, int, str]]) -> tuple[Part, ...]:
    """`named` (high, low, name) in ascending order, with what lies between."""
    found: list[Part] = []
    at = 0
    for high, low, name in sorted(named, key=lambda item: item[1]):
        if low > at:
            found.append(Part(low - 1, at, None))
        found.append(Part(high, low, name))
        at = high + 1
    return tuple(found) if at >= width else (*found, Part(width - 1, at, None))


def number_text(bits: Bits | Fact | None, number: Value) -> str:
    """A number as people read it: with its name where it has one, in hex where that says more."""
    if not number.is_known:
        unknown = places(number.mask & ~number.known)
        return f"{number.bits:#x} (unknown: {unknown})" if number.known else "unknown"
    names = {value: name for name, value in bits.values.items()} if isinstance(bits, Bits) else {}
    if number.bits in names:
        return f"{number.bits} {names[number.bits]}"
    if number.width > _READABLE:
        return f"{number.bits:#x}"
    return str(number.bits)


_READABLE = 16
"""Wider values are masks rather than counts."""


def places(mask: int) -> str:
    """The bits of `mask` as the SDM writes them: `63:32, 15`."""
    found: list[str] = []
    bit = mask.bit_length() - 1
    while bit >= 0:
        if not mask >> bit & 1:
            bit -= 1
            continue
        high = bit
        while bit >= 0 and mask >> bit & 1:
            bit -= 1
        found.append(str(high) if high == bit + 1 else f"{high}:{bit + 1}")
    return ", ".join(found)


def grouped(values: Sequence[str], names: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Each value with the names that have it, in the order in which they first occur."""
    found: dict[str, list[str]] = {}
    for value, name in zip(values, names, strict=True):
        found.setdefault(value, []).append(name)
    return [(value, tuple(who)) for value, who in found.items()]
