"""--strict and --exit-zero, and what a caller sees of formats for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]

CLEAN = "policy p { for cpus ice_lake_i7_1065g7\n primary { require hlt_exiting } }"
NOTED = "policy p { for cpus yonah_core_duo_t2600\n secondary { prefer enable_ept } }"
WARNED = "policy p { for cpus ice_lake_i7_1065g7\n primary { require hlt_exiting, hlt_exiting } }"
WRONG = "policy p { for cpus yonah_core_duo_t2600\n secondary { require enable_ept } }"


@pytest.mark.parametrize(
    ("text", "plain", "strict"),
    [(CLEAN, 0, 0), (NOTED, 0, 0), (WARNED, 0, 1), (WRONG, 1, 1)],
    ids=["clean", "noted", "warned", "wrong"],
)
def test_strict_counts_warnings_but_no_notes(vmcsc: Any, policy: Write, text: str, plain: int, strict: int) -> None:
    path = policy(text)
    assert vmcsc("check", path).code == plain
    assert vmcsc("check", path, "--strict").code == strict
    assert vmcsc("emit", "c-header", path).code == plain
    assert vmcsc("emit", "c-header", path, "--strict").code == strict


def test_strict_counts_what_cannot_be_decided(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    cpu = tmp_path / "partly_read.json"
    cpu.write_text('{"0x480": "0x00da050000000013", "0x48d": "0x000000ff00000016"}')
    path = policy("policy p { primary { require hlt_exiting } }")
    run = vmcsc("check", path, "--cpu", cpu)
    assert "note[VMX3006]" in run.out
    assert run.code == 0
    assert vmcsc("check", path, "--cpu", cpu, "--strict").code == 1


def test_what_is_refused_strictly_is_not_written(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    header = tmp_path / "p.h"
    path = policy(WARNED)
    assert vmcsc("emit", "c-header", path, "--strict", "-o", header).code == 1
    assert not header.exists()
    assert vmcsc("emit", "c-header", path, "-o", header).code == 0
    assert header.exists()


def test_with_exit_zero_errors_are_printed_and_the_code_is_0(vmcsc: Any, policy: Write) -> None:
    path = policy(WRONG)
    for options in (["--exit-zero"], ["--strict", "--exit-zero"]):
        run = vmcsc("check", path, *options)
        assert "error[VMX3001]" in run.out
        assert run.code == 0


def test_exit_zero_does_not_hide_what_cannot_be_read(vmcsc: Any, policy: Write) -> None:
    assert vmcsc("check", "./absent.vmcs", "--exit-zero").code == 2
    assert vmcsc("check", policy(CLEAN), "--nonsense", "--exit-zero").code == 2


@pytest.mark.parametrize(("text", "plain", "strict"), [(CLEAN, 0, 0), (NOTED, 0, 0), (WARNED, 0, 1), (WRONG, 1, 1)])
def test_the_policies_of_specs_are_judged_alike(vmcsc: Any, tmp_path: Path, text: str, plain: int, strict: int) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.vmcs").write_text(text)
    assert vmcsc("specs", tmp_path).code == plain
    assert vmcsc("specs", tmp_path, "--strict").code == strict
    assert vmcsc("specs", tmp_path, "--strict", "--exit-zero").code == 0


def test_the_shipped_specs_are_in_order_strictly(vmcsc: Any) -> None:
    run = vmcsc("specs", "--strict")
    assert run.code == 0, run.out


def test_machine_formats_name_files_from_the_root_of_the_repository(
    vmcsc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.vmcs").write_text(WRONG)
    monkeypatch.chdir(tmp_path / "policies")
    assert vmcsc("check", "p.vmcs", "--format", "github").out.startswith("::error file=policies/p.vmcs,line=2,")
    report = json.loads(vmcsc("check", "p.vmcs", "--format", "sarif").out)
    [result] = report["runs"][0]["results"]
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": "policies/p.vmcs", "uriBaseId": "%SRCROOT%"}


def test_sarif_has_the_texts_of_codes_and_of_rules(vmcsc: Any, policy: Write) -> None:
    exclusive = "policy p { vm_entry { require entry_to_smm, deactivate_dual_monitor_treatment } }"
    report = json.loads(vmcsc("check", policy(exclusive), policy(WRONG, "w.vmcs"), "--format", "sarif").out)
    rules = {rule["id"]: rule for rule in report["runs"][0]["tool"]["driver"]["rules"]}
    assert rules["VMX3001"]["help"]["text"]
    assert all("fullDescription" in rule for rule in rules.values())


def test_a_summary_for_people_does_not_stand_in_the_output_for_machines(vmcsc: Any) -> None:
    for format in ("json", "sarif"):
        json.loads(vmcsc("specs", "--format", format).out)
    assert vmcsc("specs", "--format", "github").out == ""
