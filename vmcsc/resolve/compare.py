"""What differs between resolved VMCSs: of two policies on one processor, or of one policy on several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bitmap, ControlWord, Region
from vmcsc.capabilities.compare import Difference, number_details
from vmcsc.capabilities.settings import Part, parts_of
from vmcsc.expression.emit_text import emit_text
from vmcsc.expression.value import Value
from vmcsc.policy.model import Parameter, Policy
from vmcsc.resolve.runs import Range, joined, range_names, runs
from vmcsc.vmcs import ResolvedWord, Vmcs

FIELDS, PARAMETERS, RULES = "fields", "parameters", "rules"
"""Sections of what is neither a control nor a bitmap."""

NO_BITMAP = "no bitmap"
NOT_WRITTEN = "not written"


def compare_vmcses(sides: Sequence[Vmcs]) -> tuple[Difference, ...]:
    """Controls with the reasons for their settings, bitmaps, fields, parameters, and rules that stay violated."""
    database = sides[0].database
    found: list[Difference] = []
    for word in database.active_order:
        found += _controls(word, [side.words[word.name] for side in sides])
    for bitmap in database.bitmaps.values():
        found += compare_bitmaps(database, bitmap, [_bitmap_texts(bitmap, side) for side in sides])
    found += _fields(database, sides)
    found += compare_parameters([side.policy for side in sides])
    for rule in database.rules:
        texts = tuple("violated" if rule.id in side.violated else "not violated" for side in sides)
        if len(set(texts)) > 1:
            found.append(plain_difference(RULES, rule.id, texts))
    return tuple(found)


def plain_difference(section: str, name: str, texts: Sequence[str]) -> Difference:
    """A difference of which programs, too, learn no more than the texts."""
    return Difference(section, name, "", tuple(texts), tuple({} for _ in texts))


# --- controls ---


def _controls(word: ControlWord, sides: Sequence[ResolvedWord]) -> Iterator[Difference]:
    for part in parts_of(word):
        first = part.low
        for number in range(part.low, part.high + 1):
            here = [_bit_details(side, number) for side in sides]
            if number < part.high and here == [_bit_details(side, number + 1) for side in sides]:
                continue
            if any(details != here[0] for details in here):
                place = Part(number, first, part.name).place
                yield Difference(word.name, part.name or "", place, tuple(map(_bit_text, here)), tuple(here))
            first = number + 1


def _bit_details(side: ResolvedWord, bit: int) -> Mapping[str, Any]:
    setting = side.value.bit(bit)
    return {"setting": None if setting is None else int(setting), "reasons": list(side.reasons(bit))}


def _bit_text(details: Mapping[str, Any]) -> str:
    setting = "unknown" if details["setting"] is None else str(details["setting"])
    reasons = details["reasons"] or (["default"] if details["setting"] == 0 else [])
    return f"{setting} {', '.join(reasons)}" if reasons else setting


# --- bitmaps ---


def compare_bitmaps(
    database: Database, bitmap: Bitmap, sides: Sequence[Mapping[Region, Sequence[str]]]
) -> Iterator[Difference]:
    """What differs in a bitmap of which each side says, by region, a text for each number."""
    differing: dict[tuple[str, ...], dict[str, list[Range]]] = {}
    for region in bitmap.regions:
        for numbers, texts in runs([side[region] for side in sides], region.first):
            if len(set(texts)) > 1:
                differing.setdefault(texts, {}).setdefault(region.access or "", []).append(numbers)
    for texts, by_access in differing.items():
        alike: dict[tuple[Range, ...], list[str]] = {}
        for access, ranges in by_access.items():
            alike.setdefault(tuple(joined(ranges)), []).append(access)
        for merged, accesses in alike.items():
            names = ", ".join(range_names(merged, bitmap, database))
            yield Difference(bitmap.name, names, " ".join(accesses), texts, tuple({} for _ in texts))


def bit_texts(bits: Value, size: int) -> list[str]:
    """What the lowest `size` bits of a bitmap mean, from bit 0 up."""
    meanings = {True: "intercept", False: "pass", None: "unknown"}
    if bits.is_known:
        digits = f"{bits.bits:0{size}b}"[::-1][:size]
        return ["intercept" if digit == "1" else "pass" for digit in digits]
    return [meanings[bits.bit(number)] for number in range(size)]


def _bitmap_texts(bitmap: Bitmap, side: Vmcs) -> Mapping[Region, Sequence[str]]:
    return {region: _region_texts(bitmap, region, side) for region in bitmap.regions}


def _region_texts(bitmap: Bitmap, region: Region, side: Vmcs) -> Sequence[str]:
    size = region.last - region.first + 1
    if bitmap.storage == "page":
        page = side.pages.get(region.field)
        if page is None:
            return [NO_BITMAP] * size
        bits = int.from_bytes(page[region.byte : region.byte + (size + 7) // 8], "little")
        return bit_texts(Value(size, bits, -1), size)
    written = side.fields.get(region.field)
    if written is None:
        return [NOT_WRITTEN] * size
    return bit_texts(written.value.slice(region.byte * 8 + size - 1, region.byte * 8), size)


# --- fields ---


def _fields(database: Database, sides: Sequence[Vmcs]) -> Iterator[Difference]:
    in_bitmaps = {name for bitmap in database.bitmaps.values() for name in bitmap.fields}
    written = {name: item.field for side in sides for name, item in side.fields.items()}
    for name, field in sorted(written.items(), key=lambda item: item[1].encoding):
        if name in in_bitmaps and not _assigned(name, sides):
            continue
        texts = tuple(_field_text(name, side) for side in sides)
        if len(set(texts)) > 1:
            yield Difference(FIELDS, field.name, "", texts, tuple(_field_details(name, side) for side in sides))


def _assigned(name: str, sides: Iterable[Vmcs]) -> bool:
    """Whether a side gives the field that holds the address of a bitmap a value of its own."""
    written = [side.fields[name] for side in sides if name in side.fields]
    pages = [item.page for item in written]
    return bool(pages) and not all(pages) and any(name in side.pages for side in sides)


def _field_text(name: str, side: Vmcs) -> str:
    item = side.fields.get(name)
    if item is None:
        return "no such field" if name in side.absent else NOT_WRITTEN
    return "a page" if item.page else str(item.value)


def _field_details(name: str, side: Vmcs) -> Mapping[str, Any]:
    item = side.fields.get(name)
    return {} if item is None or item.page else number_details(item.value)


# --- parameters ---


def compare_parameters(policies: Sequence[Policy]) -> Iterator[Difference]:
    """What differs in the parameters that the policies declare."""
    for name in dict.fromkeys(name for policy in policies for name in policy.parameters):
        texts = tuple(_parameter_text(policy.parameters.get(name)) for policy in policies)
        if len(set(texts)) > 1:
            yield plain_difference(PARAMETERS, name, texts)


def _parameter_text(parameter: Parameter | None) -> str:
    if parameter is None:
        return "none"
    default = "" if parameter.default is None else f" = {emit_text(parameter.default)}"
    return f"u{parameter.width}{default}"
