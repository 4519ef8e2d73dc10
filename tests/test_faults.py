"""Faults of the machine: whatever happens to a write or to a cache, the old file is whole and the message says why."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import skip_or_fail

VMCSC = (sys.executable, "-m", "vmcsc")
POLICY = "policy p {\n  primary { require hlt_exiting }\n}\n"
UNTIDY = "policy p{primary{require hlt_exiting}}\n"
OLD = "what was there before\n" * 1000
WRITERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "emit": ("out.h", ("emit", "c-header", "p.vmcs", "-o", "out.h")),
    "cpu common": ("out.h", ("cpu", "common", "yonah_core_duo_t2600", "-o", "out.h")),
    "fmt": ("untidy.vmcs", ("fmt", "untidy.vmcs")),
}
"""Commands that write, and the file that each of them replaces."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project in which there is something to replace."""
    return project(tmp_path / "project")


def project(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / ".git").mkdir()
    (folder / "p.vmcs").write_text(POLICY)
    (folder / "untidy.vmcs").write_text(UNTIDY)
    (folder / "out.h").write_text(OLD)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.is_file()}


def run(
    *argv: str, cwd: Path, prelude: str = "", limit: int | None = None, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Run a command line, after the Python `prelude`, with files of at most `limit` bytes."""
    program = f"{prelude}\nimport sys\nfrom vmcsc.cli import main\nsys.exit(main(sys.argv[1:]))\n"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("VMCSC_", "XDG_"))}
    given = {**inherited, "PYTHONDONTWRITEBYTECODE": "1", **environment}

    def set_limit() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-c", program, *argv],
        cwd=cwd,
        env={name: value for name, value in given.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=set_limit,
    )


# --- writing ----------------------------------------------------------------------------------------------------

DIE = "os.kill(os.getpid(), 9)"
MOMENTS: Mapping[str, str] = {
    "before the first byte": f"os.fdopen = lambda *a: {DIE}",
    "with half of it written": "import io\nopened = os.fdopen\n"
    "class Half:\n"
    "    def __init__(self, *a): self.file = opened(*a)\n"
    "    def __enter__(self): return self\n"
    "    def __exit__(self, *a): pass\n"
    f"    def write(self, data): self.file.write(data[:len(data) // 2]); self.file.flush(); {DIE}\n"
    "os.fdopen = Half",
    "before it is on the disk": f"os.fsync = lambda fd: {DIE}",
    "before it has its name": f"os.replace = os.rename = lambda *a, **k: {DIE}",
}
"""What makes the process end itself, as `kill -9` would, at each step of a write."""


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("command", WRITERS)
def test_a_command_killed_while_it_writes_leaves_the_old_file_whole(command: str, moment: str, folder: Path) -> None:
    name, argv = WRITERS[command]
    before = content(folder)
    # Without a cache the file that the command is for is the first that it writes.
    killed = run(*argv, cwd=folder, prelude=f"import os\n{MOMENTS[moment]}", VMCSC_CACHE="0")
    assert killed.returncode == -9
    after = content(folder)
    assert {kept: after[kept] for kept in before} == before
    assert all(left.startswith(".") and left.endswith(".tmp") for left in after.keys() - before.keys())
    done = run(*argv, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert content(folder)[name] != before[name]


def test_a_command_killed_at_any_time_leaves_the_old_file_or_the_new_one(folder: Path) -> None:
    name, argv = WRITERS["emit"]
    started = time.monotonic()
    assert run(*argv, cwd=folder).returncode == 0
    duration, new = time.monotonic() - started, (folder / name).read_text()
    chance = random.Random(1)
    seen = set()
    for _ in range(12):
        (folder / name).write_text(OLD)
        process = subprocess.Popen([*VMCSC, *argv], cwd=folder)
        time.sleep(chance.uniform(0.3, 1.1) * duration)
        process.kill()
        process.wait()
        seen.add((folder / name).read_text())
    assert seen <= {OLD, new}


@pytest.mark.parametrize("command", WRITERS)
def test_a_file_that_cannot_grow_is_an_error_and_leaves_nothing_behind(command: str, folder: Path) -> None:
    _, argv = WRITERS[command]
    before = content(folder)
    done = run(*argv, cwd=folder, limit=10)
    assert done.returncode == 2
    assert "cannot be written: File too large" in done.stderr
    assert content(folder) == before


@pytest.mark.parametrize(("step", "error"), [("fsync", "EIO"), ("chmod", "EPERM"), ("replace", "EDQUOT")])
def test_a_step_of_a_write_that_fails_is_an_error_and_leaves_nothing_behind(
    step: str, error: str, folder: Path
) -> None:
    before = content(folder)
    prelude = (
        "import errno, os\n"
        f"def fail(*a, **k): raise OSError(errno.{error}, os.strerror(errno.{error}))\n"
        f"os.{step} = os.rename = fail\n"
    )
    done = run(*WRITERS["emit"][1], cwd=folder, prelude=prelude, VMCSC_CACHE="0")
    assert done.returncode == 2
    assert "out.h cannot be written: " in done.stderr
    assert content(folder) == before


@pytest.mark.parametrize(
    "argv", [("check", "p.vmcs"), ("emit", "c-header", "p.vmcs"), ("cpu", "list"), ("--version",), ("fmt", "--help")]
)
def test_standard_output_that_takes_nothing_is_an_error(argv: tuple[str, ...], folder: Path) -> None:
    (folder / "p.vmcs").write_text(POLICY.replace("hlt_exiting", "hlt_exitin"))
    if argv[0] == "emit":
        (folder / "p.vmcs").write_text(POLICY)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*VMCSC, *argv], cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


# --- disks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[str, str], tuple[str, dict[str, str], dict[str, str]]]:
    """Runs a command on a disk of its own, of 256 KiB, after a script has had its way with that disk."""
    disk = tmp_path / "disk"
    disk.mkdir()
    namespace = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    tried = [*namespace, "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if shutil.which("unshare") is None or subprocess.run(tried, capture_output=True, check=False).returncode:
        skip_or_fail("this machine lets nobody mount a file system")
    source, before, after = project(tmp_path / "source"), tmp_path / "before", tmp_path / "after"

    def run_on_disk(fault: str, command: str) -> tuple[str, dict[str, str], dict[str, str]]:
        script = (
            f"mount -t tmpfs -o size=256k tmpfs '{disk}'; cp -r '{source}' '{disk}/project'; cd '{disk}/project'\n"
            f"{fault}\ncp -r . '{before}'; status=0; {command} || status=$?; cp -r . '{after}'; echo status $status\n"
        )
        environment = {**os.environ, "PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [*namespace, "sh", "-euc", script], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout + done.stderr, content(before), content(after)

    return run_on_disk


OnDisk = Callable[[str, str], tuple[str, dict[str, str], dict[str, str]]]
FILL = "head -c 1M /dev/zero > ../fill 2>/dev/null || true"
READ_ONLY = "mount -o remount,ro ../"


def command_line(argv: tuple[str, ...]) -> str:
    return f'"$PYTHON" -m vmcsc {" ".join(argv)}'


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [(FILL, "No space left on device"), (READ_ONLY, "Read-only file system")],
    ids=["full", "read-only"],
)
def test_a_disk_that_takes_nothing_is_an_error_and_the_old_file_is_whole(
    command: str, fault: str, reason: str, on_disk: OnDisk
) -> None:
    name, argv = WRITERS[command]
    text, before, after = on_disk(fault, command_line(argv))
    assert f"{name} cannot be written: {reason}" in text
    assert "status 2" in text
    assert after == before


@pytest.mark.parametrize("fault", [FILL, READ_ONLY], ids=["full", "read-only"])
def test_a_home_that_takes_nothing_only_costs_time(fault: str, on_disk: OnDisk) -> None:
    text, before, after = on_disk(fault, f"HOME=$PWD XDG_CACHE_HOME= {command_line(('check', 'p.vmcs'))}")
    assert "1 policy, no findings" in text
    assert "status 0" in text
    assert after == before


# --- homes and caches -------------------------------------------------------------------------------------------

HOMES: Mapping[str, dict[str, Any]] = {
    "none": {"HOME": None},
    "empty": {"HOME": ""},
    "relative": {"HOME": "home"},
    "not there": {"HOME": "/nonexistent/home"},
    "a file": {"HOME": "/dev/null"},
    "not to be written": {"HOME": "/proc"},
    "not there, but a cache": {"HOME": None, "XDG_CACHE_HOME": "/nonexistent/cache"},
    "with a NUL's neighbour": {"HOME": "/\x01"},
}


@pytest.mark.parametrize("home", HOMES)
def test_a_home_that_is_missing_or_odd_only_costs_time(home: str, folder: Path) -> None:
    before = content(folder)
    done = run("check", "p.vmcs", "--cpu", "yonah_core_duo_t2600", cwd=folder, **HOMES[home])
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "1 policy, no findings\n"
    assert content(folder) == before


LINE = ("check", "bad.vmcs", "--cpu", "ice_lake_i7_1065g7")
NEW_LINE = ("check", "new.vmcs", "--cpu", "ice_lake_i7_1065g7")
"""A run that was there before, and one that needs what was kept of specs, grammar and CPU."""


@pytest.fixture
def cached(folder: Path) -> tuple[Path, str]:
    """The folder of a cache with everything in it that a run keeps, and what the run printed."""
    (folder / "bad.vmcs").write_text("policy bad {\n  secondary { require enable_ept }\n  tsc_ofset = 1\n}\n")
    first = run(*LINE, cwd=folder, XDG_CACHE_HOME=str(folder / "cache"))
    entries = folder / "cache" / "vmcsc"
    if not entries.is_dir():  # nothing is kept while a file of the program is very new
        time.sleep(2.1)
        first = run(*LINE, cwd=folder, XDG_CACHE_HOME=str(folder / "cache"))
    assert len(list(entries.iterdir())) >= 2
    return entries, first.stdout


def each(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def change_all(entries: Path) -> None:
        for path in entries.iterdir():
            change(path)

    return change_all


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace_one(path: Path) -> None:
        path.unlink()
        make(path)

    return each(replace_one)


def exchanged(entries: Path) -> None:
    """Every entry is that of something else, whole in itself."""
    paths = sorted(entries.iterdir())
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, [*contents[1:], contents[0]], strict=True):
        path.write_bytes(content)


def one_digit_changed(path: Path) -> None:
    """Still JSON, of the same form."""
    text = path.read_text()
    place = max(place for place, character in enumerate(text) if character.isdigit())
    path.write_text(f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}")


def anybodys(entries: Path) -> None:
    entries.chmod(0o777)


def somebody_elses(entries: Path) -> None:
    if os.geteuid() != 0:
        skip_or_fail("only root can give a file away")
    os.chown(entries, 65534, 65534)


def somebody_elses_files(entries: Path) -> None:
    if os.geteuid() != 0:
        skip_or_fail("only root can give a file away")
    for path in entries.iterdir():
        os.chown(path, 65534, 65534)
        path.write_text(path.read_text()[:-1])


DAMAGES: Mapping[str, Callable[[Path], None]] = {
    "cut off": each(lambda path: os.truncate(path, path.stat().st_size // 2)),
    "empty": each(lambda path: os.truncate(path, 0)),
    "one digit changed": each(one_digit_changed),
    "all zeros": each(lambda path: path.write_bytes(bytes(path.stat().st_size))),
    "not UTF-8": each(lambda path: path.write_bytes(b"\xff\xfe" + path.read_bytes())),
    "not JSON": each(lambda path: path.write_text("[" * 100_000)),
    "entries exchanged": exchanged,
    "100 MB": each(lambda path: os.truncate(path, 100 << 20)),
    "folders": replaced(Path.mkdir),
    "pipes": replaced(os.mkfifo),
    "devices": replaced(lambda path: path.symlink_to("/dev/zero")),
    "links": replaced(lambda path: path.symlink_to("/etc/passwd")),
    "not to be read": each(lambda path: path.chmod(0)),
    "open to all": anybodys,
    "a folder of somebody else": somebody_elses,
    "files of somebody else": somebody_elses_files,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cache_that_is_corrupt_or_foreign_only_costs_time(
    damage: str, cached: tuple[Path, str], folder: Path
) -> None:
    entries, printed = cached
    shutil.copy(folder / "bad.vmcs", folder / "new.vmcs")
    DAMAGES[damage](entries)
    for line, expected in (NEW_LINE, printed.replace("bad.vmcs", "new.vmcs")), (LINE, printed):
        done = run(*line, cwd=folder, XDG_CACHE_HOME=str(folder / "cache"))
        assert (done.returncode, done.stdout) == (1, expected)
        assert "Traceback" not in done.stderr


def test_a_cache_in_whose_place_lies_a_file_only_costs_time(cached: tuple[Path, str], folder: Path) -> None:
    entries, printed = cached
    shutil.rmtree(entries)
    entries.write_text("mine")
    done = run(*LINE, cwd=folder, XDG_CACHE_HOME=str(folder / "cache"))
    assert (done.returncode, done.stdout) == (1, printed)
    assert entries.read_text() == "mine"


def test_a_cache_behind_a_link_is_not_written_through_it(cached: tuple[Path, str], folder: Path) -> None:
    entries, printed = cached
    shutil.rmtree(entries)
    (folder / "elsewhere").mkdir(mode=0o700)
    entries.symlink_to(folder / "elsewhere")
    done = run(*LINE, cwd=folder, XDG_CACHE_HOME=str(folder / "cache"))
    assert (done.returncode, done.stdout) == (1, printed)
    assert list((folder / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("step", ["os.replace = lambda *a, **k:", "os.open = lambda *a, **k:"])
def test_a_run_killed_while_it_writes_the_cache_harms_no_later_one(
    step: str, cached: tuple[Path, str], folder: Path
) -> None:
    entries, printed = cached
    shutil.rmtree(entries)
    prelude = f"import os\nimport vmcsc.cache\n{step} {DIE}"
    killed = run(*LINE, cwd=folder, prelude=prelude, XDG_CACHE_HOME=str(folder / "cache"))
    assert killed.returncode == -9
    done = run(*LINE, cwd=folder, XDG_CACHE_HOME=str(folder / "cache"))
    assert (done.returncode, done.stdout) == (1, printed)


def test_runs_that_fill_one_cache_at_the_same_time_all_print_the_same(cached: tuple[Path, str], folder: Path) -> None:
    entries, printed = cached
    shutil.rmtree(entries)
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    running = [
        subprocess.Popen([*VMCSC, *LINE], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert {process.communicate()[0] for process in running} == {printed}
    assert not list(entries.glob("*.tmp"))
