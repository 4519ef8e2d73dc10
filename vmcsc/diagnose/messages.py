"""Messages about capability MSRs that a host does not take: which bits were asked for, and which of them it lacks."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import bits_of
from vmcsc.architecture.model import ControlWord, Msr
from vmcsc.capabilities.cpu import Allowed, Capabilities, Cpu
from vmcsc.diagnose.dump import Event
from vmcsc.records import dataclass

MAY_BE_1, MAY_BE_0 = "may be 1", "may be 0"
"""What is asked of a control: that it is not refused, or not forced."""


@dataclass(frozen=True)
class Asked:
    """A bit of an MSR that a guest is to have. `setting` is its value, or what a control is to be.

    `granted`: whether the host has it; None where that is not known.
    """

    msr: Msr
    place: str
    name: str
    setting: str
    granted: bool | None


def asked_of(event: Event, database: Database, cpu: Cpu) -> tuple[Asked, ...]:
    """What the message says that is asked for, of each bit; none where it is about something else."""
    number = event.values.get("msr")
    msr = next((one for one in database.msrs.values() if one.index == number), None)
    if msr is None:
        return ()
    words = [word for word in database.words.values() if msr.name in (word.msr, word.true_msr)]
    value, bit = event.values.get("value"), event.values.get("bit")
    capabilities = Capabilities(database, cpu)
    if isinstance(value, int):
        found = [one for word in words for one in _settings(msr, word, value, capabilities)]
        return tuple(found if words else _bits(msr, value, capabilities))
    if isinstance(bit, int) and bit < 64:
        found = [_control(msr, word, bit, capabilities) for word in words if bit in word.by_bit]
        return tuple(found if words else _bits(msr, 1 << bit, capabilities))
    return ()


def _control(msr: Msr, word: ControlWord, bit: int, capabilities: Capabilities) -> Asked:
    granted = _allowed(msr, word, capabilities).may_be_1.bit(bit)
    return Asked(msr, str(bit), word.by_bit[bit].path, MAY_BE_1, granted)


def _settings(msr: Msr, word: ControlWord, value: int, capabilities: Capabilities) -> Iterator[Asked]:
    """The controls that the value lets be 1, and those that it lets be 0 and the host does not."""
    allowed = _allowed(msr, word, capabilities)
    high = 32 if word.allowed_0 else 0
    for control in word.controls:
        bit = control.bit
        if value >> bit + high & 1:
            yield Asked(msr, str(bit + high), control.path, MAY_BE_1, allowed.may_be_1.bit(bit))
        if word.allowed_0 and not value >> bit & 1 and allowed.must_be_1.bit(bit):
            yield Asked(msr, str(bit), control.path, MAY_BE_0, False)


def _allowed(msr: Msr, word: ControlWord, capabilities: Capabilities) -> Allowed:
    """What the host allows by the MSR that the message is about: the TRUE one or the plain one."""
    return capabilities.allowed_without_true(word) if msr.name == word.msr else capabilities.allowed(word)


def _bits(msr: Msr, value: int, capabilities: Capabilities) -> Iterator[Asked]:
    own = capabilities.msr(msr)
    for bits in bits_of(capabilities.database, msr):
        asked = value >> bits.low & (1 << bits.width) - 1
        if not asked:
            continue
        has = own.slice(bits.low + bits.width - 1, bits.low)
        if bits.width == 1:
            yield Asked(msr, bits.place, bits.name, "1", has.bit(0))
        else:
            yield Asked(msr, bits.place, bits.name, f"{asked:#x}", asked == has.bits if has.is_known else None)
