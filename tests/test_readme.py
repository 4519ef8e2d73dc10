"""The README's commands and examples do what they say, word for word."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

import vmcsc
from vmcsc.architecture.database import Database

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def thin_policy() -> str:
    [policy] = [text for text in blocks("") if text.startswith("policy thin")]
    return policy


@pytest.fixture(scope="module")
def fresh_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone of the checkout would hold, and an empty home beside it."""
    folder = tmp_path_factory.mktemp("fresh")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / "clone" / name)
    (folder / "home").mkdir()
    return folder


@pytest.fixture(scope="module")
def first_command_run(fresh_copy: Path) -> Path:
    """The clone after the README's first command, in a shell with an empty home and no virtual environment."""
    command = blocks("sh")[0]
    environment = {
        key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    }
    environment["HOME"] = str(fresh_copy / "home")
    done = subprocess.run(
        ["sh", "-ec", command], cwd=fresh_copy / "clone", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return fresh_copy / "clone"


def test_the_first_command_sets_up_and_writes_a_header_that_compiles(first_command_run: Path) -> None:
    header = first_command_run / "kvm_classic.h"
    assert "kvm_classic_apply" in header.read_text()
    if shutil.which("gcc"):
        program = first_command_run / "main.c"
        program.write_text('#include "kvm_classic.h"\nint main(void) { return 0; }\n')
        subprocess.run(["gcc", "-std=c99", "-Wall", "-Werror", "-c", program.name], cwd=first_command_run, check=True)


def test_the_installed_package_carries_its_data_and_runs_from_anywhere(first_command_run: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [first_command_run / ".venv/bin/vmcsc", "specs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "210 fields" in run.stdout


def test_the_wheel_holds_every_spec_schema_and_back_end(fresh_copy: Path, tmp_path: Path) -> None:
    subprocess.run(
        ["python3", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, fresh_copy / "clone"],
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("specs", "schemas", "backends"):
        kept = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert {f"vmcsc/{path.relative_to(ROOT)}" for path in kept} <= held
    assert {"vmcsc/syntax/policy.lark", "vmcsc/py.typed"} <= held


def test_the_second_command_is_what_ci_runs() -> None:
    assert blocks("sh")[1].strip() == "sh tests/run.sh"
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("exec sh tests/run.sh")


def test_the_policy_of_the_readme_compiles_without_a_finding(database: Database) -> None:
    result = vmcsc.compile(thin_policy(), database=database)
    assert result.ok and result.diagnostics == ()


def test_the_message_shown_is_the_message_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vmcsc.cli import main

    [session] = [text for text in blocks("") if text.startswith("$ cat")]
    cat, check = session.split("$ ")[1:]
    name, _, policy = cat.removeprefix("cat ").partition("\n")
    command, _, output = check.partition("\n")
    (tmp_path / name).write_text(policy)
    monkeypatch.chdir(tmp_path)
    assert main(command.removeprefix("vmcsc ").split()) == 1
    assert capsys.readouterr().out.strip() == output.strip()


@pytest.mark.parametrize("example", blocks("python"), ids=["compile", "check"])
def test_a_library_example_prints_what_its_comments_say(example: str) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {})
    expected = re.findall(r"^print\(.*?\)\s+# (.*)$", example, re.MULTILINE)
    assert len(expected) >= 3
    for line in expected:
        assert line in printed.getvalue().splitlines()


def test_every_file_that_the_readme_points_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).is_file(), target
