"""What the schemas cannot see: names that refer to nothing, numbers that contradict each other, bits left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from vmcsc import codes
from vmcsc.architecture import model
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Code, Diagnostics, Label
from vmcsc.source import Span


def cross_reference(database: Database, diagnostics: Diagnostics) -> None:
    """Report every inconsistency between the entries of `database`."""
    check = _Check(database, diagnostics)
    for test in (check.fields, check.controls, check.layouts, check.msrs, check.events, check.bitmaps, check.rules):
        test()


class _Check:
    def __init__(self, database: Database, diagnostics: Diagnostics) -> None:
        self._db = database
        self._diagnostics = diagnostics

    def _report(self, code: Code, kind: str, name: str, message: str, **more: Any) -> None:
        self._diagnostics.report(code, message, self._origin(kind, name), **more)

    def _origin(self, kind: str, name: str) -> Span | None:
        return self._db.origins.get((kind, name))

    def _refers(self, kind: str, name: str, what: str, target: str | None, known: Iterable[str]) -> bool:
        """Whether `target` is known (or not given); reports it otherwise."""
        names = list(known)
        if target is None or target in names:
            return True
        near = get_close_matches(target, names, n=1)
        self._report(
            codes.SPEC_REFERENCE,
            kind,
            name,
            f"`{name}` refers to the {what} `{target}`, which no file defines",
            help=f"did you mean `{near[0]}`?" if near else None,
        )
        return False

    def _unique(self, kind: str, numbers: Iterable[tuple[str, object]], what: str, show: Callable[[Any], str]) -> None:
        seen: dict[object, str] = {}
        for name, number in numbers:
            if number in seen:
                first = self._origin(kind, seen[number])
                self._report(
                    codes.SPEC_DUPLICATE,
                    kind,
                    name,
                    f"`{name}` has the {what} of `{seen[number]}`, {show(number)}",
                    labels=[] if first is None else [Label(first, "used here first")],
                )
            seen.setdefault(number, name)

    def fields(self) -> None:
        encoding = self._db.encoding
        self._unique("fields", ((f.name, f.encoding) for f in self._db.fields.values()), "encoding", hex)
        for field in self._db.fields.values():
            stated = encoding.encode(field.type, field.size, encoding.index_of(field.encoding))
            if stated != field.encoding:
                message = (
                    f"encoding {field.encoding:#06x} does not say `{field.type}` and width {field.size}: "
                    f"with this index those are {stated:#06x}"
                )
                self._report(codes.SPEC_BITS, "fields", field.name, message, notes=[f"SDM: {encoding.section}"])
            if self._refers("fields", field.name, "layout", field.layout, self._db.layouts):
                layout = self._db.layout_of(field)
                if layout is not None and layout.width != field.width:
                    message = f"`{field.name}` is {field.width} bits wide, its layout `{layout.name}` {layout.width}"
                    self._report(codes.SPEC_BITS, "fields", field.name, message)

    def controls(self) -> None:
        for word in self._db.words.values():
            if self._refers("words", word.name, "field", word.field, self._db.fields):
                width = self._db.fields[word.field].width
                if width != word.width:
                    message = f"`{word.name}` is {word.width} bits wide, its field {width}"
                    self._report(codes.SPEC_BITS, "words", word.name, message)
            for msr in (word.msr, word.true_msr):
                self._refers("words", word.name, "MSR", msr, self._db.msrs)
            self._refers("words", word.name, "control", word.activated_by, self._db.controls)
            self._control_bits(word)

    def _control_bits(self, word: model.ControlWord) -> None:
        self._unique("controls", ((c.path, c.bit) for c in word.controls), "bit", str)
        for control in word.controls:
            if control.bit >= word.width:
                message = f"bit {control.bit} lies outside the {word.width} bits of `{word.name}`"
                self._report(codes.SPEC_BITS, "controls", control.path, message)
            if control.mask & word.reserved_default1:
                message = f"bit {control.bit} of `{word.name}` is reserved, so it cannot be `{control.name}`"
                self._report(codes.SPEC_BITS, "controls", control.path, message)

    def layouts(self) -> None:
        for layout in self._db.layouts.values():
            self._coverage("layouts", layout.name, layout.width, layout.bits, layout.reserved, layout.fixed_1)

    def _coverage(
        self, kind: str, name: str, width: int, bits: tuple[model.Bits, ...], reserved: int, fixed_1: int
    ) -> None:
        """Each of `width` bits must be named, reserved or fixed exactly once."""
        parts = [*((bit.name, bit.mask) for bit in bits), ("reserved", reserved), ("fixed_1", fixed_1)]
        if len({bit.name for bit in bits}) < len(bits):
            self._report(codes.SPEC_DUPLICATE, kind, name, f"two ranges of bits in `{name}` have one name")
        covered = 0
        for part, mask in parts:
            if mask & covered:
                self._report(codes.SPEC_BITS, kind, name, f"`{part}` of `{name}` covers bits that others cover")
            covered |= mask
        if covered != (1 << width) - 1:
            wrong = covered ^ ((1 << width) - 1)
            message = f"`{name}` says nothing of some of its {width} bits, or speaks of others: {wrong:#x}"
            self._report(codes.SPEC_BITS, kind, name, message)
        for bit in bits:
            for value_name, value in bit.values.items():
                if value >> bit.width:
                    message = f"the value `{value_name}` ({value}) does not fit bits {bit.place} of `{name}`"
                    self._report(codes.SPEC_BITS, kind, name, message)

    def msrs(self) -> None:
        self._unique("msrs", ((m.name, m.index) for m in self._db.msrs.values()), "index", hex)
        aliases = ((m.name, alias) for m in self._db.msrs.values() for alias in {m.name, *m.also})
        self._unique("msrs", aliases, "name", str)
        for msr in self._db.msrs.values():
            self._refers("msrs", msr.name, "layout", msr.layout, self._db.layouts)
            self._refers("msrs", msr.name, "layout", msr.fixes, self._db.layouts)
            if msr.bits or msr.reserved:
                self._coverage("msrs", msr.name, 64, msr.bits, msr.reserved, 0)

    def events(self) -> None:
        db = self._db
        numbered: Mapping[str, Mapping[str, model.ExitReason] | Mapping[str, model.InstructionError]] = {
            "exit_reasons": db.exit_reasons,
            "instruction_errors": db.instruction_errors,
        }
        for kind, entries in numbered.items():
            self._unique(kind, ((entry.name, entry.number) for entry in entries.values()), "number", str)
        self._unique("exceptions", ((e.name, e.vector) for e in db.exceptions.values()), "vector", str)
        for reason in db.exit_reasons.values():
            self._refers("exit_reasons", reason.name, "layout", reason.qualification, db.layouts)

    def bitmaps(self) -> None:
        db = self._db
        for bitmap in db.bitmaps.values():
            for field in bitmap.fields:
                self._refers("bitmaps", bitmap.name, "field", field, db.fields)
            self._refers("bitmaps", bitmap.name, "control", bitmap.control, db.controls)
            for region in bitmap.regions:
                if region.byte * 8 + region.last - region.first + 1 > 4096 * 8:
                    message = f"the region from {region.first:#x} of `{bitmap.name}` does not fit its page"
                    self._report(codes.SPEC_BITS, "bitmaps", bitmap.name, message)
            if bitmap.qualified is not None:
                self._refers("bitmaps", bitmap.name, "exception", bitmap.qualified.exception, db.exceptions)
                self._refers("bitmaps", bitmap.name, "field", bitmap.qualified.mask, db.fields)
                self._refers("bitmaps", bitmap.name, "field", bitmap.qualified.match, db.fields)
                self._refers("bitmaps", bitmap.name, "layout", bitmap.qualified.layout, db.layouts)

    def rules(self) -> None:
        entries = {rule.entry: rule for rule in self._db.rules}
        self._unique("checks", ((rule.id, rule.code) for rule in entries.values()), "code", str)
        for rule in self._db.rules:
            if rule.code in self._db.codes:
                message = f"{rule.code} is already the code of `{self._db.codes[rule.code].name}`"
                self._report(codes.SPEC_DUPLICATE, "checks", rule.id, message)
        named = {*entries, *(rule.id for rule in self._db.rules)}
        for cause in self._db.causes:
            for name in cause.rules:
                self._refers("causes", cause.name, "rule", name, named)
