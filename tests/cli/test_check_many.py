"""`vmcsc check --states`: many VMCSs at once, what becomes of how many, and files that are not in order."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.check.states import base, build
from vmcsc.architecture.database import Database

ICE = "ice_lake_i7_1065g7"


@pytest.fixture
def valid(database: Database) -> dict[str, Any]:
    """Six states: four valid ones, one with bit 1 of RFLAGS clear, one of which RFLAGS is unknown."""
    state = build(database, base("long"))
    fields = {name: np.full(6, one.bits, dtype=np.uint64) for name, one in state.fields.items()}
    fields["guest_rflags"] = np.array([2, 2, 2, 2, 0, 2], dtype=np.uint64)
    fields["guest_rflags.known"] = np.array([2**64 - 1] * 5 + [0], dtype=np.uint64)
    processor = {f"processor.{name}": np.uint64(one.bits) for name, one in state.processor.items()}
    return {**fields, **processor}


@pytest.fixture
def npz(tmp_path: Path, valid: dict[str, Any]) -> Path:
    path = tmp_path / "states.npz"
    np.savez_compressed(path, **valid)
    return path


def test_states_are_counted_by_verdict_outcome_and_rule(vmcsc: Any, npz: Path) -> None:
    shown = vmcsc("check", "--states", npz)
    assert shown.code == 1
    assert "6 states: 1 fail, 0 succeed, 5 cannot be told" in shown.out
    assert "exit reason 33, qualification 0" in shown.out
    assert shown.err == "6 states\n"
    document = json.loads(vmcsc("check", "--states", npz, "--cpu", ICE, "--format", "json").out)
    (result,) = document["results"]
    assert (result["states"], result["cpu"]) == (6, ICE)
    assert result["rules"]["guest-rflags-bit1"] == {
        "not_applicable": 0, "passed": 4, "violated": 1, "undetermined": 1,
    }  # fmt: skip
    assert sum(result["verdicts"].values()) == 6
    assert vmcsc("check", "--states", npz, "--exit-zero").code == 0


def test_the_result_of_each_is_written_whole_or_not_at_all(vmcsc: Any, npz: Path, tmp_path: Path) -> None:
    target = tmp_path / "result.npz"
    assert vmcsc("check", "--states", npz, "-o", target).code == 1
    with np.load(target) as result:
        assert list(result["exit_reason"]) == [-1, -1, -1, -1, 33, -1]
        assert result["rules"][result["first_rule"][4]] == "guest-rflags-bit1"
        assert list(result["verdict"]) == [2, 2, 2, 2, 0, 2]
    before = target.read_bytes()
    npz.write_bytes(npz.read_bytes()[:-100])
    assert vmcsc("check", "--states", npz, "-o", target).code == 2
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.npz", "states.npz"]
    assert vmcsc("check", "--states", npz, "-o", tmp_path / "none" / "result.npz").code == 2


# --- Parquet, in processes of their own: pyarrow reserves gigabytes of addresses, which others limit ---


def judged(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vmcsc", "check", "--states", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write_parquet(path: Path, columns: str) -> None:
    """Columns as an expression in Python, in which `npz` are the arrays beside the file."""
    script = f"""
import numpy as np, pyarrow
from pyarrow import parquet
try:
    npz = dict(np.load({str(path.with_suffix(".npz"))!r}))
except OSError:
    npz = {{}}
parquet.write_table(pyarrow.table({columns}), {str(path)!r}, row_group_size=4)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_columns_of_parquet_are_states_too(vmcsc: Any, tmp_path: Path, npz: Path) -> None:
    """With nulls in the place of a mask; and the result is the same."""
    path = npz.with_suffix(".parquet")
    others = "**{n: np.full(6, a) for n, a in npz.items() if not n.endswith('.known')}"
    write_parquet(path, f"{{{others}, 'guest_rflags': pyarrow.array([2, 2, 2, 2, 0, None], type=pyarrow.uint64())}}")
    of_npz = json.loads(vmcsc("check", "--states", npz, "--cpu", ICE, "--format", "json").out)
    of_parquet = json.loads(judged(path, "--cpu", ICE, "--format", "json").stdout)
    assert of_parquet["results"][0]["rules"] == of_npz["results"][0]["rules"]


def test_a_parquet_that_is_not_in_order_is_named(tmp_path: Path) -> None:
    path = tmp_path / "states.parquet"
    write_parquet(path, "{'guest_rflags': ['2'], 'guest_rip': [1.5], 'guest_ripp': [1]}")
    shown = judged(path)
    assert shown.returncode == 2
    assert "the column `guest_rflags` has the type string" in shown.stdout
    assert "the column `guest_rip` has the type double" in shown.stdout
    write_parquet(path, "{'guest_ripp': [1]}")
    assert "`guest_ripp` is no field" in judged(path).stdout
    write_parquet(path, "[pyarrow.array([1]), pyarrow.array([2])], names=['guest_rip', 'guest_rip']")
    assert "the column `guest_rip` stands there twice" in judged(path).stdout
    write_parquet(path, "{'guest_rflags': [0, None], 'guest_rflags.known': [0, 2]}")  # nothing is known of either
    (result,) = json.loads(judged(path, "--format", "json").stdout)["results"]
    assert result["rules"]["guest-rflags-bit1"]["undetermined"] == 2
    write_parquet(path, "{'guest_rip': [-1]}")
    assert judged(path).returncode == 2
    whole = path.read_bytes()
    for content in (whole[:-1], b"", b"PAR1" * 4):
        path.write_bytes(content)
        shown = judged(path)
        assert shown.returncode == 2 and "no whole Parquet file" in shown.stdout, content


def test_lines_of_json_are_states_too(vmcsc: Any, tmp_path: Path) -> None:
    path = tmp_path / "states.jsonl"
    path.write_text(
        '{"GUEST_RFLAGS": 0}\n\n{"guest_rflags": "0x2"}\n{"fields": {"0x6820": 2}, "processor": {"smm": 0}}\n'
    )
    document = json.loads(vmcsc("check", "--states", path, "--format", "json").out)
    assert document["results"][0]["rules"]["guest-rflags-bit1"]["violated"] == 1
    assert document["results"][0]["states"] == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"GUEST_RFLAGS": 2}\n{"GUEST_RFLAGZ": 2}\n', "states.jsonl:2:2"),
        ('{"GUEST_RFLAGS": 2}\n{"GUEST_RFLAGS": "two"}\n', "states.jsonl:2:"),
        ('{"GUEST_RFLAGS": 2}\n{"GUEST_RFL', "states.jsonl:2:"),
        ('{"fields": {"GUEST_RFLAGS": 2}, "memory": {"0x1000": "00"}}\n', "memory"),
    ],
)
def test_a_line_that_is_not_in_order_is_named(content: str, message: str, vmcsc: Any, tmp_path: Path) -> None:
    path = tmp_path / "states.jsonl"
    path.write_text(content)
    shown = vmcsc("check", "--states", path)
    assert (shown.code, message in shown.out) == (2, True), shown.out


def changed(valid: dict[str, Any], **arrays: Any) -> dict[str, Any]:
    return {**valid, **{name.replace("__", "."): array for name, array in arrays.items()}}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"no_such_field": np.zeros(6, dtype=np.uint64)}, "the array `no_such_field` is no field"),
        ({"processor__nothing": np.uint64(0)}, "the array `processor.nothing` is no field"),
        ({"GUEST_RFLAGS": np.zeros(6, dtype=np.uint64)}, "stands there twice"),
        ({"guest_dr8__known": np.zeros(6, dtype=np.uint64)}, "the mask of an array that is not there"),
        ({"guest_rip": np.zeros(5, dtype=np.uint64)}, "different lengths: 5, 6"),
        ({"guest_rip": np.zeros(6)}, "'guest_rip' is no array of numbers"),
        ({"guest_rip": np.array(["a"] * 6)}, "'guest_rip' is no array of numbers"),
        ({"guest_cs_selector": np.full(6, 1 << 20, dtype=np.uint64)}, "16 bits wide"),
        ({"guest_rip": np.array([{"a": 1}], dtype=object)}, "the array 'guest_rip' cannot be read"),
    ],
)
def test_an_array_that_is_not_in_order_is_named(
    arrays: dict[str, Any], message: str, valid: dict[str, Any], vmcsc: Any, tmp_path: Path
) -> None:
    path = tmp_path / "states.npz"
    np.savez(path, **changed(valid, **arrays))
    shown = vmcsc("check", "--states", path)
    assert (shown.code, message in shown.out) == (2, True), shown.out


def test_files_that_are_none_are_refused(vmcsc: Any, tmp_path: Path, npz: Path) -> None:
    path = tmp_path / "other.npz"
    for content in (b"", b"no archive", npz.read_bytes()[:1000], npz.read_bytes()[:-30]):
        path.write_bytes(content)
        shown = vmcsc("check", "--states", path)
        assert shown.code == 2
        assert "Traceback" not in shown.out + shown.err
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(path)
    assert "one array without a name" in vmcsc("check", "--states", path).out
    assert vmcsc("check", "--states", tmp_path / "none.npz").code == 2
    assert ".npz, .parquet, .jsonl" in vmcsc("check", "--states", tmp_path / "states.txt").out
    assert vmcsc("check", "--states", npz, "minimal").code == 2
    assert vmcsc("check", "minimal", "-o", path).code == 2


def test_an_archive_that_would_unpack_to_very_much_is_refused(
    vmcsc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("guest_rip.npy", bytes(10_000_000))
    monkeypatch.setattr("vmcsc.check.states_file.MAX_BYTES", 1_000_000)
    shown = vmcsc("check", "--states", path)
    assert (shown.code, "unpacks to 10000000 bytes" in shown.out) == (2, True)
