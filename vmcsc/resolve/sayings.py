"""What differs between policies before any processor is known: what each says, and under which conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bitmap, Region
from vmcsc.capabilities.compare import Difference
from vmcsc.expression.emit_text import emit_text, number
from vmcsc.expression.nodes import Node
from vmcsc.expression.value import Value
from vmcsc.policy.model import Assignment, Painting, Policy, Stance
from vmcsc.resolve.compare import (
    FIELDS,
    NO_BITMAP,
    NOT_WRITTEN,
    bit_texts,
    compare_bitmaps,
    compare_parameters,
    plain_difference,
)
from vmcsc.resolve.fields import bits_painted

TARGETS = "policy"
"""The section of what a policy says of itself."""

NOTHING = "nothing said"
_STRONGER = {"prefer": "require", "avoid": "forbid"}
_ORDER = ("require", "forbid", "prefer", "avoid", "allow")


def compare_policies(database: Database, policies: Sequence[Policy]) -> tuple[Difference, ...]:
    """Targets, controls with what is said of them, bitmaps, fields and parameters. Scenarios are not compared."""
    found: list[Difference] = []
    targets = [", ".join(name.text for name in policy.cpus) or "none" for policy in policies]
    if len(set(targets)) > 1:
        found.append(plain_difference(TARGETS, "for cpus", targets))
    found += _controls(database, policies)
    for bitmap in database.bitmaps.values():
        found += compare_bitmaps(database, bitmap, [_bitmap_texts(bitmap, policy) for policy in policies])
    found += _fields(database, policies)
    found += compare_parameters(policies)
    return tuple(found)


def _if(condition: Node | None) -> str:
    return "" if condition is None else f" if {emit_text(condition)}"


# --- controls ---


def _controls(database: Database, policies: Sequence[Policy]) -> Iterator[Difference]:
    said = [_by_control(policy.stances) for policy in policies]
    for word in database.active_order:
        for control in word.controls:
            details = tuple(_stances(side.get(control.path, ())) for side in said)
            texts = tuple(_stance_text(side["said"]) for side in details)
            if len(set(texts)) > 1:
                yield Difference(word.name, control.name, str(control.bit), texts, details)


def _by_control(stances: Sequence[Stance]) -> Mapping[str, list[Stance]]:
    found: dict[str, list[Stance]] = {}
    for stance in stances:
        found.setdefault(stance.control.path, []).append(stance)
    return found


def _stances(stances: Sequence[Stance]) -> Mapping[str, Any]:
    """What is said of one control, without what a stronger statement makes superfluous."""
    always = {stance.verb for stance in stances if stance.condition is None}
    kept: dict[tuple[str, str | None], Mapping[str, Any]] = {}
    for stance in sorted(stances, key=lambda stance: _ORDER.index(stance.verb)):
        weaker = _STRONGER.get(stance.verb) in always or (stance.condition is not None and stance.verb in always)
        condition = None if stance.condition is None else emit_text(stance.condition)
        if not weaker and (stance.verb, condition) not in kept:
            kept[stance.verb, condition] = {
                "verb": stance.verb,
                "condition": condition,
                "implied": stance.implied,
                "policy": stance.origin,
                "place": str(stance.span),
            }
    return {"said": list(kept.values())}


def _stance_text(said: Sequence[Mapping[str, Any]]) -> str:
    texts = []
    for one in said:
        condition = "" if one["condition"] is None else f" if {one['condition']}"
        implied = " (implied)" if one["implied"] else ""
        texts.append(f"{one['verb']}{implied}{condition}")
    return ", ".join(texts) or NOTHING


# --- bitmaps ---


def _bitmap_texts(bitmap: Bitmap, policy: Policy) -> Mapping[Region, Sequence[str]]:
    paintings = [painting for painting in policy.paintings if painting.bitmap is bitmap]
    return {region: _region_texts(bitmap, region, paintings) for region in bitmap.regions}


def _region_texts(bitmap: Bitmap, region: Region, paintings: Sequence[Painting]) -> Sequence[str]:
    size = region.last - region.first + 1
    if not paintings:
        return [NO_BITMAP if bitmap.storage == "page" else NOT_WRITTEN] * size
    relevant = [p for p in paintings if region.access is None or region.access in p.accesses]
    if all(painting.condition is None and painting.test is None for painting in relevant):
        bits = 0
        for painting in relevant:
            touched = bits_painted(painting, region)
            bits = bits | touched if painting.intercept else bits & ~touched
        return bit_texts(Value(size, bits, -1), size)
    return [_number_text(bitmap, number, relevant) for number in range(region.first, region.last + 1)]


def _number_text(bitmap: Bitmap, number: int, paintings: Sequence[Painting]) -> str:
    """What the paintings say of one number: the last without a condition, and those with one behind it."""
    said: list[str] = []
    for painting in paintings:
        if any(low <= number <= high for low, high in painting.ranges):
            text = ("intercept" if painting.intercept else "pass") + _test(bitmap, painting)
            if painting.condition is None:
                said.clear()
            said.append(text + _if(painting.condition))
    return ", ".join(said) or "pass"


def _test(bitmap: Bitmap, painting: Painting) -> str:
    test = painting.test
    if test is None or bitmap.qualified is None:
        return ""
    return f" when {bitmap.qualified.operand} & {number(test.mask)} {'==' if test.equal else '!='} {number(test.match)}"


# --- fields ---


def _fields(database: Database, policies: Sequence[Policy]) -> Iterator[Difference]:
    said = [_by_field(policy.assignments) for policy in policies]
    for name in sorted({name for side in said for name in side}, key=lambda name: database.fields[name].encoding):
        texts = tuple(", ".join(side.get(name, ())) or NOT_WRITTEN for side in said)
        if len(set(texts)) > 1:
            yield plain_difference(FIELDS, name, texts)


def _by_field(assignments: Sequence[Assignment]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for assignment in assignments:
        texts = found.setdefault(assignment.field.name, [])
        texts.append(f"{emit_text(assignment.value)}{_if(assignment.condition)}")
    return found
