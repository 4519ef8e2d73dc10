"""The guest's control registers, debug registers and MSRs."""

from __future__ import annotations

from tests.check.changes import cpu, flipped, off, on, put
from tests.check.rows import Check
from tests.check.shapes import linear, memory_types
from tests.check.states import ALL, WIDTH

REGISTERS = "SDM, Checks on Guest Control Registers, Debug Registers, and MSRs"
WHOLE = put(guest_cr0=ALL, host_cr0=ALL, ia32_vmx_cr0_fixed0=ALL, ia32_vmx_cr0_fixed1=ALL)
"""Every bit of CR0 must be 1, and is."""
FLAT = put(guest_cr4=0x2000, guest_ia32_efer=0, guest_cs_access_rights=0xC09B) + off("entry.ia32e")

CHECKS = [
    Check(
        "guest-cr0-fixed0",
        f"{REGISTERS}: bits fixed to 1, save CD and NW",
        given=WHOLE + FLAT,
        violated=flipped("guest_cr0", ALL, (63, 32), (28, 1)),
        passed=[*flipped("guest_cr0", ALL, 30, 29), put(guest_cr0=ALL & ~0x60000000)],
    ),
    Check(
        "guest-cr0-fixed0",
        f"{REGISTERS}: PG, which only an unrestricted guest may clear",
        given=FLAT,
        violated=flipped("guest_cr0", 0x80050033, 31, 5),
        passed=flipped("guest_cr0", 0x80050033, 1, 2, 4, 16, 18, 29, 30),
    ),
    Check(
        "guest-cr0-fixed0",
        f"{REGISTERS}: PE, which only an unrestricted guest may clear",
        given=FLAT,
        violated=[put(guest_cr0=0x80050032)],
        passed=[],
        also=("guest-cr0-pg-needs-pe",),
        because="PG needs PE, and clearing it too would be wrong twice.",
    ),
    Check(
        "guest-cr0-fixed0",
        f"{REGISTERS}: bits fixed to 1, with unrestricted guest",
        given=WHOLE + FLAT + on("unrestricted"),
        violated=flipped("guest_cr0", ALL, (63, 32), (28, 1)),
        passed=[*flipped("guest_cr0", ALL, 31, 30, 29), put(guest_cr0=ALL & ~0xE0000001)],
    ),
    Check(
        "guest-cr0-fixed1",
        f"{REGISTERS}: bits fixed to 0, save CD and NW",
        base="flat",
        given=put(ia32_vmx_cr0_fixed0=0, ia32_vmx_cr0_fixed1=0, guest_cr0=0, host_cr0=0),
        violated=flipped("guest_cr0", 0, (63, 32), (28, 0)),
        passed=[*flipped("guest_cr0", 0, 30, 29), put(guest_cr0=0)],
    ),
    Check(
        "guest-cr0-fixed1",
        f"{REGISTERS}: bits fixed to 0",
        given=put(ia32_vmx_cr0_fixed0=0, ia32_vmx_cr0_fixed1=1, guest_cr0=1, host_cr0=0) + FLAT,
        violated=flipped("guest_cr0", 1, 31),
    ),
    Check(
        "guest-cr0-pg-needs-pe",
        f"{REGISTERS}: PG without PE",
        base="real",
        field="guest_cr0",
        violated=[0x80000030, 0x80000032],
        passed=[0x80000031],
        idle=[0x30, 0x31, 0x40000030],
    ),
    Check(
        "guest-cr4-fixed0",
        f"{REGISTERS}: bits of CR4 that are fixed to 1",
        violated=flipped("guest_cr4", 0x2020, 13),
        passed=flipped("guest_cr4", 0x2020, 12, 14),
    ),
    Check(
        "guest-cr4-fixed1",
        f"{REGISTERS}: bits of CR4 that are fixed to 0",
        violated=flipped("guest_cr4", 0x2020, 15, 26, 29, 31, 33, 63),
        passed=flipped("guest_cr4", 0x2020, 0, 17, 28, 23),
    ),
    Check(
        "guest-cet-needs-wp",
        REGISTERS,
        violated=[on("cr4.cet") + off("cr0.wp")],
        passed=[on("cr4.cet"), on("cr4.cet") + put(guest_cr0=0x80010021)],
        idle=[off("cr0.wp"), put(guest_cr0=0x80000031, guest_cr4=0x2020 | 5 << 22)],
    ),
    Check(
        "guest-debugctl-reserved",
        f"{REGISTERS}: IA32_DEBUGCTL",
        violated=flipped("guest_ia32_debugctl", 0, 3, 5, 16, 63),
        passed=flipped("guest_ia32_debugctl", 0, 0, 1, 2, 15),
        idle=[off("entry.load_debug") + put(guest_ia32_debugctl=8)],
    ),
    Check(
        "guest-ia32e-needs-pg",
        REGISTERS,
        given=on("unrestricted"),
        violated=[off("cr0.pg"), put(guest_cr0=0x40000031)],
        passed=[put(guest_cr0=0x80000021)],
        idle=[FLAT + put(guest_cr0=0x31)],
    ),
    Check(
        "guest-ia32e-needs-pae",
        REGISTERS,
        violated=[off("cr4.pae"), put(guest_cr4=0x2050)],
        passed=flipped("guest_cr4", 0x2020, 4, 6),
        idle=[FLAT],
    ),
    Check(
        "guest-pcide-needs-ia32e",
        REGISTERS,
        base="protected",
        violated=[on("cr4.pcide")],
        passed=flipped("guest_cr4", 0x2000, 16, 18),
    ),
    Check(
        "guest-fred-needs-ia32e",
        f"{REGISTERS}: FRED",
        base="protected",
        given=put(guest_cs_access_rights=0xA09B),
        violated=[on("cr4.fred")],
        passed=flipped("guest_cr4", 0x2000, 27, 28),
    ),
    *(
        Check(
            rule,
            REGISTERS,
            base="without Intel 64",
            given=put(guest_cs_access_rights=0xA09B),
            violated=[],
            passed=[],
            idle=[on(bit)],
        )
        for rule, bit in (("guest-pcide-needs-ia32e", "cr4.pcide"), ("guest-fred-needs-ia32e", "cr4.fred"))
    ),
    *(
        Check(rule, REGISTERS, violated=[], passed=[], idle=[on(bit)])
        for rule, bit in (("guest-pcide-needs-ia32e", "cr4.pcide"), ("guest-fred-needs-ia32e", "cr4.fred"))
    ),
    Check(
        "guest-cr3-width",
        "vmx_pae_test",
        violated=[
            *flipped("guest_cr3", 0x4000, (60, WIDTH), 63),
            *(change + cpu(lam=0) for change in flipped("guest_cr3", 0x4000, 61, 62)),
        ],
        passed=[*flipped("guest_cr3", 0x4000, WIDTH - 1, 0, 11, 61, 62), cpu(lam=0)],
    ),
    Check("guest-cr3-width", REGISTERS, base="without Intel 64", violated=[], passed=[], idle=[put(guest_cr3=1 << 63)]),
    Check(
        "guest-dr7-high",
        "test_guest_dr7",
        violated=flipped("guest_dr7", 0x400, (63, 32)),
        passed=flipped("guest_dr7", 0x400, 31, 30, 0),
        idle=[off("entry.load_debug") + put(guest_dr7=1 << 32)],
    ),
    Check("guest-dr7-high", REGISTERS, base="without Intel 64", violated=[], passed=[], idle=[put(guest_dr7=1 << 32)]),
    *linear("guest-sysenter-esp-canonical", "guest_ia32_sysenter_esp", "vmx_guest_state_area_test"),
    *linear("guest-sysenter-eip-canonical", "guest_ia32_sysenter_eip", "vmx_guest_state_area_test"),
    *linear("guest-scet-canonical", "guest_ia32_s_cet", REGISTERS, switch="entry.load_cet", page=True),
    *linear(
        "guest-intr-ssp-table-canonical", "guest_ia32_interrupt_ssp_table_addr", REGISTERS, switch="entry.load_cet"
    ),
    Check(
        "guest-perf-global-reserved",
        "test_load_guest_perf_global_ctrl",
        given=on("entry.load_perf"),
        violated=flipped("guest_ia32_perf_global_ctrl", 0, 8, 31, 36, 63),
        passed=[put(guest_ia32_perf_global_ctrl=0xF000000FF), put(guest_ia32_perf_global_ctrl=0)],
        idle=[off("entry.load_perf") + put(guest_ia32_perf_global_ctrl=1 << 63)],
    ),
    memory_types("guest-pat-type", "guest_ia32_pat", "test_load_guest_pat", "entry.load_pat"),
    Check(
        "guest-efer-reserved",
        "test_guest_efer",
        violated=flipped("guest_ia32_efer", 0xD01, (7, 1), 9, 12, 32, 63),
        passed=flipped("guest_ia32_efer", 0xD01, 0, 11),
        idle=[off("entry.load_efer") + put(guest_ia32_efer=2)],
    ),
    Check(
        "guest-efer-lma",
        "test_guest_efer",
        field="guest_ia32_efer",
        violated=[0, 1, 0x801],
        passed=[0xD00, 0x501, 0x500],
        idle=[off("entry.load_efer") + put(guest_ia32_efer=0)],
    ),
    Check(
        "guest-efer-lma",
        "test_guest_efer",
        base="protected",
        field="guest_ia32_efer",
        violated=[0x500, 0xD01],
        passed=[0, 0x801],
    ),
    Check(
        "guest-efer-lma",
        f"{REGISTERS}: LMA counts, whatever LME is",
        violated=[],
        passed=[put(guest_ia32_efer=0x400)],
        elsewhere=("guest-efer-lme",),
        because="With paging on LME must be like LMA.",
    ),
    Check(
        "guest-efer-lme",
        "test_guest_efer",
        field="guest_ia32_efer",
        violated=[0x400, 0xC01],
        passed=[0x500, 0xD01],
        idle=[off("entry.load_efer") + put(guest_ia32_efer=0x400)],
    ),
    Check(
        "guest-efer-lme",
        "test_guest_efer",
        base="protected",
        given=on("unrestricted"),
        field="guest_ia32_efer",
        violated=[0x100, 0x901],
        passed=[0, 0x801],
        idle=[put(guest_cr0=0x33, guest_ia32_efer=0x100), put(guest_cr0=0x40000033, guest_ia32_efer=0x100)],
    ),
    Check(
        "guest-bndcfgs-reserved",
        "test_load_guest_bndcfgs",
        given=on("entry.load_bndcfgs"),
        violated=flipped("guest_ia32_bndcfgs", 0, (11, 2)),
        passed=flipped("guest_ia32_bndcfgs", 0, 0, 1, 12),
        idle=[off("entry.load_bndcfgs") + put(guest_ia32_bndcfgs=4)],
    ),
    *linear(
        "guest-bndcfgs-canonical",
        "guest_ia32_bndcfgs",
        "test_load_guest_bndcfgs",
        switch="entry.load_bndcfgs",
        page=True,
        everywhere=True,
    ),
    Check(
        "guest-rtit-ctl-reserved",
        f"{REGISTERS}: IA32_RTIT_CTL",
        given=on("entry.load_rtit"),
        violated=flipped("guest_ia32_rtit_ctl", 0, 4, 6, 18, 40, 57, 63),
        passed=[*flipped("guest_ia32_rtit_ctl", 0, 0, 5, 27, 39, 55), put(guest_ia32_rtit_ctl=0x18000FF0F7BFFAF)],
        idle=[off("entry.load_rtit") + put(guest_ia32_rtit_ctl=0x10)],
    ),
    Check(
        "guest-scet-reserved",
        REGISTERS,
        base="CET",
        violated=flipped("guest_ia32_s_cet", 0, (9, 6)),
        passed=flipped("guest_ia32_s_cet", 0, (5, 0), 10, 11, 12),
        idle=[off("entry.load_cet") + put(guest_ia32_s_cet=0x40)],
    ),
    Check(
        "guest-scet-suppress-tracker",
        "vmx_cet_test",
        base="CET",
        field="guest_ia32_s_cet",
        violated=[0xC00, 0xC03],
        passed=[0x400, 0x800, 0x820, 0x420, 0x1400, 0x1800],
        idle=[off("entry.load_cet") + put(guest_ia32_s_cet=0xC00)],
    ),
    Check(
        "guest-lbr-ctl-reserved",
        f"{REGISTERS}: IA32_LBR_CTL",
        given=on("entry.load_lbr"),
        violated=flipped("guest_ia32_lbr_ctl", 0, 4, 15, 23, 63),
        passed=[*flipped("guest_ia32_lbr_ctl", 0, 0, 3, 16, 22), put(guest_ia32_lbr_ctl=0x7F000F)],
        idle=[off("entry.load_lbr") + put(guest_ia32_lbr_ctl=0x10)],
    ),
    Check(
        "guest-pkrs-high",
        f"{REGISTERS}: IA32_PKRS",
        given=on("entry.load_pkrs"),
        violated=flipped("guest_ia32_pkrs", 0, (63, 32)),
        passed=[*flipped("guest_ia32_pkrs", 0, 31, 30, 0), put(guest_ia32_pkrs=ALL >> 32)],
        idle=[off("entry.load_pkrs") + put(guest_ia32_pkrs=1 << 63)],
    ),
    Check(
        "guest-uinv-high",
        f"{REGISTERS}: UINV",
        given=on("entry.load_uinv"),
        violated=flipped("guest_uinv", 0, (15, 8)),
        passed=[*flipped("guest_uinv", 0, (7, 0)), put(guest_uinv=0xFF)],
        idle=[off("entry.load_uinv") + put(guest_uinv=1 << 15)],
    ),
    Check(
        "guest-fred-config-reserved",
        f"{REGISTERS}: FRED",
        base="FRED",
        violated=flipped("guest_ia32_fred_config", 0, 2, 5, 4, 11),
        passed=flipped("guest_ia32_fred_config", 0, 0, 1, 3, (10, 6), 12),
        idle=[off("entry.load_fred") + put(guest_ia32_fred_config=4)],
    ),
    *linear(
        "guest-fred-config-canonical",
        "guest_ia32_fred_config",
        f"{REGISTERS}: FRED",
        switch="entry.load_fred",
        page=True,
        everywhere=True,
    ),
    *(
        check
        for level in (1, 2, 3)
        for register, size in (("rsp", 64), ("ssp", 8))
        for field in (f"guest_ia32_fred_{register}{level}",)
        for check in (
            Check(
                f"guest-fred-{register}{level}-align",
                f"{REGISTERS}: FRED",
                base="FRED",
                field=field,
                violated=[1, 2, size // 2],
                passed=[size, size * 2, 0],
                idle=[off("entry.load_fred") + put(**{field: 1})],
            ),
            *linear(
                f"guest-fred-{register}{level}-canonical",
                field,
                f"{REGISTERS}: FRED",
                switch="entry.load_fred",
                page=True,
                everywhere=True,
            ),
        )
    ),
    Check(
        "guest-spec-ctrl-reserved",
        f"{REGISTERS}: IA32_SPEC_CTRL",
        given=on("entry.load_spec_ctrl"),
        violated=flipped("guest_ia32_spec_ctrl", 0, 9, 11, 32, 63),
        passed=[*flipped("guest_ia32_spec_ctrl", 0, 0, 8, 10), put(guest_ia32_spec_ctrl=0x5FF)],
        idle=[off("entry.load_spec_ctrl") + put(guest_ia32_spec_ctrl=0x200)],
    ),
]
