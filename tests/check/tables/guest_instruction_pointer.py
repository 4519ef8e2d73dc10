"""The guest's descriptor tables, RIP, RFLAGS and SSP."""

from __future__ import annotations

from tests.check.changes import NONE, flipped, off, on, put
from tests.check.rows import Check
from tests.check.shapes import linear

FLAGS = "SDM, Checks on Guest RIP, RFLAGS, and SSP"
RESERVED_FLAGS = ((63, 22), 15, 5, 3)
LEVEL_3 = put(guest_cs_access_rights=0xA0FB, guest_ss_access_rights=0xC0F3) + on("unrestricted")


def wide(address: int) -> tuple[int, ...]:
    """Addresses of which bits 63:N are not all alike, where 1 << N is `address`."""
    return (address, address << 1, 1 << 63, (1 << 64) - (address << 1))


CHECKS = [
    *(
        check
        for register in ("gdtr", "idtr")
        for check in (
            *linear(f"guest-{register}-base-canonical", f"guest_{register}_base", "vmx_guest_state_area_test"),
            Check(
                f"guest-{register}-limit-high",
                "vmx_guest_state_area_test",
                violated=flipped(f"guest_{register}_limit", 0xFFFF, (31, 16)),
                passed=[*flipped(f"guest_{register}_limit", 0, 15, 14, 0), put(**{f"guest_{register}_limit": 0xFFFF})],
            ),
        )
    ),
    Check(
        "guest-rip-high32",
        f"{FLAGS}: outside 64-bit mode",
        base="compatibility",
        violated=flipped("guest_rip", 0x401000, (63, 32)),
        passed=flipped("guest_rip", 0x401000, 31, 30, 0),
        idle=[put(guest_cs_access_rights=0xA09B, guest_rip=1 << 32)],
    ),
    Check(
        "guest-rip-high32",
        f"{FLAGS}: outside IA-32e mode",
        base="protected",
        violated=[put(guest_rip=1 << 32), put(guest_rip=1 << 32, guest_cs_access_rights=0xE09B)],
        passed=[put(guest_rip=0xFFFFFFFF), put(guest_cs_access_rights=0xE09B)],
    ),
    Check(
        "guest-rip-high32",
        f"{FLAGS}: processors without Intel 64",
        base="without Intel 64",
        violated=[],
        passed=[],
        idle=[put(guest_rip=1 << 32)],
    ),
    Check(
        "guest-rip-linear-width",
        f"{FLAGS}: bits 63:N of RIP in 64-bit mode",
        field="guest_rip",
        violated=wide(1 << 48),
        passed=[(1 << 48) - 1, 1 << 47, (1 << 64) - (1 << 48), 0],
    ),
    Check(
        "guest-rip-linear-width",
        f"{FLAGS}: bits 63:N of RIP with 57-bit linear addresses",
        base="five levels",
        field="guest_rip",
        violated=wide(1 << 57),
        passed=[1 << 48, 1 << 56, (1 << 57) - 1, (1 << 64) - (1 << 57)],
    ),
    *(
        Check(
            "guest-rip-linear-width",
            f"{FLAGS}: outside 64-bit mode",
            base=base,
            violated=[],
            passed=[],
            idle=[put(guest_rip=1 << 48)],
            elsewhere=("guest-rip-high32",),
            because="There RIP has 32 bits.",
        )
        for base in ("compatibility", "protected")
    ),
    Check(
        "guest-rip-linear-width",
        f"{FLAGS}: L has no meaning outside IA-32e mode",
        base="protected",
        violated=[],
        passed=[],
        idle=[put(guest_cs_access_rights=0xA09B)],
    ),
    Check(
        "guest-rip-linear-width",
        f"{FLAGS}: processors without Intel 64",
        base="without Intel 64",
        violated=[],
        passed=[],
        idle=[on("entry.ia32e") + put(guest_cs_access_rights=0xA09B, guest_cr4=0x2020)],
        elsewhere=("asz-legacy-ia32e-guest", "asz-host32-ia32e-guest"),
        because="Such a processor has no IA-32e mode.",
    ),
    Check(
        "guest-rflags-reserved",
        f"{FLAGS}: reserved bits",
        violated=flipped("guest_rflags", 2, *RESERVED_FLAGS),
        passed=flipped("guest_rflags", 2, 0, 2, 4, (14, 6), 16, (21, 18)),
    ),
    Check(
        "guest-rflags-bit1",
        "vmx_controls_test",
        violated=[put(guest_rflags=0), put(guest_rflags=0x205)],
        passed=[put(guest_rflags=2)],
    ),
    Check(
        "guest-rflags-vm-ia32e",
        FLAGS,
        violated=[],
        passed=flipped("guest_rflags", 2, 16, 18),
    ),
    Check(
        "guest-rflags-vm-ia32e",
        f"{FLAGS}: virtual-8086 mode along with IA-32e mode",
        base="v86",
        violated=[on("entry.ia32e", "cr4.pae") + put(guest_ia32_efer=0xD01)],
        passed=[],
        idle=[NONE],
    ),
    Check(
        "guest-rflags-vm-real",
        f"{FLAGS}: virtual-8086 mode without CR0.PE",
        base="v86",
        given=on("unrestricted"),
        violated=[put(guest_cr0=0x30), put(guest_cr0=0x32)],
        passed=[],
        idle=[NONE],
    ),
    Check("guest-rflags-vm-real", FLAGS, base="real", violated=[], passed=flipped("guest_rflags", 2, 16, 18)),
    Check(
        "guest-rflags-if-extint",
        FLAGS,
        given=put(entry_interruption_info=0x80000030),
        violated=[off("rflags.if"), put(guest_rflags=0x502)],
        passed=[on("rflags.if")],
        idle=[
            put(entry_interruption_info=0x30),
            put(entry_interruption_info=0x80000202),
            put(entry_interruption_info=0x80000306),
        ],
    ),
    Check(
        "guest-rflags-iopl-fred",
        f"{FLAGS}: FRED",
        base="FRED",
        given=LEVEL_3,
        violated=[put(guest_rflags=2 | iopl << 12) for iopl in (1, 2, 3)],
        passed=[put(guest_rflags=2), put(guest_rflags=0x4802)],
        idle=[
            put(guest_cs_access_rights=0xA09B, guest_ss_access_rights=0xC093, guest_rflags=0x3002),
            off("cr4.fred") + put(guest_rflags=0x3002),
        ],
    ),
    *(
        Check(
            "guest-rflags-iopl-fred",
            f"{FLAGS}: FRED",
            base="FRED",
            given=on("unrestricted") + put(guest_rflags=0x3002),
            violated=[],
            passed=[],
            idle=[put(guest_cs_access_rights=0xA09B | dpl << 5, guest_ss_access_rights=0xC093 | dpl << 5)],
            elsewhere=("gseg-ss-dpl-fred",),
            because="These levels do not exist with FRED.",
        )
        for dpl in (1, 2)
    ),
    Check(
        "guest-ssp-align",
        FLAGS,
        base="CET",
        violated=flipped("guest_ssp", 0x1000, 0, 1),
        passed=flipped("guest_ssp", 0x1000, 2, 3),
        idle=[off("entry.load_cet") + put(guest_ssp=1)],
    ),
    Check(
        "guest-ssp-linear-width",
        f"{FLAGS}: bits 63:N of SSP",
        base="CET",
        field="guest_ssp",
        violated=wide(1 << 48),
        passed=[(1 << 48) - 4, 1 << 47, (1 << 64) - (1 << 48), 0],
        idle=[off("entry.load_cet") + put(guest_ssp=1 << 48)],
    ),
    Check(
        "guest-ssp-linear-width",
        f"{FLAGS}: bits 63:N of SSP with 57-bit linear addresses",
        base="five levels",
        given=on("entry.load_cet"),
        field="guest_ssp",
        violated=wide(1 << 57),
        passed=[1 << 48, 1 << 56, (1 << 57) - 4, (1 << 64) - (1 << 57)],
    ),
]
