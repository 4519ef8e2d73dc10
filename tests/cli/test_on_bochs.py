"""`vmcsc test --on bochs`: both results side by side, and what to install where Bochs is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from vmcsc.bochs import tools as tools_module
from vmcsc.bochs.tools import find_tools
from vmcsc.cli import main
from vmcsc.errors import VmcscError

DIFFERENT = """\
policy different {
  scenario "bits that the emulator does not set" {
    memory 0x50000000 = 0x50001007
    memory 0x50001000 = 0x50002007
    memory 0x50002000 = 0xb7
    set ept_pointer = 0x5000005e
    set rbx = 0x10
    guest mov rax, [rbx]
    expect exit ept_violation
  }
  secondary { require enable_ept }
}
"""


@pytest.fixture
def there() -> None:
    try:
        find_tools()
    except VmcscError as error:
        skip_or_fail(str(error))


@pytest.mark.usefixtures("there")
def test_both_results_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--on", "bochs", "kvm-classic"]) == 0
    out, err = capsys.readouterr()
    assert "kvm_classic on bochs_corei7_skylake_x\n  here  Bochs\n" in out
    assert "  pass  same     port 0x60 exits\n" in out
    assert "  pass  not run  an NMI exits (the event nmi cannot be brought about)\n" in out
    assert err == "10 scenarios: 10 passed, 0 failed; on Bochs 9 the same, 0 different, 1 not run\n"


@pytest.mark.usefixtures("there")
def test_a_difference_is_a_warning_with_both_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "different.vmcs"
    policy.write_text(DIFFERENT)
    assert main(["test", "--on", "bochs:tigerlake", str(policy)]) == 0
    out, _ = capsys.readouterr()
    assert "  pass  differs  bits that the emulator does not set\n" in out
    assert f"{policy}:2:" in out and "warning[VMX8008]" in out
    assert "`mov` here: exit ept_violation (48), qualification 0x83; on Bochs: exit ept_violation (48)" in out
    assert "qualification is 0x82 there and 0x83 here" in out
    assert main(["test", "--on", "bochs:tigerlake", "--strict", str(policy)]) == 1


@pytest.mark.usefixtures("there")
def test_json_has_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--on", "bochs", "--format", "json", "minimal", "-k", "CPUID"]) == 0
    (scenario,) = json.loads(capsys.readouterr().out)["scenarios"]
    assert scenario["bochs"] == "same"
    last = scenario["steps"][-1]
    assert last == {
        "text": "cpuid",
        "here": "exit cpuid (10), qualification 0x0",
        "bochs": "exit cpuid (10), qualification 0x0",
        "difference": None,
    }


def test_where_bochs_is_missing_the_packages_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name in ("bochs", "nasm") else f"/bin/{name}")
    monkeypatch.setattr(tools_module, "_SHARES", ("/nowhere",))
    assert main(["test", "--on", "bochs", "minimal"]) == 2
    err = capsys.readouterr().err
    assert "bochs, nasm, bochs/BIOS-bochs-latest, vgabios/vgabios.bin must be there" in err
    assert "apt-get install bochs bochsbios nasm vgabios" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--on", "qemu"], "scenarios run on bochs, not on 'qemu'"),
        (["--on", "bochs", "--cpu", "ice_lake_i7_1065g7"], "and no --cpu"),
        (["--on", "bochs", "--junit", "x.xml"], "--junit goes with the bundled machine alone"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", *arguments, "minimal"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("there")
def test_a_model_without_vmx_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--on", "bochs:pentium", "minimal"]) == 2
    assert "Bochs has no model `pentium` with VMX; it has core2_penryn_t9600," in capsys.readouterr().err
