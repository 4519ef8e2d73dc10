"""Names and numbers to the entries of the specs that they may mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from vmcsc import codes
from vmcsc.architecture import model
from vmcsc.architecture.database import Database
from vmcsc.records import dataclass

KINDS = (
    "control",
    "word",
    "field",
    "msr",
    "exit-reason",
    "instruction-error",
    "exception",
    "bitmap",
    "layout",
    "bits",
    "fact",
    "rule",
    "code",
)
"""The kinds of entries, in the order in which meanings are given."""

Owner = model.Layout | model.Msr | model.Field
Entry = model.Entry | model.Rule | model.CodeText | model.Bits

_NUMBER = re.compile(r"0x(?P<hex>[0-9a-f]{1,16})|(?P<suffixed>[0-9][0-9a-f]{0,15})h|(?P<decimal>[0-9]{1,20})")
_ASIDE = re.compile(r"\s*\(([^()]*)\)")
_ABBREVIATION = re.compile(r"[A-Z][A-Z0-9-]+")


@dataclass(frozen=True, slots=True)
class Meaning:
    """One entry that a word means. `owner` has the bits of kind `bits`; `high`: the high half of a field."""

    kind: str
    name: str
    entry: Entry
    owner: Owner | None = None
    high: bool = False


def look_up(database: Database, word: str, kind: str | None = None) -> list[Meaning]:
    """Every meaning of a name or number, in the order of `KINDS`; only those of `kind` if it is given.

    Upper and lower case, blanks and punctuation do not matter. A number is read as the SDM, C and Python
    write it: `4002H`, `0x4002`, `16386`.
    """
    number = number_of(word)
    if number is not None:
        found = list(_numbered(database, number))
    else:
        key = plain(word)
        found = [meaning for name, meaning in _named(database) if key and plain(name) == key]
    unique = {(meaning.kind, meaning.name, meaning.high): meaning for meaning in found}
    chosen = (meaning for meaning in unique.values() if kind in (None, meaning.kind))
    return sorted(chosen, key=lambda meaning: KINDS.index(meaning.kind))


def similar(database: Database, word: str, kind: str | None = None, limit: int = 4) -> list[str]:
    """Names that `word` may have been meant for: those close to it, then those that contain it."""
    names: dict[str, str] = {}
    for name, meaning in _named(database):
        if kind in (None, meaning.kind) and meaning.kind != "bits":
            names.setdefault(plain(name), meaning.name)
    key = plain(word)
    near = get_close_matches(key[:100], names, n=limit)
    within = sorted((name for name in names if len(key) > 2 and key in name), key=len)
    return list(dict.fromkeys(names[name] for name in [*near, *within]))[:limit]


def number_of(word: str) -> int | None:
    """The number that `word` is, or None if it is none."""
    match = _NUMBER.fullmatch(word.strip().lower())
    if match is None:
        return None
    if match["decimal"]:
        return int(match["decimal"])
    return int(match["hex"] or match["suffixed"], 16)


_OTHERS = re.compile(r"[\W_]+")


def plain(name: str) -> str:
    """What of a name matters for look-up: its letters and digits."""
    return _OTHERS.sub("", name.casefold())


def _numbered(database: Database, number: int) -> Iterator[Meaning]:
    field = database.field_by_encoding.get(number)
    if field is not None:
        yield _field(field, high=number != field.encoding)
    msr = database.msr_by_index.get(number)
    if msr is not None:
        yield Meaning("msr", msr.name, msr)
    for reason in database.exit_reasons.values():
        if reason.number == number:
            yield Meaning("exit-reason", reason.name, reason)
    for error in database.instruction_errors.values():
        if error.number == number:
            yield Meaning("instruction-error", error.name, error)
    for exception in database.exceptions.values():
        if exception.vector == number:
            yield Meaning("exception", exception.name, exception)


def _field(field: model.Field, *, high: bool = False) -> Meaning:
    return Meaning("field", f"{field.name}_high" if high else field.name, field, high=high)


def _named(database: Database) -> Iterator[tuple[str, Meaning]]:
    """Every name of every entry."""
    for control in database.controls.values():
        yield from _names(control, Meaning("control", control.path, control))
    for kind, entries in _entries(database):
        for entry in entries.values():
            yield from _names(entry, Meaning(kind, entry.name, entry))
    for word in database.words.values():
        yield word.field, Meaning("word", word.name, word)
    yield from _high_halves(database)
    yield from _bits(database)
    by_code: dict[str, str] = {}
    for rule in database.rules:
        meaning = Meaning("rule", rule.id, rule)
        yield rule.id, meaning
        if by_code.setdefault(rule.code, rule.id) == rule.id:  # the first speaks for all that are written with it
            yield rule.code, meaning
    for code in known_codes(database).values():
        for name in (code.code, code.name):
            yield name, Meaning("code", code.code, code)


def _entries(database: Database) -> Iterable[tuple[str, Mapping[str, Any]]]:
    return (
        ("word", database.words),
        ("field", database.fields),
        ("msr", database.msrs),
        ("exit-reason", database.exit_reasons),
        ("instruction-error", database.instruction_errors),
        ("exception", database.exceptions),
        ("bitmap", database.bitmaps),
        ("layout", database.layouts),
        ("fact", {fact.name: fact for fact in database.facts.values()}),
    )


def _names(entry: model.Entry, meaning: Meaning) -> Iterator[tuple[str, Meaning]]:
    """The names of an entry; `EPT pointer (EPTP)` is also known as `EPT pointer` and as `EPTP`."""
    for name in entry.names:
        yield name, meaning
        if "(" in name:
            yield _ASIDE.sub("", name), meaning
            for aside in filter(_ABBREVIATION.fullmatch, _ASIDE.findall(name)):
                yield aside, meaning


def known_codes(database: Database) -> Mapping[str, model.CodeText]:
    """Every diagnostic code that is not a rule's: as the specs explain it, or else by its name alone."""
    named = {code.id: model.CodeText(code.id, code.name, code.severity.value, "", "") for code in codes.ALL}
    return {**named, **database.codes}


def _high_halves(database: Database) -> Iterator[tuple[str, Meaning]]:
    for field in database.fields.values():
        if database.encoding.high(field) is not None:
            for name in (field.name, field.linux):
                if name is not None:
                    yield f"{name}_high", _field(field, high=True)


@dataclass(frozen=True, slots=True)
class FieldPart:
    """A field as a name or an encoding means it: the whole of it, or its high half."""

    field: model.Field
    high: bool

    @property
    def name(self) -> str:
        return f"{self.field.name}_high" if self.high else self.field.name


def field_of(database: Database, word: str) -> FieldPart | None:
    """What of a field a name or an encoding means, or None. A control word means the field that holds it."""
    number = number_of(word)
    if number is None:
        return field_names(database).get(plain(word))
    field = database.field_by_encoding.get(number)
    return None if field is None else FieldPart(field, number != field.encoding)


@lru_cache(maxsize=8)
def field_names(database: Database) -> Mapping[str, FieldPart]:
    """Fields by every name that they, their high halves and control words have, as `plain` makes it."""
    named: dict[str, FieldPart] = {}
    for field in database.fields.values():
        for name, _ in _names(field, _field(field)):
            named.setdefault(plain(name), FieldPart(field, high=False))
    for word in database.words.values():
        for name in word.names:
            named.setdefault(plain(name), FieldPart(database.fields[word.field], high=False))
    for name, meaning in _high_halves(database):
        named.setdefault(plain(name), FieldPart(database.fields[meaning.name.removesuffix("_high")], high=True))
    return named


def _bits(database: Database) -> Iterator[tuple[str, Meaning]]:
    """Bits by the name of what has them: `rflags.if`, `guest_rflags.if`, `ia32_vmx_misc.cr3_target_count`."""
    owners: list[Owner] = [*database.layouts.values(), *database.msrs.values(), *database.fields.values()]
    for owner in owners:
        for bits in bits_of(database, owner):
            path = f"{owner.name}.{bits.name}"
            for name in (path, bits.qemu, bits.libvirt):
                if name is not None:
                    yield name, Meaning("bits", path, bits, owner)


def bits_of(database: Database, owner: Owner) -> tuple[model.Bits, ...]:
    """The named bits of a layout, an MSR or a field, those of its layout included."""
    if isinstance(owner, model.Layout):
        return owner.bits
    layout = database.layout_of(owner)
    own = owner.bits if isinstance(owner, model.Msr) else ()
    return own if layout is None else own + layout.bits
