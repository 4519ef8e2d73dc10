"""What docs/diagnose.md shows is what comes out."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"
TEXT = (DOCS / "diagnose.md").read_text()
LOG = """\
[  100.000000] usb 1-1: new high-speed USB device number 5 using xhci_hcd
[  673.853454] kvm_intel: *** Guest State ***
[  673.868590] kvm_intel: RSP = 0x0000000000001000  RIP = 0x0000000000008000
[  673.870921] kvm_intel: RFLAGS=0x00000002         DR7 = 0x0000000000000400
Interruptibility = 00000001  ActivityState = 00000000
[  673.878555] kvm_intel: *** Control State ***
[  673.878560] kvm_intel:         reason=80000021 qualification=0000000000000000
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dmesg.txt").write_text(LOG)


def test_the_report_begins_as_it_is_shown(vmcsc: Any) -> None:
    [shown] = re.findall(r"```text\n\$ vmcsc (.*?)\n(.*?)```", TEXT, re.DOTALL)
    run = vmcsc(*shown[0].split())
    assert run.out.startswith(shown[1]), run.out
    assert run.code == 1


@pytest.mark.parametrize("command", re.findall(r"^(vmcsc (?:decode|diagnose) .*)$", TEXT, re.MULTILINE))
def test_commands_work(command: str, vmcsc: Any) -> None:
    assert vmcsc(*command.split()[1:]).code in (0, 1)


def test_the_program_prints_what_it_says() -> None:
    [program] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {})  # the text is that of the document itself
    assert printed.getvalue().splitlines() == re.findall(r"\)  # (.*)$", program, re.MULTILINE)


def test_files_that_it_names_are_there() -> None:
    for name in re.findall(r"`((?:specs|tests)/[\w/.]+)`", TEXT):
        assert (DOCS.parent / name).exists(), name
