"""What CONTRIBUTING.md says is enough to add something is enough: its snippets, on a copy of the specs."""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import vmcsc
from vmcsc import backend
from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.capabilities.readers import read_cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.machine.verify import check_machine
from vmcsc.records import replace

ROOT = Path(__file__).parent.parent
SNIPPET = re.compile(r"^```\w+ (append|new|table)=(\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

USES_ALL = """policy uses_all {
  primary   { require activate_tertiary_controls }
  secondary { require enable_ept }
  tertiary  { require frobnicate_guest }
  frobnication_table_address = 0x1000
}
"""


def snippets() -> Iterator[tuple[str, Path, str]]:
    for how, path, text in SNIPPET.findall((ROOT / "CONTRIBUTING.md").read_text()):
        yield how, Path(path), text


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the specs and what CONTRIBUTING.md adds to them and to the back ends."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "specs", folder / "specs")
    for how, path, text in snippets():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if how == "append":
            target.write_text(target.read_text().rstrip("\n") + "\n" + text)
        elif how == "new":
            target.write_text(text)
    return folder


@pytest.fixture(scope="module")
def extended(copy: Path) -> Database:
    diagnostics = Diagnostics()
    loaded = load_specs([], diagnostics, check_shipped=True, shipped=copy / "specs")
    assert [finding.message for finding in diagnostics] == []
    assert loaded is not None
    return loaded


def test_the_added_control_is_required_by_a_policy_and_granted_by_the_added_cpu(extended: Database) -> None:
    result = vmcsc.compile(USES_ALL, "next_lake_i9_1", extended)
    assert result.ok, [finding.message for finding in result.diagnostics]
    assert result.vmcs is not None and result.vmcs.control("tertiary.frobnicate_guest") is True


def test_the_added_instruction_exits_unless_its_control_is_1(extended: Database) -> None:
    diagnostics = Diagnostics()
    check_machine(extended, diagnostics)
    assert [finding.message for finding in diagnostics] == []
    whole, added = (read_cpu(name, extended, Diagnostics()) for name in ("wildcat_lake_d0651", "next_lake_i9_1"))
    assert whole is not None and added is not None
    cpu = replace(whole, msrs={**whole.msrs, "ia32_vmx_procbased_ctls3": added.msrs["ia32_vmx_procbased_ctls3"]})
    for setting, expected in (
        ("forbid", "exit frobnication where exit_instruction_information == 0x18"),
        ("require", "no exit"),
    ):
        text = USES_ALL.replace("require frobnicate_guest", f"{setting} frobnicate_guest").rstrip().removesuffix("}")
        text += f'  scenario "s" {{ guest frobnicate rbx; expect {expected} }}\n}}\n'
        policy = vmcsc.compile(text, cpu, extended).policy
        assert policy is not None
        (result,) = vmcsc.run_scenarios(policy, extended, cpu)
        assert result.passed, [(one.message, one.notes) for one in result.findings]


def test_the_added_rule_is_enforced(extended: Database) -> None:
    without_ept = USES_ALL.replace("secondary { require enable_ept }", "secondary { forbid enable_ept }")
    result = vmcsc.compile(without_ept, "next_lake_i9_1", extended)
    assert "VMX4800" in [finding.code for finding in result.diagnostics]


def test_the_added_field_is_written_and_its_high_half_derived(extended: Database) -> None:
    field = extended.fields["frobnication_table_address"]
    assert extended.encoding.high(field) == field.encoding + 1
    result = vmcsc.compile(USES_ALL, "next_lake_i9_1", extended)
    assert result.vmcs is not None
    written = {f.name: value.bits for f, value in result.vmcs.writes()}
    assert written["frobnication_table_address"] == 0x1000


def test_the_header_knows_the_added_control_and_field(extended: Database) -> None:
    result = vmcsc.compile(USES_ALL, None, extended)
    assert result.vmcs is not None
    [header] = vmcsc.emit(result.vmcs, "c-header")
    for name in ("VMCSC_TERTIARY_FROBNICATE_GUEST", "VMCSC_FIELD_FROBNICATION_TABLE_ADDRESS_HIGH", "VMX4800"):
        assert name in str(header.content)


def test_what_nobody_read_of_the_added_cpu_is_unknown(extended: Database) -> None:
    cpu = read_cpu("next_lake_i9_1", extended, Diagnostics())
    assert cpu is not None and "ia32_vmx_vmfunc" not in cpu.msrs


def test_the_added_back_end_emits(copy: Path, extended: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    package = importlib.import_module("vmcsc.backends")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(copy / "backends")])
    for how, path, text in snippets():
        if how == "table":
            assert path == Path("vmcsc/backend.py")
            name, target = re.findall(r'"(.*?)"', text)
            monkeypatch.setitem(backend._BUILT_IN, name, target)
    result = vmcsc.compile(USES_ALL, "next_lake_i9_1", extended)
    assert result.vmcs is not None
    [artifact] = vmcsc.emit(result.vmcs, "words", upper=True)
    assert "TERTIARY 0X100000" in str(artifact.content)
