"""`vmcsc import kvm` and `vmcsc emit kvm-patch` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kvm.mini import LISTS, write_tree


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / "linux")
    return tmp_path


def test_what_was_imported_is_a_policy_in_canonical_layout(vmcsc: Any, here: Path) -> None:
    run = vmcsc("import", "kvm", "--kernel", "linux")
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("# Read from Linux 6.1.7, whose KVM states it as macros, on x86-64:\n")
    assert "policy kvm_6_1_7 {" in run.out
    (here / "kvm.vmcs").write_text(run.out)
    assert vmcsc("fmt", "--check", "kvm.vmcs").code == 0
    assert vmcsc("check", "kvm.vmcs").code == 0


def test_emitting_what_was_imported_writes_nothing_and_says_so(vmcsc: Any, here: Path) -> None:
    assert vmcsc("import", "kvm", "--kernel", "linux", "-o", "kvm.vmcs").code == 0
    run = vmcsc("emit", "kvm-patch", "kvm.vmcs", "--kernel", "linux", "-o", "kvm.patch")
    assert (run.code, run.out) == (0, "")
    assert "note[VMX7016]: KVM in linux is configured as the policy wants it: there is nothing to patch" in run.err
    assert not (here / "kvm.patch").exists()


def test_two_imports_show_what_changed_between_kernels(vmcsc: Any, here: Path) -> None:
    required, optional = LISTS["secondary"]
    newer = {**LISTS, "secondary": (required, [*optional, "SECONDARY_EXEC_ENABLE_RDTSCP"])}
    write_tree(here / "newer", newer, version=(6, 2, 0))
    for tree in ("linux", "newer"):
        assert vmcsc("import", "kvm", "--kernel", tree, "-o", f"{tree}.vmcs").code == 0
    run = vmcsc("diff", "linux.vmcs", "newer.vmcs")
    assert run.code == 1
    assert "enable_rdtscp" in run.out
    assert "hlt_exiting" not in run.out


def test_a_patch_goes_to_a_file_and_its_findings_to_standard_error(vmcsc: Any, here: Path) -> None:
    vmcsc("import", "kvm", "--kernel", "linux", "--name", "base", "-o", "base.vmcs")
    (here / "own.vmcs").write_text("policy own { extends base; primary { override require rdtsc_exiting } }")
    run = vmcsc("emit", "kvm-patch", "own.vmcs", "--kernel", "linux", "-o", "own.patch")
    assert run.code == 0
    assert "own.vmcs:1:55: warning[VMX7013]: `rdtsc_exiting` would kill guests" in run.err
    assert "+\texec_control |= CPU_BASED_RDTSC_EXITING;" in (here / "own.patch").read_text()


def test_with_an_error_nothing_is_written(vmcsc: Any, here: Path) -> None:
    vmcsc("import", "kvm", "--kernel", "linux", "--name", "base", "-o", "base.vmcs")
    (here / "own.vmcs").write_text(
        "policy own { extends base; tsc_offset = 1; pin_based { override forbid virtual_nmis } }"
    )
    run = vmcsc("emit", "kvm-patch", "own.vmcs", "--kernel", "linux", "-o", "own.patch")
    assert run.code == 1
    assert "error[VMX7011]: the policy gives a value to tsc_offset" in run.err
    assert not (here / "own.patch").exists()
    run = vmcsc("emit", "kvm-patch", "own.vmcs", "--kernel", "linux", "-o", "own.patch", "--partial")
    assert run.code == 0
    assert "warning[VMX7011]" in run.err
    assert (here / "own.patch").exists()


def test_what_a_named_processor_lacks_is_said_as_the_policys_and_as_the_modules(vmcsc: Any, here: Path) -> None:
    vmcsc("import", "kvm", "--kernel", "linux", "--name", "base", "-o", "base.vmcs")
    (here / "own.vmcs").write_text("policy own { extends base; secondary { override require enable_pml } }")
    run = vmcsc("emit", "kvm-patch", "own.vmcs", "--kernel", "linux", "--cpu", "ivy_bridge_i7_3820qm")
    assert (run.code, run.out) == (1, "")
    assert "error[VMX3001]" in run.err
    assert "error[VMX7012]: kvm_intel would not load on Ivy Bridge i7-3820QM" in run.err


def test_a_folder_that_is_no_kernel_is_a_finding(vmcsc: Any, here: Path) -> None:
    (here / "empty").mkdir()
    for command in (["import", "kvm"], ["emit", "kvm-patch", "kvm-6.1"]):
        run = vmcsc(*command, "--kernel", "empty")
        assert (run.code, run.out) == (1, "")
        assert "error[VMX7010]: empty is no tree of Linux with KVM for Intel" in run.err


def test_a_name_that_cannot_be_a_policys_is_wrong_use(vmcsc: Any, here: Path) -> None:
    assert here
    run = vmcsc("import", "kvm", "--kernel", "linux", "--name", "a b")
    assert run.code == 2
    assert "'a b' cannot be the name of a policy" in run.err


def test_a_version_that_is_no_version_breaks_out_of_nothing(vmcsc: Any, here: Path) -> None:
    makefile = here / "linux/Makefile"
    makefile.write_text(makefile.read_text().replace("EXTRAVERSION =", 'EXTRAVERSION = -rc1"}#\n'))
    run = vmcsc("import", "kvm", "--kernel", "linux")
    assert "policy kvm_6_1_7 {" in run.out
    (here / "kvm.vmcs").write_text(run.out)
    assert vmcsc("check", "kvm.vmcs").code == 0
