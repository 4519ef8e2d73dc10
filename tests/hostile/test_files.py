"""Files that are not what they seem: each costs a finding and an exit status, never time or memory."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.hostile.running import POLICY, Here, run

LARGE = 100 << 20


def large(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(POLICY.encode())
        stream.truncate(LARGE)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def circle(path: Path) -> None:
    path.symlink_to(path.name)


MAKERS: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "100 MB": (large, "it is larger than 1048576 bytes"),
    "a pipe": (pipe, "it is not a regular file"),
    "a device": (device, "it is not a regular file"),
    "a folder": (folder, "it is not a regular file"),
    "a link to itself": (circle, "there is no such file"),
}
READ: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "CPU": ("odd.yaml", ("check", "p.vmcs", "--cpu", "./odd.yaml")),
    "state": ("odd.json", ("check", "--state", "odd.json")),
    "spec": ("specs/odd.yaml", ("check", "p.vmcs", "--specs", "specs")),
}
POLICIES: Mapping[str, tuple[str, ...]] = {
    "check": ("check", "odd.vmcs"),
    "emit": ("emit", "c-header", "odd.vmcs", "-o", "out.h"),
    "diff": ("diff", "p.vmcs", "odd.vmcs"),
    "cpu show": ("cpu", "show", "./odd.vmcs"),
    "cpu common": ("cpu", "common", "./odd.vmcs", "yonah_core_duo_t2600"),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("use", READ)
def test_what_is_no_ordinary_file_is_refused_with_its_reason(use: str, kind: str, project: Path) -> None:
    (make, reason), (name, argv) = MAKERS[kind], READ[use]
    (project / name).parent.mkdir(exist_ok=True)
    make(project / name)
    done = run(*argv, cwd=project)
    assert done.code == 2
    assert f"{name} cannot be read: {reason}" in done.text


@pytest.mark.parametrize("kind", ["100 MB", "a pipe", "a folder"])
@pytest.mark.parametrize("use", POLICIES)
def test_no_command_waits_for_it_or_takes_it_in(use: str, kind: str, project: Path) -> None:
    make, reason = MAKERS[kind]
    make(project / "odd.vmcs")
    done = run(*POLICIES[use], cwd=project)
    assert done.code == 2
    assert f"odd.vmcs cannot be read: {reason}" in done.text
    assert not (project / "out.h").exists()


@pytest.mark.parametrize("kind", MAKERS)
def test_a_policy_that_was_checked_before_and_is_no_ordinary_file_now_is_refused(kind: str, project: Path) -> None:
    make, reason = MAKERS[kind]
    shutil.copy(project / "p.vmcs", project / "odd.vmcs")
    os.utime(project / "odd.vmcs", (1, 1))  # of a file that is new nothing is kept
    for _ in range(2):
        assert run("check", "odd.vmcs", cwd=project, XDG_CACHE_HOME=str(project / "cache")).code == 0
    (project / "odd.vmcs").unlink()
    make(project / "odd.vmcs")
    done = run("check", "odd.vmcs", cwd=project, XDG_CACHE_HOME=str(project / "cache"))
    assert done.code == 2
    assert reason in done.text or "there is no file" in done.text


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "a folder"])
def test_the_formatter_leaves_alone_what_is_no_ordinary_file(kind: str, project: Path) -> None:
    make, reason = MAKERS[kind]
    make(project / "odd.vmcs")
    before = os.lstat(project / "odd.vmcs")
    done = run("fmt", "odd.vmcs", cwd=project)
    assert done.code == 2
    assert f"odd.vmcs cannot be read: {reason}" in done.text
    assert os.lstat(project / "odd.vmcs")[:7] == before[:7]


def test_the_formatter_takes_a_folder_with_the_name_of_a_policy_for_a_folder(project: Path) -> None:
    (project / "odd.vmcs").mkdir()
    shutil.copy(project / "p.vmcs", project / "odd.vmcs" / "inner.vmcs")
    done = run("fmt", "--check", "odd.vmcs", cwd=project)
    assert (done.code, done.text) == (0, "1 file left as it is\n")


@pytest.mark.parametrize("kind", MAKERS)
def test_settings_that_are_no_ordinary_file_are_refused_where_they_are_named(kind: str, project: Path) -> None:
    make, reason = MAKERS[kind]
    make(project / "odd.toml")
    done = run("check", "p.vmcs", cwd=project, VMCSC_CONFIG="odd.toml")
    assert done.code == 2
    assert f"{reason}: odd.toml" in done.text


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "100 MB"])
def test_settings_are_not_looked_for_in_what_is_no_ordinary_file(kind: str, project: Path) -> None:
    MAKERS[kind][0](project / "vmcsc.toml")
    assert run("check", "p.vmcs", cwd=project).code == 0


def test_settings_of_100_mb_are_refused(project: Path) -> None:
    large(project / "vmcsc.toml")
    done = run("check", "p.vmcs", cwd=project)
    assert done.code == 2
    assert "it is larger than 1048576 bytes: vmcsc.toml" in done.text


@pytest.mark.parametrize("kind", MAKERS)
def test_a_fragment_that_is_no_ordinary_file_is_not_included(kind: str, project: Path) -> None:
    MAKERS[kind][0](project / "odd")
    (project / "p.vmcs").write_text('policy p {\n  include "odd"\n}\n')
    done = run("check", "p.vmcs", cwd=project)
    assert done.code == 1
    assert re.search(r"p\.vmcs:2:\d+: error\[VMX2023\]: ", done.text)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_parent_that_is_no_ordinary_file_is_not_extended(kind: str, project: Path) -> None:
    MAKERS[kind][0](project / "odd.vmcs")
    (project / "p.vmcs").write_text("policy p extends odd {\n}\n")
    done = run("check", "p.vmcs", cwd=project)
    assert done.code in (1, 2)
    assert re.search(r"p\.vmcs:1:18: error\[VMX20\d\d\]: ", done.text)


@pytest.mark.parametrize("argv", [("check", "-"), ("fmt", "-"), ("check", "--state", "-"), ("emit", "c-header", "-")])
def test_standard_input_without_an_end_is_read_up_to_a_limit(argv: tuple[str, ...], project: Path) -> None:
    done = run(*argv, cwd=project, stdin="/dev/zero")
    assert done.code == 2
    assert "standard input cannot be read: it is larger than 1048576 bytes" in done.text


@pytest.mark.parametrize("name", ["./-", "a" * 300, "a/" * 3000, "p.vmcs/x", "", "~", "$HOME"])
@pytest.mark.parametrize("argv", [("check",), ("check", "p.vmcs", "--cpu"), ("check", "--state"), ("cpu", "show")])
def test_a_name_that_no_file_has_is_an_error(argv: tuple[str, ...], name: str, project: Path, here: Here) -> None:
    assert here(*argv, name).code == 2


LONG = 1_040_000
TEXTS = {
    "string": f'policy p {{ summary "{"x" * LONG}" }}',
    "string of quotes": 'policy p {{ summary "{}" }}'.format('\\"' * (LONG // 2)),
    "string without an end": f'policy p {{ summary "{"x" * LONG}',
    "name": f"policy p {{ primary {{ require {'x' * LONG} }} }}",
    "path": f"policy p {{ tsc_offset = {'x.' * (LONG // 2)}y }}",
    "number": f"policy p {{ tsc_offset = 0x{'f' * LONG} }}",
    "parentheses": f"policy p {{ tsc_offset = {'(' * LONG}",
    "comment": f"# {'x' * LONG}",
    "comments": "#\n" * (LONG // 2),
    "line ends": "\n" * LONG,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("argv", [("check", "long.vmcs"), ("fmt", "--check", "long.vmcs")], ids=["check", "fmt"])
def test_the_longest_piece_that_fits_into_a_policy_takes_little_memory(
    argv: tuple[str, ...], text: str, project: Path
) -> None:
    (project / "long.vmcs").write_text(text)
    assert run(*argv, cwd=project).code in (0, 1)


def test_a_cpu_text_of_more_lines_than_any_machine_prints_is_refused(project: Path, here: Here) -> None:
    (project / "odd.txt").write_text("0x480: 0x1\n" + "a\n" * 200_000)
    done = here("check", "p.vmcs", "--cpu", "./odd.txt")
    assert done.code == 2
    assert "the text has more than 100000 lines" in done.text


def test_settings_longer_than_the_reader_of_toml_can_take_are_refused(project: Path, here: Here) -> None:
    (project / "vmcsc.toml").write_text(f"x = 0x{'f' * 300_000}\n")
    done = here("check", "p.vmcs")
    assert done.code == 2
    assert "settings have more than 262144 characters" in done.text


def test_of_a_spec_that_is_wrong_in_every_line_only_some_are_told(project: Path, here: Here) -> None:
    (project / "specs").mkdir()
    (project / "specs" / "odd.yaml").write_text("kind: msrs\nmsrs:\n" + "- a\n" * 90_000)
    done = here("check", "p.vmcs", "--specs", "specs", "--format", "concise")
    assert done.code == 2
    assert 100 < done.text.count("error[VMX9002]") <= 1000
