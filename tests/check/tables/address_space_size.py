"""Whether the processor, the host and the guest are in IA-32e mode, and what that asks of the host state."""

from __future__ import annotations

from functools import partial

from tests.check.changes import cpu, flipped, off, on, put, state
from tests.check.rows import ERROR_8
from tests.check.rows import Check as AnyCheck

Check = partial(AnyCheck, outcome=ERROR_8)

SIZE = "SDM, Checks Related to Address-Space Size"
OUTSIDE = state(ia_32e_mode=0)
GUEST_32 = off("entry.ia32e") + put(guest_cr4=0x2000, guest_ia32_efer=0, guest_cs_access_rights=0xC09B)
HOST_32 = put(host_cr4=0x26E0, host_rip=0xC1000000, host_ss_selector=0x18, host_ia32_efer=0) + off("exit.host64")

CHECKS = [
    Check(
        "asz-legacy-ia32e-guest",
        f"{SIZE}: outside IA-32e mode",
        given=OUTSIDE,
        violated=[off()],
        passed=[],
        also=("asz-legacy-host64",),
        because="A guest in IA-32e mode needs a 64-bit host, which the processor cannot have either.",
        idle=[state(ia_32e_mode=1)],
    ),
    Check(
        "asz-legacy-ia32e-guest",
        f"{SIZE}: processors without Intel 64",
        base="without Intel 64",
        violated=[on("entry.ia32e") + put(guest_cr4=0x2020)],
        also=("asz-host32-ia32e-guest",),
        because="A guest in IA-32e mode needs a 64-bit host, which the processor cannot have either.",
    ),
    Check(
        "asz-legacy-ia32e-guest",
        f"{SIZE}: processors without Intel 64",
        base="without Intel 64",
        violated=[on("entry.ia32e") + put(guest_cr4=0x2020) + state(ia_32e_mode=1)],
        passed=[state(ia_32e_mode=1)],
        also=("asz-host32-ia32e-guest",),
        because="A guest in IA-32e mode needs a 64-bit host, which the processor cannot have either.",
    ),
    Check(
        "asz-legacy-host64",
        f"{SIZE}: outside IA-32e mode",
        given=OUTSIDE + GUEST_32,
        violated=[on("exit.host64")],
        passed=[HOST_32],
        idle=[state(ia_32e_mode=1)],
    ),
    Check(
        "asz-legacy-host64",
        f"{SIZE}: processors without Intel 64",
        base="without Intel 64",
        violated=[on("exit.host64"), on("exit.host64") + state(ia_32e_mode=1)],
    ),
    Check(
        "asz-ia32e-host64",
        f"{SIZE}: in IA-32e mode",
        given=GUEST_32,
        violated=[HOST_32],
        passed=[on("exit.host64")],
        idle=[HOST_32 + OUTSIDE, on("exit.host64") + cpu(intel_64=0) + OUTSIDE + HOST_32],
    ),
    Check(
        "asz-ia32e-host64",
        f"{SIZE}: processors without Intel 64",
        base="without Intel 64",
        violated=[],
        passed=[],
        idle=[state(ia_32e_mode=1)],
    ),
    Check(
        "asz-host32-pcide",
        "test_host_addr_size",
        base="32-bit host",
        violated=[on("host_cr4.pcide")],
        passed=flipped("host_cr4", 0x26E0, 16, 18, 20),
        idle=[on("host_cr4.pcide") + cpu(intel_64=0)],
    ),
    Check("asz-host32-pcide", "test_host_addr_size", violated=[], passed=[], idle=[on("host_cr4.pcide")]),
    Check(
        "asz-host32-rip",
        "test_host_addr_size",
        base="32-bit host",
        violated=flipped("host_rip", 0xC1000000, (63, 32)),
        passed=flipped("host_rip", 0xC1000000, 31, 30, 0),
        idle=[put(host_rip=1 << 32) + cpu(intel_64=0)],
    ),
    Check("asz-host32-rip", "test_host_addr_size", violated=[], passed=[], idle=[put(host_rip=1 << 32)]),
    Check(
        "asz-host32-scet",
        f"{SIZE}: IA32_S_CET of a 32-bit host",
        base="32-bit host",
        given=on("exit.load_cet"),
        violated=flipped("host_ia32_s_cet", 0, (63, 32)),
        passed=flipped("host_ia32_s_cet", 0, 31, 30, 0),
        idle=[change + put(host_ia32_s_cet=1 << 32) for change in (off("exit.load_cet"), cpu(intel_64=0))],
    ),
    Check(
        "asz-host32-ssp",
        f"{SIZE}: SSP of a 32-bit host",
        base="32-bit host",
        given=on("exit.load_cet"),
        violated=flipped("host_ssp", 0, (63, 32)),
        passed=flipped("host_ssp", 0, 31, 30, 2),
        idle=[change + put(host_ssp=1 << 32) for change in (off("exit.load_cet"), cpu(intel_64=0))],
    ),
    *(
        Check(rule, f"{SIZE}: a 64-bit host", base="CET", violated=[], passed=[], idle=[put(**{field: 1 << 32})])
        for rule, field in (("asz-host32-scet", "host_ia32_s_cet"), ("asz-host32-ssp", "host_ssp"))
    ),
    Check(
        "asz-host32-fred",
        f"{SIZE}: FRED on a 32-bit host",
        base="32-bit host",
        violated=[on("host_cr4.fred")],
        passed=flipped("host_cr4", 0x26E0, 27, 28),
        idle=[on("host_cr4.fred") + cpu(intel_64=0)],
    ),
    Check("asz-host32-fred", f"{SIZE}: a 64-bit host", violated=[], passed=[], idle=[on("host_cr4.fred")]),
    Check(
        "asz-host64-pae",
        "test_host_addr_size",
        violated=[off("host_cr4.pae")],
        passed=flipped("host_cr4", 0x3726E0, 6, 4),
    ),
    Check(
        "asz-host64-pae",
        "test_host_addr_size",
        base="32-bit host",
        violated=[],
        passed=[],
        idle=[off("host_cr4.pae")],
    ),
    Check(
        "asz-host64-pae",
        f"{SIZE}: processors without Intel 64",
        base="without Intel 64",
        violated=[],
        passed=[],
        idle=[off("host_cr4.pae") + on("exit.host64")],
        elsewhere=("asz-legacy-host64",),
        because="Such a processor cannot have a 64-bit host.",
    ),
    Check(
        "asz-host64-rip-canonical",
        "test_host_addr_size",
        field="host_rip",
        violated=[1 << 47, 1 << 48, 1 << 63, (1 << 64) - (1 << 47) - 1],
        passed=[(1 << 47) - 1, (1 << 64) - (1 << 47)],
    ),
    Check(
        "asz-host64-rip-canonical",
        f"{SIZE}: 5-level paging of the host",
        base="five levels",
        field="host_rip",
        violated=[
            1 << 56,
            (1 << 64) - (1 << 56) - 1,
            *(off("host_cr4.la57") + put(host_rip=rip) for rip in (1 << 47, (1 << 56) - 1, (1 << 64) - (1 << 56))),
            off("host_cr4.la57") + on("host_cr4.cet") + put(host_rip=1 << 47),
            put(host_cr4=0x3706E0 | 1 << 13 | 1 << 11, host_rip=1 << 47),
        ],
        passed=[
            1 << 47,
            (1 << 56) - 1,
            (1 << 64) - (1 << 56),
            put(host_cr4=0x26E0 | 1 << 12, host_rip=1 << 55),
            *(off("host_cr4.la57") + put(host_rip=rip) for rip in ((1 << 47) - 1, (1 << 64) - (1 << 47))),
        ],
    ),
    Check(
        "asz-host64-rip-canonical",
        "test_host_addr_size",
        base="32-bit host",
        violated=[],
        passed=[],
        idle=[put(host_rip=1 << 47)],
        elsewhere=("asz-host32-rip",),
        because="RIP has 32 bits there.",
    ),
    Check(
        "asz-host64-rip-canonical",
        f"{SIZE}: processors without Intel 64",
        base="without Intel 64",
        violated=[],
        passed=[],
        idle=[on("exit.host64") + put(host_rip=1 << 47)],
        elsewhere=("asz-legacy-host64",),
        because="Such a processor cannot have a 64-bit host.",
    ),
    *(
        check
        for rule, field in (("asz-host64-scet-canonical", "host_ia32_s_cet"), ("asz-host64-ssp-canonical", "host_ssp"))
        for bad in (put(**{field: 1 << 47}),)
        for check in (
            Check(
                rule,
                SIZE,
                base="CET",
                field=field,
                violated=[1 << 47, 1 << 48, 1 << 63, (1 << 64) - (1 << 48)],
                passed=[(1 << 47) - 4096, (1 << 64) - (1 << 47)],
                idle=[off("exit.load_cet") + bad],
            ),
            Check(
                rule,
                f"{SIZE}: 57-bit linear addresses",
                base="five levels",
                given=on("exit.load_cet"),
                field=field,
                violated=[1 << 56, 1 << 57],
                passed=[1 << 47, 1 << 55],
            ),
            Check(
                rule,
                SIZE,
                base="32-bit host",
                given=on("exit.load_cet") + bad,
                violated=[],
                passed=[],
                idle=[off()],
                elsewhere=(rule.replace("64", "32").replace("-canonical", ""),),
                because="The field has 32 bits there.",
            ),
            Check(
                rule,
                f"{SIZE}: processors without Intel 64",
                base="without Intel 64",
                given=on("exit.load_cet", "exit.host64") + bad,
                violated=[],
                passed=[],
                idle=[off()],
                elsewhere=("asz-legacy-host64",),
                because="Such a processor cannot have a 64-bit host.",
            ),
        )
    ),
]
