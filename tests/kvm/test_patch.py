"""From a policy and a tree to a patch: what goes where, and what is said of the rest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import vmcsc
from tests.kvm.mini import specs, write_tree
from vmcsc import Diagnostic, Severity, VmcscError, compile
from vmcsc.backend import findings, get
from vmcsc.capabilities.readers import read_cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import known
from vmcsc.kvm.policy import policy_text
from vmcsc.kvm.tree import read_tree
from vmcsc.records import replace

VMX_C, VMX_H, NAMES = "arch/x86/kvm/vmx/vmx.c", "arch/x86/kvm/vmx/vmx.h", "arch/x86/include/asm/vmx.h"


class Lab:
    """A tree of a few lines, and policies that differ from what it has."""

    def __init__(self, folder: Path, form: str = "macros") -> None:
        self.folder = folder
        self.root = write_tree(folder / "linux", form=form)
        self.imported()

    def imported(self) -> None:
        """The policy `base` is what the tree has now."""
        tree = read_tree(self.root, specs(), Diagnostics())
        assert tree is not None
        (self.folder / "base.vmcs").write_text(policy_text(tree, specs(), Diagnostics(), "base"))

    def made(self, say: str, *cpus: str, partial: bool = False) -> tuple[str, list[Diagnostic]]:
        """The patch for a policy that says this too, and the findings."""
        (self.folder / "own.vmcs").write_text(f"policy own {{\n  extends base\n  {say}\n}}\n")
        result = compile(self.folder / "own.vmcs", list(cpus) or None, specs(), search=[self.folder])
        assert result.by_cpu, [one.message for one in result.diagnostics]
        vmcses = list(result.by_cpu.values())
        backend = get("kvm-patch")
        options = backend.options(kernel=str(self.root), partial=partial)
        found = findings(backend, vmcses, options)
        failed = any(one.severity is Severity.ERROR for one in found)
        artifacts = [] if failed else backend.emit(vmcses, options)
        return "".join(str(one.content) for one in artifacts), found

    def patch(self, say: str) -> str:
        """A patch of which nothing is to be said but notes."""
        text, found = self.made(say)
        assert [one.message for one in found if one.severity is not Severity.NOTE] == []
        return text

    def applied(self, say: str) -> None:
        text, _ = self.made(say)
        done = subprocess.run(["patch", "-p1", "-F0", "-s"], input=text, text=True, cwd=self.root, check=False)
        assert done.returncode == 0


def changed(text: str) -> list[str]:
    """The lines that a patch adds and takes away, without those that name files, and tabs as blanks."""
    lines = [line for line in text.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return [" ".join(line.replace("\\", "").split()) for line in lines]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize("form", ["macros", "locals"])
def test_what_was_imported_is_an_empty_patch(form: str, tmp_path: Path) -> None:
    text, found = Lab(tmp_path, form).made("")
    assert (text, [one.code for one in found]) == ("", ["VMX7016"])


def test_an_item_in_the_middle_goes_as_one_line(lab: Lab) -> None:
    assert changed(lab.patch("secondary { override forbid enable_pml }")) == [
        "- SECONDARY_EXEC_DESC |",
        "- SECONDARY_EXEC_ENABLE_PML)",
        "+ SECONDARY_EXEC_DESC)",
    ]


def test_an_item_that_is_added_is_one_line(lab: Lab) -> None:
    text = lab.patch("secondary { allow enable_rdtscp }")
    assert changed(text) == ["+#define SECONDARY_EXEC_ENABLE_RDTSCP 0x00000008", "+ SECONDARY_EXEC_ENABLE_RDTSCP |"]


def test_a_list_that_becomes_empty_is_0_and_one_that_was_0_is_a_list(lab: Lab) -> None:
    no_pat = "vm_exit { override forbid load_ia32_pat }; vm_entry { override forbid load_ia32_pat }"
    text = lab.patch(f"secondary {{ require enable_ept }}; {no_pat}")
    assert "+#define KVM_OPTIONAL_VMX_VM_EXIT_CONTROLS 0" in changed(text)
    assert "-#define KVM_REQUIRED_VMX_SECONDARY_VM_EXEC_CONTROL 0" in changed(text)
    assert "+ (SECONDARY_EXEC_ENABLE_EPT)" in changed(text)


def test_what_code_changes_at_run_time_stays_listed_and_is_masked(lab: Lab) -> None:
    text = lab.patch("secondary { override forbid descriptor_table_exiting }")
    assert {*changed(text)} == {
        "+ /* vmcsc: not used, by policy own */", "+ _cpu_based_2nd_exec_control &= ~SECONDARY_EXEC_DESC;", "+",
    }  # fmt: skip
    assert "needs it listed (forbid descriptor_table_exiting, line 3)" in text


def test_ept_goes_with_its_capability(lab: Lab) -> None:
    text, found = lab.made("secondary { override forbid enable_ept, enable_pml }")
    assert "+ vmx_cap->ept = 0;" in changed(text)
    assert "+ _cpu_based_2nd_exec_control &= ~SECONDARY_EXEC_ENABLE_EPT;" in changed(text)
    assert not [one for one in found if one.severity is Severity.ERROR]


def test_what_every_vcpu_clears_is_set_at_the_end(lab: Lab) -> None:
    text, found = lab.made("primary { override require rdtsc_exiting }")
    assert "+ exec_control |= CPU_BASED_RDTSC_EXITING;" in changed(text)
    assert [(one.code, one.severity.value) for one in found] == [("VMX7013", "warning")]
    assert "EXIT_REASON_RDTSC (16)" in found[0].message
    text, _ = lab.made("primary { override prefer rdtsc_exiting }")
    assert "+ exec_control |= vmcs_config.cpu_based_exec_ctrl & CPU_BASED_RDTSC_EXITING;" in changed(text)


def test_a_control_without_a_name_gets_one(lab: Lab) -> None:
    text = lab.patch("secondary { allow enable_pconfig, enable_rdtscp }")
    assert "+#define SECONDARY_EXEC_ENABLE_PCONFIG 0x08000000" in changed(text)
    assert "+#define SECONDARY_EXEC_ENABLE_RDTSCP 0x00000008" in changed(text)
    assert f"+++ b/{NAMES}" in text


def test_the_header_says_for_which_tree_and_why(lab: Lab) -> None:
    text = lab.patch("secondary { override forbid enable_pml }")
    header = text[: text.index("--- a/")]
    assert all(line.startswith("#") for line in header.splitlines())
    assert "policy own" in header
    assert "For Linux 6.1.7" in header
    assert "# SECONDARY_EXEC_ENABLE_PML: out of the list (forbid enable_pml, line 3)\n" in header


def test_the_digests_refuse_another_tree(lab: Lab, tmp_path: Path) -> None:
    """Also one to which the patch would apply: the header's own command tells."""
    (tmp_path / "own.patch").write_text(lab.patch("secondary { override forbid enable_pml }"))
    other = write_tree(tmp_path / "other", version=(6, 1, 8))
    (other / VMX_C).write_text((other / VMX_C).read_text() + "\n")
    check = "sed -n 's/^# sha256 //p' ../own.patch | sha256sum --check --strict --quiet"
    assert check.removesuffix(" --quiet").replace("../own.patch", "PATCH") in (tmp_path / "own.patch").read_text()
    runs = [subprocess.run(["sh", "-c", check], cwd=one, capture_output=True, check=False) for one in (lab.root, other)]
    assert [run.returncode for run in runs] == [0, 1]
    fits = subprocess.run(["patch", "-p1", "-F0", "--dry-run", "-s", "-i", "../own.patch"], cwd=other, check=False)
    assert fits.returncode == 0


def test_what_is_applied_is_what_the_policy_says_and_can_be_lifted_again(lab: Lab) -> None:
    without = "secondary { override forbid descriptor_table_exiting, enable_vpid }"
    say = f"primary {{ override require rdtsc_exiting }}; {without}"
    lab.applied(say)
    assert lab.made(say)[0] == ""
    lab.applied("")
    assert lab.made("")[0] == ""
    assert "vmcsc" not in (lab.root / VMX_C).read_text()


@pytest.mark.parametrize(
    ("say", "said"),
    [
        ("primary { override forbid cr3_load_exiting }", "KVM reads IA32_VMX_PROCBASED_CTLS without TRUE"),
        ("primary { override require use_io_bitmaps }", "KVM clears it for every vCPU, and KVM writes no"),
        ("secondary { override require descriptor_table_exiting }", None),
        ("secondary_vm_exit { require load_fred }", "KVM has no place for `require load_fred`"),
        ("tertiary { require ipi_virtualization }", "KVM of this tree has no Tertiary"),
        ("tsc_offset = 5", "the policy gives a value to tsc_offset"),
        ("exceptions { intercept page_fault }", "the policy fills exceptions"),
        ('scenario "s" { guest hlt; expect exit hlt }', "the policy has a scenario"),
        ("state guest long_mode { }", "the policy takes the state long_mode"),
        ("when supported(enable_pml) { secondary { require enable_pml } }", "KVM's lists know no conditions"),
        ("vm_exit { override forbid load_ia32_pat }", "both or not at all"),
    ],
)  # fmt: skip
def test_a_statement_that_the_patch_does_not_bring_about_is_a_finding(say: str, said: str | None, lab: Lab) -> None:
    text, found = lab.made(say)
    errors = [one.message for one in found if one.severity is Severity.ERROR]
    if said is None:  # KVM switches this one on and off itself, so its lists can require it
        assert errors == []
        return
    assert text == ""
    assert said in errors[0]
    text, found = lab.made(say, partial=True)
    assert [one for one in found if one.severity is Severity.ERROR] == []
    assert said in next(one.message for one in found if one.severity is Severity.WARNING)


def test_with_partial_the_rest_is_made(lab: Lab) -> None:
    text, _ = lab.made("tsc_offset = 5; secondary { override forbid enable_pml }", partial=True)
    assert "- SECONDARY_EXEC_ENABLE_PML)" in changed(text)


@pytest.mark.parametrize("say", ["tertiary { prefer enable_hlat }", "secondary_vm_exit { require load_fred }"])
def test_what_would_activate_a_word_that_the_tree_lacks_is_left_out_with_it(say: str, lab: Lab) -> None:
    text, found = lab.made(say, partial=True)
    assert text == ""
    assert [one.code for one in found if one.severity is Severity.WARNING] == ["VMX7011"]


def test_a_condition_is_decided_where_the_processors_are_named(lab: Lab) -> None:
    say = "when supported(enable_pml) { secondary { require enable_pml } }"
    _, found = lab.made(say, "ice_lake_i7_1065g7")
    assert [one.message for one in found if one.severity is Severity.ERROR] == []
    _, found = lab.made(say, "ice_lake_i7_1065g7", "ivy_bridge_i7_3820qm")
    assert "KVM's lists know no conditions" in next(one.message for one in found if one.severity is Severity.ERROR)


def test_a_list_is_one_for_all_processors(lab: Lab) -> None:
    """What a named processor lacks stays in the lists."""
    say = "secondary { override forbid enable_vpid }"
    assert lab.made(say)[0] == lab.made(say, "conroe_core2_x6800")[0]


def test_a_module_that_would_not_load_is_foretold_with_the_bit(lab: Lab) -> None:
    """Ivy Bridge has no page-modification logging."""
    (lab.folder / "own.vmcs").write_text("policy own { extends base; secondary { override require enable_pml } }")
    result = compile(lab.folder / "own.vmcs", "ivy_bridge_i7_3820qm", specs(), search=[lab.folder])
    vmcses = list(result.by_cpu.values())
    backend = get("kvm-patch")
    found = findings(backend, vmcses, backend.options(kernel=str(lab.root)))
    (finding,) = [one for one in found if one.code == "VMX7012"]
    assert "kvm_intel would not load on Ivy Bridge i7-3820QM: `enable_pml` is required" in finding.message
    assert "IA32_VMX_PROCBASED_CTLS2 bit 49 is 0; insmod says -EIO" in finding.notes[0]


def test_a_processor_with_half_a_pair_is_one_on_which_the_module_would_not_load(lab: Lab) -> None:
    """Ice Lake, but without the exit control that loads IA32_PAT."""
    cpu = read_cpu("ice_lake_i7_1065g7", specs(), Diagnostics())
    assert cpu is not None
    without = {name: cpu.msrs[name] for name in ("ia32_vmx_exit_ctls", "ia32_vmx_true_exit_ctls")}
    msrs = {name: known(64, value.bits & ~(1 << 19 + 32)) for name, value in without.items()}
    half = replace(cpu, name="half", msrs={**cpu.msrs, **msrs})
    (lab.folder / "own.vmcs").write_text("policy own { extends base; secondary { override forbid enable_pml } }")
    backend = get("kvm-patch")
    for one, codes in ((cpu, set()), (half, {"VMX7012"})):
        vmcs = compile(lab.folder / "own.vmcs", one, specs(), search=[lab.folder]).vmcs
        assert vmcs is not None
        found = findings(backend, [vmcs], backend.options(kernel=str(lab.root)))
        assert {finding.code for finding in found if finding.severity is Severity.ERROR} == codes


def test_where_the_build_checks_nothing_a_list_edit_is_enough(tmp_path: Path) -> None:
    """As before there were macros: code that changes a control at run time compiles all the same."""
    text = Lab(tmp_path, "locals").patch("secondary { override forbid descriptor_table_exiting }")
    assert "vmcsc:" not in text[text.index("--- a/") :]
    assert "- SECONDARY_EXEC_DESC |" in changed(text)


def test_a_new_name_is_none_that_the_tree_has_for_something_else(lab: Lab) -> None:
    header = lab.root / NAMES
    header.write_text(header.read_text().replace("#endif", "#define SECONDARY_EXEC_ENABLE_PCONFIG 0x3\n#endif"))
    text = lab.patch("secondary { allow enable_pconfig }")
    assert "+#define SECONDARY_EXEC_ENABLE_PCONFIG_CONTROL 0x08000000" in changed(text)


def test_a_tree_that_stores_its_configuration_twice_is_not_patched(lab: Lab) -> None:
    code = lab.root / VMX_C
    line = "\tvmcs_conf->pin_based_exec_ctrl = _pin_based_exec_control;\n"
    code.write_text(code.read_text().replace(line, line * 2))
    text, found = lab.made("secondary { override forbid enable_pml }")
    assert text == ""
    assert "does not have the line `vmcs_conf->pin_based_exec_ctrl" in found[-1].message


def test_what_the_policy_does_not_name_is_taken_away_with_a_warning(lab: Lab) -> None:
    (lab.folder / "small.vmcs").write_text(
        "policy small { pin_based { require external_interrupt_exiting, nmi_exiting } }"
    )
    result = compile(lab.folder / "small.vmcs", database=specs())
    assert result.vmcs is not None
    backend = get("kvm-patch")
    found = findings(backend, [result.vmcs], backend.options(kernel=str(lab.root)))
    assert "the patch takes away what KVM uses and the policy does not name: " in found[-1].message
    assert "begin with one from `vmcsc import kvm`" in (found[-1].help or "")


def test_without_a_tree_there_is_a_snippet_and_no_diff() -> None:
    text = "policy p { secondary { forbid enable_ept, enable_pml; require enable_vpid } }"
    result = compile(text, database=specs())
    assert result.vmcs is not None
    (artifact,) = vmcsc.emit(result.vmcs, "kvm-patch")
    content = str(artifact.content)
    assert artifact.path == "p.c"
    assert "A snippet for KVM, not a patch" in content
    assert "--- a/" not in content
    assert "\t_cpu_based_2nd_exec_control &= ~(SECONDARY_EXEC_ENABLE_EPT |\n" in content
    assert "\tvmx_cap->ept = 0;\n" in content
    assert "\tif (!(_cpu_based_2nd_exec_control & SECONDARY_EXEC_ENABLE_VPID))\n\t\treturn -EIO;\n" in content


def test_a_snippet_does_not_pretend_to_add_anything() -> None:
    result = compile("policy p { secondary { prefer enable_ept } }", database=specs())
    assert result.vmcs is not None
    with pytest.raises(VmcscError, match="a snippet cannot make KVM use what its lists may not have"):
        vmcsc.emit(result.vmcs, "kvm-patch")


def test_a_tree_of_fixed_bits_is_not_patched(tmp_path: Path) -> None:
    (tmp_path / "drivers/kvm").mkdir(parents=True)
    (tmp_path / "drivers/kvm/vmx.h").write_text("#define PIN_BASED_NMI_EXITING 0x8\n")
    (tmp_path / "drivers/kvm/vmx.c").write_text(
        "static int f(void)\n{\n\tvmcs_write32_fixedbits(MSR_IA32_VMX_PINBASED_CTLS, X, PIN_BASED_NMI_EXITING);\n}\n"
    )
    result = compile("policy p { pin_based { require nmi_exiting } }", database=specs())
    assert result.vmcs is not None
    with pytest.raises(VmcscError, match=r"cannot be patched: drivers/kvm/vmx\.c states fixed bits, no lists"):
        vmcsc.emit(result.vmcs, "kvm-patch", kernel=str(tmp_path))
