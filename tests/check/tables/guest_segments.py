"""The guest's segment registers: selectors, bases, types and privilege levels."""

from __future__ import annotations

from tests.check.changes import NONE, Change, flipped, off, on, put
from tests.check.rows import Check
from tests.check.shapes import linear
from tests.check.states import SEGMENTS

SEGMENT = "SDM, Checks on Guest Segment Registers"
DATA = ("ds", "es", "fs", "gs")
USABLE_LDTR = put(guest_ldtr_access_rights=0x82)
UNUSABLE = 1 << 16


def rights(segment: str, value: int) -> Change:
    return put(**{f"guest_{segment}_access_rights": value})


def selector(segment: str, value: int) -> Change:
    return put(**{f"guest_{segment}_selector": value})


def level(cs: int, ss: int) -> Change:
    """A 64-bit code segment and a stack segment of these privilege levels."""
    return rights("cs", 0xA09B | cs << 5) + rights("ss", 0xC093 | ss << 5)


CHECKS = [
    Check(
        "gseg-tr-sel-ti",
        "test_guest_segment_sel_fields",
        violated=[selector("tr", 4), selector("tr", 0x47)],
        passed=[selector("tr", value) for value in (0, 3, 0x48)],
    ),
    Check(
        "gseg-ldtr-sel-ti",
        "test_guest_segment_sel_fields",
        given=USABLE_LDTR,
        violated=[selector("ldtr", 4), selector("ldtr", 0x47)],
        passed=[selector("ldtr", value) for value in (0, 3, 0x48)],
        idle=[rights("ldtr", UNUSABLE) + selector("ldtr", 4)],
    ),
    Check(
        "gseg-ss-cs-rpl",
        "test_guest_segment_sel_fields",
        violated=[
            level(3, 3) + selector("ss", 0x13),
            level(1, 1) + selector("ss", 0x11),
            level(0, 0) + selector("cs", 0x11),
            level(1, 1) + selector("ss", 0x11) + selector("cs", 0x13),
            level(3, 3) + selector("ss", 0x13) + selector("cs", 0x11),
            rights("ss", UNUSABLE) + selector("cs", 0x13),
        ],
        passed=[level(3, 3) + selector("ss", 0x13) + selector("cs", 0x23), selector("ss", 8)],
        idle=[on("unrestricted") + selector("ss", 0x13)],
    ),
    Check(
        "gseg-ss-cs-rpl",
        f"{SEGMENT}: virtual-8086 mode",
        base="v86",
        violated=[],
        passed=[],
        idle=[put(guest_ss_selector=2, guest_ss_base=0x20)],
    ),
    *(
        check
        for segment in SEGMENTS
        for check in (
            Check(
                f"gseg-v86-{segment}-base",
                SEGMENT,
                base="v86",
                violated=[
                    *flipped(f"guest_{segment}_base", 0x10, 0, 3, 4, 5, 19, 31),
                    put(**{f"guest_{segment}_base": 0x1230}),
                    put(**{f"guest_{segment}_base": 0x91230, f"guest_{segment}_selector": 0x9124}),
                ],
                passed=[
                    put(**{f"guest_{segment}_base": value << 4, f"guest_{segment}_selector": value})
                    for value in (0, 1, 0x9123, 0xFFFF)
                ],
            ),
            Check(
                f"gseg-v86-{segment}-limit",
                SEGMENT,
                base="v86",
                violated=[
                    *flipped(f"guest_{segment}_limit", 0xFFFF, (31, 0)),
                    put(**{f"guest_{segment}_limit": 0x10000}),
                ],
            ),
            Check(
                f"gseg-v86-{segment}-ar",
                SEGMENT,
                base="v86",
                violated=[*flipped(f"guest_{segment}_access_rights", 0xF3, (31, 0)), rights(segment, 0xF4)],
            ),
            Check(f"gseg-v86-{segment}-base", SEGMENT, violated=[], passed=[], idle=[selector(segment, 0x18)]),
            Check(f"gseg-v86-{segment}-limit", SEGMENT, violated=[], passed=[], idle=[selector(segment, 0x18)]),
            Check(f"gseg-v86-{segment}-ar", SEGMENT, violated=[], passed=[], idle=[selector(segment, 0x18)]),
            Check(
                f"gseg-v86-{segment}-base",
                f"{SEGMENT}: what stands beside RFLAGS.VM",
                violated=[],
                passed=[],
                idle=[put(guest_rflags=2 | 5 << 16)],
            ),
        )
    ),
    *(
        check
        for register in ("tr", "fs", "gs")
        for check in linear(
            f"gseg-{register}-base-canonical", f"guest_{register}_base", "test_guest_segment_base_addr_fields"
        )
    ),
    *(
        Check(
            f"gseg-{register}-base-canonical",
            f"{SEGMENT}: a base is loaded whether or not the register is usable",
            given=rights(register, UNUSABLE),
            violated=[put(**{f"guest_{register}_base": 1 << 47})],
        )
        for register in ("fs", "gs")
    ),
    *linear(
        "gseg-ldtr-base-canonical",
        "guest_ldtr_base",
        "test_guest_segment_base_addr_fields",
        given=USABLE_LDTR,
        further=(rights("ldtr", UNUSABLE),),
    ),
    *(
        check
        for segment in ("cs", "ss", "ds", "es")
        for base in (f"guest_{segment}_base",)
        for check in (
            Check(
                f"gseg-{segment}-base-high",
                "test_guest_segment_base_addr_fields",
                violated=flipped(base, 0, (63, 32)),
                passed=flipped(base, 0, 31, 30, 0),
                idle=[] if segment == "cs" else [rights(segment, UNUSABLE) + put(**{base: 1 << 32})],
            ),
            Check(
                f"gseg-{segment}-base-high",
                f"{SEGMENT}: processors without Intel 64",
                base="without Intel 64",
                violated=[],
                passed=[],
                idle=[put(**{base: 1 << 32})],
            ),
        )
    ),
    Check(
        "gseg-cs-base-high",
        f"{SEGMENT}: CS, whether or not it is usable",
        violated=[rights("cs", 0xA09B | UNUSABLE) + put(guest_cs_base=1 << 32)],
    ),
    Check(
        "gseg-cs-type",
        SEGMENT,
        violated=[rights("cs", 0xA090 | kind) for kind in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14)],
        passed=[rights("cs", 0xA090 | kind) for kind in (9, 11, 13, 15)],
    ),
    Check(
        "gseg-cs-type",
        f"{SEGMENT}: type 3 with unrestricted guest",
        given=on("unrestricted"),
        violated=[rights("cs", 0xA090 | kind) for kind in (0, 1, 2, 4, 5, 6, 7, 8, 10, 12, 14)],
        passed=[rights("cs", 0xA090 | kind) for kind in (3, 9, 11, 13, 15)],
    ),
    Check("gseg-cs-type", f"{SEGMENT}: virtual-8086 mode", base="v86", violated=[], passed=[], idle=[NONE]),
    Check(
        "gseg-ss-type",
        SEGMENT,
        violated=[rights("ss", 0xC090 | kind) for kind in range(16) if kind not in (3, 7)],
        passed=[rights("ss", 0xC090 | kind) for kind in (3, 7)],
        idle=[rights("ss", UNUSABLE)],
    ),
    Check("gseg-ss-type", f"{SEGMENT}: virtual-8086 mode", base="v86", violated=[], passed=[], idle=[NONE]),
    *(
        check
        for segment in DATA
        for check in (
            Check(
                f"gseg-{segment}-type-accessed",
                SEGMENT,
                violated=[rights(segment, 0xC090 | kind) for kind in (0, 2, 4, 6, 10, 14)],
                passed=[rights(segment, 0xC090 | kind) for kind in (1, 3, 5, 7, 11, 15)],
                idle=[rights(segment, UNUSABLE)],
            ),
            Check(
                f"gseg-{segment}-type-readable",
                SEGMENT,
                violated=[rights(segment, 0xC090 | kind) for kind in (9, 13)],
                passed=[rights(segment, 0xC090 | kind) for kind in (11, 15)],
                idle=[rights(segment, 0xC090 | kind) for kind in (1, 3, 5, 7)] + [rights(segment, 0x9D | UNUSABLE)],
            ),
            *(
                Check(
                    f"gseg-{segment}-{rule}",
                    f"{SEGMENT}: virtual-8086 mode",
                    base="v86",
                    violated=[],
                    passed=[],
                    idle=[NONE],
                )
                for rule in ("type-accessed", "dpl-rpl")
            ),
            Check(
                f"gseg-{segment}-type-readable",
                f"{SEGMENT}: virtual-8086 mode",
                base="v86",
                violated=[],
                passed=[],
                idle=[rights(segment, 0xF9)],
                elsewhere=(f"gseg-v86-{segment}-ar",),
                because="In virtual-8086 mode a segment has other access rights only against its own rule.",
            ),
            Check(
                f"gseg-{segment}-dpl-rpl",
                SEGMENT,
                given=selector(segment, 0x12),
                violated=[
                    *(rights(segment, 0xC0B0 | kind) for kind in (1, 3, 5, 7, 11)),
                    rights(segment, 0xC093),
                    selector(segment, 0x11) + rights(segment, 0xC093),
                    selector(segment, 0x13) + rights(segment, 0xC0D3),
                ],
                passed=[
                    rights(segment, 0xC0D3),
                    rights(segment, 0xC0F3),
                    selector(segment, 0x11) + rights(segment, 0xC0B3),
                    selector(segment, 0x10) + rights(segment, 0xC093),
                    rights(segment, 0xC0DB),
                ],
                idle=[
                    rights(segment, 0xC0BF),
                    rights(segment, 0xC093) + on("unrestricted"),
                    rights(segment, UNUSABLE),
                ],
            ),
            Check(
                f"gseg-{segment}-dpl-rpl",
                f"{SEGMENT}: the types that are judged",
                given=selector(segment, 0x12),
                violated=[],
                passed=[],
                idle=[rights(segment, 0xC0BC)],
                elsewhere=(f"gseg-{segment}-type-accessed", f"gseg-{segment}-type-readable"),
                because="Type 12 is a conforming code segment that is neither accessed nor readable.",
            ),
        )
    ),
    Check(
        "gseg-cs-dpl-type3",
        f"{SEGMENT}: CS of type 3",
        base="flat",
        violated=[rights("cs", 0xC093 | dpl << 5) for dpl in (1, 2, 3)],
        passed=[rights("cs", 0xC093)],
        idle=[rights("cs", 0xC09B), rights("cs", 0xC0FB) + rights("ss", 0xC0F3)],
    ),
    *(
        Check(
            rule,
            f"{SEGMENT}: CS of type 3, and of no other",
            base="flat",
            violated=[],
            passed=[],
            idle=[change + rights("cs", 0xC091 | dpl << 5)],
            elsewhere=("gseg-cs-type",),
            because="CS holds no other data segment.",
        )
        for rule, dpl, change in (("gseg-cs-dpl-type3", 1, NONE), ("gseg-ss-dpl-cs3", 0, rights("ss", 0xC0B3)))
    ),
    Check("gseg-cs-dpl-type3", f"{SEGMENT}: virtual-8086 mode", base="v86", violated=[], passed=[], idle=[NONE]),
    Check("gseg-ss-dpl-cs3", f"{SEGMENT}: virtual-8086 mode", base="v86", violated=[], passed=[], idle=[NONE]),
    Check(
        "gseg-cs-dpl-nonconforming",
        SEGMENT,
        violated=[
            *(rights("cs", 0xA090 | kind | dpl << 5) for kind in (9, 11) for dpl in (1, 2, 3)),
            on("unrestricted") + rights("ss", UNUSABLE | 0x60),
            level(0, 3) + selector("ss", 0x13) + selector("cs", 0x13),
            level(2, 3) + selector("ss", 0x13) + selector("cs", 0x13),
        ],
        passed=[level(3, 3) + selector("ss", 0x13) + selector("cs", 0x13), rights("cs", 0xA099)],
        idle=[rights("cs", 0xA09D), rights("cs", 0xA09F), on("unrestricted") + rights("cs", 0xC093)],
    ),
    Check(
        "gseg-cs-dpl-conforming",
        SEGMENT,
        given=on("unrestricted"),
        violated=[
            *(rights("cs", 0xA090 | kind | dpl << 5) for kind in (13, 15) for dpl in (1, 2, 3)),
            rights("cs", 0xA0FF) + rights("ss", 0xC0D3),
        ],
        passed=[
            rights("cs", 0xA09F),
            rights("cs", 0xA09D),
            rights("cs", 0xA0FF) + rights("ss", 0xC0F3),
            rights("cs", 0xA0BF) + rights("ss", 0xC0F3),
            rights("cs", 0xA09D) + rights("ss", 0xC0B3),
        ],
        idle=[rights("cs", 0xC093), rights("cs", 0xA09B), rights("cs", 0xA099)],
    ),
    *(
        Check(
            f"gseg-cs-dpl-{rule}",
            f"{SEGMENT}: virtual-8086 mode",
            base="v86",
            violated=[],
            passed=[],
            idle=[rights("cs", 0xF0 | kind)],
            elsewhere=("gseg-v86-cs-ar",),
            because="In virtual-8086 mode CS has other access rights only against its own rule.",
        )
        for rule, kind in (("nonconforming", 11), ("conforming", 13))
    ),
    Check(
        "gseg-ss-dpl-rpl",
        SEGMENT,
        violated=[
            *(selector("ss", 0x10 | rpl) + selector("cs", 0x10 | rpl) for rpl in (1, 2, 3)),
            level(3, 3),
            level(1, 1) + selector("ss", 0x13) + selector("cs", 0x13),
            selector("ss", 0x13) + selector("cs", 0x13) + rights("ss", UNUSABLE),
        ],
        passed=[level(3, 3) + selector("ss", 0x13) + selector("cs", 0x13), selector("ss", 0x18)],
        idle=[on("unrestricted") + selector("ss", 0x13)],
    ),
    Check(
        "gseg-ss-dpl-rpl",
        f"{SEGMENT}: virtual-8086 mode",
        base="v86",
        violated=[],
        passed=[],
        idle=[put(guest_ss_selector=2, guest_ss_base=0x20)],
    ),
    Check(
        "gseg-ss-dpl-cs3",
        f"{SEGMENT}: CS of type 3",
        base="flat",
        given=rights("cs", 0xC093),
        violated=[rights("ss", 0xC093 | dpl << 5) for dpl in (1, 2, 3)] + [rights("ss", UNUSABLE | 0x60)],
        passed=[rights("ss", 0xC093), rights("ss", UNUSABLE)],
        idle=[rights("cs", 0xC0FB) + rights("ss", 0xC0F3)],
    ),
    Check(
        "gseg-ss-dpl-real",
        f"{SEGMENT}: CR0.PE = 0",
        base="real",
        violated=[rights("ss", 0x93 | dpl << 5) + rights("cs", 0x9B | dpl << 5) for dpl in (1, 2, 3)],
        passed=[NONE, put(guest_cr0=0x32)],
        idle=[put(guest_cr0=0x31), put(guest_cr0=0x31) + rights("ss", 0xF3) + rights("cs", 0xFB)],
    ),
    Check(
        "gseg-ss-dpl-real",
        f"{SEGMENT}: virtual-8086 mode",
        base="v86",
        given=on("unrestricted") + put(guest_cr0=0x30),
        violated=[],
        passed=[],
        idle=[NONE],
        elsewhere=("guest-rflags-vm-real",),
        because="Virtual-8086 mode without PE is wrong in itself.",
    ),
    Check(
        "gseg-ss-dpl-fred",
        f"{SEGMENT}: FRED",
        base="FRED",
        given=on("unrestricted"),
        violated=[level(dpl, dpl) for dpl in (1, 2)],
        passed=[level(dpl, dpl) for dpl in (0, 3)],
        idle=[off("cr4.fred") + level(1, 1)],
    ),
    Check(
        "gseg-cs-l-fred",
        f"{SEGMENT}: FRED",
        base="FRED",
        given=on("unrestricted"),
        violated=[rights("cs", 0x809B), rights("cs", 0xC09B)],
        passed=[rights("cs", 0xA09B)],
        idle=[rights("cs", 0x80FB) + rights("ss", 0xC0F3), off("cr4.fred") + rights("cs", 0xC09B)],
    ),
    Check(
        "gseg-cs-l-fred",
        f"{SEGMENT}: FRED",
        base="FRED",
        given=on("unrestricted"),
        violated=[],
        passed=[],
        idle=[rights("cs", 0x80BB) + rights("ss", 0xC0B3)],
        elsewhere=("gseg-ss-dpl-fred",),
        because="Level 1 does not exist with FRED.",
    ),
]
