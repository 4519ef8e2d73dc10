"""What a terminal gets of names and texts that would command it."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.hostile.running import PATIENCE, VMCSC

ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202e\u009b31m"
"""Sets the title of a terminal, clears its screen, turns the direction of the text, and colours the rest."""


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
