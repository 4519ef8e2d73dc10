"""Shapes that many checks have in common, as the states around their boundaries."""

from __future__ import annotations

from tests.check.changes import NONE, Change, off, on, put
from tests.check.rows import ERROR_7, GUEST_STATE, Check, Outcome
from tests.check.states import WIDTH


def needs(rule: str, source: str, asking: str, needed: str, given: Change = NONE, outcome: Outcome = ERROR_7) -> Check:
    """The bit `asking` may be 1 only along with the bit `needed`."""
    return Check(
        rule,
        source,
        given=given,
        violated=[on(asking) + off(needed)],
        passed=[on(asking, needed)],
        idle=[off(asking, needed), off(asking) + on(needed)],
        outcome=outcome,
    )


def excludes(
    rule: str, source: str, asking: str, excluded: str, given: Change = NONE, outcome: Outcome = ERROR_7
) -> Check:
    """The bits `asking` and `excluded` may not both be 1."""
    return Check(
        rule,
        source,
        given=given,
        violated=[on(asking, excluded)],
        passed=[on(asking) + off(excluded)],
        idle=[off(asking, excluded), off(asking) + on(excluded)],
        outcome=outcome,
    )


def region(rule: str, field: str, source: str, switch: str, given: Change = NONE, size: int = 4096) -> list[Check]:
    """The address of something in memory that the control `switch` makes the processor use, aligned at `size`."""
    given += on(switch)
    aligned = Check(
        f"{rule}-align",
        source,
        field=field,
        given=given,
        violated=[size + 1, size + 2, size * 3 // 2],
        passed=[size, size * 2, 0],
        idle=[off(switch) + put(**{field: size + 1})],
        outcome=ERROR_7,
    )
    return [aligned, width(f"{rule}-width", field, source, given, idle=off(switch))]


def width(rule: str, field: str, source: str, given: Change = NONE, idle: Change | None = None) -> Check:
    """A physical address."""
    return Check(
        rule,
        source,
        field=field,
        given=given,
        violated=[1 << WIDTH, 1 << 63, on("basic.32_bits") + put(**{field: 1 << 32})],
        passed=[1 << WIDTH - 1, (1 << WIDTH) - 4096, on("basic.32_bits") + put(**{field: 1 << 31})],
        idle=[] if idle is None else [idle + put(**{field: 1 << WIDTH})],
        outcome=ERROR_7,
    )


def linear(
    rule: str,
    field: str,
    source: str,
    outcome: Outcome = GUEST_STATE,
    switch: str | None = None,
    given: Change = NONE,
    further: tuple[Change, ...] = (),
    page: bool = False,
    everywhere: bool = False,
) -> list[Check]:
    """A canonical address, on processors with 48 and with 57 bits of linear addresses.

    Processors without Intel 64 do not look, unless the check is made `everywhere`. `page`: only bits 63:12 are an
    address. `further`: other states in which nobody looks.
    """
    bad = put(**{field: 1 << 47})
    idle = [*further, *([] if switch is None else [off(switch) + bad])]
    if switch is not None:
        given += on(switch)
    low = 0xFFF if page else 0
    narrow = Check(
        rule,
        source,
        field=field,
        given=given,
        violated=[1 << 47, 1 << 48, 1 << 63, (1 << 64) - (1 << 48), (1 << 64) - (1 << 47) - 4096],
        passed=[(1 << 47) - 1 - low, (1 << 64) - (1 << 47), 0],
        idle=[change + bad for change in idle],
        outcome=outcome,
    )
    wide = Check(
        rule,
        source,
        base="five levels",
        field=field,
        given=given,
        violated=[1 << 56, 1 << 57, (1 << 64) - (1 << 57)],
        passed=[1 << 47, (1 << 56) - 1 - low, (1 << 64) - (1 << 56)],
        outcome=outcome,
    )
    if everywhere:
        return [narrow, wide]
    legacy = Check(
        rule, source, base="without Intel 64", given=given, violated=[], passed=[], idle=[bad], outcome=outcome
    )
    return [narrow, wide, legacy]


def memory_types(rule: str, field: str, source: str, switch: str, outcome: Outcome = GUEST_STATE) -> Check:
    """A page-attribute table, of which each byte is tried with numbers that are memory types and others."""
    usual = 0x0007040600070406
    types = (0, 1, 4, 5, 6, 7)
    others = (2, 3, *range(8, 16), 0x16, 0x20, 0x46, 0x86, 0xFF)

    def with_byte(place: int, kind: int) -> int:
        return usual & ~(0xFF << 8 * place) | kind << 8 * place

    return Check(
        rule,
        source,
        given=on(switch),
        field=field,
        violated=[with_byte(place, kind) for place in range(8) for kind in others],
        passed=[with_byte(place, kind) for place in range(8) for kind in types],
        idle=[off(switch) + put(**{field: 2})],
        outcome=outcome,
    )
