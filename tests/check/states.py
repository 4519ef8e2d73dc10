"""Whole states that enter, one for each context, on a processor of which everything is known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from tests.check.changes import NONE, Change, Key, cpu, memory, off, on, put, state
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.check.memory import Memory
from vmcsc.check.state import State
from vmcsc.expression import value
from vmcsc.expression.value import Value

ALL = (1 << 64) - 1
REVISION = 0x15
WIDTH = 46
"""Bits of the processor's physical addresses."""

_CPU: Mapping[str, int] = {
    "ia32_vmx_basic": REVISION | 0x1000 << 32 | 1 << 49 | 6 << 50 | 1 << 54 | 1 << 55 | 1 << 58,
    "ia32_vmx_pinbased_ctls": 0xFF << 32 | 0x16,
    "ia32_vmx_procbased_ctls": 0xFFFBFFFE << 32 | 0x0401E172,
    "ia32_vmx_exit_ctls": 0xFF7FFFFF << 32 | 0x00036DFF,
    "ia32_vmx_entry_ctls": 0x01FFFFFF << 32 | 0x000011FF,
    "ia32_vmx_misc": 0x3004C1E7,
    "ia32_vmx_cr0_fixed0": 0x80000021,
    "ia32_vmx_cr0_fixed1": 0xFFFFFFFF,
    "ia32_vmx_cr4_fixed0": 0x2000,
    "ia32_vmx_cr4_fixed1": 0x11BFF7FFF,
    "ia32_vmx_vmcs_enum": 0x2E,
    "ia32_vmx_procbased_ctls2": 0xCFFFFFFF << 32,
    "ia32_vmx_ept_vpid_cap": 0x00000F0106734141 | 1 << 7,
    "ia32_vmx_true_pinbased_ctls": 0xFF << 32 | 0x16,
    "ia32_vmx_true_procbased_ctls": 0xFFFBFFFE << 32 | 0x04006172,
    "ia32_vmx_true_exit_ctls": 0xFF7FFFFF << 32 | 0x00036DFB,
    "ia32_vmx_true_entry_ctls": 0x01FFFFFF << 32 | 0x000011FB,
    "ia32_vmx_vmfunc": 1,
    "ia32_vmx_procbased_ctls3": 0x13FF,
    "ia32_vmx_exit_ctls2": 0xF,
}
"""A processor with nearly everything; the EPT capabilities lack only supervisor shadow stacks."""

_FACTS: Mapping[str, int] = {
    "cpu.maxphyaddr": WIDTH,
    "cpu.linear_address_width": 48,
    "cpu.arch_perfmon_version": 5,
    "cpu.efer_valid_bits": 0xD01,
    "cpu.debugctl_valid_bits": 0xFFC7,
    "cpu.perf_global_ctrl_valid_bits": 0xF000000FF,
    "cpu.rtit_ctl_valid_bits": 0x18000FF0F7BFFAF,
    "cpu.lbr_ctl_valid_bits": 0x7F000F,
    "cpu.spec_ctrl_valid_bits": 0x5FF,
    "cpu.loads_microcode_msrs": 0,
}
"""Those that are not here are 1."""

_PROCESSOR = state(
    vmx_operation=1, vmx_root=1, protected_mode=1, ia_32e_mode=1, current_vmcs=0x8000, vmxon_pointer=0x7000,
    executive_vmcs_launched=1, executive_vmcs_controls_valid=1, wrmsr_accepts_others=1,
)  # fmt: skip

_HOST = put(
    host_cr0=0x80050033, host_cr3=0x1000, host_cr4=0x3726E0, host_rip=0xFFFFFFFF81000000, host_rsp=0xFFFFC90000000000,
    host_cs_selector=0x10, host_tr_selector=0x40, host_tr_base=0xFFFFFE0000003000, host_gdtr_base=0xFFFFFE0000001000,
    host_idtr_base=0xFFFFFE0000000000, host_gs_base=0xFFFF888000000000, host_ia32_efer=0xD01,
    host_ia32_pat=0x0407050600070106,
)  # fmt: skip

_CONTROLS = put(
    pin_based_vm_execution_controls=0x1F, primary_vm_execution_controls=1 << 31 | 0x04006172,
    secondary_vm_execution_controls=0x22, virtual_processor_id=1, ept_pointer=0x301E,
    vm_exit_controls=0x36DFB, vm_entry_controls=0x11FB,
)  # fmt: skip
_CONTROLS += on("exit.host64", "exit.load_pat", "exit.load_efer")
_CONTROLS += on("entry.ia32e", "entry.load_debug", "entry.load_pat", "entry.load_efer")

_GUEST = put(
    guest_cr0=0x80050033, guest_cr3=0x4000, guest_cr4=0x2020, guest_rip=0x401000, guest_rflags=2, guest_dr7=0x400,
    guest_ia32_efer=0xD01, guest_ia32_pat=0x0007040600070406, guest_tr_access_rights=0x8B, guest_tr_limit=0x67,
    guest_ldtr_access_rights=0x10000, vmcs_link_pointer=ALL,
)  # fmt: skip

SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")


def segments(selector: int, limit: int, rights: int, code: int) -> Change:
    """All six segment registers alike, but for the access rights of CS."""
    values = {f"guest_{s}_selector": selector for s in SEGMENTS} | {f"guest_{s}_limit": limit for s in SEGMENTS}
    values |= {f"guest_{s}_access_rights": rights for s in SEGMENTS} | {"guest_cs_access_rights": code}
    return put(**values)


def _v86() -> Change:
    """In virtual-8086 mode each segment starts at 16 times its selector."""
    numbered = {segment: 0x1231 + number for number, segment in enumerate(SEGMENTS)}
    selectors = {f"guest_{segment}_selector": number for segment, number in numbered.items()}
    return put(**selectors, **{f"guest_{segment}_base": number << 4 for segment, number in numbered.items()})


_PROTECTED = (
    off("entry.ia32e") + put(guest_ia32_efer=0, guest_cr4=0x2000) + segments(0x10, 0xFFFFFFFF, 0xC093, code=0xC09B)
)
_HOST32 = (
    _PROTECTED
    + state(ia_32e_mode=0)
    + off("exit.host64", "exit.load_efer")
    + put(
        host_cr4=0x26E0, host_rip=0xC1000000, host_rsp=0xC2000000, host_ss_selector=0x18, host_tr_base=0xC0003000,
        host_gdtr_base=0xC0001000, host_idtr_base=0xC0002000, host_gs_base=0, host_ia32_efer=0,
    )
)  # fmt: skip
_LEGACY = (
    _HOST32
    + cpu(intel_64=0, maxphyaddr=36)
    + on("basic.32_bits")
    + off("basic.true", "basic.nested")
    + put(
        ia32_vmx_true_pinbased_ctls=0, ia32_vmx_true_procbased_ctls=0, ia32_vmx_true_exit_ctls=0,
        ia32_vmx_true_entry_ctls=0, vm_exit_controls=0x36DFF, vm_entry_controls=0x11FF,
        primary_vm_execution_controls=1 << 31 | 0x0401E172,
    )
)  # fmt: skip
_RETURN_FROM_SMM = state(smm=1) + put(executive_vmcs_pointer=0x6000) + memory({0x6000: REVISION})

BASES: Mapping[str, Change] = {
    "long": NONE,
    "compatibility": segments(0x10, 0xFFFFFFFF, 0xC093, code=0xC09B),
    "protected": _PROTECTED,
    "pae": _PROTECTED + put(guest_cr4=0x2020),
    "pae without EPT": _PROTECTED
    + put(guest_cr4=0x2020, secondary_vm_execution_controls=0x20)
    + memory({0x4000: 0x5001, 0x4008: 0x6001, 0x4010: 0x7019, 0x4018: 0}),
    "flat": _PROTECTED + on("unrestricted") + put(guest_cr0=0x33),
    "real": _PROTECTED + on("unrestricted") + put(guest_cr0=0x30) + segments(0x1231, 0xFFFF, 0x93, code=0x93),
    "v86": _PROTECTED + put(guest_rflags=0x20002) + segments(0, 0xFFFF, 0xF3, code=0xF3) + _v86(),
    "unrestricted": on("unrestricted"),
    "five levels": cpu(linear_address_width=57, maxphyaddr=52)
    + on("host_cr4.la57", "cr4.la57")
    + put(host_rip=0xFF11000081000000, guest_tr_base=1 << 55),
    "32-bit host": _HOST32,
    "without Intel 64": _LEGACY,
    "return from SMM": _RETURN_FROM_SMM,
    "entry to SMM": state(smm=1) + on("entry.to_smm", "by_smi"),
    "FRED": on("exit.secondary_controls", "exit.load_fred", "entry.load_fred", "cr4.fred", "host_cr4.fred"),
    "CET": on("exit.load_cet", "entry.load_cet", "cr4.cet", "host_cr4.cet"),
    "HLT": put(guest_activity_state=1),
    "wait for SIPI": put(guest_activity_state=3),
}
"""What each context differs in from `long`: a 64-bit guest on a 64-bit host, with EPT and VPID."""


def base(name: str) -> dict[Key, int]:
    """Everything that is not 0 in the context of this name."""
    long = _HOST + _CONTROLS + _GUEST + _PROCESSOR + segments(0x10, ALL >> 32, 0xC093, code=0xA09B)
    processor: dict[Key, int] = {}
    processor.update(_CPU)
    processor.update(_FACTS)
    return (long + BASES[name]).apply(processor)


def build(database: Database, values: Mapping[Key, int]) -> State:
    """The state in which everything that has no value is 0, and features of the processor are there; memory aside."""
    fields = {name: _known(field.width, values.get(name, 0)) for name, field in database.fields.items()}
    msrs = {msr.name: _known(64, values.get(msr.name, 0)) for msr in database.capability_msrs}
    facts = {name: _known(f.width, values.get(f"cpu.{name}", int(f.width == 1))) for name, f in database.facts.items()}
    processor = {name: _known(bits.width, values.get(f"processor.{name}", 0)) for name, bits in database.state.items()}
    pieces = {key: bits.to_bytes(8, "little") for key, bits in values.items() if isinstance(key, int)}
    return State(database, fields, Cpu("made", "Made", msrs, facts), Memory(pieces), processor)


@lru_cache(maxsize=1 << 14)
def _known(width: int, bits: int) -> Value:
    return value.known(width, bits)


def inputs(keys: set[Key]) -> set[tuple[str, str]]:
    """What a change of these keys changes, as `vmcsc.check.reads` names it."""
    return {_input(key) for key in keys}


def _input(key: Key) -> tuple[str, str]:
    if isinstance(key, int):
        return "memory", ""
    kind, _, name = key.rpartition(".")
    return (kind, name) if kind else ("msr" if key.startswith("ia32_vmx_") else "field", key)
