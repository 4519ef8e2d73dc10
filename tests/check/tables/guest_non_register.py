"""The guest's activity state, interruptibility state and pending debug exceptions."""

from __future__ import annotations

from tests.check.changes import NONE, Change, cpu, flipped, memory, off, on, put, state
from tests.check.rows import Check, Outcome
from tests.check.tables.exit_and_entry_controls import CODE, event, info

STATE = "SDM, Checks on Guest Non-Register State"
ACTIVE, HLT, SHUTDOWN, SIPI = (put(guest_activity_state=number) for number in range(4))
IF = on("rflags.if")
PENDING = "guest_pending_debug_exceptions"
STI_NMI: Outcome = (("exit_reason", 33), ("qualification", 3))
SOFTWARE = put(entry_instruction_length=2)
RETURN = state(smm=1) + put(executive_vmcs_pointer=0x7000) + memory({0x7000: 0x15})
EXTERNAL, NMI = info(event(0, 0x30)), info(event(2, 2))
RTM = put(guest_pending_debug_exceptions=0x11000)


def level(dpl: int) -> Change:
    return put(guest_cs_access_rights=0xA09B | dpl << 5, guest_ss_access_rights=0xC093 | dpl << 5) + on("unrestricted")


CHECKS = [
    Check(
        "nreg-activity-range",
        STATE,
        field="guest_activity_state",
        violated=[4, 5, 6, 7, 8, 11, 1 << 31],
        passed=[0, 1, 2, 3],
    ),
    Check(
        "nreg-activity-unsupported",
        f"{STATE}: activity states that IA32_VMX_MISC[8:6] does not list",
        field="guest_activity_state",
        violated=[
            *(
                state_ + off(bit)
                for state_, bit in ((HLT, "misc.hlt"), (SHUTDOWN, "misc.shutdown"), (SIPI, "misc.sipi"))
            ),
            *(
                state_ + put(ia32_vmx_misc=0x3004C1E7 & ~(0x1C0) | 1 << bit)
                for state_, bits in ((HLT, (5, 7, 8)), (SHUTDOWN, (6, 8)), (SIPI, (6, 7, 14)))
                for bit in bits
            ),
        ],
        passed=[
            1,
            2,
            3,
            *(state_ + put(ia32_vmx_misc=0x3004C007 | 1 << bit) for state_, bit in ((HLT, 6), (SHUTDOWN, 7))),
            SIPI + put(ia32_vmx_misc=0x30048107 & ~0x4000),
        ],
        idle=[0, off("misc.hlt", "misc.shutdown", "misc.sipi")],
    ),
    Check(
        "nreg-activity-unsupported",
        f"{STATE}: activity states above 3",
        violated=[],
        passed=[],
        idle=[put(guest_activity_state=4) + off("misc.hlt", "misc.shutdown", "misc.sipi")],
        elsewhere=("nreg-activity-range",),
        because="Such states do not exist.",
    ),
    Check(
        "nreg-hlt-ss-dpl",
        STATE,
        base="HLT",
        violated=[level(dpl) for dpl in (1, 2, 3)],
        passed=[level(0)],
        idle=[ACTIVE + level(3), SHUTDOWN + level(3), SIPI + level(3)],
    ),
    Check(
        "nreg-blocking-needs-active",
        STATE,
        violated=[
            *(IF + on("by_sti") + activity for activity in (HLT, SHUTDOWN, SIPI)),
            *(on("by_mov_ss") + activity for activity in (HLT, SHUTDOWN, SIPI)),
        ],
        passed=[IF + on("by_sti"), on("by_mov_ss")],
        idle=[HLT, on("by_nmi") + HLT, SHUTDOWN, SIPI, RETURN + on("by_smi") + HLT],
    ),
    Check(
        "nreg-inject-hlt",
        STATE,
        base="HLT",
        given=IF + SOFTWARE,
        violated=[
            *(info(event(3, vector)) for vector in (0, 2, 3, 4, 5, 6, 7, 9, 16, 19, 20, 22, 26)),
            info(event(3, 13, CODE)),
            info(event(3, 17, CODE)),
            *(info(event(kind, vector)) for kind, vector in ((4, 18), (4, 1), (5, 1), (6, 1), (6, 0))),
        ],
        passed=[EXTERNAL, NMI, info(event(3, 1)), info(event(3, 18)), info(event(7, 0)), info(event(0, 2))],
        idle=[NONE, ACTIVE + info(event(3, 6)), info(0x306), ACTIVE + info(event(4, 0x80)), SHUTDOWN + NMI],
    ),
    Check(
        "nreg-inject-hlt",
        STATE,
        base="HLT",
        violated=[info(event(1, 18))],
        passed=[],
        also=("entry-intr-type-reserved",),
        because="There are no events of type 1.",
    ),
    Check(
        "nreg-inject-hlt",
        f"{STATE}: other events of FRED",
        base="FRED",
        given=HLT + put(entry_instruction_length=2),
        violated=[info(event(7, vector)) for vector in (1, 2)],
        passed=[info(event(7, 0))],
    ),
    Check(
        "nreg-inject-shutdown",
        STATE,
        given=SHUTDOWN + IF + SOFTWARE,
        violated=[
            EXTERNAL,
            info(event(0, 18)),
            *(info(event(3, vector)) for vector in (0, 1, 2, 6, 16, 19, 20, 22, 26)),
            info(event(3, 10, CODE)),
            info(event(3, 17, CODE)),
            *(info(event(kind, 18)) for kind in (4, 5, 6)),
            info(event(7, 0)),
        ],
        passed=[NMI, info(event(3, 18))],
        idle=[NONE, ACTIVE + info(event(3, 6)), HLT + EXTERNAL, info(0x306)],
    ),
    Check(
        "nreg-inject-shutdown",
        STATE,
        violated=[],
        passed=[],
        idle=[SIPI + NMI],
        elsewhere=("nreg-inject-sipi",),
        because="A processor that waits for a start-up IPI takes no event at all.",
    ),
    Check(
        "nreg-inject-sipi",
        STATE,
        base="wait for SIPI",
        given=IF + SOFTWARE,
        violated=[EXTERNAL, NMI, info(event(3, 18)), info(event(7, 0)), info(event(4, 0x80))],
        passed=[HLT + NMI, SHUTDOWN + NMI, ACTIVE + NMI],
        idle=[NONE, info(0x202), info(0x7FFFFFFF)],
    ),
    Check(
        "nreg-inject-sipi",
        f"{STATE}: activity states above 3",
        given=NMI,
        violated=[],
        passed=[put(guest_activity_state=number) for number in (7, 11)],
        elsewhere=("nreg-activity-range",),
        because="Such states do not exist.",
    ),
    Check(
        "nreg-sipi-smm",
        STATE,
        base="entry to SMM",
        violated=[SIPI],
        passed=[ACTIVE, HLT, SHUTDOWN],
    ),
    Check("nreg-sipi-smm", STATE, violated=[], passed=[], idle=[SIPI]),
    Check(
        "nreg-int-reserved",
        STATE,
        violated=flipped("guest_interruptibility_state", 0, (31, 5)),
        passed=[on("by_nmi"), on("enclave"), on("by_mov_ss")],
    ),
    Check(
        "nreg-sti-movss",
        STATE,
        given=IF,
        violated=[on("by_sti", "by_mov_ss"), on("by_sti", "by_mov_ss", "by_nmi")],
        passed=[on("by_sti"), on("by_mov_ss"), on("by_sti", "by_nmi"), NONE],
    ),
    Check(
        "nreg-sti-movss",
        STATE,
        given=IF + RETURN,
        violated=[on("by_sti", "by_mov_ss", "by_smi")],
        passed=[on("by_sti", "by_smi"), on("by_mov_ss", "by_smi")],
    ),
    Check(
        "nreg-sti-if",
        STATE,
        violated=[on("by_sti"), on("by_sti") + put(guest_rflags=0x402)],
        passed=[on("by_sti") + IF],
        idle=[on("by_mov_ss"), NONE],
    ),
    Check(
        "nreg-sti-extint",
        STATE,
        given=EXTERNAL + IF,
        violated=[on("by_sti")],
        passed=[NONE, on("by_nmi")],
        idle=[info(0x30) + on("by_sti"), info(event(3, 6)) + on("by_sti")],
    ),
    Check(
        "nreg-movss-extint",
        STATE,
        given=EXTERNAL + IF,
        violated=[on("by_mov_ss")],
        passed=[NONE, on("by_nmi")],
        idle=[info(0x30) + on("by_mov_ss"), info(event(3, 6)) + on("by_mov_ss")],
    ),
    Check(
        "nreg-movss-extint",
        f"{STATE}: neither blocking by SMI nor by STI is meant",
        given=EXTERNAL + IF + RETURN,
        violated=[],
        passed=[on("by_smi")],
    ),
    Check(
        "nreg-movss-nmi",
        STATE,
        given=NMI,
        violated=[on("by_mov_ss")],
        passed=[NONE, on("by_nmi"), RETURN + on("by_smi")],
        idle=[info(0x202) + on("by_mov_ss"), info(event(3, 6)) + on("by_mov_ss")],
    ),
    Check(
        "nreg-movss-nmi",
        f"{STATE}: external interrupts have a rule of their own",
        given=EXTERNAL + IF,
        violated=[],
        passed=[],
        idle=[on("by_mov_ss")],
        elsewhere=("nreg-movss-extint",),
        because="Blocking by MOV SS keeps external interrupts away too.",
    ),
    Check(
        "nreg-movss-nmi",
        f"{STATE}: blocking by STI does not count here",
        given=NMI + IF,
        violated=[],
        passed=[on("by_sti")],
        elsewhere=("nreg-sti-nmi",),
        because="Blocking by STI has a rule of its own.",
    ),
    Check(
        "nreg-sti-nmi",
        f"{STATE}: a processor may require bit 0 to be 0 for an NMI",
        given=NMI + IF,
        violated=[on("by_sti")],
        passed=[NONE, on("by_nmi")],
        idle=[
            info(0x202) + on("by_sti"),
            info(event(3, 6)) + on("by_sti"),
            cpu(sti_blocks_nmi=0) + on("by_sti"),
            info(event(4, 0x80)) + SOFTWARE + on("by_sti"),
        ],
        outcome=STI_NMI,
    ),
    Check(
        "nreg-sti-nmi",
        f"{STATE}: external interrupts have a rule of their own",
        given=EXTERNAL + IF,
        violated=[],
        passed=[],
        idle=[on("by_sti")],
        elsewhere=("nreg-sti-extint",),
        because="Blocking by STI keeps external interrupts away in any case.",
    ),
    Check(
        "nreg-smi-not-smm",
        STATE,
        violated=[on("by_smi")],
        passed=[on("by_mov_ss"), on("by_nmi")],
        idle=[RETURN + on("by_smi")],
    ),
    Check(
        "nreg-smi-entry-to-smm",
        STATE,
        base="entry to SMM",
        violated=[off("by_smi"), off("by_smi") + on("by_nmi"), off("by_smi") + on("by_mov_ss")],
        passed=[on("by_smi")],
        idle=[off("entry.to_smm") + RETURN],
    ),
    Check(
        "nreg-nmi-virtual-nmi",
        STATE,
        given=on("virtual_nmis") + NMI,
        violated=[on("by_nmi")],
        passed=[NONE, on("enclave"), RETURN + on("by_smi")],
        idle=[
            off("virtual_nmis") + on("by_nmi"),
            info(0x202) + on("by_nmi"),
            info(event(3, 6)) + on("by_nmi"),
            EXTERNAL + IF + on("by_nmi"),
        ],
    ),
    Check(
        "nreg-enclave-movss",
        STATE,
        violated=[on("enclave", "by_mov_ss")],
        passed=[on("enclave"), RETURN + on("enclave", "by_smi"), IF + on("enclave", "by_sti")],
        idle=[on("by_mov_ss"), on("by_mov_ss", "by_nmi")],
    ),
    Check(
        "nreg-enclave-sgx",
        STATE,
        given=cpu(sgx=0),
        violated=[on("enclave")],
        passed=[NONE, on("by_nmi")],
        idle=[cpu(sgx=1) + on("enclave")],
    ),
    Check(
        "nreg-sti-fred-cpl3",
        STATE,
        base="FRED",
        given=level(3) + IF,
        violated=[on("by_sti")],
        passed=[NONE, on("by_mov_ss")],
        idle=[level(0) + on("by_sti"), off("cr4.fred") + on("by_sti")],
    ),
    *(
        Check(
            "nreg-sti-fred-cpl3",
            f"{STATE}: FRED",
            base="FRED",
            given=level(dpl) + IF,
            violated=[],
            passed=[],
            idle=[on("by_sti")],
            elsewhere=("gseg-ss-dpl-fred",),
            because="These levels do not exist with FRED.",
        )
        for dpl in (1, 2)
    ),
    Check(
        "nreg-pdbg-reserved",
        STATE,
        violated=[*flipped(PENDING, 0, (10, 4), 13, 15, (63, 17)), cpu(bus_lock_detect=0) + on("pending.bld")],
        passed=[
            *flipped(PENDING, 0, (3, 0), 11, 12, 14),
            RTM,
            cpu(bus_lock_detect=0),
            cpu(bus_lock_detect=0) + on("pending.enabled"),
            cpu(bus_lock_detect=0) + flipped(PENDING, 0, 3)[0],
        ],
    ),
    *(
        Check(
            rule,
            f"{STATE}: the trap of a single step",
            given=given,
            violated=[bad + change for change in contexts],
            passed=[good + change for change in contexts],
            idle=[bad, bad + SHUTDOWN, bad + on("by_nmi"), *idle],
        )
        for contexts in ((IF + on("by_sti"), on("by_mov_ss"), HLT),)
        for rule, given, bad, good, idle in (
            (
                "nreg-pdbg-bs-required",
                on("rflags.tf"),
                NONE,
                on("pending.bs"),
                [
                    HLT + off("rflags.tf"),
                    HLT + on("debugctl.btf"),
                    HLT + off("rflags.tf") + IF,
                    on("by_mov_ss", "debugctl.btf"),
                    HLT + put(guest_rflags=0x82),
                ],
            ),
            (
                "nreg-pdbg-bs-forbidden",
                NONE,
                on("pending.bs"),
                off("pending.bs"),
                [HLT + on("rflags.tf", "pending.bs"), on("by_mov_ss", "rflags.tf", "pending.bs"), NONE],
            ),
            (
                "nreg-pdbg-bs-forbidden",
                on("rflags.tf", "debugctl.btf"),
                on("pending.bs"),
                off("pending.bs"),
                [HLT + on("pending.bs") + off("debugctl.btf"), HLT + on("pending.bs") + put(guest_ia32_debugctl=5)],
            ),
        )
    ),
    Check(
        "nreg-pdbg-bs-required",
        f"{STATE}: neighbours of BS and BTF do not count",
        given=HLT + on("rflags.tf"),
        violated=[on("pending.enabled"), RTM, put(guest_ia32_debugctl=5)],
        passed=[],
    ),
    Check(
        "nreg-pdbg-bs-forbidden",
        f"{STATE}: neighbours of BS, TF and BTF do not count",
        given=HLT,
        violated=[on("pending.bs") + put(guest_rflags=0x282)],
        passed=[on("pending.enabled"), RTM],
    ),
    Check(
        "nreg-pdbg-rtm-bits",
        STATE,
        violated=[*flipped(PENDING, 0x11000, (3, 0), 11, 12, 14)],
        passed=[RTM],
        idle=[put(guest_pending_debug_exceptions=0x5000)],
    ),
    Check(
        "nreg-pdbg-rtm-bits",
        f"{STATE}: bits that are reserved without RTM too",
        violated=[*flipped(PENDING, 0x11000, (10, 4), 13, 15, (63, 17))],
        passed=[],
        also=("nreg-pdbg-reserved",),
        because="These bits are reserved in any case.",
    ),
    Check(
        "nreg-pdbg-rtm-cpuid",
        STATE,
        given=cpu(rtm=0),
        violated=[RTM],
        passed=[NONE, on("pending.bs")],
        idle=[cpu(rtm=1) + RTM],
    ),
    Check(
        "nreg-pdbg-rtm-movss",
        STATE,
        given=RTM,
        violated=[on("by_mov_ss")],
        passed=[NONE, IF + on("by_sti"), RETURN + on("by_smi")],
        idle=[put(guest_pending_debug_exceptions=0x1000) + on("by_mov_ss")],
    ),
]
