"""What is wrong with a folder that adds to specs/machine is told by `vmcsc specs`."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmcsc.architecture.loader import load_specs
from vmcsc.diagnostic import Diagnostics
from vmcsc.machine.verify import check_machine
from vmcsc.resources import SPECS

HEAD = "kind: instructions\ninstructions:\n  - name: own\n    sdm: OWN\n    section: A\n    summary: Of our own.\n"
GOOD = f"{HEAD}    forms:\n      - {{code: 0f ff}}\n    steps:\n      - {{id: own-done, do: nothing}}\n"


def said(folder: Path, text: str) -> list[str]:
    (folder / "machine").mkdir()
    (folder / "machine" / "own.yaml").write_text(text)
    diagnostics = Diagnostics()
    database = load_specs([folder], diagnostics)
    assert database is not None
    check_machine(database, diagnostics)
    return [one.message for one in diagnostics]


def test_an_instruction_of_ones_own_is_taken(tmp_path: Path) -> None:
    assert said(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("do: nothing", "do: something", "own: own-done: nothing is named 'something'"),
        ("do: nothing", "exit: nowhere", "nothing is named 'nowhere'"),
        ("do: nothing", "do: nothing, when: primary.nonsense", "`primary.nonsense` means nothing"),
        ("do: nothing", "exit: hlt, qualification: {nonsense: 1}", "nothing is named 'nonsense'"),
        ("code: 0f ff", "code: 0f xx", "'0f xx' is no encoding"),
        ("summary: Of our own.", "sumary: Of our own.", "sumary"),
        ("name: own", "name: hlt", "`hlt` is defined twice"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    found = said(tmp_path, GOOD.replace(old, new))
    assert any(message in one for one in found), found


EMULATOR = (SPECS / "machine" / "emulator.yaml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("error: vm_instruction_error", "error: vm_instruction_eror", "emulator: nothing is named vm_instruction_eror"),
        ("host_rip: exit", "host_rp: exit", "emulator: nothing is named host_rp"),
        ("marker: vmcall", "marker: vmcal", "emulator: nothing is named vmcal"),
        ("revision: ia32_vmx_basic", "revision: ia32_vmx_basics", "emulator: nothing is named ia32_vmx_basics"),
    ],
)
def test_names_that_the_emulator_is_told_are_those_of_the_specs(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in EMULATOR
    assert message in " ".join(said(tmp_path, EMULATOR.replace(old, new)))
