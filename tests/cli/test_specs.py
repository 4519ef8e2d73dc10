"""`vmcsc specs` and `vmcsc cpu list`: what is validated, and what is said when all is well."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

FIELD = """\
kind: fields
fields:
  - name: house_field
    encoding: 0x{encoding:x}
    width: 32
    type: control
    access: read_write
    sdm: House field
    section: Ours
    summary: A field of our own.
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return path


def test_the_shipped_specs_are_in_order_and_counted(vmcsc: Any) -> None:
    run = vmcsc("specs")
    assert run.code == 0, run.out
    assert re.match(r"specs \d{4}\.\d+: \d+ fields, \d+ controls in 8 words, ", run.out)
    cpus = len(list((ROOT / "specs" / "cpus").glob("*.yaml")))
    policies = len(list((ROOT / "specs" / "policies").glob("*.vmcs")))
    states = len(list((ROOT / "specs" / "states").glob("*.yaml")))
    assert run.out.endswith(f"{cpus} CPUs, {states} states, {policies} policies\n")
    assert run.err == "1 folder, no findings\n"


def test_a_folder_of_ones_own_is_counted_with_them(vmcsc: Any, tmp_path: Path) -> None:
    write(tmp_path, "fields.yaml", FIELD.format(encoding=0x43FE))
    shipped, ours = vmcsc("specs").out, vmcsc("specs", tmp_path).out
    count = int(re.findall(r"(\d+) fields", shipped)[0])
    assert f" {count + 1} fields," in ours


def test_a_mistake_in_a_folder_has_file_line_and_column(vmcsc: Any, tmp_path: Path) -> None:
    path = write(tmp_path, "fields.yaml", FIELD.format(encoding=0x43FE).replace("access: read_write", "acess: rw"))
    run = vmcsc("specs", tmp_path)
    assert run.code == 1
    assert f"{path}:7:5: error[VMX9002]: unknown key `acess`" in run.out
    assert not run.out.endswith("policies\n")


def test_cross_references_are_checked(vmcsc: Any, tmp_path: Path) -> None:
    write(tmp_path, "fields.yaml", FIELD.format(encoding=0x4002))
    run = vmcsc("specs", tmp_path)
    assert run.code == 1
    assert "error[VMX9004]" in run.out


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("cpus/ours.yaml", "kind: cpu\nname: ours\n", "VMX9002"),
        ("cpus/ours.yaml", "a: [", "VMX3012"),
        ("policies/ours.vmcs", "policy ours {\n  primary { require hlt_exitng }\n}\n", "VMX2002"),
    ],
)
def test_cpus_and_policies_of_a_folder_are_checked(vmcsc: Any, tmp_path: Path, name: str, text: str, code: str) -> None:
    path = write(tmp_path, name, text)
    run = vmcsc("specs", tmp_path, "--format", "concise")
    assert run.code == 1
    assert re.match(rf"{re.escape(str(path))}:\d+:\d+: error\[{code}\]", run.out)


def test_a_folder_that_does_not_exist_is_wrong_use(vmcsc: Any, tmp_path: Path) -> None:
    run = vmcsc("specs", tmp_path / "absent")
    assert (run.code, run.out) == (2, "")
    assert "absent is not a folder" in run.err


def test_json_reports_findings(vmcsc: Any, tmp_path: Path) -> None:
    assert json.loads(vmcsc("specs", "--format", "json").out)["findings"] == []
    write(tmp_path, "fields.yaml", "kind: fields\n")
    report = json.loads(vmcsc("specs", tmp_path, "--format", "json").out)
    assert [finding["code"] for finding in report["findings"]] == ["VMX9002"]


def test_cpu_list_names_every_shipped_cpu(vmcsc: Any) -> None:
    run = vmcsc("cpu", "list")
    assert (run.code, run.err) == (0, "")
    header, *rows = run.out.splitlines()
    assert header.split() == ["name", "MSRs", "facts", "processor"]
    assert {row.split()[0] for row in rows} == {path.stem for path in (ROOT / "specs" / "cpus").glob("*.yaml")}
    assert all(line == line.rstrip() for line in run.out.splitlines())


def test_cpu_list_in_json_has_the_msrs_in_hex(vmcsc: Any) -> None:
    cpus = {cpu["name"]: cpu for cpu in json.loads(vmcsc("cpu", "list", "--format", "json").out)["cpus"]}
    assert cpus["ice_lake_i7_1065g7"]["msrs"]["ia32_vmx_basic"] == "0x00da050000000013"
    assert cpus["ice_lake_i7_1065g7"]["facts"]["maxphyaddr"] == 39


def test_a_cpu_that_cannot_be_read_does_not_hide_the_others(vmcsc: Any, tmp_path: Path) -> None:
    write(tmp_path, "cpus/broken.yaml", "kind: cpu\nname: broken\n")
    run = vmcsc("cpu", "list", "--specs", tmp_path)
    assert run.code == 1
    assert "broken.yaml" in run.err
    assert "ice_lake_i7_1065g7" in run.out
