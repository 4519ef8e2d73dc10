"""Allowed settings of the VM-exit and VM-entry controls, their MSR areas, and the event to inject."""

from __future__ import annotations

from dataclasses import replace

from tests.check.bits import ENTRY, EXIT, EXIT2
from tests.check.changes import Change, cpu, flipped, memory, off, on, put, state
from tests.check.rows import ERROR_7, Check
from tests.check.shapes import width
from tests.check.states import WIDTH

ENTRY_CONTROLS = "SDM, VM-Entry Control Fields"
EXIT_CONTROLS = "SDM, VM-Exit Control Fields"
EXIT_FORCED, ENTRY_FORCED = 0x36DFB, 0x11FB
NEAR_WIDTH = (1 << WIDTH) - 32
HARMLESS = 0x175
"""IA32_SYSENTER_ESP: any canonical value may be loaded."""


def entries(address: int, count: int, index: int = HARMLESS) -> Change:
    """An MSR-load area whose entries load 0."""
    return memory({address + 16 * n: index for n in range(count)} | {address + 16 * n + 8: 0 for n in range(count)})


def area(rule: str, name: str, source: str, filled: Change) -> list[Check]:
    """An area of MSR entries, `filled` where a row puts it."""
    address, count = f"vm_{name}_address", f"vm_{name}_count"
    aligned = Check(
        f"{rule}-align",
        source,
        given=filled + put(**{count: 1}),
        field=address,
        violated=[0x10001, 0x10002, 0x10008],
        passed=[0x10000, 0x10010, 0x10020, put(**{count: 3, address: 0x10000})],
        idle=[put(**{count: 0, address: 1})],
        outcome=ERROR_7,
    )
    wide = replace(
        width(f"{rule}-width", address, source, filled + put(**{count: 1}), idle=put(**{count: 0})),
        also=(f"{rule}-last-byte",),
        because="The last byte of an area lies behind its first.",
    )
    last = Check(
        f"{rule}-last-byte",
        source,
        given=filled,
        violated=[
            put(**{address: NEAR_WIDTH, count: 3}),
            put(**{address: NEAR_WIDTH + 16, count: 2}),
            put(**{address: NEAR_WIDTH - 224, count: 17}),
            on("basic.32_bits") + put(**{address: (1 << 32) - 16, count: 2}),
        ],
        passed=[
            put(**{address: NEAR_WIDTH, count: 2}),
            put(**{address: NEAR_WIDTH - 224, count: 16}),
            put(**{address: NEAR_WIDTH + 16, count: 1}),
            on("basic.32_bits") + put(**{address: (1 << 32) - 16, count: 1}),
            put(**{address: 0x10000, count: 2}),
        ],
        idle=[put(**{address: 1 << WIDTH, count: 0})],
        outcome=ERROR_7,
    )
    exact = Check(
        f"{rule}-last-byte",
        source,
        given=filled + put(**{count: 1}),
        field=address,
        violated=[(1 << WIDTH) - 15, (1 << WIDTH) - 14],
        passed=[],
        also=(f"{rule}-align",),
        because="The last byte of an aligned area is never the first one beyond the width.",
        outcome=ERROR_7,
    )
    return [aligned, wide, last, exact]


FILLED = (
    entries(0x10000, 3) + entries(0x20002, 1) + entries(1 << WIDTH, 1) + entries(1 << 63, 1)
    + entries(1 << 32, 1) + entries(1 << WIDTH - 1, 1) + entries((1 << WIDTH) - 4096, 1) + entries(1 << 31, 1)
    + entries(NEAR_WIDTH - 224, 17) + entries((1 << 32) - 16, 2)
)  # fmt: skip


def event(kind: int, vector: int, further: int = 0) -> int:
    """VM-entry interruption information: `kind` is the type, `further` bits 30:11."""
    return 1 << 31 | kind << 8 | vector | further


CODE, NESTED = 1 << 11, 1 << 13
CODED = (8, 10, 11, 12, 13, 14, 17)
UNCODED = (0, 1, 2, 3, 4, 5, 6, 7, 9, 15, 16, *range(18, 32))
INFO, LENGTH = "entry_interruption_info", "entry_instruction_length"
NO_OTHER_EVENTS = put(ia32_vmx_true_procbased_ctls=0xF7FBFFFE << 32 | 0x04006172) + cpu(fred=0)
IF = on("rflags.if")


def info(value: int) -> Change:
    return put(entry_interruption_info=value)


CHECKS = [
    Check(
        "exit-reserved",
        "test_vm_exit_ctls",
        given=put(vm_exit_controls=EXIT_FORCED | 0x200),
        violated=[
            *flipped(EXIT, EXIT_FORCED | 0x200, 0, 1, (8, 3), 10, 11, 13, 14, 16, 17),
            *flipped(EXIT, 0x36FFB, 23),
        ],
        passed=[*flipped(EXIT, EXIT_FORCED | 0x200, 2, 12, 15, 18, 31)],
        outcome=ERROR_7,
    ),
    Check(
        "exit2-reserved",
        f"{EXIT_CONTROLS}: reserved bits of the secondary VM-exit controls",
        given=on("exit.secondary_controls"),
        violated=flipped(EXIT2, 0, 4, 31, 63),
        passed=flipped(EXIT2, 0, 0, 3),
        idle=[off("exit.secondary_controls") + put(secondary_vm_exit_controls=1 << 63)],
        outcome=ERROR_7,
    ),
    *area("exit-msr-store", "exit_msr_store", "test_exit_msr_store", Change()),
    *area("exit-msr-load", "exit_msr_load", f"{EXIT_CONTROLS}: the VM-exit MSR-load area", Change()),
    *area("entry-msr-load", "entry_msr_load", "test_entry_msr_load", FILLED),
    Check(
        "entry-reserved",
        "test_vm_entry_ctls",
        given=put(vm_entry_controls=ENTRY_FORCED | 0x200),
        violated=flipped(ENTRY, ENTRY_FORCED | 0x200, 0, 1, (8, 3), 12, 25, 26, 31),
        passed=flipped(ENTRY, ENTRY_FORCED | 0x200, 2, 17),
        outcome=ERROR_7,
    ),
    Check(
        "entry-intr-type-reserved",
        "test_invalid_event_injection",
        given=IF,
        field=INFO,
        violated=[event(1, 0x30), event(1, 0), info(event(7, 0)) + NO_OTHER_EVENTS],
        passed=[
            *(event(kind, 2) for kind in (0, 2, 3)),
            info(event(5, 2)) + put(entry_instruction_length=1),
            info(event(7, 0)) + NO_OTHER_EVENTS + cpu(fred=1),
            info(event(7, 0)) + NO_OTHER_EVENTS + put(ia32_vmx_true_procbased_ctls=0xFFFBFFFE << 32 | 0x04006172),
            info(event(6, 3)) + put(entry_instruction_length=1) + NO_OTHER_EVENTS,
        ],
        idle=[event(1, 0) & ~(1 << 31), event(7, 0) & ~(1 << 31)],
        outcome=ERROR_7,
    ),
    Check(
        "entry-intr-nmi-vector",
        "test_invalid_event_injection",
        field=INFO,
        violated=[event(2, vector) for vector in (0, 1, 3, 6, 10, 18, 34, 66, 130)],
        passed=[event(2, 2)],
        idle=[info(event(0, 3)) + IF, event(3, 3), 0x203],
        outcome=ERROR_7,
    ),
    Check(
        "entry-intr-hwexc-vector",
        "test_invalid_event_injection",
        field=INFO,
        violated=[event(3, vector) for vector in (32, 33, 64, 128, 255)],
        passed=[event(3, 31), event(3, 0)],
        idle=[event(2, 2), info(event(0, 32)) + IF, info(event(4, 32)) + put(entry_instruction_length=2), 0x320],
        outcome=ERROR_7,
    ),
    Check(
        "entry-intr-other-vector",
        "test_invalid_event_injection",
        field=INFO,
        violated=[event(7, vector) for vector in (1, 2, 3, 4, 128)],
        passed=[event(7, 0)],
        idle=[event(3, 3), 0x701, info(event(6, 3)) + put(entry_instruction_length=1)],
        outcome=ERROR_7,
    ),
    Check(
        "entry-intr-other-vector",
        f"{ENTRY_CONTROLS}: vectors 1 and 2 of other events, with FRED",
        base="FRED",
        field=INFO,
        violated=[event(7, vector) for vector in (3, 4, 5, 6, 9, 128)],
        passed=[event(7, vector) for vector in (0, 1, 2)],
        outcome=ERROR_7,
    ),
    Check(
        "entry-intr-other-vector",
        f"{ENTRY_CONTROLS}: vectors 1 and 2 of other events, with FRED",
        base="protected",
        given=on("cr4.fred") + put(guest_cs_access_rights=0xA09B),
        violated=[info(event(7, 1)), info(event(7, 2))],
        passed=[],
        also=("guest-fred-needs-ia32e",),
        because="FRED without IA-32e mode is wrong in itself.",
        outcome=ERROR_7,
    ),
    Check(
        "entry-errcode-type",
        "test_invalid_event_injection",
        given=IF + put(entry_instruction_length=1),
        field=INFO,
        violated=[event(kind, vector, CODE) for kind, vector in ((0, 8), (2, 2), (4, 13), (5, 1), (6, 3), (7, 0))],
        passed=[event(kind, vector) for kind, vector in ((0, 8), (2, 2), (4, 13), (5, 1), (6, 3), (7, 0))],
        idle=[event(3, 13, CODE), event(0, 8, CODE) & ~(1 << 31)],
        outcome=ERROR_7,
    ),
    Check(
        "entry-errcode-pe",
        "test_invalid_event_injection",
        base="real",
        field=INFO,
        violated=[event(3, vector, CODE) for vector in CODED],
        passed=[event(3, vector) for vector in (*CODED, *UNCODED)],
        idle=[
            event(2, 2),
            event(3, 13, CODE) & ~(1 << 31),
            info(event(3, 13, CODE)) + put(guest_cr0=0x31, guest_cs_access_rights=0x9B),
            info(event(4, 13)) + put(entry_instruction_length=2),
        ],
        outcome=ERROR_7,
    ),
    Check(
        "entry-errcode-required",
        "test_invalid_event_injection",
        field=INFO,
        violated=[event(3, vector) for vector in CODED],
        passed=[event(3, vector, CODE) for vector in CODED],
        idle=[
            *(event(3, vector) for vector in UNCODED),
            *(info(event(3, vector)) + on("basic.any_code") for vector in CODED),
            event(3, 13) & ~(1 << 31),
            *(info(event(kind, 13)) + IF + put(entry_instruction_length=2) for kind in (0, 4)),
            info(event(3, 13)) + on("unrestricted") + put(guest_cr0=0x32, guest_ia32_efer=0) + off("entry.ia32e"),
        ],
        outcome=ERROR_7,
    ),
    Check(
        "entry-errcode-forbidden",
        "test_invalid_event_injection",
        field=INFO,
        violated=[event(3, vector, CODE) for vector in UNCODED],
        passed=[event(3, vector) for vector in UNCODED],
        idle=[
            *(event(3, vector, CODE) for vector in CODED),
            *(info(event(3, vector, CODE)) + on("basic.any_code") for vector in UNCODED),
            event(3, 6, CODE) & ~(1 << 31),
            *(info(event(kind, 6)) + IF + put(entry_instruction_length=2) for kind in (0, 4)),
            info(event(2, 2)),
        ],
        outcome=ERROR_7,
    ),
    Check(
        "entry-errcode-forbidden",
        f"{ENTRY_CONTROLS}: vectors up to 31",
        field=INFO,
        violated=[],
        passed=[],
        idle=[event(3, vector, CODE) for vector in (32, 33, 63)],
        elsewhere=("entry-intr-hwexc-vector",),
        because="Exceptions have no such vectors.",
        outcome=ERROR_7,
    ),
    Check(
        "entry-intr-reserved-bits",
        "test_invalid_event_injection",
        given=off("basic.nested"),
        violated=[*flipped(INFO, event(3, 6), (30, 12))],
        passed=[
            info(event(3, 6)),
            info(event(3, 13, CODE)),
            info(event(3, 6, NESTED)) + on("basic.nested"),
        ],
        idle=[info(0x7FFFF000)],
        outcome=ERROR_7,
    ),
    Check(
        "entry-intr-reserved-bits",
        f"{ENTRY_CONTROLS}: bit 58 of IA32_VMX_BASIC makes bit 13 of the field, nested exception",
        given=on("basic.nested", "basic.any_code"),
        violated=[*flipped(INFO, event(3, 6), (30, 14), 12)],
        passed=[info(event(3, 6, NESTED))],
        outcome=ERROR_7,
    ),
    Check(
        "entry-intr-nested-type",
        f"{ENTRY_CONTROLS}: nested exceptions are hardware exceptions",
        given=IF + put(entry_instruction_length=1),
        field=INFO,
        violated=[event(kind, vector, NESTED) for kind, vector in ((0, 8), (2, 2), (4, 13), (5, 1), (6, 3), (7, 0))],
        passed=[event(0, 8), event(2, 2), event(4, 13)],
        idle=[
            event(3, 6, NESTED),
            event(3, 6),
            event(2, 2, NESTED) & ~(1 << 31),
            info(event(2, 2)) + off("basic.nested"),
        ],
        outcome=ERROR_7,
    ),
    Check(
        "entry-errcode-high",
        "test_invalid_event_injection",
        given=info(event(3, 13, CODE)),
        violated=flipped("entry_exception_error_code", 0, (31, 16)),
        passed=flipped("entry_exception_error_code", 0, (15, 0)),
        idle=[
            info(event(3, 6)) + put(entry_exception_error_code=1 << 31),
            info(event(3, 13, CODE) & ~(1 << 31)) + put(entry_exception_error_code=1 << 31),
            info(event(3, 6, NESTED)) + put(entry_exception_error_code=1 << 31),
        ],
        outcome=ERROR_7,
    ),
    *(
        Check(
            "entry-ilen-range",
            "test_invalid_event_injection",
            given=info(event(kind, vector)) + off("misc.zero_length"),
            field=LENGTH,
            violated=[16, 17, 31, 47, 1 << 31],
            passed=[15, 1],
            idle=[
                info(event(0, 0x30)) + IF + put(entry_instruction_length=16),
                *(info(event(other, 2)) + put(entry_instruction_length=16) for other in (2, 3)),
                info(event(7, 0)) + put(entry_instruction_length=16),
                info(event(kind, vector) & ~(1 << 31)) + put(entry_instruction_length=16),
            ],
            outcome=ERROR_7,
        )
        for kind, vector in ((4, 0x80), (5, 1), (6, 3))
    ),
    *(
        Check(
            "entry-ilen-zero",
            f"{ENTRY_CONTROLS}: an instruction length of 0 where IA32_VMX_MISC[30] is 0",
            given=info(event(kind, vector)) + off("misc.zero_length"),
            field=LENGTH,
            violated=[0],
            passed=[1, 2, 15],
            idle=[
                on("misc.zero_length"),
                info(event(0, 0x30)) + IF,
                *(info(event(other, 2)) for other in (2, 3)),
                info(event(7, 0)),
                info(event(kind, vector) & ~(1 << 31)),
            ],
            outcome=ERROR_7,
        )
        for kind, vector in ((4, 0x80), (5, 1), (6, 3))
    ),
    *(
        Check(
            "entry-ilen-fred",
            f"{ENTRY_CONTROLS}: the instruction length of SYSCALL and SYSENTER",
            base="FRED",
            given=info(event(7, vector)),
            field=LENGTH,
            violated=[16, 17, 31, 47, 1 << 31],
            passed=[15, 0],
            idle=[
                info(event(7, 0)) + put(entry_instruction_length=16),
                info(event(7, vector) & ~(1 << 31)) + put(entry_instruction_length=16),
                info(event(3, vector)) + put(entry_instruction_length=16),
            ],
            outcome=ERROR_7,
        )
        for vector in (1, 2)
    ),
    Check(
        "entry-smm-not-in-smm",
        f"{ENTRY_CONTROLS}: entry to SMM outside SMM",
        violated=[on("entry.to_smm", "by_smi")],
        also=("nreg-smi-not-smm",),
        because="The guest state needs blocking by SMI for an entry to SMM, and forbids it outside SMM.",
        idle=[state(smm=1) + on("entry.to_smm", "by_smi")],
        outcome=ERROR_7,
    ),
    Check(
        "entry-smm-not-in-smm",
        f"{ENTRY_CONTROLS}: entry to SMM outside SMM",
        violated=[on("entry.to_smm")],
        also=("nreg-smi-entry-to-smm",),
        because="The guest state needs blocking by SMI for an entry to SMM, and forbids it outside SMM.",
        outcome=ERROR_7,
    ),
    Check(
        "entry-deact-not-in-smm",
        f"{ENTRY_CONTROLS}: deactivation of the dual-monitor treatment outside SMM",
        violated=[on("entry.deactivate")],
        idle=[state(smm=1) + put(executive_vmcs_pointer=0x7000) + memory({0x7000: 0x15}) + on("entry.deactivate")],
        outcome=ERROR_7,
    ),
]
