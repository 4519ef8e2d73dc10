"""The hooks for pre-commit: every entry, and the real `pre-commit try-repo`, over good and bad samples."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import skip_or_fail
from vmcsc.cli import main

ROOT = Path(__file__).parent.parent
SAMPLES = Path(__file__).parent / "hooks"
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
IDS = [hook["id"] for hook in HOOKS]


def sample(kind: str, hook: str, folder: Path) -> list[str]:
    """Copy the sample of a hook; the files in it."""
    shutil.copytree(SAMPLES / kind / hook, folder, dirs_exist_ok=True)
    return sorted(state(folder))


def state(folder: Path) -> dict[str, bytes]:
    """What is in each file of a repository."""
    paths = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, as far as settings go."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VMCSC_CONFIG", raising=False)
    return tmp_path


def run_as_pre_commit_does(hook: dict[str, Any], files: list[str], folder: Path) -> bool:
    """Whether the hook passes: exit status 0, and no file changed."""
    program, *arguments = shlex.split(hook["entry"])
    assert program == "vmcsc"
    before = state(folder)
    chosen = [name for name in files if re.search(hook["files"], name)]
    assert chosen, "the sample has no file that the hook is for"
    code = main([*arguments, *(chosen if hook.get("pass_filenames", True) else [])])
    return code == 0 and state(folder) == before


@pytest.mark.parametrize("hook", HOOKS, ids=IDS)
def test_an_entry_passes_a_good_sample(hook: dict[str, Any], outside: Path) -> None:
    assert run_as_pre_commit_does(hook, sample("good", hook["id"], outside), outside)


@pytest.mark.parametrize("hook", HOOKS, ids=IDS)
def test_an_entry_does_not_pass_a_bad_sample(hook: dict[str, Any], outside: Path) -> None:
    assert not run_as_pre_commit_does(hook, sample("bad", hook["id"], outside), outside)


def test_there_is_a_sample_for_each_hook_and_a_hook_for_each_sample() -> None:
    for kind in ("good", "bad"):
        assert sorted(path.name for path in (SAMPLES / kind).iterdir()) == sorted(IDS)


@pytest.mark.parametrize("hook", HOOKS, ids=IDS)
def test_a_hook_says_what_pre_commit_needs(hook: dict[str, Any]) -> None:
    assert hook["language"] == "python"
    assert hook["name"] == hook["entry"]
    assert hook["description"].endswith(".")
    assert re.compile(hook["files"]).search("policies/a.vmcs")
    assert not re.compile(hook["files"]).search("a.vmcs.orig")


# --- the real thing ---


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    identity = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "VMCSC_", "VIRTUAL_ENV"))}
    return subprocess.run(
        command, cwd=cwd, env={**kept, **identity, **environment}, capture_output=True, text=True, check=False
    )


def repository(folder: Path) -> None:
    """Commit everything in `folder`."""
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"]):
        done = run("git", "-c", "core.hooksPath=/dev/null", *command, cwd=folder)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def hook_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout as it lies here, committed to a repository of its own."""
    if importlib.util.find_spec("pre_commit") is None:
        skip_or_fail("the package pre-commit is not installed")
    folder = tmp_path_factory.mktemp("hooks") / "vmcsc"
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    repository(folder)
    return folder


@pytest.fixture(scope="module")
def pre_commit_home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("pre-commit"))


def test_pre_commit_installs_the_hooks_from_a_clone_and_they_judge_the_samples(
    hook_repository: Path, pre_commit_home: str, tmp_path: Path
) -> None:
    revision = run("git", "rev-parse", "HEAD", cwd=hook_repository).stdout.strip()
    for kind in ("good", "bad"):
        folder = tmp_path / kind
        for hook in IDS:
            sample(kind, hook, folder / hook)
        # Settings are looked for at the root, where pre-commit runs the hooks.
        shutil.copytree(folder / "vmcsc-specs", folder, dirs_exist_ok=True)
        repository(folder)
    pre_commit = [sys.executable, "-m", "pre_commit"]
    tried = [*pre_commit, "try-repo", str(hook_repository), "--ref", revision, "--all-files", "--color=never"]
    good = run(*tried, cwd=tmp_path / "good", PRE_COMMIT_HOME=pre_commit_home)
    assert good.returncode == 0, good.stdout + good.stderr
    assert outcomes(good.stdout) == dict.fromkeys((hook["name"] for hook in HOOKS), "Passed")
    bad = run(*tried, cwd=tmp_path / "bad", PRE_COMMIT_HOME=pre_commit_home)
    assert bad.returncode == 1
    assert outcomes(bad.stdout) == dict.fromkeys((hook["name"] for hook in HOOKS), "Failed")
    assert "error[VMX3001]" in bad.stdout
    assert "error[VMX9002]" in bad.stdout
    assert "files were modified by this hook" in bad.stdout


def outcomes(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(vmcsc \w+)\.+(Passed|Failed|Skipped)$", text, re.MULTILINE))
