"""Finding the command, and the exit codes when something else than a command's own result ends the run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import vmcsc.cli
from tests.kvm.mini import write_tree
from vmcsc.cli import COMMANDS

ROOT = Path(__file__).parents[2]


def process(*argv: str, input: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run `python -m vmcsc` in a process of its own, with an empty environment but for `environment`."""
    command = [sys.executable, "-m", "vmcsc", *argv]
    return subprocess.run(command, cwd=ROOT, env=environment, input=input, capture_output=True, check=False, timeout=60)


def test_version_names_the_program_its_data_and_the_manual(vmcsc: Any) -> None:
    run = vmcsc("--version")
    assert run.code == 0
    assert re.fullmatch(r"vmcsc \d+\.\d+\.\d+ \(specs \d{4}\.\d+, SDM [A-Z][a-z]+ \d{4}\)\n", run.out)


def test_version_and_help_import_none_of_the_libraries() -> None:
    for option in ("--version", "--help"):
        code = (
            "import sys, vmcsc.cli; vmcsc.cli.main([sys.argv[1]]); "
            "sys.exit(','.join(m for m in ('yaml', 'lark', 'jsonschema', 'rich') if m in sys.modules) or 0)"
        )
        run = subprocess.run(
            [sys.executable, "-c", code, option], cwd=ROOT, env={}, capture_output=True, text=True, check=False
        )
        assert run.stderr == ""


def test_help_names_every_command_and_an_example(vmcsc: Any) -> None:
    run = vmcsc("--help")
    assert run.code == 0
    assert all(re.search(rf"^  {command} ", run.out, re.MULTILINE) for command in COMMANDS)
    assert "\nexample:\n  vmcsc " in run.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_with_an_example(vmcsc: Any, command: str) -> None:
    run = vmcsc(command, "--help")
    assert run.code == 0
    assert run.out.startswith(f"usage: vmcsc {command} ")
    assert f"\nexample:\n  vmcsc {command}" in run.out
    assert run.err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_of_a_command_works(
    vmcsc: Any, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = vmcsc(command, "--help").out.split("\nexample:\n  vmcsc ")[1].split()
    (tmp_path / "our-specs").mkdir()
    monkeypatch.chdir(tmp_path)
    if command in ("assemble", "disassemble"):
        vmcsc("emit", "bytecode", "kvm_classic", "--cpu", "ice_lake_i7_1065g7", "-o", "kvm_classic.vmxb")
        Path("kvm_classic.txt").write_text(vmcsc("disassemble", "kvm_classic.vmxb").out)
    if command == "import":
        write_tree(tmp_path / "linux-6.1")
    if command == "diagnose":
        Path("dmesg.txt").write_text("*** Guest State ***\nCR3 = 0x0000000000001000\n")
    run = vmcsc(*example)
    assert run.code == (1 if command == "diff" else 0), run  # its example shows a difference


def test_without_a_command_the_help_goes_to_standard_error(vmcsc: Any) -> None:
    run = vmcsc()
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("usage: vmcsc COMMAND")


def test_an_unknown_command_or_option_is_wrong_use_and_gets_a_suggestion(vmcsc: Any) -> None:
    assert vmcsc("chek").code == 2
    assert "there is no command `chek`; did you mean `check`?" in vmcsc("chek").err
    assert "there is no option `--verson`; did you mean `--version`?" in vmcsc("--verson").err
    run = vmcsc("check", "--formt", "json", "minimal")
    assert run.code == 2
    assert "did you mean --format?" in run.err
    assert vmcsc("check", "--format", "xml", "minimal").code == 2
    assert vmcsc("check").code == 2


def test_escape_sequences_in_arguments_never_reach_the_terminal(vmcsc: Any) -> None:
    hostile = "\x1b]0;owned\x07"
    for argv in (
        [hostile],
        ["check", hostile],
        ["check", f"--{hostile}"],
        ["check", "--format", hostile],
        ["check", "minimal", "--cpu", hostile],
        ["emit", hostile, "minimal"],
        ["explain", hostile],
        ["specs", hostile],
    ):
        run = vmcsc(*argv)
        assert run.code == 2
        assert "\x1b" not in run.out + run.err, argv
        assert "\x07" not in run.out + run.err, argv


# --- what ends a run from outside ---


class _Broken:
    """Stands in for a command."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def run(self, _: list[str]) -> int:
        raise self._error


def breaking(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    monkeypatch.setattr(vmcsc.cli, "_command", lambda _: _Broken(error))


def test_a_fault_of_ours_is_reported_without_a_traceback(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking(monkeypatch, KeyError("x\x1b[31m"))
    run = vmcsc("check", "minimal")
    assert run.code == 2
    assert run.err.startswith("vmcsc: internal error: KeyError: ")
    assert "please report it" in run.err
    assert "Traceback" not in run.err
    assert "\x1b" not in run.err


def test_a_variable_shows_the_traceback_of_a_fault(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking(monkeypatch, KeyError("x"))
    monkeypatch.setenv("VMCSC_TRACEBACK", "1")
    run = vmcsc("check", "minimal")
    assert run.code == 2
    assert "Traceback" in run.err


@pytest.mark.parametrize("error", [RecursionError("too deep"), MemoryError(), AssertionError()])
def test_no_fault_escapes(vmcsc: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    breaking(monkeypatch, error)
    assert vmcsc("check", "minimal").code == 2


def test_an_interrupt_ends_with_130_and_says_nothing(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking(monkeypatch, KeyboardInterrupt())
    assert vmcsc("check", "minimal") == (130, "", "")


def test_a_reader_that_goes_away_ends_the_run_quietly() -> None:
    script = (
        f"{sys.executable} -m vmcsc explain {' '.join(str(n) for n in range(400))} | head -1; echo ${{PIPESTATUS[0]}}"
    )
    run = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert run.stderr == "" or all(line.startswith("vmcsc explain: nothing") for line in run.stderr.splitlines())
    assert run.stdout.splitlines()[-1] in ("141", "2")  # 2: everything was written before the reader went away


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the machine has no /dev/full")
def test_a_full_disk_is_said_so_and_is_no_fault_of_ours() -> None:
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "vmcsc", "explain", "0x4002"],
            cwd=ROOT, env={}, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr == "vmcsc: error: No space left on device\n"


def test_a_closed_standard_output_is_no_error() -> None:
    script = f"{sys.executable} -m vmcsc check minimal >&-"
    run = subprocess.run(["bash", "-c", script], cwd=ROOT, env={}, capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert "Traceback" not in run.stderr


def test_the_program_runs_in_an_empty_environment() -> None:
    run = process("check", "kvm-classic", "--cpu", "ice_lake_i7_1065g7")
    assert run.returncode == 0, run.stderr.decode()


def test_what_the_encoding_of_the_output_lacks_is_escaped() -> None:
    text = "policy x { primary { require 漢字 } }".encode()
    run = process("check", "-", input=text, PYTHONIOENCODING="ascii")
    assert run.returncode == 1
    assert rb"\u6f22\u5b57" in run.stdout
    assert b"Traceback" not in run.stderr
