"""`vmcsc check --state`: a bare VMCS, what VM entry makes of it, and what cannot be decided for want of what."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.check.test_states import AT_ENTRY
from vmcsc.architecture.database import Database
from vmcsc.check.resolved import fields_of
from vmcsc.pipeline import compile

ICE = "ice_lake_i7_1065g7"


@pytest.fixture(scope="module")
def whole(database: Database) -> dict[str, int]:
    """A guest in 64-bit mode under a 64-bit host, with every field that is not 0."""
    vmcs = compile("policy p { state guest long_mode { }\nstate host host_64 { } }", ICE, database).vmcs
    assert vmcs is not None
    zeros = {field.name: 0 for field in database.fields.values() if field.type == "control"}
    return {**zeros, **{name: value.bits for name, value in fields_of(vmcs).items()}}


@pytest.fixture
def state(tmp_path: Path) -> Any:
    """Writes a VMCS as JSON."""

    def write(content: object, name: str = "state.json") -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
        return path

    return write


def entering(whole: dict[str, int]) -> dict[str, Any]:
    return {"fields": whole, "processor": {**AT_ENTRY, "ia_32e_mode": 1}, "memory": {"0": "00" * 32}}


def test_a_vmcs_that_enters_is_said_to_enter_and_the_code_is_0(vmcsc: Any, state: Any, whole: dict[str, int]) -> None:
    path = state(entering(whole))
    run = vmcsc("check", "--state", path, "--cpu", ICE)
    assert run.code == 0
    assert run.out.startswith(f"{path}: VM entry succeeds on Ice Lake i7-1065G7\n")
    assert " 0 violated, " in run.out and run.out.endswith(", 0 undetermined\n")
    assert run.err == "1 state, no findings\n"


def test_what_only_the_state_of_the_processor_decides_is_named_apart(
    vmcsc: Any, state: Any, whole: dict[str, int]
) -> None:
    """Who pastes a VMCS does not say whether the processor is in VMX root operation."""
    run = vmcsc("check", "--state", state(whole), "--cpu", ICE)
    assert run.code == 0
    assert "VM entry succeeds on Ice Lake i7-1065G7, the state of the processor left aside\n" in run.out
    assert "state of the processor  " in run.out and "processor.vmx_operation" in run.out


def test_a_violation_is_shown_at_its_line_with_its_reason(vmcsc: Any, state: Any, whole: dict[str, int]) -> None:
    lines = [f"{name}: {number:#x}" for name, number in whole.items() if name != "guest_rflags"]
    path = state("\n".join(["GUEST_RFLAGS: 0  # nobody wrote it", *lines]), "state.yaml")
    run = vmcsc("check", "--state", path, "--cpu", ICE)
    assert run.code == 1
    assert run.out.startswith(
        f"{path}: VM entry fails on Ice Lake i7-1065G7: "
        "exit reason 33 (VM-entry failure due to invalid guest state), qualification 0\n"
    )
    assert f"{path}:1:1: error[VMX6313]: " in run.out
    assert "1 | GUEST_RFLAGS: 0  # nobody wrote it\n  | ^^^^^^^^^^^^^^^\n" in run.out
    assert "SDM: Checks on Guest RIP, RFLAGS, and SSP" in run.out
    assert run.err == "1 state, 1 error\n"


def test_what_a_rule_says_of_controls_alone_is_shown_at_their_field(vmcsc: Any, state: Any) -> None:
    path = state("TSC_OFFSET: 0\nPIN_BASED_VM_EXEC_CONTROL: 0x20\n", "state.yaml")
    run = vmcsc("check", "--state", path, "--format", "concise")
    assert f"{path}:2:1: error[VMX4001]: exec-virtual-nmi-needs-nmi-exiting: " in run.out


def test_without_a_cpu_nothing_is_known_of_it(vmcsc: Any, state: Any, whole: dict[str, int]) -> None:
    run = vmcsc("check", "--state", state(whole))
    assert run.code == 0
    assert "nothing that is known forbids VM entry, but it may fail: " in run.out
    assert "cpu.intel_64 (" in run.out and "ia32_vmx_cr0_fixed0 (" in run.out


def test_facts_in_the_file_decide_what_the_cpu_leaves_open(vmcsc: Any, state: Any) -> None:
    fields = {"host_fs_base": 1 << 50, "vm_exit_controls": 1 << 9}
    open_one = vmcsc("check", "--state", state({"fields": fields, "cpu": {"intel_64": 1}}))
    assert "host-fs-base-canonical" not in open_one.out
    path = state({"fields": fields, "cpu": {"intel_64": 1, "linear_address_width": 48}})
    assert "host-fs-base-canonical" in vmcsc("check", "--state", path).out


def test_undetermined_rules_are_grouped_by_what_is_missing(vmcsc: Any, state: Any) -> None:
    run = vmcsc("check", "--state", state({"guest_rflags": 2}), "--cpu", ICE)
    assert run.code == 0
    table = run.out.partition("undetermined for want of")[2].splitlines()[1:]
    headings = [line[2:24].rstrip() for line in table if line.startswith("  ")]
    assert headings[:3] == ["control fields", "guest state fields", "host state fields"]
    assert "  guest state fields      guest_" in run.out
    assert ") and " in run.out, "of very many the first are named"


def test_strictly_what_is_undetermined_is_a_failure(vmcsc: Any, state: Any, whole: dict[str, int]) -> None:
    assert vmcsc("check", "--state", state({"guest_rflags": 2}), "--strict").code == 1
    assert vmcsc("check", "--state", state({"guest_rflags": 2}), "--strict", "--exit-zero").code == 0
    assert vmcsc("check", "--state", state(entering(whole)), "--cpu", ICE, "--strict").code == 0


def test_json_gives_verdict_rules_and_values(vmcsc: Any, state: Any, whole: dict[str, int], database: Database) -> None:
    path = state({**whole, "guest_rflags": 0})
    run = vmcsc("check", "--state", path, "--cpu", ICE, "--format", "json")
    assert run.code == 1
    report = json.loads(run.out)
    (judged,) = report["states"]
    assert (judged["path"], judged["line"], judged["cpu"]) == (str(path), 1, ICE)
    assert judged["verdict"]["enters"] is False
    assert judged["verdict"]["outcomes"] == [{"stage": "guest_state", "exit_reason": 33, "qualification": 0}]
    assert judged["verdict"]["text"].startswith("VM entry fails on Ice Lake i7-1065G7: exit reason 33 ")
    assert judged["counts"]["violated"] == 1
    assert sum(judged["counts"].values()) == len(judged["rules"]) == len(database.rules)
    rules = {rule["id"]: rule for rule in judged["rules"]}
    assert rules["guest-rflags-bit1"] == {
        "id": "guest-rflags-bit1", "code": "VMX6313", "status": "violated", "element": None, "missing": []
    }  # fmt: skip
    assert rules["basic-not-vmx"]["missing"] == ["processor.vmx_operation"]
    assert [finding["code"] for finding in judged["findings"]] == ["VMX6313"]
    assert judged["findings"][0]["name"] == "guest-rflags-bit1"
    assert judged["values"]["guest_cr0"] == "0x80000031"
    assert report["findings"] == [] and report["suppressed"] == 0


def test_several_cpus_are_judged_one_after_the_other(vmcsc: Any, state: Any, whole: dict[str, int]) -> None:
    run = vmcsc("check", "--state", state(whole), "--cpu", ICE, "--cpu", "yonah_core_duo_t2600")
    assert run.code == 1
    assert "succeeds on Ice Lake" in run.out and "fails on Yonah Core Duo T2600: instruction error " in run.out
    assert run.err.startswith("1 state, ")


def test_a_jsonl_holds_many(vmcsc: Any, state: Any) -> None:
    path = state('{"guest_rflags": 2}\n\n{"guest_rflags": 0}\n{"guest_rp": 1}\n', "many.jsonl")
    run = vmcsc("check", "--state", path, "--format", "concise")
    assert run.code == 1
    assert f"{path}:3:2: error[VMX6313]" in run.out
    assert f"{path}:4:2: error[VMX2004]" in run.out
    assert f"{path}:3: VM entry fails" in run.out
    assert run.err == "3 states, 2 errors\n"
    report = json.loads(vmcsc("check", "--state", path, "--format", "json").out)
    assert [judged["line"] for judged in report["states"]] == [1, 3]
    assert [finding["code"] for finding in report["findings"]] == ["VMX2004"]


@pytest.mark.parametrize(("text", "states"), [('{"guest_rflags": 2}', 1), ('{"guest_rflags": 2}\n{"guest_rip": 1}', 2)])
def test_standard_input_is_read_for_a_dash(vmcsc: Any, monkeypatch: pytest.MonkeyPatch, text: str, states: int) -> None:
    class Stdin:
        buffer = io.BytesIO(text.encode())

    monkeypatch.setattr("sys.stdin", Stdin)
    run = vmcsc("check", "--state", "-", "--format", "json")
    assert run.code == 0
    assert [judged["path"] for judged in json.loads(run.out)["states"]] == ["<stdin>"] * states


def test_other_formats_hold_the_findings_alone(vmcsc: Any, state: Any) -> None:
    path = state({"guest_rflags": 0})
    sarif = json.loads(vmcsc("check", "--state", path, "--format", "sarif").out)
    assert [result["ruleId"] for result in sarif["runs"][0]["results"]] == ["VMX6313"]
    github = vmcsc("check", "--state", path, "--format", "github", "--strict")
    assert github.out.startswith("::error ") and "VMX3023" in github.out


def test_memory_is_read_where_rules_ask_for_it(vmcsc: Any, state: Any, whole: dict[str, int]) -> None:
    """An entry of the VM-entry MSR-load area that loads IA32_FS_BASE, which the VMCS has a field for."""
    area = {"vm_entry_msr_load_count": 1, "vm_entry_msr_load_address": 0x3000}
    entry = "00 01 00 c0  00 00 00 00  00 00 00 00  00 00 00 00"
    content = {"fields": {**whole, **area}, "memory": {"0x3000": entry}}
    run = vmcsc("check", "--state", state(content), "--cpu", ICE)
    assert run.code == 1
    assert "exit reason 34 (VM-entry failure due to MSR loading), qualification 1" in run.out
    assert "error[VMX6600]: msrload-fs-base (element 1 of vm_entry_msr_load)" in run.out


# --- wrong use and bad input ---


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ('{"guest_rp": 1}', 1, ":1:2: error[VMX2004]: no field is named `guest_rp`"),
        ('{"guest_rip": -1}', 1, ":1:15: error[VMX2030]: the value of `guest_rip` is negative"),
        ('{"guest_rip": "text"}', 1, ":1:15: error[VMX2030]"),
        ('{"guest_cs_selector": 65536}', 1, ":1:23: error[VMX2012]"),
        ("{", 2, "error[VMX1001]"),
        ("", 1, "error[VMX2030]: a VMCS is a mapping of fields to values"),
        ("{\x00", 2, "error[VMX1001]"),
        ("[" * 5000, 2, "error[VMX1001]"),
        ('{"guest_rip": ' + "9" * 5000 + "}", 2, "error[VMX1001]"),
        (json.dumps({f"x{n}": n for n in range(10_000)}), 1, "9000 more findings are not shown"),
    ],
)
def test_bad_input_is_findings_with_a_place(vmcsc: Any, state: Any, text: str, code: int, expected: str) -> None:
    run = vmcsc("check", "--state", state(text))
    assert run.code == code
    assert expected in run.out
    assert "Traceback" not in run.out + run.err and "internal error" not in run.err


def test_a_file_that_cannot_be_read_is_wrong_use(vmcsc: Any, state: Any, tmp_path: Path) -> None:
    run = vmcsc("check", "--state", tmp_path / "missing.json", "--state", tmp_path)
    assert run.code == 2
    assert run.out.count("error[VMX1001]") == 2
    assert vmcsc("check", "--state", state({}), "--cpu", "no_such_cpu").code == 2


def test_a_file_that_cannot_be_read_is_named_beside_one_that_can(vmcsc: Any, state: Any, tmp_path: Path) -> None:
    run = vmcsc("check", "--state", state({"guest_rflags": 2}), "--state", tmp_path / "none", "--format", "concise")
    assert run.code == 2
    assert f"\nvmcsc: error[VMX1001]: {tmp_path / 'none'} cannot be read: there is no such file\n" in run.out
    assert run.err == "1 state, 1 error\n"


def test_policies_and_states_do_not_mix_and_one_of_them_is_needed(vmcsc: Any, state: Any) -> None:
    assert vmcsc("check", "minimal", "--state", state({})).code == 2
    run = vmcsc("check")
    assert run.code == 2 and "name a policy, or a VMCS with --state" in run.err


def test_what_could_command_a_terminal_is_escaped(vmcsc: Any, state: Any) -> None:
    run = vmcsc("check", "--state", state({"guest\x1b[31m": 1}))
    assert "\x1b" not in run.out + run.err
