"""What the guest state refers to in memory: the VMCS link pointer, PDPTEs, and the MSRs to load."""

from __future__ import annotations

from tests.check.changes import NONE, Change, memory, off, on, put, state
from tests.check.rows import Check, Outcome
from tests.check.states import ALL, REVISION, WIDTH

LINK = "SDM, Checks on Guest Non-Register State: VMCS link pointer"
PDPTES = "SDM, Checks on Guest Page-Directory-Pointer-Table Entries"
LINK_POINTER: Outcome = (("exit_reason", 33), ("qualification", 4))
PDPTE: Outcome = (("exit_reason", 33), ("qualification", 2))
SHADOW = put(vmread_bitmap=0xC000, vmwrite_bitmap=0xC000) + on("shadowing")
RESERVED = (1, 2, *range(5, 9), *range(WIDTH, 64))
"""Bits that a page-directory-pointer-table entry may not set while it is present."""


def link(address: int, word: int = REVISION) -> Change:
    return put(vmcs_link_pointer=address) + memory({address: word})


CHECKS = [
    Check(
        "link-align",
        LINK,
        violated=[link(0xB001), link(0xB002), link(0xB800)],
        passed=[link(0xB000), link(0xC000)],
        idle=[NONE],
        outcome=LINK_POINTER,
    ),
    Check(
        "link-width",
        LINK,
        violated=[link(1 << WIDTH), link(1 << 63), on("basic.32_bits") + link(1 << 32)],
        passed=[link(1 << WIDTH - 1), on("basic.32_bits") + link(1 << 31)],
        idle=[NONE],
        outcome=LINK_POINTER,
    ),
    *(
        Check(
            rule,
            f"{LINK}: all ones is the only value that is no pointer",
            violated=[link(ALL ^ 1 << bit, REVISION) for bit in bits],
            also=also,
            because="An address so high is beyond the width, and its low bits are set.",
            passed=[],
            outcome=LINK_POINTER,
        )
        for rule, bits, also in (
            ("link-align", range(64), ("link-width",)),
            ("link-width", range(64), ("link-align",)),
        )
    ),
    *(
        Check(
            rule,
            f"{LINK}: all ones is the only value that is no pointer",
            given=given,
            violated=[link(ALL ^ 1 << bit, word) for bit in range(64)],
            also=("link-align", "link-width"),
            because="An address so high is beyond the width, and its low bits are set.",
            passed=[],
            outcome=LINK_POINTER,
        )
        for rule, given, word in (("link-revision", NONE, REVISION ^ 1), ("link-shadow-bit", NONE, REVISION | 1 << 31))
    ),
    Check(
        "link-revision",
        LINK,
        violated=[link(0xB000, REVISION ^ 1 << bit) for bit in range(31)],
        passed=[link(0xB000), link(0xB000, REVISION | 0xFFFF << 32), link(0xB000, REVISION | 1 << 31) + SHADOW],
        idle=[NONE],
        outcome=LINK_POINTER,
    ),
    Check(
        "link-shadow-bit",
        LINK,
        violated=[link(0xB000, REVISION | 1 << 31), link(0xB000) + SHADOW, link(0xB000) + SHADOW + off("vm_functions")],
        passed=[
            link(0xB000),
            link(0xB000, REVISION | 1 << 31) + SHADOW,
            link(0xB000) + on("vm_functions"),
            link(0xB000) + SHADOW + off("secondary_controls", "ept", "vpid"),
            link(0x8000 | 0xB000, REVISION),
        ],
        idle=[NONE],
        outcome=LINK_POINTER,
    ),
    Check(
        "link-current",
        LINK,
        violated=[link(0x8000), link(0x8000, REVISION | 1 << 31) + SHADOW],
        passed=[link(0x9000), link(0x7000)],
        idle=[NONE],
        outcome=LINK_POINTER,
    ),
    Check(
        "link-current",
        f"{LINK}: an entry to SMM",
        base="entry to SMM",
        violated=[link(0x8000)],
        passed=[link(0x9000)],
        idle=[NONE],
        outcome=LINK_POINTER,
    ),
    Check(
        "link-current",
        f"{LINK}: a return from SMM",
        base="return from SMM",
        violated=[],
        passed=[],
        idle=[link(0x8000)],
        outcome=LINK_POINTER,
    ),
    Check(
        "link-executive",
        f"{LINK}: a return from SMM",
        base="return from SMM",
        violated=[link(0x6000)],
        passed=[link(0x7000)],
        idle=[NONE, on("entry.to_smm", "by_smi") + link(0x6000), state(smm=0) + link(0x6000)],
        outcome=LINK_POINTER,
    ),
    *(
        Check(
            rule,
            f"{LINK}: all ones is the only value that is no pointer",
            base=base,
            violated=[],
            passed=[link(ALL ^ 1 << bit) for bit in range(64)],
            elsewhere=("link-align", "link-width"),
            because="An address so high is beyond the width, and its low bits are set.",
            outcome=LINK_POINTER,
        )
        for rule, base in (("link-current", "long"), ("link-executive", "return from SMM"))
    ),
    Check(
        "pdpte-vmcs-reserved",
        "vmx_pae_test",
        base="pae",
        violated=[put(**{f"guest_pdpte{n}": 1 | 1 << bit}) for n in range(4) for bit in RESERVED],
        passed=[
            *(
                put(**{f"guest_pdpte{n}": value})
                for n in range(4)
                for value in (0, ALL & ~1, 1, 0x19, 0xE01, 1 | 1 << 12)
            ),
            put(guest_pdpte0=1 | 1 << WIDTH - 1),
        ],
        idle=[
            off("ept") + memory({0x4000 + 8 * n: 0 for n in range(4)}) + put(guest_pdpte0=7),
            off("cr4.pae") + put(guest_pdpte0=7),
            on("unrestricted") + put(guest_cr0=0x33, guest_pdpte0=7),
            on("unrestricted") + put(guest_cr0=0x40000033, guest_pdpte0=7),
            off("cr4.pae") + put(guest_cr4=0x2050, guest_pdpte0=7),
        ],
        outcome=PDPTE,
    ),
    Check(
        "pdpte-vmcs-reserved",
        f"{PDPTES}: IA-32e mode",
        violated=[],
        passed=[],
        idle=[put(guest_pdpte0=7)],
        outcome=PDPTE,
    ),
    Check(
        "pdpte-memory-reserved",
        "vmx_pae_test",
        base="pae without EPT",
        violated=[
            *(memory({0x4000 + 8 * n: 1 | 1 << bit}) for n in range(4) for bit in RESERVED),
            *(put(guest_cr3=0x4000 | low) + memory({0x4000: 3}) for low in (1, 2, 4, 8, 16, 31)),
            put(guest_cr3=0x4020) + memory({0x4020: 0, 0x4028: 0, 0x4030: 0, 0x4038: 3}),
            *(
                put(guest_cr3=1 << bit) + memory({(1 << bit) + 8 * n: 3 * (n == 3) for n in range(4)})
                for bit in range(5, 32)
            ),
            *(put(guest_cr3=0x4000 | 1 << bit) + memory({0x4018: 3}) for bit in (*range(32, WIDTH), 61, 62)),
        ],
        passed=[
            NONE,
            *(
                memory({0x4000 + 8 * n: value})
                for n in range(4)
                for value in (0, ALL & ~1, 1, 0x19, 0xE01, 1 | 1 << 12)
            ),
            memory({0x4000: 1 | 1 << WIDTH - 1}),
            memory({0x4020: 7, 0x3FF8: 7}),
        ],
        idle=[
            on("ept") + memory({0x4000: 7}),
            off("cr4.pae") + memory({0x4000: 7}),
            put(guest_cr4=0x2050) + memory({0x4000: 7}),
            on("entry.ia32e") + put(guest_cs_access_rights=0xA09B, guest_ia32_efer=0xD01) + memory({0x4000: 7}),
        ],
        outcome=PDPTE,
    ),
    Check(
        "pdpte-memory-reserved",
        f"{PDPTES}: the table lies below 4 GBytes, whatever else is in CR3",
        base="pae without EPT",
        violated=[put(guest_cr3=0x4000 | 1 << bit) + memory({0x4018: 3}) for bit in (*range(WIDTH, 61), 63)],
        passed=[],
        also=("guest-cr3-width",),
        because="CR3 as a whole is beyond the width.",
        outcome=PDPTE,
    ),
    Check(
        "pdpte-memory-reserved",
        f"{PDPTES}: paging is off",
        base="pae without EPT",
        given=put(ia32_vmx_cr0_fixed0=0x21) + memory({0x4000: 7}),
        violated=[NONE],
        passed=[],
        idle=[off("cr0.pg"), put(guest_cr0=0x40050033)],
        outcome=PDPTE,
    ),
]
