"""A cache gives back what was put there, and whatever else lies there counts as nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmcsc import cache as cache_module
from vmcsc.cache import Cache, Fingerprint, digest

VALUE: dict[str, Any] = {"numbers": [0, 1, (1 << 64) - 1], "text": "ä\n", "none": None, "nested": [[{}]]}


@pytest.fixture(autouse=True)
def an_old_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nobody had just edited the package."""
    monkeypatch.setattr(cache_module, "SETTLED", -1e9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "made" / "vmcsc"


def filled(folder: Path) -> Path:
    """The one file of a cache with an entry."""
    Cache(str(folder)).put("kind", "key", VALUE)
    (file,) = folder.iterdir()
    return file


def read(folder: Path) -> Any:
    return Cache(str(folder)).get("kind", "key")


def test_what_was_put_is_there_for_the_next_run(folder: Path) -> None:
    filled(folder)
    assert read(folder) == VALUE


def test_another_key_kind_or_program_finds_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(folder)
    assert Cache(str(folder)).get("kind", "other") is None
    assert Cache(str(folder)).get("other", "key") is None
    monkeypatch.setattr(cache_module, "__version__", "99.0")
    assert read(folder) is None


def test_folder_and_files_are_for_the_user_alone(folder: Path) -> None:
    file = filled(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_entries_are_text_of_json_and_nothing_that_runs(folder: Path) -> None:
    _, _, text = filled(folder).read_text(encoding="utf-8").partition("\n")
    assert json.loads(text) == VALUE


@given(st.binary(max_size=60), st.integers(0, 100), st.sampled_from(["replace", "cut", "insert"]))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_entry_counts_as_none(tmp_path: Path, noise: bytes, place: int, how: str) -> None:
    folder = tmp_path / "vmcsc"
    file = filled(folder)
    whole = file.read_bytes()
    at = place * len(whole) // 101
    damaged = {"replace": noise, "cut": whole[:at], "insert": whole[:at] + noise + whole[at:]}[how]
    file.write_bytes(damaged)
    assert read(folder) == (VALUE if damaged == whole else None)
    Cache(str(folder)).put("kind", "key", VALUE)
    assert read(folder) == VALUE


def test_a_folder_that_others_may_write_to_is_not_used(folder: Path) -> None:
    file = filled(folder)
    folder.chmod(0o777)
    assert read(folder) is None
    file.unlink()
    Cache(str(folder)).put("kind", "key", VALUE)
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_not_used(folder: Path) -> None:
    file = filled(folder)
    os.chown(file, 12345, 12345)
    assert read(folder) is None
    os.chown(file, os.geteuid(), os.getegid())
    os.chown(folder, 12345, 12345)
    assert read(folder) is None


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "folder", "fifo"])
def test_links_and_devices_are_not_followed(folder: Path, tmp_path: Path, kind: str) -> None:
    file = filled(folder)
    moved = file.rename(tmp_path / "elsewhere")
    if kind == "link to a file":
        file.symlink_to(moved)
    elif kind == "fifo":
        os.mkfifo(file)  # a read from it would never end
    elif kind == "folder":
        file.mkdir()
    else:
        moved.rename(file)
        folder.rename(tmp_path / "real")
        folder.symlink_to(tmp_path / "real")
    assert read(folder) is None


def unusable(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "file").write_text("")
    return {
        "below a file": str(tmp_path / "file" / "vmcsc"),
        "a file": str(tmp_path / "file"),
        "too long": str(tmp_path / ("x" * 5000)),
        "with a NUL": f"{tmp_path}/\0/vmcsc",
        "not to be made": "/proc/vmcsc/vmcsc",
        "nothing": "",
    }


@pytest.mark.parametrize("what", sorted(unusable(Path("/tmp"))))
def test_a_place_where_nothing_can_be_written_costs_nothing_but_time(tmp_path: Path, what: str) -> None:
    cache = Cache(unusable(tmp_path)[what])
    cache.put("kind", "key", VALUE)
    assert cache.get("kind", "key") is None


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan")], ids=["object", "set", "NaN"])
def test_what_json_cannot_tell_is_not_kept_wrongly(folder: Path, value: Any) -> None:
    cache = Cache(str(folder))
    cache.put("kind", "key", value)
    kept = cache.get("kind", "key")
    assert kept is None or kept != kept


def test_nested_beyond_what_python_can_read_it_is_not_kept(folder: Path) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    Cache(str(folder)).put("kind", "key", deep)
    assert read(folder) is None


def test_the_oldest_entries_give_way_where_there_are_too_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MAX_ENTRIES", 10)
    cache = Cache(str(folder))
    for number in range(25):
        cache.put("kind", str(number), number)
        for file in folder.iterdir():  # each run is a second later than the one before
            os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 1))
        assert cache.get("kind", str(number)) == number
    assert len(list(folder.iterdir())) <= 10
    assert cache.get("kind", "0") is None


def test_runs_that_write_at_once_leave_whole_entries(folder: Path) -> None:
    code = (
        "import sys\nfrom vmcsc import cache\ncache.SETTLED = -1e9\n"
        "for n in range(60):\n"
        "    c = cache.Cache(sys.argv[1])\n"
        "    c.put('kind', 'key', [n] * 2000)\n"
        "    kept = c.get('kind', 'key')\n"
        "    assert kept is not None and len(set(kept)) == 1 and len(kept) == 2000\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(folder)]) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert {file.suffix for file in folder.iterdir()} == {".json"}  # no temporary file is left


# --- digests and fingerprints ---


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_different_texts_have_different_digests(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


def specs_in(folder: Path) -> str:
    return Fingerprint([str(folder)]).key


def test_a_fingerprint_changes_with_every_file_that_counts(tmp_path: Path) -> None:
    (tmp_path / "below.d" / "deeper").mkdir(parents=True)
    seen = {specs_in(tmp_path)}
    for path in ("a.yaml", "b.yaml", "below.d/c.yaml", "below.d/deeper/d.yaml"):
        (tmp_path / path).write_text("kind: x\n")
        seen.add(specs_in(tmp_path))
    (tmp_path / "a.yaml").write_text("kind: xy\n")
    seen.add(specs_in(tmp_path))
    os.utime(tmp_path / "b.yaml", (1, 1))
    seen.add(specs_in(tmp_path))
    (tmp_path / "b.yaml").rename(tmp_path / "e.yaml")
    seen.add(specs_in(tmp_path))
    (tmp_path / "e.yaml").unlink()
    seen.add(specs_in(tmp_path))
    assert len(seen) == 9


def test_a_fingerprint_does_not_change_with_what_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: x\n")
    before = specs_in(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.py").write_text("")
    assert specs_in(tmp_path) == before


def test_folders_in_a_circle_or_missing_end_the_walk(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    assert specs_in(tmp_path) != specs_in(tmp_path / "absent")


def test_a_file_that_was_just_written_is_not_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    file = tmp_path / "a.yaml"
    file.write_text("kind: x\n")
    assert not Fingerprint([str(tmp_path)]).settled
    os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 10))
    assert Fingerprint([str(tmp_path)]).settled
