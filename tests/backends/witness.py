"""What the Intel SDM says, written down a second time and by hand: controls, MSRs, rules, fields, and what follows.

Nothing here comes from `specs/` or `vmcsc`, so that both the library and the generated C can be held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

WORDS = (
    "pin_based",
    "primary",
    "vm_exit",
    "vm_entry",
    "tertiary",
    "secondary_vm_exit",
    "secondary",
    "vm_function",
)
"""In the order in which they are written: each behind the one that activates it, else by encoding."""

ENCODING = dict(zip(WORDS, (0x4000, 0x4002, 0x400C, 0x4012, 0x2034, 0x2044, 0x401E, 0x2018), strict=True))

PLAIN = {"pin_based": 0x481, "primary": 0x482, "vm_exit": 0x483, "vm_entry": 0x484}
TRUE = {"pin_based": 0x48D, "primary": 0x48E, "vm_exit": 0x48F, "vm_entry": 0x490}
LATER = {"secondary": 0x48B, "vm_function": 0x491, "tertiary": 0x492, "secondary_vm_exit": 0x493}

ACTIVATED_BY = {
    "secondary": ("primary", 31),
    "tertiary": ("primary", 17),
    "secondary_vm_exit": ("vm_exit", 31),
    "vm_function": ("secondary", 13),
}

DEFAULT1 = {
    "pin_based": 1 << 1 | 1 << 2 | 1 << 4,
    "primary": 1 << 1 | 0x7 << 4 | 1 << 8 | 0x3 << 13 | 1 << 26,
    "vm_exit": 1 << 0 | 1 << 1 | 0x3F << 3 | 1 << 10 | 1 << 11 | 1 << 13 | 1 << 14 | 1 << 16 | 1 << 17,
    "vm_entry": 1 << 0 | 1 << 1 | 0x3F << 3 | 1 << 12,
}
"""Controls without a name whose default is 1: appendix A, without those that the manual has named since."""

CONTROLS: Mapping[str, Mapping[str, int]] = {
    "pin_based": {
        "external_interrupt_exiting": 0,
        "nmi_exiting": 3,
        "virtual_nmis": 5,
        "activate_vmx_preemption_timer": 6,
        "process_posted_interrupts": 7,
    },
    "primary": {
        "interrupt_window_exiting": 2,
        "use_tsc_offsetting": 3,
        "hlt_exiting": 7,
        "invlpg_exiting": 9,
        "mwait_exiting": 10,
        "rdpmc_exiting": 11,
        "rdtsc_exiting": 12,
        "cr3_load_exiting": 15,
        "cr3_store_exiting": 16,
        "activate_tertiary_controls": 17,
        "cr8_load_exiting": 19,
        "cr8_store_exiting": 20,
        "use_tpr_shadow": 21,
        "nmi_window_exiting": 22,
        "mov_dr_exiting": 23,
        "unconditional_io_exiting": 24,
        "use_io_bitmaps": 25,
        "monitor_trap_flag": 27,
        "use_msr_bitmaps": 28,
        "monitor_exiting": 29,
        "pause_exiting": 30,
        "activate_secondary_controls": 31,
    },
    "secondary": {
        "virtualize_apic_accesses": 0,
        "enable_ept": 1,
        "descriptor_table_exiting": 2,
        "enable_rdtscp": 3,
        "virtualize_x2apic_mode": 4,
        "enable_vpid": 5,
        "wbinvd_exiting": 6,
        "unrestricted_guest": 7,
        "apic_register_virtualization": 8,
        "virtual_interrupt_delivery": 9,
        "pause_loop_exiting": 10,
        "rdrand_exiting": 11,
        "enable_invpcid": 12,
        "enable_vm_functions": 13,
        "vmcs_shadowing": 14,
        "enable_encls_exiting": 15,
        "rdseed_exiting": 16,
        "enable_pml": 17,
        "ept_violation_ve": 18,
        "conceal_vmx_from_pt": 19,
        "enable_xsaves_xrstors": 20,
        "mode_based_execute_control_for_ept": 22,
        "sub_page_write_permissions_for_ept": 23,
        "intel_pt_uses_guest_physical_addresses": 24,
        "use_tsc_scaling": 25,
        "enable_user_wait_and_pause": 26,
        "enable_pconfig": 27,
        "vmm_bus_lock_detection": 30,
        "instruction_timeout": 31,
    },
    "tertiary": {
        "loadiwkey_exiting": 0,
        "enable_hlat": 1,
        "ept_paging_write_control": 2,
        "guest_paging_verification": 3,
        "ipi_virtualization": 4,
    },
    "vm_exit": {
        "save_debug_controls": 2,
        "host_address_space_size": 9,
        "load_ia32_perf_global_ctrl": 12,
        "acknowledge_interrupt_on_exit": 15,
        "save_ia32_pat": 18,
        "load_ia32_pat": 19,
        "save_ia32_efer": 20,
        "load_ia32_efer": 21,
        "save_vmx_preemption_timer_value": 22,
        "clear_ia32_bndcfgs": 23,
        "conceal_vmx_from_pt": 24,
        "clear_ia32_rtit_ctl": 25,
        "load_cet_state": 28,
        "save_ia32_perf_global_ctrl": 30,
        "activate_secondary_controls": 31,
    },
    "secondary_vm_exit": {"prematurely_busy_shadow_stack": 3},
    "vm_entry": {
        "load_debug_controls": 2,
        "ia_32e_mode_guest": 9,
        "entry_to_smm": 10,
        "deactivate_dual_monitor_treatment": 11,
        "load_ia32_perf_global_ctrl": 13,
        "load_ia32_pat": 14,
        "load_ia32_efer": 15,
        "load_ia32_bndcfgs": 16,
        "conceal_vmx_from_pt": 17,
        "load_ia32_rtit_ctl": 18,
        "load_cet_state": 20,
    },
    "vm_function": {"eptp_switching": 0},
}

Place = tuple[str, int]


def place(path: str) -> Place:
    word, name = path.split(".")
    return word, CONTROLS[word][name]


NEEDS: tuple[tuple[str, str], ...] = (
    ("pin_based.virtual_nmis", "pin_based.nmi_exiting"),
    ("primary.nmi_window_exiting", "pin_based.virtual_nmis"),
    ("secondary.virtualize_x2apic_mode", "primary.use_tpr_shadow"),
    ("secondary.apic_register_virtualization", "primary.use_tpr_shadow"),
    ("secondary.virtual_interrupt_delivery", "primary.use_tpr_shadow"),
    ("tertiary.ipi_virtualization", "primary.use_tpr_shadow"),
    ("secondary.virtualize_x2apic_mode", "not secondary.virtualize_apic_accesses"),
    ("secondary.virtual_interrupt_delivery", "pin_based.external_interrupt_exiting"),
    ("pin_based.process_posted_interrupts", "secondary.virtual_interrupt_delivery"),
    ("pin_based.process_posted_interrupts", "vm_exit.acknowledge_interrupt_on_exit"),
    ("secondary.enable_pml", "secondary.enable_ept"),
    ("secondary.unrestricted_guest", "secondary.enable_ept"),
    ("secondary.mode_based_execute_control_for_ept", "secondary.enable_ept"),
    ("secondary.sub_page_write_permissions_for_ept", "secondary.enable_ept"),
    ("vm_function.eptp_switching", "secondary.enable_ept"),
    ("secondary.intel_pt_uses_guest_physical_addresses", "secondary.enable_ept"),
    ("secondary.intel_pt_uses_guest_physical_addresses", "vm_entry.load_ia32_rtit_ctl"),
    ("secondary.intel_pt_uses_guest_physical_addresses", "vm_exit.clear_ia32_rtit_ctl"),
    ("tertiary.enable_hlat", "secondary.enable_ept"),
    ("tertiary.ept_paging_write_control", "secondary.enable_ept"),
    ("tertiary.guest_paging_verification", "secondary.enable_ept"),
    ("vm_exit.save_vmx_preemption_timer_value", "pin_based.activate_vmx_preemption_timer"),
    ("vm_entry.entry_to_smm", "not vm_entry.deactivate_dual_monitor_treatment"),
    ("not vm_exit.host_address_space_size", "not vm_entry.ia_32e_mode_guest"),
)
"""Which setting of a control needs which of another one, in the order of the manual's checks."""


def half(text: str) -> tuple[Place, int]:
    return place(text.removeprefix("not ")), int(not text.startswith("not "))


RULES = tuple((half(first), half(second)) for first, second in NEEDS)


@dataclass(frozen=True)
class Capabilities:
    """What the MSRs of a processor allow, word by word."""

    msrs: Mapping[int, int]

    def settings(self, word: str) -> tuple[int, int]:
        """The bits that must be 1, and those that may be."""
        if word in PLAIN:
            msr = self.msrs[(TRUE if self.msrs[0x480] >> 55 & 1 else PLAIN)[word]]
            return msr & 0xFFFFFFFF, msr >> 32
        if not self.supports(ACTIVATED_BY[word]):
            return 0, 0
        msr = self.msrs[LATER[word]]
        return (msr & 0xFFFFFFFF, msr >> 32) if word == "secondary" else (0, msr)

    def supports(self, control: Place) -> bool:
        word, bit = control
        return bool(self.settings(word)[1] >> bit & 1)

    def forces(self, control: Place) -> bool:
        word, bit = control
        return bool(self.settings(word)[0] >> bit & 1)

    def has_word(self, word: str) -> bool:
        return word in PLAIN or self.supports(ACTIVATED_BY[word])


def completed(msrs: Mapping[int, int], fill: Callable[[int], int]) -> dict[int, int]:
    """The MSRs of a processor, with a value from `fill` for each one that exists and nobody read, and for no other."""
    known = {index: msrs[index] if index in msrs else fill(index) for index in range(0x480, 0x48B)}

    def add(index: int) -> None:
        known[index] = msrs[index] if index in msrs else fill(index)

    for index in TRUE.values():
        if known[0x480] >> 55 & 1:
            add(index)
    for word in ("secondary", "vm_function", "tertiary", "secondary_vm_exit"):
        if Capabilities(known).supports(ACTIVATED_BY[word]):
            add(LATER[word])
    ept, vpid = place("secondary.enable_ept"), place("secondary.enable_vpid")
    if Capabilities(known).supports(ept) or Capabilities(known).supports(vpid):
        add(0x48C)
    assert set(msrs) <= set(known)
    return known


@dataclass
class Wishes:
    """What holds on one processor: for each verb and word a mask."""

    masks: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, verb: str, control: Place) -> None:
        word, bit = control
        about = self.masks.setdefault(verb, {})
        about[word] = about.get(word, 0) | 1 << bit

    def of(self, verb: str, word: str) -> int:
        return self.masks.get(verb, {}).get(word, 0)


@dataclass(frozen=True)
class Settled:
    """The outcome, as lists in the order of `WORDS`; `violated` has bit n for rule n."""

    value: list[int]
    refused: list[int]
    given_up: list[int]
    raised: list[int]
    runtime: list[int]
    conflicting: list[int]
    violated: int


class _Settling:
    def __init__(self, wishes: Wishes, capabilities: Capabilities) -> None:
        self.wishes = wishes
        self.must = {word: capabilities.settings(word)[0] for word in WORDS}
        self.may = {word: capabilities.settings(word)[1] for word in WORDS}
        self.value = {
            word: (wishes.of("require", word) | wishes.of("prefer", word) | DEFAULT1.get(word, 0) | self.must[word])
            & self.may[word]
            for word in WORDS
        }
        self.moved: set[Place] = set()

    def in_force(self, word: str) -> bool:
        while word in ACTIVATED_BY:
            word, bit = ACTIVATED_BY[word]
            if not self.value[word] >> bit & 1:
                return False
        return True

    def setting(self, control: Place) -> int:
        word, bit = control
        return self.value[word] >> bit & 1 if self.in_force(word) else 0

    def broken(self, rule: int, flipped: Place | None = None) -> bool:
        (first, when), (second, needed) = RULES[rule]

        def now(control: Place) -> int:
            return self.setting(control) ^ (control == flipped)

        return now(first) == when and now(second) != needed

    def can_give_way(self, control: Place, to: int) -> bool:
        word, bit = control
        if not self.in_force(word) or self.value[word] >> bit & 1 == to or control in self.moved:
            return False
        if to == 0:
            soft = self.wishes.of("prefer", word) & ~self.wishes.of("require", word) & ~self.must[word]
        else:
            soft = self.wishes.of("avoid", word) & ~self.wishes.of("forbid", word) & self.may[word]
        return bool(soft >> bit & 1)

    def mend_one(self) -> bool:
        for number, rule in enumerate(RULES):
            if not self.broken(number):
                continue
            controls = list(dict.fromkeys((rule[0][0], rule[1][0])))
            for to in (0, 1):
                found = [c for c in controls if self.can_give_way(c, to) and not self.broken(number, c)]
                if len(found) == 1:
                    ((word, bit),) = found
                    self.value[word] ^= 1 << bit
                    self.moved.add((word, bit))
                    return True
                if found:
                    break
        return False


def settle(wishes: Wishes, capabilities: Capabilities) -> Settled:
    """The control words: (wanted | must be 1) & may be 1, then the rules between controls, then activation."""
    state = _Settling(wishes, capabilities)
    while state.mend_one():
        pass
    violated = sum(1 << number for number in range(len(RULES)) if state.broken(number))
    columns: list[tuple[int, ...]] = []
    for word in WORDS:
        require, prefer, forbid, avoid, allow = (
            wishes.of(verb, word) for verb in ("require", "prefer", "forbid", "avoid", "allow")
        )
        refused = require & ~state.may[word] | forbid & state.must[word]
        if not state.in_force(word):
            state.value[word] = state.must[word] & state.may[word]
            refused |= require
        value = state.value[word]
        columns.append(
            (
                value,
                refused,
                prefer & ~require & ~value,
                avoid & ~forbid & value,
                allow & state.may[word],
                (require | prefer) & (forbid | avoid) | allow & forbid,
            )
        )
    value_, refused_, given_up, raised, runtime, conflicting = (list(row) for row in zip(*columns, strict=True))
    return Settled(value_, refused_, given_up, raised, runtime, conflicting, violated)


@dataclass(frozen=True)
class FieldFact:
    """The encoding of a field, its width, and a control without which it does not exist (one of several)."""

    encoding: int
    width: int
    needs: tuple[Place, ...] = ()


def _field(encoding: int, width: int, *needs: str) -> FieldFact:
    return FieldFact(encoding, width, tuple(place(path) for path in needs))


FIELDS: Mapping[str, FieldFact] = {
    "virtual_processor_id": _field(0x0000, 16, "secondary.enable_vpid"),
    "guest_es_selector": _field(0x0800, 16),
    "guest_interrupt_status": _field(0x0810, 16, "secondary.virtual_interrupt_delivery"),
    "host_tr_selector": _field(0x0C0C, 16),
    "io_bitmap_a": _field(0x2000, 64),
    "io_bitmap_b": _field(0x2002, 64),
    "msr_bitmap": _field(0x2004, 64, "primary.use_msr_bitmaps"),
    "tsc_offset": _field(0x2010, 64),
    "ept_pointer": _field(0x201A, 64, "secondary.enable_ept"),
    "xss_exiting_bitmap": _field(0x202C, 64, "secondary.enable_xsaves_xrstors"),
    "encls_exiting_bitmap": _field(0x202E, 64, "secondary.enable_encls_exiting"),
    "tsc_multiplier": _field(0x2032, 64, "secondary.use_tsc_scaling"),
    "pconfig_exiting_bitmap": _field(0x203E, 64, "secondary.enable_pconfig"),
    "hlat_pointer": _field(0x2040, 64, "tertiary.enable_hlat"),
    "guest_ia32_debugctl": _field(0x2802, 64),
    "exception_bitmap": _field(0x4004, 32),
    "page_fault_error_code_mask": _field(0x4006, 32),
    "page_fault_error_code_match": _field(0x4008, 32),
    "cr3_target_count": _field(0x400A, 32),
    "tpr_threshold": _field(0x401C, 32, "primary.use_tpr_shadow"),
    "guest_cs_access_rights": _field(0x4816, 32),
    "vmx_preemption_timer_value": _field(0x482E, 32, "pin_based.activate_vmx_preemption_timer"),
    "cr0_guest_host_mask": _field(0x6000, 64),
    "cr4_guest_host_mask": _field(0x6002, 64),
    "cr0_read_shadow": _field(0x6004, 64),
    "cr4_read_shadow": _field(0x6006, 64),
    "guest_rip": _field(0x681E, 64),
    "host_rip": _field(0x6C16, 64),
}


def writes(settled: Settled, fields: Mapping[str, int], capabilities: Capabilities) -> list[tuple[int, int]]:
    """The VMWRITEs: the control words that exist, then the fields that exist by encoding."""
    words = [(ENCODING[w], value) for w, value in zip(WORDS, settled.value, strict=True) if capabilities.has_word(w)]
    others = []
    for name, value in fields.items():
        fact = FIELDS[name]
        if not fact.needs or any(capabilities.supports(control) for control in fact.needs):
            others.append((fact.encoding, value & (1 << fact.width) - 1))
    return words + sorted(others)
