"""Files that are not what they seem: each costs a finding and an exit status, never time, memory or a terminal."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from vmcsc.cli import main

PATIENCE = 20
"""Seconds after which a command counts as hanging. It takes a fraction of one."""

MEGABYTES = 200
LARGE = 100 << 20

POLICY = "policy p {\n  primary { require hlt_exiting }\n}\n"
PROGRAM = """
import os, re, sys
from pathlib import Path
from vmcsc.cli import main
code = main()
Path(os.environ["PEAK"]).write_text(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""
"""`vmcsc`, and how many KB it took at the most: what the system says of a child counts the parent's memory too."""

VMCSC = (sys.executable, "-c", PROGRAM)
ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202e\u009b31m"
"""Sets the title of a terminal, clears its screen, turns the direction of the text, and colours the rest."""


class Run(NamedTuple):
    code: int
    text: str


def run(*argv: str | Path, cwd: Path, stdin: str | Path = os.devnull, **environment: str) -> Run:
    """Run a command line; a test fails that hangs or takes more memory than any input is worth."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VMCSC_")}
    inherited["PEAK"] = str(cwd / "peak")
    with Path(stdin).open("rb") as given, (cwd / "printed").open("w+b") as printed:
        process = subprocess.Popen(
            [*VMCSC, *argv], cwd=cwd, stdin=given, stdout=printed, stderr=printed, env={**inherited, **environment}
        )
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        code = process.wait()
        watch.cancel()
        printed.seek(0)
        text = printed.read().decode("utf-8", "replace")
    assert code >= 0, f"it hung, or was killed by signal {-code}: {text}"
    assert "Traceback" not in text and "internal error" not in text, text
    assert int((cwd / "peak").read_text()) / 1024 < MEGABYTES
    return Run(code, text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The root of a project with one good policy."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "p.vmcs").write_text(POLICY)
    return folder


Here = Callable[..., Run]


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs a command line in this process, for what cannot hang."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("VMCSC_CONFIG", raising=False)

    def run_here(*argv: str) -> Run:
        code = main(argv)
        text = "".join(capsys.readouterr())
        assert "internal error" not in text, text
        return Run(code, text)

    return run_here


# --- what is no ordinary file -----------------------------------------------------------------------------------


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


# --- out of the project -----------------------------------------------------------------------------------------


@pytest.fixture
def secret(project: Path) -> Path:
    """A fragment beside the project, whose content nobody may come to see."""
    path = project.parent / "secret"
    path.write_text("primary { require swordfish }\n")
    return path


def direct(project: Path, secret: Path) -> str:
    return "../secret"


def through_a_folder(project: Path, secret: Path) -> str:
    (project / "sub").mkdir()
    return "sub/../../secret"


def absolute(project: Path, secret: Path) -> str:
    return str(secret)


def link(project: Path, secret: Path) -> str:
    (project / "inside").symlink_to(secret)
    return "inside"


def linked_folder(project: Path, secret: Path) -> str:
    (project / "inside").symlink_to(secret.parent)
    return "inside/secret"


def chain_of_links(project: Path, secret: Path) -> str:
    (project / "one").symlink_to("two")
    (project / "two").symlink_to("../secret")
    return "one"


@pytest.mark.parametrize("lead_out", [direct, through_a_folder, absolute, link, linked_folder, chain_of_links])
def test_no_path_and_no_link_includes_what_lies_outside_the_project(
    lead_out: Callable[[Path, Path], str], project: Path, secret: Path, here: Here
) -> None:
    (project / "p.vmcs").write_text(f'policy p {{\n  include "{lead_out(project, secret)}"\n}}\n')
    done = here("check", "p.vmcs")
    assert done.code == 1
    assert "cannot be included" in done.text
    assert "swordfish" not in done.text


def test_a_link_within_the_project_includes_its_target(project: Path, here: Here) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "fragment").write_text("primary { require swordfish }\n")
    (project / "link").symlink_to("sub/fragment")
    (project / "p.vmcs").write_text('policy p {\n  include "link"\n}\n')
    assert "swordfish" in here("check", "p.vmcs").text


def test_a_policy_behind_a_link_is_bounded_by_the_project_that_it_lies_in(
    project: Path, secret: Path, here: Here
) -> None:
    (project / "p.vmcs").write_text('policy p {\n  include "../secret"\n}\n')
    (project.parent / "entry.vmcs").symlink_to(project / "p.vmcs")
    done = here("check", "../entry.vmcs")
    assert done.code == 1
    assert "swordfish" not in done.text


# --- circles ----------------------------------------------------------------------------------------------------


def test_files_that_include_each_other_in_a_circle_are_refused_once(project: Path, here: Here) -> None:
    (project / "p.vmcs").write_text('policy p {\n  include "a"\n}\n')
    for name, following in ("a", "b"), ("b", "c"), ("c", "a"):
        (project / name).write_text(f'include "{following}"\n')
    done = here("check", "p.vmcs")
    assert done.code == 1
    assert done.text.count("error[") == 1
    assert "files include each other in a circle: a -> b -> c -> a" in done.text


def test_a_circle_is_seen_through_links_and_other_ways_to_write_a_path(project: Path, here: Here) -> None:
    (project / "sub").mkdir()
    (project / "p.vmcs").write_text('policy p {\n  include "a"\n}\n')
    (project / "a").write_text('include "sub/../b"\n')
    (project / "b").symlink_to("a")
    done = here("check", "p.vmcs")
    assert done.code == 1
    assert done.text.count("error[") == 1
    assert "in a circle" in done.text


def test_a_tree_of_includes_that_doubles_at_each_step_is_cut_off(project: Path, here: Here) -> None:
    (project / "p.vmcs").write_text('policy p {\n  include "f0"\n}\n')
    for number in range(40):
        (project / f"f{number}").write_text(f'include "f{number + 1}"\ninclude "f{number + 1}"\n')
    (project / "f40").write_text("primary { prefer hlt_exiting }\n")
    done = here("check", "p.vmcs")
    assert done.code == 1
    assert "a policy may be made of at most 64 files" in done.text


def test_policies_that_extend_each_other_in_a_circle_are_refused(project: Path, here: Here) -> None:
    for name, parent in ("a", "b"), ("b", "c"), ("c", "a"):
        (project / f"{name}.vmcs").write_text(f"policy {name} extends {parent} {{\n}}\n")
    done = here("check", "a.vmcs")
    assert done.code == 1
    assert "policies extend each other in a circle" in done.text


def test_a_folder_of_specs_that_holds_itself_is_read_once(project: Path, here: Here) -> None:
    (project / "specs" / "sub").mkdir(parents=True)
    (project / "specs" / "sub" / "again").symlink_to("..")
    assert here("check", "p.vmcs", "--specs", "specs").code == 0


# --- what a terminal gets ---------------------------------------------------------------------------------------


def on_a_terminal(*argv: str, cwd: Path) -> str:
    """What a command writes to a terminal, without the sequences that only colour it."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen([*VMCSC, *argv], cwd=cwd, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    written = b""
    while piece := _read(master):
        written += piece
    assert process.wait() >= 0
    watch.cancel()
    os.close(master)
    return re.sub(rb"\x1b\[[0-9;]*m", b"", written).replace(b"\r\n", b"\n").decode("utf-8")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux tells that nobody has the other side open any more
        return b""


def is_harmless(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


ODD = f"x{ESCAPES}"
LINES = {
    "policy": ("check", f"{ODD}.vmcs"),
    "policy as JSON": ("check", "--format", "json", f"{ODD}.vmcs"),
    "policy for GitHub": ("check", "--format", "github", f"{ODD}.vmcs"),
    "policy as SARIF": ("check", "--format", "sarif", f"{ODD}.vmcs"),
    "policy that is not there": ("check", ODD),
    "policy to format": ("fmt", "--check", f"{ODD}.vmcs"),
    "policy to format with a diff": ("fmt", "--diff", f"{ODD}.vmcs"),
    "policies to compare": ("diff", f"{ODD}.vmcs", "p.vmcs"),
    "CPU": ("check", "p.vmcs", "--cpu", ODD),
    "CPU file": ("check", "p.vmcs", "--cpu", f"./{ODD}.yaml"),
    "CPU with a title": ("cpu", "show", "titled.yaml"),
    "CPU with a title beside another": ("cpu", "diff", "titled.yaml", "yonah_core_duo_t2600"),
    "CPUs in common": ("cpu", "common", "titled.yaml", "yonah_core_duo_t2600"),
    "specs": ("specs", ODD),
    "folder of specs": ("specs", f"{ODD}.specs"),
    "state": ("check", "--state", f"{ODD}.vmcs"),
    "output": ("emit", "c-header", "p.vmcs", "-o", f"{ODD}/x.h"),
    "output within a header": ("emit", "c-header", f"{ODD}.vmcs"),
    "back end": ("emit", ODD, "p.vmcs"),
    "option": ("check", f"--{ODD}", "p.vmcs"),
    "value of an option": ("check", "p.vmcs", "--format", ODD),
    "command": (ODD,),
    "action": ("cpu", ODD),
    "shell": ("completion", ODD),
    "name to explain": ("explain", ODD),
}


@pytest.mark.parametrize("argv", LINES.values(), ids=LINES)
def test_escape_sequences_in_names_never_reach_a_terminal(argv: tuple[str, ...], project: Path) -> None:
    (project / f"{ODD}.vmcs").write_text("policy p{primary{require hlt_exitin}}\n")
    title = 'title: "t\\e]0;owned\\a\\e[2J\\u202e"\nsources: {a: "s\\e[2J"}'
    cpu = f"kind: cpu\nname: x\n{title}\nmsrs:\n  - {{msr: ia32_vmx_basic, value: 0x00da050000000013, source: a}}\n"
    (project / "titled.yaml").write_text(cpu)
    (project / f"{ODD}.yaml").write_text(f"{cpu}{{")
    (project / f"{ODD}.specs").mkdir()
    (project / f"{ODD}.specs" / f"{ODD}.yaml").write_text('kind: "x\\e[2J"\n')
    text = on_a_terminal(*argv, cwd=project)
    assert text
    assert is_harmless(text), repr(text)
    assert "internal error" not in text


def test_settings_in_a_folder_of_such_a_name_and_with_such_values_do_not_command_a_terminal(project: Path) -> None:
    (project / ODD).mkdir()
    (project / ODD / "vmcsc.toml").write_text('cpus = ["x\\u001b[2J", "a\\u202e"]\n"b\\u001b[2J" = 1\n')
    shutil.copy(project / "p.vmcs", project / ODD / "p.vmcs")
    text = on_a_terminal("check", "p.vmcs", cwd=project / ODD)
    assert "error[" in text
    assert is_harmless(text), repr(text)


def test_a_diff_shows_a_terminal_what_would_command_it_escaped(project: Path) -> None:
    (project / "odd.vmcs").write_text('policy p{summary "a\u200bb\u00adc\ue000"\n}\n')
    text = on_a_terminal("fmt", "--diff", "odd.vmcs", cwd=project)
    assert "a\\u200bb\\xadc\\ue000" in text
    assert is_harmless(text), repr(text)
