"""`vmcsc check` says again what it said of the same texts, and looks again once anything that counts has changed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, Vmcsc
from vmcsc.cli import kept, seen
from vmcsc.pipeline import compile

GOOD = "policy one {\n  primary { require hlt_exiting }\n}\n"
BAD = "policy one {\n  primary { require no_such_control }\n}\n"
ICE = "ice_lake_i7_1065g7"
OVERLAY = """\
kind: controls
word: primary
controls:
  - {name: house_control, bit: 18, sdm: House, section: House, summary: "%s"}
"""
CPU = "0x480: 0x00da050000000013\n0x482: 0xfff9fffe0401e172\n0x48e: 0x%xfffe04006172\n"

KEEPS = seen._keeps

Check = Callable[..., tuple[Run, bool]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as the current directory, with an empty cache; every file in it is as if written long ago."""
    monkeypatch.setattr("vmcsc.cache.SETTLED", -1e9)
    monkeypatch.setattr(seen, "SETTLED", -1e9)
    monkeypatch.setattr(seen, "_keeps", KEEPS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TERM", "xterm")
    kept._cache.cache_clear()
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def check(vmcsc: Vmcsc, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs `vmcsc check`, and says besides whether the policy was compiled for it."""
    compiled: list[object] = []

    def counting(*arguments: Any, **named: Any) -> Any:
        compiled.append(arguments)
        return compile(*arguments, **named)

    monkeypatch.setattr("vmcsc.pipeline.compile", counting)

    def run(*arguments: str | Path) -> tuple[Run, bool]:
        compiled.clear()
        return vmcsc("check", *arguments), bool(compiled)

    return run


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("format", ["full", "concise", "json", "sarif", "github"])
@pytest.mark.parametrize("policy", ["good", "bad on one CPU", "with notes"])
def test_the_second_time_the_same_is_said_without_compiling(
    project: Path, check: Check, policy: str, format: str
) -> None:
    texts = {
        "good": GOOD,
        "bad on one CPU": "policy one {\n  for cpus yonah_core_duo_t2600, ice_lake_i7_1065g7\n"
        "  secondary { require enable_ept }\n}\n",
        "with notes": "policy one {\n  for cpus yonah_core_duo_t2600\n  secondary { prefer enable_ept }\n}\n",
    }
    write(project / "one.vmcs", texts[policy])
    first, compiled = check("one.vmcs", "--format", format)
    second, again = check("one.vmcs", "--format", format)
    assert (compiled, again) == (True, False)
    assert second == first


def test_shipped_policies_and_several_at_once_are_kept_too(project: Path, check: Check) -> None:
    write(project / "one.vmcs", GOOD)
    first, _ = check("one.vmcs", "kvm-classic", "--cpu", ICE)
    assert check("one.vmcs", "kvm-classic", "--cpu", ICE) == (first, False)
    _, compiled = check("kvm-classic", "one.vmcs", "--cpu", ICE)
    assert compiled


CHANGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "the policy": (lambda p: write(p / "one.vmcs", GOOD.replace("hlt", "mwait")), ["one.vmcs"]),
    "a policy that it extends": (
        lambda p: write(p / "base.vmcs", "policy base {\n  primary { forbid hlt_exiting }\n}\n"),
        ["derived.vmcs"],
    ),
    "a nearer policy of that name": (
        lambda p: write(p / "kvm-classic.vmcs", "policy kvm_classic { }\n"),
        ["shipped.vmcs"],
    ),
    "a file of a shipped policy's name": (lambda p: write(p / "minimal", GOOD), ["minimal"]),
    "the CPU file": (lambda p: write(p / "cpu.txt", CPU % 0xFFF8), ["one.vmcs", "--cpu", "./cpu.txt"]),
    "the overlay": (
        lambda p: write(p / "specs" / "c.yaml", OVERLAY % "Another text."),
        ["one.vmcs", "--specs", "specs"],
    ),
    "a file more in the overlay": (
        lambda p: write(p / "specs" / "d.yaml", (OVERLAY % "x").replace("18", "0").replace("house", "other")),
        ["one.vmcs", "--specs", "specs"],
    ),
    "new settings": (lambda p: write(p / "vmcsc.toml", f'cpus = ["{ICE}"]\n'), ["one.vmcs"]),
    "new settings of the whole project": (
        lambda p: write(p / "pyproject.toml", f'[tool.vmcsc]\ncpus = ["{ICE}"]\n'),
        ["one.vmcs"],
    ),
    "the root of the project": (lambda p: shutil.rmtree(p / ".git"), ["one.vmcs"]),
    "the policy is gone": (lambda p: (p / "one.vmcs").unlink(), ["one.vmcs"]),
    "the policy is a pipe": (lambda p: make_pipe(p / "one.vmcs"), ["one.vmcs"]),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_after_a_change_it_looks_again(project: Path, check: Check, vmcsc: Vmcsc, change: str) -> None:
    write(project / "one.vmcs", GOOD)
    write(project / "base.vmcs", "policy base {\n  primary { require hlt_exiting }\n}\n")
    write(project / "derived.vmcs", "policy derived extends base {\n  primary { require hlt_exiting }\n}\n")
    write(project / "shipped.vmcs", "policy shipped extends kvm_classic { }\n")
    write(project / "cpu.txt", CPU % 0xFFF9)
    (project / "specs").mkdir()
    write(project / "specs" / "c.yaml", OVERLAY % "A text.")
    act, arguments = CHANGES[change]
    check(*arguments)
    _, compiled = check(*arguments)
    assert not compiled, "it was not kept in the first place"
    act(project)
    run, compiled = check(*arguments)
    assert compiled or change in ("the policy is gone", "the policy is a pipe")
    os.environ["VMCSC_CACHE"] = "0"
    try:
        assert vmcsc("check", *arguments) == run
    finally:
        del os.environ["VMCSC_CACHE"]


def test_a_change_of_the_settings_in_the_environment_counts(
    project: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / "one.vmcs", "policy one {\n  for cpus yonah_core_duo_t2600\n  secondary { prefer enable_ept }\n}\n")
    plain, _ = check("one.vmcs")
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured, compiled = check("one.vmcs")
    assert compiled
    assert "\x1b[" in coloured.out
    assert "\x1b[" not in plain.out
    monkeypatch.setenv("VMCSC_CONFIG", str(write(project / "other.toml", 'ignore = ["VMX3001"]\n')))
    _, compiled = check("one.vmcs")
    assert compiled
    _, compiled = check("one.vmcs")
    assert not compiled
    write(project / "other.toml", 'ignore = ["VMX3002"]\n')
    _, compiled = check("one.vmcs")
    assert compiled


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("primary { require hlt_exiting }\n", []),  # no policy, so it is not known on what it stands
        ('policy one {\n  include "part.vmcs"\n}\n', []),
        (GOOD, ["--cpu", "live"]),
    ],
)
def test_what_hangs_on_more_than_files_is_not_kept(
    project: Path, check: Check, text: str, arguments: list[str]
) -> None:
    write(project / "one.vmcs", text)
    write(project / "part.vmcs", "primary { require hlt_exiting }\n")
    check("one.vmcs", *arguments)
    _, compiled = check("one.vmcs", *arguments)
    assert compiled


def test_standard_input_is_read_each_time(project: Path, vmcsc: Vmcsc, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    answers = []
    for text in (GOOD, BAD):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        answers.append(vmcsc("check", "-").code)
    assert answers == [0, 1]


def test_a_policy_that_changes_while_it_is_compiled_is_not_kept(
    project: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(project / "one.vmcs", GOOD)
    original = seen.remember

    def late(*arguments: Any) -> None:
        path.write_text(BAD, encoding="utf-8")
        original(*arguments)

    monkeypatch.setattr("vmcsc.cli.check.remember", late)
    check("one.vmcs")
    run, compiled = check("one.vmcs")
    assert compiled
    assert run.code == 1


def test_settings_that_were_just_written_are_not_trusted_yet(
    project: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "SETTLED", 2.0)
    write(project / "one.vmcs", GOOD)
    write(project / "vmcsc.toml", f'cpus = ["{ICE}"]\n')
    check("one.vmcs")
    _, compiled = check("one.vmcs")
    assert compiled


@pytest.mark.parametrize("home", ["missing", "read-only", "a file", "foreign", "none at all", "switched off"])
def test_without_a_place_for_a_cache_everything_works(
    project: Path, check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str
) -> None:
    write(project / "one.vmcs", GOOD)
    file = write(tmp_path / "file", "")
    places = {"missing": str(file / "below"), "read-only": "/proc", "a file": str(file)}
    if home == "foreign":
        (tmp_path / "foreign" / "vmcsc").mkdir(parents=True)
        (tmp_path / "foreign" / "vmcsc").chmod(0o777)
        places["foreign"] = str(tmp_path / "foreign")
    monkeypatch.setenv("XDG_CACHE_HOME", places.get(home, "relative"))
    monkeypatch.setenv("HOME", "" if home == "none at all" else str(tmp_path))
    if home == "switched off":
        monkeypatch.setenv("VMCSC_CACHE", "0")
    for _ in range(2):
        run, compiled = check("one.vmcs")
        assert (run.code, run.out, compiled) == (0, "", True)


def test_a_cache_full_of_garbage_only_costs_time(project: Path, check: Check, tmp_path: Path) -> None:
    write(project / "one.vmcs", BAD.replace("no_such_control", "hlt_exiting, mwait_exiting"))
    first, _ = check("one.vmcs")
    for file in (tmp_path / "cache" / "vmcsc").iterdir():
        file.write_bytes(b"\x80\x04garbage\n{}" * 50)
    assert check("one.vmcs") == (first, True)
    assert check("one.vmcs") == (first, False)


def test_help_and_wrong_use_are_as_ever(project: Path, vmcsc: Vmcsc) -> None:
    for _ in range(2):
        assert vmcsc("check", "--help").code == 0
        assert vmcsc("check").code == 2
        assert vmcsc("check", "no-such-policy").code == 2
