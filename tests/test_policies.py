"""The shipped policies: KVM's lists to the bit, the classic choices, and what each comes to on real processors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processors import raw
from vmcsc.architecture.database import Database
from vmcsc.capabilities.readers import shipped_cpus
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.policy.model import Policy
from vmcsc.resolve.rules import control_rules, violated
from vmcsc.result import Result
from vmcsc.syntax import tree
from vmcsc.vmcs import Vmcs

SPECS = load()
CPUS = shipped_cpus(SPECS)
POLICIES = tuple(SPECS.files("policies", ".vmcs"))

# Evaluated from the preprocessed vmx.h of x86-64 kernels: KVM_REQUIRED_VMX_..., KVM_OPTIONAL_VMX_...
KVM_6_1 = {
    "pin_based": (0x00000009, 0x000000E0),
    "primary": (0x21998E8C, 0xDA621000),
    "secondary": (0x00000000, 0xC71BFFFF),
    "tertiary": (0x00000000, 0x00000010),
    "vm_exit": (0x00008204, 0x03FC1000),
    "vm_entry": (0x00000204, 0x0007E000),
}
KVM_7_3 = KVM_6_1 | {
    "secondary": (0x00000000, 0xC75FFFFF),
    "vm_exit": (0x00008204, 0x53FC1000),
    "vm_entry": (0x00000204, 0x0017E000),
}
KVM = {"kvm_6_1": KVM_6_1, "kvm_7_3": KVM_7_3}


def policy_of(name: str) -> Policy:
    policy = compile(name, [], SPECS).policy
    assert policy is not None
    return policy


def masks(policy: Policy, *verbs: str) -> dict[str, int]:
    """For each word the controls of which the policy says one of `verbs` outright, and not by implication."""
    found = dict.fromkeys(SPECS.words, 0)
    for stance in policy.stances:
        if stance.verb in verbs and not stance.implied and stance.condition is None:
            found[stance.control.word] |= 1 << stance.control.bit
    return found


def on(name: str, cpu: str) -> tuple[Result, Vmcs]:
    result = compile(name, cpu, SPECS)
    assert result.vmcs is not None, [d.message for d in result.diagnostics]
    return result, result.vmcs


def errors(result: Result) -> list[str]:
    return [d.code for d in result.diagnostics if d.severity.value == "error"]


# --- KVM's lists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(KVM))
def test_the_required_masks_of_a_kernel_are_those_of_its_vmx_h(name: str) -> None:
    expected = {word: required for word, (required, _) in KVM[name].items()}
    assert {word: mask for word, mask in masks(policy_of(name), "require").items() if mask} == {
        word: mask for word, mask in expected.items() if mask
    }


@pytest.mark.parametrize("name", list(KVM))
def test_the_optional_masks_of_a_kernel_are_those_of_its_vmx_h(name: str) -> None:
    expected = {word: optional for word, (_, optional) in KVM[name].items()}
    found = masks(policy_of(name), "prefer", "allow")
    assert {word: mask for word, mask in found.items() if mask} == expected


@pytest.mark.parametrize("name", list(KVM))
def test_what_kvm_prefers_it_also_allows_since_each_vcpu_narrows_it(name: str) -> None:
    policy = policy_of(name)
    preferred, allowed = masks(policy, "prefer"), masks(policy, "allow")
    assert all(preferred[word] & ~allowed[word] == 0 for word in SPECS.words)
    assert masks(policy, "forbid", "avoid") == dict.fromkeys(SPECS.words, 0)


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", list(KVM))
def test_a_cpu_grants_a_kernels_requirements_or_the_finding_names_those_it_lacks(name: str, cpu: str) -> None:
    """By the raw MSRs; KVM itself reads them without TRUE, which allow the same controls to be 1."""
    msrs = raw(cpu, SPECS)
    true = "true_" if msrs["ia32_vmx_basic"] >> 55 & 1 else ""
    lacking = {}
    for word, msr in {"pin_based": "pinbased", "primary": "procbased", "vm_exit": "exit", "vm_entry": "entry"}.items():
        lacking[word] = KVM[name][word][0] & ~(msrs[f"ia32_vmx_{true}{msr}_ctls"] >> 32)
    result, vmcs = on(name, cpu)
    for word, mask in lacking.items():
        assert vmcs.words[word].refused & KVM[name][word][0] == mask
    assert len([code for code in errors(result) if code == "VMX3001"]) == sum(m.bit_count() for m in lacking.values())


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", POLICIES)
def test_where_a_policy_is_granted_its_words_violate_no_rule_between_controls(name: str, cpu: str) -> None:
    result, vmcs = on(name, cpu)
    if not errors(result):
        settings = {path: vmcs.control(path) for path in SPECS.controls}
        assert [
            rule.rule.id for rule in control_rules(SPECS) if violated(rule, lambda c: settings[c.path]) is not False
        ] == []
        assert vmcs.violated == ()


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", POLICIES)
def test_an_error_of_a_shipped_policy_is_always_a_requirement_that_the_cpu_lacks(name: str, cpu: str) -> None:
    result, vmcs = on(name, cpu)
    assert set(errors(result)) <= {"VMX3001"}
    assert [d for d in result.diagnostics if d.severity.value == "warning"] == []
    assert bool(errors(result)) is any(word.required & word.refused for word in vmcs.words.values())


@pytest.mark.parametrize("name", list(KVM))
def test_the_words_of_a_kernel_have_no_bit_that_neither_kvm_nor_the_cpu_nor_the_sdm_wants(name: str) -> None:
    for cpu in CPUS:
        _, vmcs = on(name, cpu)
        for word in vmcs.words.values():
            required, optional = KVM[name].get(word.word.name, (0, 0))
            assert word.value.bits & ~(required | optional | word.forced | word.default1) == 0, (cpu, word.word.name)


@pytest.mark.parametrize(
    ("exit_control", "entry_control"),
    [
        ("load_ia32_perf_global_ctrl", "load_ia32_perf_global_ctrl"),
        ("load_ia32_pat", "load_ia32_pat"),
        ("load_ia32_efer", "load_ia32_efer"),
        ("clear_ia32_bndcfgs", "load_ia32_bndcfgs"),
        ("clear_ia32_rtit_ctl", "load_ia32_rtit_ctl"),
    ],
)
@pytest.mark.parametrize("name", list(KVM))
def test_the_controls_that_kvm_uses_on_both_sides_or_not_at_all_are_so(
    exit_control: str, entry_control: str, name: str
) -> None:
    for cpu in CPUS:
        _, vmcs = on(name, cpu)
        assert vmcs.control(f"vm_exit.{exit_control}") is vmcs.control(f"vm_entry.{entry_control}"), cpu


# --- the classic choices ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classic() -> Policy:
    return policy_of("kvm_classic")


def scenarios(policy: Policy) -> Iterator[tuple[list[str], list[str]]]:
    """What the guest does or what happens, and what is expected, as written."""
    for scenario in policy.scenarios:
        texts = [(statement, " ".join(statement.span.text.split())) for statement in scenario.body]
        yield (
            [text for statement, text in texts if not isinstance(statement, tree.Expect)],
            [text for statement, text in texts if isinstance(statement, tree.Expect)],
        )


def shown(policy: Policy, does: str, expected: str) -> bool:
    return any(does in causes and any(expected in text for text in effects) for causes, effects in scenarios(policy))


def test_the_classic_policy_states_that_external_interrupts_exit(classic: Policy) -> None:
    assert masks(classic, "require")["pin_based"] & 1
    assert shown(classic, "event external_interrupt 0x30", "expect exit external_interrupt")


def test_the_classic_policy_states_that_rdtsc_does_not_exit_and_returns_the_tsc_plus_the_offset(
    classic: Policy,
) -> None:
    assert masks(classic, "forbid")["primary"] & 1 << 12
    assert masks(classic, "require")["primary"] & 1 << 3
    assert [assignment.field.name for assignment in classic.assignments].count("tsc_offset") == 1
    assert shown(classic, "guest rdtsc", "expect no exit, edx_eax == host_tsc + 0x1000")


def test_the_classic_policy_states_that_io_instructions_consult_the_io_bitmaps(classic: Policy) -> None:
    assert masks(classic, "require")["primary"] & 1 << 25
    assert not masks(classic, "require", "prefer")["primary"] & 1 << 24
    assert shown(classic, "guest in al, 0x60", "expect exit io_instruction")
    assert shown(classic, "guest out 0x80, al", "expect no exit")
    _, vmcs = on("kvm_classic", "ice_lake_i7_1065g7")
    ports = int.from_bytes(vmcs.pages["io_bitmap_a"] + vmcs.pages["io_bitmap_b"], "little")
    assert ports == (1 << 0x10000) - 1 - (1 << 0x80)


def test_the_classic_policy_states_that_ept_is_on_by_default(classic: Policy) -> None:
    assert masks(classic, "prefer")["secondary"] & 1 << 1
    assert shown(classic, "guest mov cr3, rax", "expect no exit")
    for cpu in CPUS:
        result, vmcs = on("kvm_classic", cpu)
        supported = raw(cpu, SPECS).get("ia32_vmx_procbased_ctls2", 0) >> 33 & 1
        assert vmcs.control("secondary.enable_ept") is bool(supported)
        if not supported and not errors(result):  # shadow paging
            shadowing = ("cr3_load_exiting", "cr3_store_exiting", "invlpg_exiting")
            assert all(vmcs.control(f"primary.{name}") for name in shadowing)
            assert vmcs.fields["exception_bitmap"].value.bits >> 14 & 1


def test_the_classic_policy_leaves_the_interrupt_pending_and_newer_kvm_acknowledges_it(classic: Policy) -> None:
    bit = 1 << 15
    assert masks(classic, "forbid")["vm_exit"] & bit
    assert shown(classic, "event external_interrupt 0x30", "exit_interruption_info.valid == 0")
    assert masks(policy_of("kvm_6_1"), "require")["vm_exit"] & bit
    for cpu in CPUS:
        outcomes = [on(name, cpu)[1].words["vm_exit"].value.bits & bit for name in ("kvm_classic", "kvm_6_1")]
        able = raw(cpu, SPECS)["ia32_vmx_exit_ctls"] >> 32 & bit
        assert outcomes == [0, able], cpu


def test_every_scenario_of_the_classic_policy_expects_something(classic: Policy) -> None:
    assert len(classic.scenarios) >= 10
    for causes, effects in scenarios(classic):
        assert causes
        assert effects


# --- the others ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cpu", CPUS)
def test_the_minimal_policy_compiles_without_a_finding_on_every_64_bit_cpu(cpu: str) -> None:
    """A processor that can run a 64-bit host and guest has the two controls for it: bit 9 of both words."""
    msrs = raw(cpu, SPECS)
    wide = msrs["ia32_vmx_exit_ctls"] >> 41 & 1 and msrs["ia32_vmx_entry_ctls"] >> 41 & 1
    result, vmcs = on("minimal", cpu)
    assert result.ok is bool(wide)
    if wide:
        assert not result.diagnostics
        assert (vmcs.words["vm_exit"].required, vmcs.words["vm_entry"].required) == (1 << 9, 1 << 9)
        assert set(vmcs.fields) == set()


def test_the_minimal_policy_asks_for_two_controls_and_no_more() -> None:
    policy = policy_of("minimal")
    assert len(policy.stances) == 2
    assert not (policy.assignments or policy.paintings or policy.parameters)


def test_the_introspection_policy_intercepts_every_exception_port_and_msr() -> None:
    _, vmcs = on("introspection", "ice_lake_i7_1065g7")
    assert vmcs.fields["exception_bitmap"].value.bits == 0xFFFF_FFFF
    assert set(vmcs.pages.values()) == {b"\xff" * 4096}
    assert set(vmcs.pages) == {"io_bitmap_a", "io_bitmap_b", "msr_bitmap"}
    for name in ("cr0_guest_host_mask", "cr4_guest_host_mask"):
        assert vmcs.fields[name].value.bits == (1 << 64) - 1


def test_the_introspection_policy_makes_exit_what_a_cpu_lets_exit(database: Database) -> None:
    """Every control that is named after an exit is 1 where the processor has it, but for those of the hypervisor's own
    timing and the I/O control that the bitmaps take the place of."""
    own = {"interrupt_window_exiting", "nmi_window_exiting", "pause_loop_exiting", "unconditional_io_exiting"}
    named = [
        c for c in database.controls.values() if c.name.endswith("_exiting") and c.status == "sdm" and c.name not in own
    ]
    _, vmcs = on("introspection", "ice_lake_i7_1065g7")
    for control in named:
        word = vmcs.words[control.word]
        refused = word.refused >> control.bit & 1
        assert vmcs.control(control.path) or refused, control.path


def test_every_shipped_policy_has_a_summary_and_compiles_without_a_cpu() -> None:
    assert set(POLICIES) >= {"kvm_classic", "kvm_6_1", "kvm_7_3", "minimal", "introspection"}
    for name in POLICIES:
        policy = policy_of(name)
        assert policy.summary
        assert policy.name == name
        assert compile(name, [], SPECS).ok
