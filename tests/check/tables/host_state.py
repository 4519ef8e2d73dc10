"""The host-state area: control registers, MSRs, segments, and the size of addresses."""

from __future__ import annotations

from functools import partial

from tests.check.changes import cpu, flipped, off, on, put
from tests.check.rows import ERROR_8
from tests.check.rows import Check as AnyCheck
from tests.check.shapes import linear, memory_types
from tests.check.states import ALL, WIDTH

Check = partial(AnyCheck, outcome=ERROR_8)

REGISTERS = "SDM, Checks on Host Control Registers, MSRs, and SSP"
FIXED = put(guest_cr0=ALL, host_cr0=ALL, ia32_vmx_cr0_fixed1=ALL)
"""Every bit of CR0 may be 1, and is."""
GUEST_32 = off("entry.ia32e") + put(guest_cr4=0x2000, guest_ia32_efer=0, guest_cs_access_rights=0xC09B)


CHECKS = [
    Check(
        "host-cr0-fixed0",
        "test_host_ctl_regs",
        given=FIXED + put(ia32_vmx_cr0_fixed0=ALL),
        violated=flipped("host_cr0", ALL, (63, 31), (28, 0)),
        passed=[*flipped("host_cr0", ALL, 30, 29), put(host_cr0=ALL & ~0x60000000)],
    ),
    Check(
        "host-cr0-fixed0",
        "test_host_ctl_regs",
        violated=flipped("host_cr0", 0x80050033, 31, 5, 0),
        passed=flipped("host_cr0", 0x80050033, 1, 2, 4, 16, 18, 29, 30),
    ),
    Check(
        "host-cr0-fixed1",
        "test_host_ctl_regs",
        given=put(ia32_vmx_cr0_fixed0=0, ia32_vmx_cr0_fixed1=0, guest_cr0=0) + on("unrestricted") + GUEST_32,
        violated=flipped("host_cr0", 0, (63, 31), (28, 0)),
        passed=[*flipped("host_cr0", 0, 30, 29), put(host_cr0=0)],
    ),
    Check(
        "host-cr4-fixed0",
        "test_host_ctl_regs",
        violated=flipped("host_cr4", 0x3726E0, 13),
        passed=flipped("host_cr4", 0x3726E0, 7, 12, 14, 20),
    ),
    Check(
        "host-cr4-fixed1",
        "test_host_ctl_regs",
        violated=flipped("host_cr4", 0x3726E0, 15, 26, 29, 31, 33, 63),
        passed=flipped("host_cr4", 0x3726E0, 0, 12, 14, 22, 28, 32),
    ),
    Check(
        "host-cet-needs-wp",
        REGISTERS,
        violated=[on("host_cr4.cet") + off("host_cr0.wp")],
        passed=[on("host_cr4.cet", "host_cr0.wp"), on("host_cr4.cet") + put(host_cr0=0x80010031)],
        idle=[off("host_cr0.wp"), put(host_cr0=0x80040033) + flipped("host_cr4", 0x3726E0, 22)[0]],
    ),
    Check(
        "host-cr3-width",
        "test_host_ctl_regs",
        violated=[
            *flipped("host_cr3", 0x1000, (60, WIDTH), 63),
            *(change + cpu(lam=0) for change in flipped("host_cr3", 0x1000, 61, 62)),
        ],
        passed=[*flipped("host_cr3", 0x1000, WIDTH - 1, 0, 11, 61, 62), cpu(lam=0)],
    ),
    Check("host-cr3-width", REGISTERS, base="without Intel 64", violated=[], passed=[], idle=[put(host_cr3=1 << 63)]),
    *linear("host-sysenter-esp-canonical", "host_ia32_sysenter_esp", "vmx_canonical_test", ERROR_8),
    *linear("host-sysenter-eip-canonical", "host_ia32_sysenter_eip", "vmx_canonical_test", ERROR_8),
    Check(
        "host-perf-global-reserved",
        "test_load_host_perf_global_ctrl",
        given=on("exit.load_perf"),
        violated=flipped("host_ia32_perf_global_ctrl", 0, 8, 31, 36, 63),
        passed=[put(host_ia32_perf_global_ctrl=0xF000000FF), put(host_ia32_perf_global_ctrl=0)],
        idle=[off("exit.load_perf") + put(host_ia32_perf_global_ctrl=1 << 63)],
    ),
    memory_types("host-pat-type", "host_ia32_pat", "test_load_host_pat", "exit.load_pat", ERROR_8),
    Check(
        "host-efer-reserved",
        "test_host_efer",
        violated=flipped("host_ia32_efer", 0xD01, (7, 1), 9, 12, 32, 63),
        passed=flipped("host_ia32_efer", 0xD01, 0, 11),
        idle=[off("exit.load_efer") + put(host_ia32_efer=2)],
    ),
    Check(
        "host-efer-lma",
        "test_host_efer",
        field="host_ia32_efer",
        violated=[0x901, 0x100],
        passed=[0xD00, 0x501, 0x500],
        idle=[off("exit.load_efer") + put(host_ia32_efer=0x901)],
    ),
    Check(
        "host-efer-lma",
        "test_host_efer",
        base="32-bit host",
        given=on("exit.load_efer"),
        field="host_ia32_efer",
        violated=[0x400],
        passed=[0, 0x801],
    ),
    Check(
        "host-efer-lme",
        "test_host_efer",
        field="host_ia32_efer",
        violated=[0xC01, 0x400],
        passed=[0xD00, 0x501, 0x500],
        idle=[off("exit.load_efer") + put(host_ia32_efer=0xC01)],
    ),
    Check(
        "host-efer-lme",
        "test_host_efer",
        base="32-bit host",
        given=on("exit.load_efer"),
        field="host_ia32_efer",
        violated=[0x100],
        passed=[0, 0x801],
    ),
    Check(
        "host-scet-reserved",
        REGISTERS,
        base="CET",
        violated=flipped("host_ia32_s_cet", 0, (9, 6)),
        passed=flipped("host_ia32_s_cet", 0, (5, 0), 10, 11, 12),
        idle=[off("exit.load_cet") + put(host_ia32_s_cet=0x40)],
    ),
    Check(
        "host-scet-suppress-tracker",
        "vmx_cet_test",
        base="CET",
        field="host_ia32_s_cet",
        violated=[0xC00, 0xC03],
        passed=[0x400, 0x800, 0x820, 0x420, 0x1400, 0x1800],
        idle=[off("exit.load_cet") + put(host_ia32_s_cet=0xC00)],
    ),
    Check(
        "host-ssp-align",
        REGISTERS,
        base="CET",
        violated=flipped("host_ssp", 0x1000, 0, 1),
        passed=flipped("host_ssp", 0x1000, 2, 3),
        idle=[off("exit.load_cet") + put(host_ssp=1)],
    ),
    *linear(
        "host-intr-ssp-table-canonical",
        "host_ia32_interrupt_ssp_table_addr",
        REGISTERS,
        ERROR_8,
        "exit.load_cet",
        everywhere=True,
    ),
    Check(
        "host-pkrs-high",
        REGISTERS,
        given=on("exit.load_pkrs"),
        violated=flipped("host_ia32_pkrs", 0, (63, 32)),
        passed=[*flipped("host_ia32_pkrs", 0, (31, 30)), put(host_ia32_pkrs=ALL >> 32)],
        idle=[off("exit.load_pkrs") + put(host_ia32_pkrs=1 << 63)],
    ),
    Check(
        "host-fred-config-reserved",
        REGISTERS,
        base="FRED",
        violated=flipped("host_ia32_fred_config", 0, 2, 5, 4, 11),
        passed=flipped("host_ia32_fred_config", 0, 0, 1, 3, (10, 6), 12),
        idle=[
            off("exit.load_fred") + put(host_ia32_fred_config=4),
            off("exit.secondary_controls") + put(host_ia32_fred_config=4),
        ],
    ),
    *linear(
        "host-fred-config-canonical",
        "host_ia32_fred_config",
        REGISTERS,
        ERROR_8,
        "exit.load_fred",
        on("exit.secondary_controls"),
        page=True,
        everywhere=True,
    ),
    *(
        check
        for level in (1, 2, 3)
        for register, size in (("rsp", 64), ("ssp", 8))
        for field in (f"host_ia32_fred_{register}{level}",)
        for check in (
            Check(
                f"host-fred-{register}{level}-align",
                REGISTERS,
                base="FRED",
                field=field,
                violated=[1, 2, size // 2],
                passed=[size, size * 2, 0],
                idle=[off("exit.load_fred") + put(**{field: 1})],
            ),
            *linear(
                f"host-fred-{register}{level}-canonical",
                field,
                REGISTERS,
                ERROR_8,
                "exit.load_fred",
                on("exit.secondary_controls"),
                page=True,
                everywhere=True,
            ),
        )
    ),
    Check(
        "host-spec-ctrl-reserved",
        REGISTERS,
        given=on("exit.secondary_controls", "exit.load_spec_ctrl"),
        violated=flipped("host_ia32_spec_ctrl", 0, 9, 11, 32, 63),
        passed=[*flipped("host_ia32_spec_ctrl", 0, 0, 8, 10), put(host_ia32_spec_ctrl=0x5FF)],
        idle=[off("exit.load_spec_ctrl") + put(host_ia32_spec_ctrl=0x200)],
    ),
    *(
        Check(
            f"host-{segment}-sel-rpl-ti",
            "test_host_segment_regs",
            violated=flipped(f"host_{segment}_selector", 0x40, 0, 1, 2),
            passed=[put(**{f"host_{segment}_selector": selector}) for selector in (8, 0x40, 0xFFF8)],
        )
        for segment in ("cs", "ss", "ds", "es", "fs", "gs", "tr")
    ),
    *(
        Check(
            f"host-{segment}-sel-null",
            "test_host_segment_regs",
            field=f"host_{segment}_selector",
            violated=[0],
            passed=[8, 0xFFF8],
        )
        for segment in ("cs", "tr")
    ),
    Check(
        "host-ss-sel-null",
        "test_host_segment_regs",
        base="32-bit host",
        field="host_ss_selector",
        violated=[0],
        passed=[8, 0xFFF8],
    ),
    Check("host-ss-sel-null", "test_host_segment_regs", violated=[], passed=[], idle=[put(host_ss_selector=0)]),
    *(
        check
        for register in ("fs", "gs", "tr", "gdtr", "idtr")
        for check in linear(f"host-{register}-base-canonical", f"host_{register}_base", "vmx_canonical_test", ERROR_8)
    ),
]
