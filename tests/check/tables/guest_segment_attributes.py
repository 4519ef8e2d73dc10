"""What the guest's segment registers have in common: the S and P bits, reserved bits, and granularity."""

from __future__ import annotations

from collections.abc import Iterator

from tests.check.changes import NONE, Change, flipped, put
from tests.check.rows import Check
from tests.check.states import SEGMENTS

SEGMENT = "SDM, Checks on Guest Segment Registers"
UNUSABLE = 1 << 16


def rights(register: str, value: int) -> Change:
    return put(**{f"guest_{register}_access_rights": value})


def limit(register: str, value: int) -> Change:
    return put(**{f"guest_{register}_limit": value})


def attributes(register: str, usual: int, judged_always: bool = False) -> Iterator[Check]:
    """The checks of a register whose access rights are usually `usual`; if not `judged_always`, it may be unusable."""
    field = f"guest_{register}_access_rights"
    idle = () if judged_always else (Change(((field, UNUSABLE, UNUSABLE),)),)
    wrong = {
        "s": [rights(register, usual ^ 0x10)],
        "p": [rights(register, usual ^ 0x80)],
        "ar-reserved-low": list(flipped(field, usual, (11, 8))),
        "ar-reserved-high": list(flipped(field, usual, (31, 17))),
    }
    right = {
        "s": [],
        "p": [],
        "ar-reserved-low": [*flipped(field, usual, 12, *(() if register == "cs" else (13, 14)))],
        "ar-reserved-high": [],
    }
    byte_limit = rights(register, usual & ~0x8000)
    for rule, violated in wrong.items():
        yield Check(
            f"gseg-{register}-{rule}",
            SEGMENT,
            given=limit(register, 0xFFFFF),
            violated=violated,
            passed=[rights(register, usual), *right[rule]],
            idle=[change + unusable for change in violated for unusable in idle],
        )
    yield Check(
        f"gseg-{register}-g-low",
        f"{SEGMENT}: any of bits 11:0 of the limit is 0",
        violated=[
            rights(register, usual | 0x8000) + change
            for change in flipped(f"guest_{register}_limit", 0xFFFFFFFF, (11, 0))
        ]
        + [rights(register, usual | 0x8000) + limit(register, 0xFFFFF000)],
        passed=[byte_limit + limit(register, value) for value in (0, 0x67, 0xFFFFE, 0xFF000)],
        idle=[
            rights(register, usual | 0x8000) + limit(register, value)
            for value in (0xFFF, 0xFFFFFFFF, 0x1FFF, 0xFFFFEFFF)
        ]
        + [rights(register, usual | 0x8000) + limit(register, 0xFFFFF000) + change for change in idle],
    )
    yield Check(
        f"gseg-{register}-g-high",
        f"{SEGMENT}: any of bits 31:20 of the limit is 1",
        violated=[byte_limit + change for change in flipped(f"guest_{register}_limit", 0xFFFFF, (31, 20))],
        passed=[
            rights(register, usual | 0x8000) + change
            for change in flipped(f"guest_{register}_limit", 0xFFFFF, (31, 20))
        ],
        idle=[
            byte_limit + limit(register, 0xFFFFF),
            byte_limit + limit(register, 0xFFF),
            byte_limit + limit(register, 0x80000),
        ]
        + [byte_limit + limit(register, 0xFFFFFFFF) + change for change in idle],
    )


def v86(register: str) -> Iterator[Check]:
    """In virtual-8086 mode other rules judge the access rights and the limit."""
    for rule, change in {
        "s": rights(register, 0xE3),
        "p": rights(register, 0x73),
        "ar-reserved-low": rights(register, 0x1F3),
        "ar-reserved-high": rights(register, 1 << 31 | 0xF3),
    }.items():
        yield Check(
            f"gseg-{register}-{rule}",
            f"{SEGMENT}: virtual-8086 mode",
            base="v86",
            violated=[],
            passed=[],
            idle=[change],
            elsewhere=(f"gseg-v86-{register}-ar",),
            because="In virtual-8086 mode a segment has other access rights only against its own rule.",
        )
    for rule, change in {
        "g-low": rights(register, 0x80F3) + limit(register, 0),
        "g-high": rights(register, 0xF2) + limit(register, 0x10FFFF),
    }.items():
        yield Check(
            f"gseg-{register}-{rule}",
            f"{SEGMENT}: virtual-8086 mode",
            base="v86",
            violated=[],
            passed=[],
            idle=[change],
            elsewhere=(f"gseg-v86-{register}-ar", f"gseg-v86-{register}-limit"),
            because="In virtual-8086 mode a segment has another limit only against its own rule.",
        )


CHECKS = [
    *attributes("cs", 0xA09B, judged_always=True),
    *(check for register in ("ss", "ds", "es", "fs", "gs") for check in attributes(register, 0xC093)),
    *(check for register in SEGMENTS for check in v86(register)),
    *attributes("tr", 0x8B, judged_always=True),
    *attributes("ldtr", 0x82),
    Check(
        "gseg-cs-ar-reserved-high",
        f"{SEGMENT}: CS may have the unusable bit",
        violated=[],
        passed=[rights("cs", 0xA09B | UNUSABLE)],
    ),
    Check(
        "gseg-tr-ar-reserved-high",
        f"{SEGMENT}: bits 31:17, to which the unusable bit does not belong",
        violated=[],
        passed=[rights("tr", 0x8B | UNUSABLE)],
        elsewhere=("gseg-tr-unusable",),
        because="TR must be usable.",
    ),
    Check(
        "gseg-cs-db-l",
        SEGMENT,
        violated=[rights("cs", 0xE09B)],
        passed=[rights("cs", 0xA09B), rights("cs", 0xB09B)],
        idle=[rights("cs", 0xC09B), rights("cs", 0xD09B)],
    ),
    Check(
        "gseg-cs-db-l",
        f"{SEGMENT}: outside IA-32e mode",
        base="protected",
        violated=[],
        passed=[],
        idle=[rights("cs", 0xE09B)],
    ),
    Check(
        "gseg-tr-type",
        f"{SEGMENT}: TR in IA-32e mode",
        violated=[rights("tr", 0x80 | kind) for kind in range(16) if kind != 11],
        passed=[rights("tr", 0x8B)],
    ),
    Check(
        "gseg-tr-type",
        f"{SEGMENT}: TR outside IA-32e mode",
        base="protected",
        violated=[rights("tr", 0x80 | kind) for kind in range(16) if kind not in (3, 11)],
        passed=[rights("tr", 0x8B), rights("tr", 0x83)],
    ),
    Check("gseg-tr-unusable", SEGMENT, violated=[rights("tr", 0x8B | UNUSABLE)], passed=[NONE]),
    Check(
        "gseg-ldtr-type",
        SEGMENT,
        violated=[rights("ldtr", 0x80 | kind) for kind in range(16) if kind != 2],
        passed=[rights("ldtr", 0x82)],
        idle=[rights("ldtr", UNUSABLE), rights("ldtr", UNUSABLE | 0x83)],
    ),
]
