"""`vmcsc check`: where findings go, which policies and CPUs a name means, and the exit code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmcsc import load
from vmcsc.architecture.database import Database
from vmcsc.cache import Cache

GOOD = "policy good {\n  pin_based { require external_interrupt_exiting }\n}\n"
BAD = "policy bad {\n  primary { require hlt_exitng }\n}\n"
Write = Callable[..., Path]


class _Stdin:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


def type_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", _Stdin(content))


def test_a_good_policy_prints_nothing_but_a_summary_on_standard_error(vmcsc: Any, policy: Write) -> None:
    assert vmcsc("check", policy(GOOD)) == (0, "", "1 policy, no findings\n")


def test_findings_go_to_standard_output_and_the_code_is_1(vmcsc: Any, policy: Write) -> None:
    path = policy(BAD)
    run = vmcsc("check", path)
    assert run.code == 1
    first, *_, help = run.out.splitlines()
    assert first.startswith(f"{path}:2:21: error[VMX2002]: ")
    assert help.endswith("= help: did you mean `hlt_exiting`?")
    assert run.err == "1 policy, 1 error\n"


def test_notes_and_warnings_do_not_fail(vmcsc: Any, policy: Write) -> None:
    path = policy("policy p { for cpus yonah_core_duo_t2600\n secondary { prefer enable_ept } }")
    run = vmcsc("check", path)
    assert run.code == 0
    assert "note[VMX3003]" in run.out
    assert "1 note" in run.err


def test_all_policies_are_checked_in_one_run(vmcsc: Any, policy: Write) -> None:
    run = vmcsc("check", policy(BAD, "a.vmcs"), policy(GOOD, "b.vmcs"), policy(BAD, "c.vmcs"))
    assert run.code == 1
    assert run.err == "3 policies, 2 errors\n"
    assert run.out.index("a.vmcs:2:21") < run.out.index("c.vmcs:2:21")


def test_options_may_stand_between_policies(vmcsc: Any, policy: Write) -> None:
    run = vmcsc("check", policy(BAD, "a.vmcs"), "--format", "concise", policy(BAD, "b.vmcs"))
    assert len(run.out.splitlines()) == 2


def test_json_is_one_object_for_all_policies(vmcsc: Any, policy: Write) -> None:
    run = vmcsc("check", "--format", "json", policy(BAD, "a.vmcs"), policy(BAD, "b.vmcs"))
    report = json.loads(run.out)
    assert [Path(finding["path"]).name for finding in report["findings"]] == ["a.vmcs", "b.vmcs"]
    assert report["findings"][0]["start"] == {"line": 2, "column": 21}
    assert json.loads(vmcsc("check", "--format", "json", policy(GOOD)).out)["findings"] == []


def test_a_finding_that_all_policies_lead_to_is_given_once(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    cpu = tmp_path / "cpu.json"
    cpu.write_text("{}")
    run = vmcsc("check", policy(GOOD, "a.vmcs"), policy(GOOD, "b.vmcs"), "--cpu", cpu)
    assert run.out.count("error[") == 1


def test_of_very_many_findings_the_first_are_shown_and_the_rest_counted(vmcsc: Any, policy: Write) -> None:
    path = policy("policy p {\n" + "\n".join(f"  primary {{ require x{n} }}" for n in range(1200)) + "\n}\n")
    report = json.loads(vmcsc("check", "--format", "json", path).out)
    assert len(report["findings"]) + report["suppressed"] == 1200
    assert report["suppressed"] > 0
    assert vmcsc("check", path).out.endswith(f"vmcsc: {report['suppressed']} more findings are not shown\n")


# --- which policy is meant ---


@pytest.mark.parametrize("name", ["kvm-classic", "kvm_classic", "kvm-6.1", "kvm_6_1", "minimal"])
def test_shipped_policies_are_known_by_name(vmcsc: Any, name: str) -> None:
    run = vmcsc("check", name)
    assert run.code == 0, run


def test_a_file_of_that_name_is_meant_before_a_shipped_policy(
    vmcsc: Any, policy: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(BAD, "minimal")
    monkeypatch.chdir(tmp_path)
    run = vmcsc("check", "minimal")
    assert run.code == 1
    assert run.out.startswith("minimal:2:21: ")


def test_an_unknown_policy_is_unreadable_input_and_gets_a_suggestion(vmcsc: Any) -> None:
    run = vmcsc("check", "kvm-clasic")
    assert run.code == 2
    assert "error[VMX2021]" in run.out
    assert "did you mean `kvm-classic`?" in run.out


def test_a_dash_is_standard_input(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, BAD.encode())
    run = vmcsc("check", "-")
    assert run.code == 1
    assert run.out.startswith("<stdin>:2:21: error[VMX2002]: ")


def test_a_dash_after_cpu_is_a_cpu_on_standard_input(
    vmcsc: Any, policy: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbids = "policy one {\n  pin_based { forbid external_interrupt_exiting }\n}\n"
    type_in(monkeypatch, b"0x480: 0x0058040000000004\n0x481: 0x0000007f00000017\n")
    run = vmcsc("check", policy(forbids), "--cpu", "-")
    assert run.code == 1
    assert "IA32_VMX_PINBASED_CTLS" in run.out
    type_in(monkeypatch, b"no capabilities at all\n")
    assert vmcsc("check", policy(GOOD), "--cpu", "-").code == 2


def test_the_environment_may_say_the_format(vmcsc: Any, policy: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMCSC_FORMAT", "concise")
    assert vmcsc("check", policy(BAD)).out.count("\n") == 1
    assert json.loads(vmcsc("check", policy(BAD), "--format", "json").out)
    monkeypatch.setenv("VMCSC_FORMAT", "parchment")  # another program's wish
    assert vmcsc("check", policy(BAD)).out.count("\n") > 1


def test_standard_input_that_is_no_text_is_unreadable_input(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, b"policy x {\n\xff")
    run = vmcsc("check", "-")
    assert run.code == 2
    assert run.out.startswith("<stdin>:2:1: error[VMX1001]: standard input cannot be read: ")


@pytest.mark.parametrize("name", ["./absent.vmcs", "a/b/c", "{", "x" * 5000, "nul\0.vmcs", ".", "", "/dev/null"])
def test_what_is_no_file_is_unreadable_input(vmcsc: Any, name: str) -> None:
    run = vmcsc("check", name)
    assert run.code == 2, run
    assert "internal error" not in run.err


def test_a_policy_that_cannot_be_read_does_not_stop_the_others(vmcsc: Any, policy: Write) -> None:
    run = vmcsc("check", "./absent.vmcs", policy(BAD))
    assert run.code == 2
    assert "error[VMX1001]" in run.out
    assert "error[VMX2002]" in run.out


# --- CPUs and specs ---


def test_the_given_cpus_replace_those_of_the_policy(vmcsc: Any, policy: Write) -> None:
    path = policy("policy p { for cpus ice_lake_i7_1065g7\n secondary { require enable_ept } }")
    assert vmcsc("check", path).code == 0
    run = vmcsc("check", path, "--cpu", "yonah_core_duo_t2600", "--cpu", "ice_lake_i7_1065g7")
    assert run.code == 1
    assert "yonah_core_duo_t2600" in run.out
    assert "ice_lake" not in run.out


def test_a_cpu_may_be_a_file_of_msr_values(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    cpu = tmp_path / "mine.json"
    # IA32_VMX_BASIC says that the TRUE MSRs exist, and IA32_VMX_TRUE_PINBASED_CTLS that bit 7 may not be 1
    cpu.write_text('{"0x480": "0x00da050000000013", "0x48d": "0x0000003f00000016"}')
    path = policy("policy p { pin_based { require process_posted_interrupts } }")
    run = vmcsc("check", path, "--cpu", cpu)
    assert run.code == 1
    assert "error[VMX3001]" in run.out
    assert "mine" in run.out


@pytest.mark.parametrize("cpu", ["ice_lake", "./absent.yaml", ""])
def test_a_cpu_that_does_not_exist_is_wrong_use(vmcsc: Any, policy: Write, cpu: str) -> None:
    assert vmcsc("check", policy(GOOD), "--cpu", cpu).code == 2


def test_a_cpu_file_that_is_none_is_unreadable_input(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    cpu = tmp_path / "cpu.yaml"
    cpu.write_text("a: [")
    assert vmcsc("check", policy(GOOD), "--cpu", cpu).code == 2


def test_an_unknown_cpu_in_a_policy_is_a_finding_in_it(vmcsc: Any, policy: Write) -> None:
    run = vmcsc("check", policy("policy p { for cpus ice_lake_i7_1065g8 }"))
    assert run.code == 1
    assert "error[VMX2007]" in run.out
    assert "did you mean `ice_lake_i7_1065g7`?" in run.out


def test_policies_and_cpus_of_further_specs_are_known_by_name(vmcsc: Any, tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "ours.vmcs").write_text(BAD)
    assert vmcsc("check", "ours").code == 2
    assert vmcsc("check", "ours", "--specs", tmp_path).code == 1


def test_specs_that_are_no_folder_are_wrong_use(vmcsc: Any, tmp_path: Path) -> None:
    run = vmcsc("check", "minimal", "--specs", tmp_path / "absent")
    assert run.code == 2
    assert "error[VMX9001]" in run.out
    report = json.loads(vmcsc("check", "minimal", "--format", "json", "--specs", tmp_path / "absent").out)
    assert report["findings"][0]["code"] == "VMX9001"


# --- colour ---


@pytest.mark.parametrize(
    ("argv", "environment", "coloured"),
    [
        ([], {}, False),  # captured output is no terminal
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": ""}, False),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
    ],
)
def test_the_option_decides_on_colour_before_the_environment(
    vmcsc: Any,
    policy: Write,
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    environment: dict[str, str],
    coloured: bool,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in vmcsc("check", policy(BAD), *argv).out) is coloured


def test_the_specs_are_loaded_once_for_all_policies(vmcsc: Any, policy: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[tuple[str | Path, ...]] = []

    def counted_load(*folders: str | Path, cache: Cache | None = None) -> Database:
        loads.append(folders)
        return load(*folders, cache=cache)

    monkeypatch.setattr("vmcsc.pipeline.load", counted_load)
    monkeypatch.setattr("vmcsc.cli.project.load", counted_load)
    vmcsc("check", policy(GOOD, "a.vmcs"), policy(GOOD, "b.vmcs"))
    assert len(loads) == 1
