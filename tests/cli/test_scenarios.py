"""`vmcsc test` and `vmcsc run`: what they print, write and exit with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Vmcsc

Write = Callable[..., Path]

POLICY = """policy two {
  primary { require hlt_exiting }
  scenario "HLT exits" {
    guest hlt
    expect exit hlt
  }
  scenario "PAUSE exits" {
    guest pause
    expect exit pause
  }
}
"""


def test_the_shipped_policies_pass_on_the_cpus_that_they_name(vmcsc: Vmcsc) -> None:
    code, out, err = vmcsc("test", "minimal", "kvm-classic", "kvm-6.1", "kvm-7.3", "introspection")
    assert code == 0
    assert "FAIL" not in out
    assert ", 0 failed in " in err


def test_a_failure_names_the_line_and_the_control_that_decides(vmcsc: Vmcsc, policy: Write) -> None:
    path = policy(POLICY, "two.vmcs")
    code, out, err = vmcsc("test", str(path))
    assert code == 1
    assert "  pass  HLT exits\n  FAIL  PAUSE exits\n" in out
    assert f"{path}:9:12: error[VMX8001]: an exit for `pause` was expected, but there was none" in out
    assert "primary.pause_exiting = 0" in out
    assert "2 scenarios: 1 passed, 1 failed" in err


def test_one_scenario_can_be_chosen(vmcsc: Vmcsc, policy: Write) -> None:
    path = policy(POLICY, "two.vmcs")
    assert vmcsc("test", str(path), "-k", "HLT")[0] == 0
    code, _, err = vmcsc("test", str(path), "-k", "nothing like it")
    assert code == 2
    assert "no scenario has 'nothing like it' in its title" in err


def test_json_has_scenarios_and_findings(vmcsc: Vmcsc, policy: Write) -> None:
    _, out, _ = vmcsc("test", str(policy(POLICY, "two.vmcs")), "--format", "json")
    report = json.loads(out)
    assert [(one["title"], one["passed"]) for one in report["scenarios"]] == [
        ("HLT exits", True),
        ("PAUSE exits", False),
    ]
    assert [one["code"] for one in report["findings"] if one["severity"] == "error"] == ["VMX8001"]


def test_junit_has_a_case_for_each_scenario(vmcsc: Vmcsc, policy: Write, tmp_path: Path) -> None:
    vmcsc("test", str(policy(POLICY, "two.vmcs")), "--junit", str(tmp_path / "j.xml"))
    root = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    failed = [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]
    assert failed == ["PAUSE exits"]


def test_a_junit_file_that_cannot_be_written_is_told(vmcsc: Vmcsc, policy: Write, tmp_path: Path) -> None:
    code, out, _ = vmcsc(
        "test", str(policy(POLICY, "two.vmcs")), "-k", "HLT", "--junit", str(tmp_path / "no" / "j.xml")
    )
    assert code == 2
    assert "VMX7003" in out


def test_scenarios_of_a_policy_with_errors_do_not_run(vmcsc: Vmcsc, policy: Write) -> None:
    code, out, err = vmcsc("test", str(policy(POLICY.replace("hlt_exiting", "hlt_exitng"))))
    assert code == 1
    assert "VMX2002" in out
    assert "0 scenarios" in err


def test_a_trace_has_two_columns_and_says_why(vmcsc: Vmcsc) -> None:
    code, out, _ = vmcsc("run", "kvm-classic", "--cpu", "ice_lake_i7_1065g7", "--trace", "-k", "port 0x60")
    assert code == 0
    assert "--> VM entry" in out
    assert "| in al, 0x60" in out
    assert "VM exit: io_instruction (30)" in out
    assert "exits because primary.use_io_bitmaps = 1 and io_bitmap_a bit 0x60 = 1" in out
    assert all(len(line) <= 100 for line in out.splitlines())


def test_a_trace_for_programs_has_the_qualification_in_parts(vmcsc: Vmcsc) -> None:
    _, out, _ = vmcsc("run", "kvm-classic", "--cpu", "ice_lake_i7_1065g7", "--trace=json", "-k", "port 0x60")
    (scenario,) = json.loads(out)["scenarios"]
    (exited,) = [one["exit"] for one in scenario["happenings"] if one["kind"] == "exit"]
    assert (exited["reason"], exited["number"], exited["parts"]["port"]) == ("io_instruction", 30, 0x60)


@pytest.mark.parametrize("command", ["test", "run"])
def test_without_a_policy_the_usage_is_shown(vmcsc: Vmcsc, command: str) -> None:
    code, _, err = vmcsc(command)
    assert code == 2
    assert err.startswith(f"usage: vmcsc {command}")
