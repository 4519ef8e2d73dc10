"""One value of a field, a register, an MSR or a control word, taken apart into its bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vmcsc.architecture import model
from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import bits_of
from vmcsc.records import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Some bits of a value: their place, their name, what they hold, and what that means."""

    place: str
    name: str
    value: int
    meaning: str


@dataclass(frozen=True)
class Decoded:
    """A value taken apart. `parts` are those that are not 0 or whose 0 has a name; `wrong` are sentences about bits
    that no such value can have; `reserved` are reserved bits that are 1."""

    kind: str
    name: str
    sdm: str
    value: int
    width: int
    parts: tuple[Part, ...]
    wrong: tuple[str, ...]
    reserved: int = 0


def decode_bits(
    kind: str, entry: model.Entry, width: int, layout: model.Layout | None, bits: Iterable[model.Bits], value: int,
    database: Database,
) -> Decoded:  # fmt: skip
    """A value with named bits; `layout` knows of reserved ones."""
    parts = tuple(part for one in bits for part in _part(one, value, database))
    wrong = list(_too_wide(value, width))
    if layout is not None:
        wrong += [f"bit {bit} is reserved, and 1" for bit in _bits(value & layout.reserved)]
        wrong += [f"bit {bit} is always 1, and 0 here" for bit in _bits(layout.fixed_1 & ~value)]
    reserved = 0 if layout is None else value & layout.reserved
    return Decoded(kind, entry.name, entry.sdm, value, width, parts, tuple(wrong), reserved)


def decode_field(field: model.Field, value: int, database: Database, layout: model.Layout | None = None) -> Decoded:
    """The value of a field; a qualification has the layout of its exit reason."""
    known = layout or database.layout_of(field)
    return decode_bits("field", field, field.width, known, known.bits if known else (), value, database)


def decode_layout(layout: model.Layout, value: int, database: Database) -> Decoded:
    return decode_bits("layout", layout, layout.width, layout, layout.bits, value, database)


def decode_word(word: model.ControlWord, value: int, database: Database) -> Decoded:
    """The controls of a word that are 1."""
    parts, wrong, reserved = [], list(_too_wide(value, word.width)), 0
    for bit in _bits(value & (1 << word.width) - 1):
        control = word.by_bit.get(bit)
        if control is not None:
            parts.append(Part(str(bit), control.name, 1, control.summary))
        elif not word.reserved_default1 >> bit & 1:
            wrong.append(f"bit {bit} is reserved, and 1")
            reserved |= 1 << bit
    for bit in _bits(word.reserved_default1 & ~value):
        parts.append(Part(str(bit), "", 0, "reserved, and 1 unless the processor has the TRUE capability MSRs"))
    parts.sort(key=lambda part: int(part.place))
    sdm = database.fields[word.field].sdm
    return Decoded("word", word.name, sdm, value, word.width, tuple(parts), tuple(wrong), reserved)


def decode_msr(msr: model.Msr, value: int, database: Database) -> Decoded:
    """The bits of an MSR; of one that says which controls are allowed, each control with its settings."""
    words = [word for word in database.words.values() if msr.name in (word.msr, word.true_msr)]
    if not words:
        return decode_bits("msr", msr, 64, database.layout_of(msr), bits_of(database, msr), value, database)
    parts = tuple(part for word in words for part in _allowed(word, value))
    return Decoded("msr", msr.name, msr.sdm, value, 64, parts, tuple(_too_wide(value, 64)))


def _allowed(word: model.ControlWord, value: int) -> Iterator[Part]:
    for control in word.controls:
        must = word.allowed_0 and value >> control.bit & 1
        may = value >> (control.bit + 32 if word.allowed_0 else control.bit) & 1
        meaning = "must be 1" if must else "may be 0 or 1" if may else "must be 0"
        yield Part(str(control.bit), control.name, int(may), meaning)


def _part(bits: model.Bits, value: int, database: Database) -> Iterator[Part]:
    number = value >> bits.low & (1 << bits.width) - 1
    named = next((name for name, of in bits.values.items() if of == number), None)
    if bits.numbers is not None:
        entries: Mapping[str, Any] = getattr(database, bits.numbers)
        entry = next((one for one in entries.values() if one.number == number), None)
        yield Part(bits.place, bits.name, number, "nothing has this number" if entry is None else entry.sdm)
    elif bits.values:
        yield Part(bits.place, bits.name, number, named or "no value that has a meaning")
    elif number:
        yield Part(bits.place, bits.name, number, bits.summary or bits.sdm)


def _bits(mask: int) -> Iterator[int]:
    return (bit for bit in range(mask.bit_length()) if mask >> bit & 1)


def _too_wide(value: int, width: int) -> Iterator[str]:
    if value >> width:
        yield f"it has more than {width} bits"
