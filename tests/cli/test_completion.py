"""`vmcsc completion`: the scripts, typed into real shells."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import skip_or_fail
from vmcsc.cli import COMMANDS
from vmcsc.cli.completion import SHELLS, script
from vmcsc.cli.words import all_commands, value_flags

# What is typed before the TAB key, and what the line is afterwards. Each has one way to go on.
UNIQUE = {
    "vmcsc che": "check",
    "vmcsc --vers": "--version",
    "vmcsc check --form": "check --format",
    "vmcsc check --format sar": "check --format sarif",
    "vmcsc check --format=sar": "check --format=sarif",
    "vmcsc check --color=ne": "check --color=never",
    "vmcsc check kvm-c": "check kvm-classic",
    "vmcsc check one.vmcs two": "check one.vmcs two.vmcs",
    "vmcsc check --strict --cpu ice_l": "check --strict --cpu ice_lake_i7_1065g7",
    "vmcsc check --cpu ice_lake_i7_1065g7 --cpu yon": "check --cpu ice_lake_i7_1065g7 --cpu yonah_core_duo_t2600",
    "vmcsc emit c-h": "emit c-header",
    "vmcsc emit c-header mini": "emit c-header minimal",
    "vmcsc emit c-header minimal --no-st": "emit c-header minimal --no-stdint",
    "vmcsc emit c-header minimal -o out": "emit c-header minimal -o out.h",
    "vmcsc cpu sh": "cpu show",
    "vmcsc cpu show sandy": "cpu show sandy_bridge_i7_2635qm",
    "vmcsc explain --kind exit": "explain --kind exit-reason",
    "vmcsc specs our": "specs our-specs",
    "vmcsc completion fi": "completion fish",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts, and some files to complete."""
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        (folder / f"script.{shell}").write_text(script(shell))
    for name in ("one.vmcs", "two.vmcs", "out.h"):
        (folder / name).touch()
    (folder / "our-specs").mkdir()
    return folder


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        skip_or_fail(f"there is no {shell} (apt-get install {shell})")


class Terminal:
    """A shell on a terminal of its own, in which `vmcsc` only says how it was called."""

    def __init__(self, command: list[str], setup: list[str], folder: Path) -> None:
        self._terminal, end = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        self._shell = subprocess.Popen(
            command, stdin=end, stdout=end, stderr=end, env=environment, cwd=folder, start_new_session=True
        )
        os.close(end)
        # Neither word stands in what is typed, which the terminal shows too.
        self._type("; ".join([*setup, 'vmcsc() { echo "CALL""ED: $* DO""NE"; }', "echo REA''DY"]) + "\n")
        self._read_to("READY")

    def called_after_tab(self, typed: str) -> str:
        """Type a line, TAB and, when the shell is done, return; the arguments with which `vmcsc` was called."""
        self._type(f"{typed}\t")
        self._settle()
        self._type("\n")
        called = re.findall(r"CALLED: (.*?) *DONE", self._read_to("DONE"))
        return str(called[-1])

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._terminal)

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _settle(self) -> None:
        """Wait until the shell has been quiet for a moment."""
        while select.select([self._terminal], [], [], 0.4)[0]:
            os.read(self._terminal, 65536)

    def _read_to(self, marker: str) -> str:
        text, end = "", time.monotonic() + 60
        while marker not in text:
            if time.monotonic() > end:
                pytest.fail(f"the shell does not say {marker}: {text}")
            if select.select([self._terminal], [], [], 0.2)[0]:
                with suppress(OSError):
                    text += os.read(self._terminal, 65536).decode(errors="replace")
        return text


@pytest.fixture(scope="module")
def bash(folder: Path) -> Iterator[Terminal]:
    needs("bash")
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], ["PS1=", f"source {folder}/script.bash"], folder)
    yield terminal
    terminal.close()


@pytest.fixture(scope="module")
def zsh(folder: Path) -> Iterator[Terminal]:
    needs("zsh")
    setup = ["PROMPT=", "autoload -Uz compinit", "compinit -u -D", f"source {folder}/script.zsh"]
    terminal = Terminal(["zsh", "-f", "-i"], setup, folder)
    yield terminal
    terminal.close()


@pytest.mark.parametrize(("typed", "whole"), UNIQUE.items(), ids=UNIQUE)
def test_tab_completes_in_bash(bash: Terminal, typed: str, whole: str) -> None:
    assert bash.called_after_tab(typed).rstrip("/") == whole


@pytest.mark.parametrize(("typed", "whole"), UNIQUE.items(), ids=UNIQUE)
def test_tab_completes_in_zsh(zsh: Terminal, typed: str, whole: str) -> None:
    assert zsh.called_after_tab(typed).rstrip("/") == whole


def fish_candidates(folder: Path, line: str) -> list[str]:
    run = subprocess.run(
        ["fish", "--no-config", "-c", f"source script.fish; complete -C '{line}'"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == ""
    return [candidate.partition("\t")[0] for candidate in run.stdout.splitlines()]


@pytest.mark.parametrize(("typed", "whole"), UNIQUE.items(), ids=UNIQUE)
def test_tab_completes_in_fish(folder: Path, typed: str, whole: str) -> None:
    needs("fish")
    [candidate] = fish_candidates(folder, typed)
    assert candidate.rstrip("/") == whole.rpartition(" ")[2]


def bash_candidates(folder: Path, *words: str) -> list[str]:
    """The candidates for the last of `words`, as the function of the script gives them."""
    asked = (
        'source script.bash; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vmcsc;'
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    run = subprocess.run(
        ["bash", "--norc", "-uc", asked, "bash", *words], cwd=folder, capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    return run.stdout.split()


def test_every_command_and_option_of_the_parsers_is_offered(folder: Path) -> None:
    needs("bash")
    assert bash_candidates(folder, "vmcsc", "") == list(COMMANDS)
    for command in all_commands(COMMANDS):
        flags = {flag for option in command.options for flag in option.flags}
        assert set(bash_candidates(folder, "vmcsc", *command.path, "-")) == flags, command.key


def test_every_choice_of_every_option_is_offered_in_bash_and_fish(folder: Path) -> None:
    needs("bash")
    needs("fish")
    for command in all_commands(COMMANDS):
        for option in command.options:
            if option.value is not None and option.value.words and not option.value.paths:
                words = [*command.path, option.flags[-1]]
                assert bash_candidates(folder, "vmcsc", *words, "") == list(option.value.words)
                assert sorted(fish_candidates(folder, f"vmcsc {' '.join(words)} ")) == sorted(option.value.words)


def test_words_behind_an_option_that_takes_a_value_are_not_taken_for_operands(folder: Path) -> None:
    needs("bash")
    known = ["c-header", "c-checker", "bytecode", "kvm-patch"]
    assert bash_candidates(folder, "vmcsc", "emit", "--cpu", "c-header", "") == known
    assert "kvm-classic" in bash_candidates(folder, "vmcsc", "emit", "c-header", "--format", "=", "json", "kvm")


def test_folders_alone_are_offered_where_a_folder_is_needed(folder: Path) -> None:
    needs("bash")
    needs("fish")
    assert bash_candidates(folder, "vmcsc", "check", "--specs", "o") == ["our-specs"]
    assert fish_candidates(folder, "vmcsc specs o") == ["our-specs/"]


def test_no_option_takes_a_value_in_one_command_and_none_in_another() -> None:
    commands = all_commands(COMMANDS)
    plain = {flag for c in commands for option in c.options if option.value is None for flag in option.flags}
    assert plain & set(value_flags(commands)) == set()


def test_every_value_that_is_a_file_or_a_name_is_known_as_such() -> None:
    """A new kind of value needs a line in the table of `words`."""
    unknown = {
        (command.key, option.flags[-1])
        for command in all_commands(COMMANDS)
        for option in command.options
        if option.value is not None and not option.value.words and not option.value.paths
    }
    free = {"--prefix", "--match", "--name", "--only", "--reason", "--section", "--stages", "--stdin-filename"}
    assert {flag for _, flag in unknown} <= free, unknown


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_in_order_and_never_runs_the_program(shell: str, folder: Path) -> None:
    needs(shell)
    subprocess.run([shell, "-n", folder / f"script.{shell}"], check=True)
    text = (folder / f"script.{shell}").read_text()
    assert text.isascii()
    assert not re.search(r"\$\(\s*vmcsc|`vmcsc", text)


def test_a_script_goes_to_standard_output(vmcsc: Any) -> None:
    assert vmcsc("completion", "bash") == (0, script("bash"), "")
    assert vmcsc("completion", "tcsh").code == 2
