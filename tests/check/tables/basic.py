"""What the instructions ask before they look into the VMCS, and what a return from SMM asks of the executive VMCS."""

from __future__ import annotations

from functools import partial

from tests.check.changes import Change, memory, off, on, put, state
from tests.check.rows import Check, Outcome
from tests.check.states import ALL, REVISION, WIDTH

BASIC = "SDM, Basic VM-Entry Checks"
EXECUTIVE = "SDM, Checks on the Executive-VMCS Pointer Field"
UNDEFINED: Outcome = (("fault", "ud"),)
PROTECTION: Outcome = (("fault", "gp"),)
EXIT: Outcome = (("instruction_exit", True),)
INVALID: Outcome = (("vmfail_invalid", True),)
LAUNCH, RESUME = state(instruction=0), state(instruction=1)
CLEAR, LAUNCHED = state(launch_state=0), state(launch_state=1)

Smm = partial(Check, base="return from SMM")


def error(number: int) -> Outcome:
    return (("instruction_error", number),)


def executive(address: int, revision: int = REVISION) -> Change:
    return put(executive_vmcs_pointer=address) + memory({address: revision})


CHECKS = [
    Check("basic-not-vmx", BASIC, violated=[state(vmx_operation=0, vmx_root=0)], outcome=UNDEFINED),
    Check(
        "basic-cpu-mode",
        BASIC,
        violated=[state(protected_mode=0), state(virtual_8086_mode=1), state(compatibility_mode=1)],
        outcome=UNDEFINED,
    ),
    Check("basic-nonroot", BASIC, violated=[state(vmx_root=0)], outcome=EXIT),
    Check(
        "basic-nonroot",
        BASIC,
        violated=[],
        passed=[],
        idle=[state(vmx_operation=0, vmx_root=0)],
        elsewhere=("basic-not-vmx",),
        because="Outside VMX operation there is no non-root operation either.",
        outcome=EXIT,
    ),
    Check("basic-cpl", BASIC, violated=[state(cpl=level) for level in (1, 2, 3)], outcome=PROTECTION),
    Check(
        "basic-no-current-vmcs",
        "vmentry_movss_shadow_test",
        violated=[state(current_vmcs=ALL)],
        passed=[state(current_vmcs=ALL ^ 1 << bit) for bit in range(64)],
        outcome=INVALID,
    ),
    Check("basic-shadow-current-vmcs", BASIC, violated=[state(current_vmcs_is_shadow=1)], outcome=INVALID),
    Check("basic-mov-ss", "vmentry_movss_shadow_test", violated=[state(blocking_by_mov_ss=1)], outcome=error(26)),
    Check(
        "basic-vmlaunch-launch-state",
        BASIC,
        given=LAUNCH,
        violated=[LAUNCHED],
        passed=[CLEAR],
        idle=[RESUME + LAUNCHED],
        outcome=error(4),
    ),
    Check(
        "basic-vmresume-launch-state",
        BASIC,
        given=RESUME,
        violated=[CLEAR],
        passed=[LAUNCHED],
        idle=[LAUNCH + CLEAR],
        outcome=error(5),
    ),
    Check(
        "basic-vmresume-after-vmxoff",
        BASIC,
        given=LAUNCHED + state(vmxoff_since_launch=1),
        violated=[RESUME],
        passed=[RESUME + state(vmxoff_since_launch=0)],
        idle=[LAUNCH + CLEAR],
        outcome=error(6),
    ),
    Smm(
        "smm-exec-vmcs-align",
        EXECUTIVE,
        violated=[executive(0x6001), executive(0x6002), executive(0x6800)],
        passed=[executive(0x6000), executive(0x5000)],
        idle=[on("entry.to_smm", "by_smi") + executive(0x6001), state(smm=0) + executive(0x6001)],
        outcome=error(16),
    ),
    Smm(
        "smm-exec-vmcs-width",
        EXECUTIVE,
        violated=[executive(1 << WIDTH), executive(1 << 63), on("basic.32_bits") + executive(1 << 32)],
        passed=[executive(1 << WIDTH - 1), on("basic.32_bits") + executive(1 << 31)],
        idle=[on("entry.to_smm", "by_smi") + executive(1 << 63), state(smm=0) + executive(1 << 63)],
        outcome=error(16),
    ),
    Smm(
        "smm-exec-vmcs-revision",
        EXECUTIVE,
        violated=[executive(0x6000, REVISION ^ 1 << bit) for bit in range(32)],
        passed=[executive(0x6000, REVISION), executive(0x6000, REVISION | 0xFF << 32)],
        idle=[on("entry.to_smm", "by_smi") + executive(0x6000, 0), state(smm=0) + executive(0x6000, 0)],
        outcome=error(16),
    ),
    Smm(
        "smm-exec-vmcs-launched",
        f"{EXECUTIVE}: a return to VMX non-root operation",
        given=state(executive_vmcs_launched=0),
        violated=[executive(0x6000)],
        passed=[state(executive_vmcs_launched=1)],
        idle=[executive(0x7000), on("entry.to_smm", "by_smi"), state(smm=0)],
        outcome=error(17),
    ),
    Smm(
        "smm-exec-vmcs-launched",
        f"{EXECUTIVE}: the treatment is deactivated only by a return to VMX root operation",
        given=state(executive_vmcs_launched=0) + on("entry.deactivate"),
        violated=[],
        passed=[],
        idle=[executive(0x6000)],
        elsewhere=("smm-exec-vmcs-is-vmxon",),
        because="That the pointer is another one is wrong in itself.",
        outcome=error(17),
    ),
    Smm(
        "smm-exec-vmcs-is-vmxon",
        f"{EXECUTIVE}: the treatment is deactivated only by a return to VMX root operation",
        given=on("entry.deactivate"),
        violated=[executive(0x6000), executive(0x9000)],
        passed=[executive(0x7000)],
        idle=[off("entry.deactivate") + executive(0x6000)],
        outcome=error(18),
    ),
    *(
        Smm(
            "smm-exec-vmcs-is-vmxon",
            f"{EXECUTIVE}: the treatment is deactivated only by a return to VMX root operation",
            given=on("entry.deactivate") + executive(0x6000) + change,
            violated=[],
            passed=[],
            idle=[off()],
            elsewhere=(other,),
            because="Deactivation is for SMM, and not for an entry to it.",
            outcome=error(18),
        )
        for change, other in (
            (state(smm=0), "entry-deact-not-in-smm"),
            (on("entry.to_smm", "by_smi"), "entry-smm-deact-exclusive"),
        )
    ),
    Smm(
        "smm-exec-vmcs-controls",
        "SDM, Checks on VM-Execution Control Fields: those of the executive VMCS",
        given=state(executive_vmcs_controls_valid=0),
        violated=[executive(0x6000)],
        passed=[state(executive_vmcs_controls_valid=1)],
        idle=[executive(0x7000), on("entry.to_smm", "by_smi"), state(smm=0)],
        outcome=error(25),
    ),
]
