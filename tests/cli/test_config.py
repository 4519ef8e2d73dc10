"""The settings of a project: which file is taken, what it may say, and where a mistake in it is reported."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

GOOD = "policy p { primary { require hlt_exiting } }\n"
OLD = "yonah_core_duo_t2600"
WANTS_EPT = "policy p { secondary { require enable_ept } }\n"
CPU = '{"0x480": "0x00da050000000013", "0x48d": "0x0000003f00000016"}'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, which is the current directory; no settings above it are seen."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "p.vmcs").write_text(WANTS_EPT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(vmcsc: Any, *argv: str) -> tuple[int, str]:
    run = vmcsc("check", "p.vmcs", "--format", "concise", *argv)
    return run.code, run.out


# --- which file ---


def test_without_settings_a_policy_that_names_no_cpu_is_checked_for_none(vmcsc: Any, project: Path) -> None:
    assert checked(vmcsc)[0] == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vmcsc.toml", f'cpus = ["{OLD}"]'),
        ("pyproject.toml", f'[project]\nname = "x"\n\n[tool.vmcsc]\ncpus = ["{OLD}"]'),
        ("pyproject.toml", f'tool.vmcsc.cpus = ["{OLD}"]'),
        ("pyproject.toml", f'[tool]\nvmcsc = {{cpus = ["{OLD}"]}}'),
    ],
)
def test_settings_stand_in_either_file(vmcsc: Any, project: Path, name: str, text: str) -> None:
    (project / name).write_text(text)
    assert checked(vmcsc)[0] == 1


def test_the_nearest_file_upwards_is_taken_alone(vmcsc: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "vmcsc.toml").write_text(f'cpus = ["{OLD}"]\nignore = ["VMX3001"]')
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "p.vmcs").write_text(WANTS_EPT)
    monkeypatch.chdir(inner)
    assert checked(vmcsc)[0] == 0
    (project / "a" / "vmcsc.toml").write_text(f'cpus = ["{OLD}"]')
    assert checked(vmcsc)[0] == 1


def test_the_own_file_wins_in_one_folder_and_an_alien_pyproject_is_passed_over(
    vmcsc: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "pyproject.toml").write_text("[tool.vmcsc]\nnonsense = 1")
    (project / "vmcsc.toml").write_text(f'cpus = ["{OLD}"]')
    inner = project / "inner"
    inner.mkdir()
    (inner / "p.vmcs").write_text(WANTS_EPT)
    (inner / "pyproject.toml").write_text('[project]\nname = "uses-vmcsc"\ndependencies = ["vmcsc"]')
    monkeypatch.chdir(inner)
    assert checked(vmcsc)[0] == 1


def test_nothing_is_looked_for_above_the_repository(
    vmcsc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vmcsc.toml").write_text("nonsense = 1")
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    (repository / "p.vmcs").write_text(GOOD)
    monkeypatch.chdir(repository)
    assert checked(vmcsc)[0] == 0
    (repository / ".git").rmdir()
    assert checked(vmcsc)[0] == 2


def test_a_pyproject_that_is_no_toml_and_does_not_speak_of_us_is_none_of_our_business(
    vmcsc: Any, project: Path
) -> None:
    (project / "pyproject.toml").write_text("[project\n")
    assert checked(vmcsc)[0] == 0


def test_the_variable_names_a_file_to_take_instead(vmcsc: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "vmcsc.toml").write_text("nonsense = 1")
    (project / "other").mkdir()
    (project / "other" / "ci.toml").write_text(f'cpus = ["{OLD}"]')
    monkeypatch.setenv("VMCSC_CONFIG", "other/ci.toml")
    assert checked(vmcsc)[0] == 1
    monkeypatch.setenv("VMCSC_CONFIG", "")
    assert checked(vmcsc)[0] == 2


@pytest.mark.parametrize("name", ["absent.toml", "other", "/dev/zero", "x" * 5000])
def test_a_variable_that_names_no_file_is_wrong_use(
    vmcsc: Any, project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (project / "other").mkdir()
    monkeypatch.setenv("VMCSC_CONFIG", name)
    code, out = checked(vmcsc)
    assert code == 2
    assert "error[VMX1030]" in out
    assert "VMCSC_CONFIG" in out


# --- what it may say ---


def test_default_cpus_are_taken_where_nobody_names_one(vmcsc: Any, project: Path) -> None:
    (project / "vmcsc.toml").write_text(f'cpus = ["{OLD}"]')
    assert checked(vmcsc)[0] == 1
    assert checked(vmcsc, "--cpu", "ice_lake_i7_1065g7")[0] == 0
    (project / "p.vmcs").write_text(WANTS_EPT.replace("{", "{ for cpus ice_lake_i7_1065g7;", 1))
    assert checked(vmcsc)[0] == 0


def test_paths_are_relative_to_the_file_and_not_to_the_current_directory(
    vmcsc: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("specs/policies", "bases", "here"):
        (project / name).mkdir(parents=True)
    (project / "mine.json").write_text(CPU)
    (project / "specs" / "policies" / "ours.vmcs").write_text(GOOD)
    (project / "bases" / "base.vmcs").write_text("policy base { pin_based { require process_posted_interrupts } }")
    (project / "here" / "p.vmcs").write_text("policy p extends base { }")
    (project / "vmcsc.toml").write_text('cpus = ["mine.json"]\nspecs = ["specs"]\nsearch = ["bases"]')
    monkeypatch.chdir(project / "here")
    code, out = checked(vmcsc)
    assert code == 1
    assert "error[VMX3001]" in out
    assert vmcsc("check", "ours").code == 0
    assert vmcsc("specs").err.startswith("2 folders")


def test_ignored_codes_are_left_out_and_let_a_policy_be_emitted(vmcsc: Any, project: Path) -> None:
    (project / "vmcsc.toml").write_text(f'cpus = ["{OLD}"]')
    assert vmcsc("emit", "c-header", "p.vmcs").code == 1
    (project / "vmcsc.toml").write_text(f'cpus = ["{OLD}"]\nignore = ["VMX3001"]')
    run = vmcsc("emit", "c-header", "p.vmcs")
    assert run.code == 0
    assert "VMX3001" not in run.err
    assert run.out


def test_the_command_line_replaces_the_folders_of_the_settings(vmcsc: Any, project: Path) -> None:
    for name in ("ours", "theirs"):
        (project / f"{name}-specs" / "policies").mkdir(parents=True)
        (project / f"{name}-specs" / "policies" / f"{name}.vmcs").write_text(GOOD)
    (project / "vmcsc.toml").write_text('specs = ["ours-specs"]')
    assert vmcsc("check", "ours").code == 0
    assert vmcsc("check", "ours", "--specs", "theirs-specs").code == 2
    assert vmcsc("check", "theirs", "--specs", "theirs-specs").code == 0


def test_what_there_is_to_say_of_a_default_cpu_is_said(vmcsc: Any, project: Path) -> None:
    (project / "mine.json").write_text(CPU.replace("{", '{"0x10": "0x1", ', 1))
    (project / "vmcsc.toml").write_text('cpus = ["mine.json"]')
    (project / "p.vmcs").write_text("policy p { }")
    assert checked(vmcsc) == checked(vmcsc, "--cpu", "mine.json")
    assert checked(vmcsc)[1] != ""


@pytest.mark.parametrize("command", ["explain enable_ept", "cpu list", "specs", "emit c-header minimal"])
def test_every_command_that_loads_the_specs_refuses_wrong_settings(vmcsc: Any, project: Path, command: str) -> None:
    (project / "vmcsc.toml").write_text("nonsense = 1")
    run = vmcsc(*command.split())
    assert run.code == 2
    assert "vmcsc.toml:1:1: error[VMX1031]" in run.out + run.err


# --- mistakes ---

MISTAKES = [
    ("cpu = []", "1:1", "VMX1031", "did you mean `cpus`?"),
    ('# cpus of nothing\ncpus = ["a"]\n\n  speks = []', "4:3", "VMX1031", "did you mean `specs`?"),
    ('"search" = []\n"nonsense" = []', "2:2", "VMX1031", ""),
    ('cpus = "ice_lake_i7_1065g7"', "1:1", "VMX1032", 'write `cpus = ["..."]`'),
    ("ignore = [3003]", "1:1", "VMX1032", ""),
    ('ignore = [\n  "VMX3003",\n  "VMX3999",\n]', "3:3", "VMX1032", ""),
    ('ignore = ["VMX2002"]', "1:11", "VMX1032", ""),
    ('specs = ["absent"]', "1:10", "VMX1032", ""),
    ('search = ["p.vmcs"]', "1:11", "VMX1032", ""),
    ('specs = [""]', "1:1", "VMX1032", ""),
    ('specs = ["a\\u0000b"]', "1:1", "VMX1032", ""),
    ('cpus = [\n "ice_lake_i7_1065g8"]', "2:2", "VMX2007", "did you mean `ice_lake_i7_1065g7`?"),
    ('cpus = ["absent.json"]', "1:9", "VMX3012", ""),
    ("cpus = [", "1:9", "VMX1030", ""),
    ("\n\ncpus = ]", "3:8", "VMX1030", ""),
    ('cpus = ["a"]\ncpus = ["b"]', "2:13", "VMX1030", ""),
    ("specs = 3\n[cpus]\na = 1", "1:1", "VMX1032", ""),
]


@pytest.mark.parametrize(("text", "place", "code", "help"), MISTAKES, ids=[text[:20] for text, *_ in MISTAKES])
def test_a_mistake_is_a_finding_with_its_place_and_the_code_is_2(
    vmcsc: Any, project: Path, text: str, place: str, code: str, help: str
) -> None:
    (project / "vmcsc.toml").write_text(text)
    run = vmcsc("check", "p.vmcs")
    assert run.code == 2
    assert run.out.startswith(f"vmcsc.toml:{place}: error[{code}]: "), run.out
    assert help in run.out


def test_places_in_a_pyproject_are_those_of_our_table(vmcsc: Any, project: Path) -> None:
    text = "[project]\ncpu = 1\n[tool.other]\ncpu = 2\n[tool.vmcsc]\nspecs = []\ncpu = 3\n[tool.last]\ncpu = 4\n"
    (project / "pyproject.toml").write_text(text)
    assert checked(vmcsc)[1].startswith("pyproject.toml:7:1: error[VMX1031]")


@pytest.mark.parametrize("text", ["tool = 1 # vmcsc", "[tool]\nvmcsc = 1", "[[tool.vmcsc]]"])
def test_a_table_that_is_none_is_reported(vmcsc: Any, project: Path, text: str) -> None:
    (project / "pyproject.toml").write_text(text)
    code, out = checked(vmcsc)
    assert code == 2
    assert "error[VMX1032]" in out


def test_all_mistakes_are_found_in_one_run(vmcsc: Any, project: Path) -> None:
    (project / "vmcsc.toml").write_text('a = 1\nb = 2\nspecs = ["absent"]\nsearch = 3')
    assert checked(vmcsc)[1].count("error[") == 4


def test_mistakes_come_in_the_format_that_was_asked_for(vmcsc: Any, project: Path) -> None:
    (project / "vmcsc.toml").write_text("nonsense = 1")
    report = json.loads(vmcsc("check", "p.vmcs", "--format", "json").out)
    assert report["findings"][0]["code"] == "VMX1031"


def test_settings_that_are_no_text_are_refused(vmcsc: Any, project: Path) -> None:
    (project / "vmcsc.toml").write_bytes(b"cpus = []\n# \xff")
    code, out = checked(vmcsc)
    assert code == 2
    assert out.startswith("vmcsc.toml:2:3: error[VMX1030]")


HOSTILE = {
    "dots": "a." * 100_000 + "b = 1",
    "dots with blanks": "a . " * 100_000 + "b = 1",
    "quoted dots": '"a".' * 100_000 + "b = 1",
    "header": "[" + "a." * 100_000 + "b]",
    "lists": "cpus = " + "[" * 500_000,
    "tables": "cpus = " + "{a = " * 100_000,
    "digits": "cpus = " + "1" * 500_000,
    "headers": "".join(f"[a.b{number}]\n" for number in range(60_000)),
    "keys": "".join(f"k{number} = 1\n" for number in range(20_000)),
    "values": "ignore = [" + '"VMX3003", ' * 60_000 + "]",
    "many values": "ignore = [" + ", ".join(f'"VMX{number}"' for number in range(70_000)) + "]",
    "string": 'cpus = ["' + "x" * 900_000 + '"]',
    "large": "#" * 2_000_000,
    "escape": 'cpus = ["\\u001b[31m"]',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_settings_end_in_findings_and_in_time(vmcsc: Any, project: Path, text: str) -> None:
    (project / "vmcsc.toml").write_text(text)
    begun = time.process_time()
    run = vmcsc("check", "p.vmcs")
    assert time.process_time() - begun < 10
    assert "internal error" not in run.err
    assert "\x1b" not in run.out + run.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
def test_a_pipe_is_not_waited_for(vmcsc: Any, project: Path) -> None:
    os.mkfifo(project / "vmcsc.toml")
    assert checked(vmcsc)[0] == 0


def test_commands_that_need_no_settings_read_none(vmcsc: Any, project: Path) -> None:
    (project / "vmcsc.toml").write_text("nonsense = 1")
    assert vmcsc("--version").code == 0
    assert vmcsc("backends").code == 0
    assert vmcsc("completion", "bash").code == 0
