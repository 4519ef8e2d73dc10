"""The registry of back ends, their options, and back ends of other distributions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vmcsc
from vmcsc.architecture.database import Database
from vmcsc.backend import GROUP, Artifact, Backend, backends, emit, get
from vmcsc.capabilities.cpu import Cpu
from vmcsc.errors import VmcscError
from vmcsc.pipeline import compile
from vmcsc.vmcs import Vmcs

PLUGIN = """
from dataclasses import dataclass, field
from vmcsc.backend import Artifact

@dataclass(frozen=True)
class Options:
    greeting: str = field(default="hello", metadata={"help": "how to begin"})
    loud: bool = False

class Notes:
    name = "notes"
    summary = "what a policy is called"
    options = Options

    def emit(self, vmcses, options):
        text = f"{options.greeting} {vmcses[0].policy.name} on {len(vmcses)}"
        return [Artifact("notes.txt", text.upper() if options.loud else text), Artifact("raw.bin", b"\\x00")]

class Broken:
    def __init__(self):
        raise RuntimeError("it is broken")
"""


@pytest.fixture
def vmcs(database: Database) -> Vmcs:
    found = compile("policy p { primary { require hlt_exiting } }", Cpu("x", "x"), database).vmcs
    assert found is not None
    return found


class Installer:
    """Puts distributions that announce back ends on the path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self, distribution: str, entry_points: str, code: str = PLUGIN) -> None:
        module = distribution.replace("-", "_")
        (self._folder / f"{module}.py").write_text(code)
        info = self._folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entry_points}\n")


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Installer(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("vmcsc_plugin"):
            del sys.modules[name]


def test_the_c_header_is_there_and_keeps_the_contract() -> None:
    assert backends() == ["c-header", "c-checker", "bytecode", "kvm-patch"]
    backend: Backend = get("c-header")
    assert backend.name == "c-header"
    assert backend.summary
    assert backend.options() == backend.options()  # every option has a default


def test_a_back_end_returns_artifacts_and_writes_nothing(
    vmcs: Vmcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (artifact,) = emit(vmcs, "c-header")
    assert isinstance(artifact, Artifact)
    assert artifact.path == "p.h"
    assert list(tmp_path.iterdir()) == []


def test_the_same_policy_gives_the_same_text(vmcs: Vmcs) -> None:
    assert emit(vmcs, "c-header") == emit(vmcs, "c-header")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("c-heder", "did you mean 'c-header'"), ("C-HEADER", "there are c-header"), ("", "there are c-header")],
)
def test_an_unknown_back_end_is_refused_with_a_hint(name: str, hint: str, vmcs: Vmcs) -> None:
    with pytest.raises(VmcscError, match="there is no back end") as refused:
        emit(vmcs, name)
    assert hint in str(refused.value)


def test_an_unknown_option_is_refused_and_the_known_ones_are_named(vmcs: Vmcs) -> None:
    with pytest.raises(VmcscError, match="c-header has no option 'stdin'; it has prefix, stdint"):
        emit(vmcs, "c-header", stdin=False)


def test_nothing_to_emit_is_refused() -> None:
    with pytest.raises(VmcscError, match="did not compile"):
        emit([], "c-header")


def test_several_processors_give_one_header_that_mentions_them(database: Database) -> None:
    result = compile("minimal", ["ice_lake_i7_1065g7", "conroe_core2_x6800"], database)
    (artifact,) = emit(result.by_cpu.values(), "c-header")
    assert isinstance(artifact.content, str)
    assert "On Ice Lake i7-1065G7: pin_based" in artifact.content
    assert "On Conroe Core 2 X6800: pin_based" in artifact.content


def test_another_distribution_brings_a_back_end(installer: Installer, vmcs: Vmcs) -> None:
    installer.install("vmcsc-plugin-notes", "notes = vmcsc_plugin_notes:Notes")
    assert backends() == ["c-header", "c-checker", "bytecode", "kvm-patch", "notes"]
    assert get("notes").summary == "what a policy is called"
    assert emit(vmcs, "notes") == [Artifact("notes.txt", "hello p on 1"), Artifact("raw.bin", b"\0")]
    assert emit([vmcs, vmcs], "notes", greeting="ho", loud=True)[0] == Artifact("notes.txt", "HO P ON 2")
    with pytest.raises(VmcscError, match="notes has no option 'prefix'; it has greeting, loud"):
        emit(vmcs, "notes", prefix="x")
    with pytest.raises(VmcscError, match="did you mean 'notes'"):
        get("note")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("vmcsc_plugin_bad:Broken", "it is broken"),
        ("vmcsc_plugin_bad:Missing", "Missing"),
        ("vmcsc_plugin_nowhere:X", "vmcsc_plugin_nowhere"),
    ],
)
def test_a_back_end_that_does_not_load_says_why_and_leaves_the_others_alone(
    target: str, why: str, installer: Installer, vmcs: Vmcs
) -> None:
    installer.install("vmcsc-plugin-bad", f"bad = {target}")
    assert backends() == ["c-header", "c-checker", "bytecode", "kvm-patch", "bad"]
    with pytest.raises(VmcscError, match="the back end 'bad'") as refused:
        get("bad")
    assert why in str(refused.value)
    assert emit(vmcs, "c-header")


def test_a_back_end_that_does_not_parse_says_so(installer: Installer) -> None:
    installer.install("vmcsc-plugin-odd", "odd = vmcsc_plugin_odd:Odd", code="class Odd(:\n")
    with pytest.raises(VmcscError, match="does not load"):
        get("odd")


def test_two_distributions_cannot_claim_one_name(installer: Installer) -> None:
    installer.install("vmcsc-plugin-a", "notes = vmcsc_plugin_a:Notes")
    installer.install("vmcsc-plugin-b", "notes = vmcsc_plugin_b:Notes")
    with pytest.raises(VmcscError, match="two distributions announce a back end 'notes'"):
        backends()


def test_a_distribution_cannot_take_the_place_of_a_built_in_back_end(installer: Installer, vmcs: Vmcs) -> None:
    installer.install("vmcsc-plugin-c", "c-header = vmcsc_plugin_c:Notes")
    assert type(get("c-header")).__name__ == "CHeader"
    assert emit(vmcs, "c-header")[0].path == "p.h"
    with pytest.raises(VmcscError, match="c-header"):
        backends()


def test_one_distribution_found_twice_on_the_path_is_one(
    installer: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editable install beside a copy: the same announcement twice is no quarrel."""
    installer.install("vmcsc-plugin-notes", "notes = vmcsc_plugin_notes:Notes")
    second = tmp_path / "second"
    second.mkdir()
    Installer(second).install("vmcsc-plugin-twin", "notes = vmcsc_plugin_notes:Notes")
    monkeypatch.syspath_prepend(str(second))
    assert backends() == ["c-header", "c-checker", "bytecode", "kvm-patch", "notes"]


def test_options_come_from_a_dataclass(vmcs: Vmcs) -> None:
    options: Any = get("c-header").options
    assert {name: f.metadata["help"] != "" for name, f in options.__dataclass_fields__.items()} == {
        "stdint": True,
        "prefix": True,
    }


def test_the_back_ends_are_listed_also_after_one_was_used(database: Database) -> None:
    """The package `vmcsc.backends` has the name of the function; using it must not hide the function."""
    vmcs = vmcsc.compile("minimal", database=database).vmcs
    assert vmcs is not None
    vmcsc.emit(vmcs, "c-header")
    assert "c-header" in vmcsc.backends()
