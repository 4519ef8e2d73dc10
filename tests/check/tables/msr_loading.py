"""The MSRs that VM entry loads: which may be loaded, and with which values."""

from __future__ import annotations

from functools import partial

from tests.check.changes import Change, cpu, memory, off, put, state
from tests.check.rows import Check as AnyCheck
from tests.check.rows import Outcome

LOADING = "SDM, Loading MSRs"
FAILED: Outcome = (("exit_reason", 34), ("qualification", 2))
"""Each row puts the entry in question behind a harmless one."""

Check = partial(AnyCheck, outcome=FAILED)

SMM_MONITOR_CTL, SMRR_PHYSBASE, SMRR_PHYSMASK, UPDATE_TRIGGER, UPDATE_SIGNATURE = 0x9B, 0x1F2, 0x1F3, 0x79, 0x8B
FEATURE_CONTROL, MTRRCAP, SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP = 0x3A, 0xFE, 0x174, 0x175, 0x176
DEBUGCTL, PAT, PERF_GLOBAL_CTRL, EFER, STAR = 0x1D9, 0x277, 0x38F, 0xC0000080, 0xC0000081
LSTAR, CSTAR, FMASK, FS_BASE, GS_BASE, KERNEL_GS_BASE, TSC_AUX = (
    0xC0000000 + n for n in (0x82, 0x83, 0x84, 0x100, 0x101, 0x102, 0x103)
)
RETURN = state(smm=1) + put(executive_vmcs_pointer=0x7000) + memory({0x7000: 0x15})
REFUSES = state(wrmsr_accepts_others=0)
LINEAR = (SYSENTER_ESP, SYSENTER_EIP, LSTAR, CSTAR, KERNEL_GS_BASE)
LEGACY_EFER = off("entry.ia32e", "entry.load_efer") + put(guest_cr4=0x2000, guest_cs_access_rights=0xC09B)


def load(index: int, data: int = 0, high: int = 0) -> Change:
    """An area of two entries, the second one as given; `high` are bits 63:32 of it."""
    return put(vm_entry_msr_load_count=2, vm_entry_msr_load_address=0xD000) + memory(
        {0xD000: SYSENTER_ESP, 0xD008: 0, 0xD010: index | high << 32, 0xD018: data}
    )


KNOWN = {*LINEAR, FS_BASE, GS_BASE, TSC_AUX, PAT, DEBUGCTL, PERF_GLOBAL_CTRL, EFER, FEATURE_CONTROL, MTRRCAP}
KNOWN |= {SMM_MONITOR_CTL, SMRR_PHYSBASE, SMRR_PHYSMASK, UPDATE_TRIGGER, UPDATE_SIGNATURE, *range(0x480, 0x494)}


def with_bytes(*kinds: int) -> list[int]:
    """Page-attribute tables that have one of these memory types in one of their bytes."""
    usual = 0x0007040600070406
    return [usual & ~(0xFF << 8 * place) | kind << 8 * place for place in range(8) for kind in kinds]


def neighbours(*indexes: int) -> list[int]:
    """MSRs of which the rules know nothing, and whose numbers differ in one bit from one of these."""
    near = {index ^ 1 << bit for index in indexes for bit in range(32)}
    return sorted(index for index in near - KNOWN if index >> 8 != 8)


CHECKS = [
    *(
        Check(
            rule,
            "msr_switch_entry_failure",
            violated=[load(index)],
            passed=[load(other) for other in neighbours(index)],
            idle=[put(vm_entry_msr_load_count=0)],
        )
        for rule, index in (("msrload-fs-base", FS_BASE), ("msrload-gs-base", GS_BASE))
    ),
    Check(
        "msrload-x2apic",
        f"{LOADING}: bits 31:8 are 8",
        violated=[load(index) for index in (0x800, 0x808, 0x80F, 0x83F, 0x8FF)],
        passed=[load(index) for index in (0x7FF, 0x900, 0xC00, 0xA00, 0x10800, 0x80000800, 8, 0x1800)],
        idle=[put(vm_entry_msr_load_count=0)],
    ),
    Check(
        "msrload-smm-only",
        LOADING,
        violated=[load(index) for index in (SMM_MONITOR_CTL, SMRR_PHYSBASE, SMRR_PHYSMASK)],
        passed=[load(index) for index in (0x9A, 0x9C, 0x1F0, 0x1F1, 0x1F4)],
        idle=[RETURN + load(SMM_MONITOR_CTL), put(vm_entry_msr_load_count=0)],
    ),
    Check(
        "msrload-model-specific",
        f"{LOADING}: MSRs that a model refuses",
        violated=[load(UPDATE_TRIGGER), load(UPDATE_SIGNATURE)],
        passed=[load(index) for index in (0x78, 0x7A, 0x8A, 0x8C)]
        + [cpu(loads_microcode_msrs=1) + load(index) for index in (UPDATE_TRIGGER, UPDATE_SIGNATURE)],
        idle=[put(vm_entry_msr_load_count=0)],
    ),
    Check(
        "msrload-high-bits",
        f"{LOADING}: bits 63:32 of an entry",
        violated=[load(PAT, 6, high=1 << bit) for bit in range(32)],
        passed=[load(PAT, 6), load(0xFFFFFFFF), load(SYSENTER_ESP, 1)],
        idle=[put(vm_entry_msr_load_count=0)],
    ),
    Check(
        "msrload-wrmsr-gp",
        f"{LOADING}: canonical addresses",
        violated=[load(index, data) for index in LINEAR for data in (1 << 47, 1 << 63)],
        passed=[load(index, data) for index in LINEAR for data in ((1 << 47) - 1, (1 << 64) - (1 << 47))],
        idle=[put(vm_entry_msr_load_count=0)],
    ),
    *(
        Check(
            "msrload-wrmsr-gp",
            f"{LOADING}: canonical addresses",
            given=REFUSES,
            violated=[load(index, 1 << 47)],
            passed=[load(index, 1 << 12)],
        )
        for index in LINEAR
    ),
    *(
        Check(
            "msrload-wrmsr-gp",
            f"{LOADING}: canonical addresses in bases that have a field",
            violated=[load(index, 1 << 47)],
            passed=[],
            also=(rule,),
            because="The base must not be in the area at all.",
        )
        for index, rule in ((FS_BASE, "msrload-fs-base"), (GS_BASE, "msrload-gs-base"))
    ),
    *(
        Check(
            "msrload-wrmsr-gp",
            f"{LOADING}: canonical addresses in bases that have a field",
            given=REFUSES,
            violated=[],
            passed=[load(index, 1 << 12)],
            elsewhere=(rule,),
            because="The base must not be in the area at all.",
        )
        for index, rule in ((FS_BASE, "msrload-fs-base"), (GS_BASE, "msrload-gs-base"))
    ),
    Check(
        "msrload-wrmsr-gp",
        f"{LOADING}: processors without Intel 64",
        base="without Intel 64",
        violated=[load(index) for index in (LSTAR, CSTAR, KERNEL_GS_BASE)],
        passed=[load(index, 1 << 47) for index in (SYSENTER_ESP, SYSENTER_EIP)],
    ),
    Check(
        "msrload-wrmsr-gp",
        f"{LOADING}: IA32_TSC_AUX",
        violated=[
            load(TSC_AUX, 1 << 32),
            load(TSC_AUX, 1 << 63),
            cpu(rdtscp=0, rdpid=0) + load(TSC_AUX),
            REFUSES + load(TSC_AUX + 1),
        ],
        passed=[
            load(TSC_AUX, 0xFFFFFFFF),
            cpu(rdtscp=0) + load(TSC_AUX),
            cpu(rdpid=0) + load(TSC_AUX),
            REFUSES + load(TSC_AUX, 1 << 31),
        ],
    ),
    Check(
        "msrload-wrmsr-gp",
        "invalid_msr",
        violated=[load(PAT, value) for value in with_bytes(2, 3, *range(8, 16), 0x16, 0x46, 0x86, 0xFF)],
        passed=[load(PAT, value) for value in with_bytes(0, 1, 4, 5, 6, 7)] + [REFUSES + load(PAT, 1)],
    ),
    *(
        Check(
            "msrload-wrmsr-gp",
            f"{LOADING}: reserved bits",
            violated=[load(index, 1 << bit) for bit in bad],
            passed=[load(index, value) for value in good] + [REFUSES + load(index, good[0])],
        )
        for index, bad, good in (
            (DEBUGCTL, (3, 5, 16, 63), (0x8001, 1 << 32 & 0, 0xFFC7)),
            (PERF_GLOBAL_CTRL, (8, 31, 36, 63), (0xF000000FF, 1 << 35)),
        )
    ),
    Check(
        "msrload-wrmsr-gp",
        f"{LOADING}: IA32_EFER, whose LME cannot change while paging is on",
        violated=[load(EFER, value) for value in (0xD01 | 2, 0xD01 | 1 << 9, 0xD01 | 1 << 63, 0xC01, 1, 0xA01)],
        passed=[load(EFER, value) for value in (0xD01, 0x901, 0x100, 0x500)] + [REFUSES + load(EFER, 0xD01)],
    ),
    Check(
        "msrload-wrmsr-gp",
        f"{LOADING}: IA32_EFER of a guest outside IA-32e mode",
        base="protected",
        violated=[load(EFER, 0x100)],
        passed=[load(EFER, 0), load(EFER, 0x401), load(EFER, 0x801)],
    ),
    Check(
        "msrload-wrmsr-gp",
        f"{LOADING}: IA32_EFER of a guest without paging",
        base="flat",
        violated=[load(EFER, 2), load(EFER, 0x102)],
        passed=[load(EFER, 0x100), load(EFER, 0)],
    ),
    Check(
        "msrload-wrmsr-gp",
        f"{LOADING}: MSRs that cannot be written, or whose bits the rules do not know",
        violated=[
            *(load(index) for index in (FEATURE_CONTROL, MTRRCAP, *range(0x480, 0x494))),
            *(REFUSES + load(index) for index in (SYSENTER_CS, STAR, FMASK, 0x47F, 0x494)),
        ],
        passed=[
            *(load(index) for index in (SYSENTER_CS, STAR, FMASK, 0x10, 0x47F, 0x494, 0x39, 0x3B, 0xFD, 0xFF)),
        ],
    ),
    Check(
        "msrload-wrmsr-gp",
        f"{LOADING}: the numbers of the MSRs of which rules know",
        passed=[
            load(index, 1 << 63 | 2)
            for index in neighbours(*LINEAR, FS_BASE, GS_BASE, TSC_AUX, PAT, DEBUGCTL, PERF_GLOBAL_CTRL, EFER)
        ],
        violated=[],
    ),
]
