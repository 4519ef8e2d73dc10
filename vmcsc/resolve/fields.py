"""The values of fields that are no control words: assignments, exceptions, and the pages of bitmaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bitmap, Field, Region
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.expression import value
from vmcsc.expression.evaluate import Reader, evaluate
from vmcsc.expression.value import Value
from vmcsc.policy.model import Assignment, ErrorCodeTest, Painting, Policy
from vmcsc.resolve.wishes import holds
from vmcsc.vmcs import FieldValue

PAGE_SIZE = 4096


def resolve_fields(
    policy: Policy, database: Database, capabilities: Capabilities, read: Reader, diagnostics: Diagnostics
) -> tuple[dict[str, FieldValue], dict[str, bytes], frozenset[str]]:
    """The fields by name in the order of their encodings, the pages by field, and the fields that the CPU lacks."""
    values = {name: FieldValue(database.fields[name], v) for name, v in _painted_fields(policy, database, read)}
    pages = {name: page for bitmap in page_bitmaps(policy) for name, page in paint(bitmap, policy.paintings).items()}
    for name in pages:
        field = database.fields[name]
        values[name] = FieldValue(field, value.unknown(field.width), page=True)
    for name, assignments in _by_field(policy.assignments).items():
        assigned = _assigned(assignments, read, diagnostics)
        if assigned is not None:
            values[name] = FieldValue(database.fields[name], assigned)
    lacking = (alike for alike in database.conditional_fields if capabilities.has_field(alike[0]) is False)
    absent = frozenset(field.name for alike in lacking for field in alike)
    _report_absent(policy, values, absent, diagnostics)
    present = sorted((v for name, v in values.items() if name not in absent), key=lambda v: v.field.encoding)
    return {v.field.name: v for v in present}, pages, absent


def _report_absent(
    policy: Policy, values: Mapping[str, FieldValue], absent: frozenset[str], diagnostics: Diagnostics
) -> None:
    spans = {a.field.name: a.span for a in policy.assignments if a.state is None}  # a state has what some CPUs lack
    for name, item in values.items():
        if name in absent and name in spans:
            notes = [f"it exists where {item.field.exists}", f"SDM: {item.field.section}"]
            message = f"`{name}` is left out: this CPU does not have the field"
            diagnostics.report(codes.FIELD_ABSENT, message, spans[name], notes=notes)


def _by_field(assignments: Sequence[Assignment]) -> dict[str, list[Assignment]]:
    grouped: dict[str, list[Assignment]] = {}
    for assignment in assignments:
        grouped.setdefault(assignment.field.name, []).append(assignment)
    return grouped


def _assigned(assignments: Sequence[Assignment], read: Reader, diagnostics: Diagnostics) -> Value | None:
    """The value of a field, None where no assignment holds; unknown where that hangs on an unknown condition."""
    found: tuple[Assignment, Value] | None = None
    possible = False
    for assignment in assignments:
        held = holds(assignment.condition, read)
        if held is None:
            possible = True
        elif held:
            now = evaluate(assignment.value, read)
            if found is None:
                found = (assignment, now)
            elif value.equal(now, found[1]).is_false and None in (assignment.state, found[0].state):
                message = f"two values of `{assignment.field.name}` hold here: {now} and {found[1]}"
                labels = [Label(found[0].span, "the other one")]
                diagnostics.report(
                    codes.CONDITIONS_DISAGREE,
                    message,
                    assignment.span,
                    labels=labels,
                    help="make their conditions exclude each other",
                )
            else:
                found = (found[0], value.common(now, found[1]))
    if possible:
        return value.unknown(assignments[0].field.width)
    return None if found is None else found[1]


# --- bitmaps that are a field ---


def _painted_fields(policy: Policy, database: Database, read: Reader) -> Iterator[tuple[str, Value]]:
    for bitmap in database.bitmaps.values():
        paintings = [p for p in policy.paintings if p.bitmap is bitmap]
        if bitmap.storage != "field" or not paintings:
            continue
        for region in bitmap.regions:
            yield region.field, _painted_bits(region, database.fields[region.field], paintings, read)
        if bitmap.qualified is not None:
            mask, match = _error_code_fields(bitmap, database, paintings, read)
            yield bitmap.qualified.mask, mask
            yield bitmap.qualified.match, match


def bits_painted(painting: Painting, region: Region) -> int:
    """The bits of `region` (bit 0 stands for its first number) that the painting is about."""
    bits = 0
    for first, last in painting.ranges:
        low, high = max(first, region.first), min(last, region.last)
        if low <= high:
            bits |= ((1 << (high - low + 1)) - 1) << (low - region.first)
    return bits


def _painted_bits(region: Region, field: Field, paintings: Sequence[Painting], read: Reader) -> Value:
    """The field's bits. A painting of which nobody knows whether it holds makes what it would change unknown."""
    bits, known = 0, -1
    for painting in paintings:
        held = holds(painting.condition, read)
        if held is False:
            continue
        touched = bits_painted(painting, region)
        after = bits | touched if sets_bits(painting) else bits & ~touched
        known = known | touched if held else known & ~(bits ^ after)
        bits = after if held else bits
    return Value(field.width, bits, known)


def sets_bits(painting: Painting) -> bool:
    """Whether the painting's bits are to be 1.

    An exception with an error-code test exits where bit and test agree, so one that exits where the test fails has 0.
    """
    return painting.intercept and (painting.test is None or painting.test.equal)


def _error_code_fields(
    bitmap: Bitmap, database: Database, paintings: Sequence[Painting], read: Reader
) -> tuple[Value, Value]:
    """Mask and match of the last painting of the qualified exception; without a test both are 0."""
    assert bitmap.qualified is not None
    vector = database.exceptions[bitmap.qualified.exception].vector
    width = database.fields[bitmap.qualified.mask].width
    mask, match = value.known(width, 0), value.known(width, 0)
    for painting in paintings:
        held = holds(painting.condition, read)
        if held is False or not any(first <= vector <= last for first, last in painting.ranges):
            continue
        test = painting.test or ErrorCodeTest(0, 0, equal=True)
        now = value.known(width, test.mask), value.known(width, test.match)
        if held:
            mask, match = now
        elif (mask, match) != now:
            mask, match = value.unknown(width), value.unknown(width)
    return mask, match


# --- bitmaps that are pages ---


def page_bitmaps(policy: Policy) -> list[Bitmap]:
    """The bitmaps for which the policy needs pages."""
    return list({p.bitmap.name: p.bitmap for p in policy.paintings if p.bitmap.storage == "page"}.values())


def paint(bitmap: Bitmap, paintings: Sequence[Painting]) -> dict[str, bytes]:
    """The pages of a bitmap by the field that holds their address."""
    pages = {name: bytearray(PAGE_SIZE) for name in bitmap.fields}
    for region in bitmap.regions:
        bits = 0
        for painting in paintings:
            if painting.bitmap is bitmap and (region.access is None or region.access in painting.accesses):
                touched = bits_painted(painting, region)
                bits = bits | touched if painting.intercept else bits & ~touched
        size = (region.last - region.first) // 8 + 1
        pages[region.field][region.byte : region.byte + size] = bits.to_bytes(size, "little")
    return {name: bytes(page) for name, page in pages.items()}
