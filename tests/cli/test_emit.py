"""`vmcsc emit`: what is written where, and that nothing is where something is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from vmcsc.backend import _BUILT_IN, Artifact
from vmcsc.errors import VmcscError
from vmcsc.vmcs import Vmcs

GOOD = "policy good {\n  pin_based { require external_interrupt_exiting }\n}\n"
BAD = "policy bad {\n  primary { require hlt_exitng }\n}\n"
Write = Callable[..., Path]


@dataclass(frozen=True)
class Options:
    shout: bool = field(default=False, metadata={"help": "write in capitals, 100% of them"})
    greeting: str = field(default="hello", metadata={"help": "begin with this"})
    times: int = field(default=1, metadata={"help": "how often"})
    name: str | None = field(default=None, metadata={"help": "another name"})


class Listing:
    """A back end that says what it was given."""

    name: ClassVar[str] = "listing"
    summary: ClassVar[str] = "a list of what it was given"
    options: ClassVar[type[Options]] = Options

    def emit(self, vmcses: Sequence[Vmcs], options: Options) -> list[Artifact]:
        if options.greeting == "refuse":
            raise VmcscError("the greeting is refused")
        if options.greeting == "many":
            return [Artifact("a.txt", "a"), Artifact("b.txt", "b")]
        if options.greeting == "bytes":
            return [Artifact("a.bin", b"\x00\xff")]
        name = options.name or vmcses[0].policy.name
        text = f"{options.greeting} {name} on {', '.join(vmcs.cpu.name for vmcs in vmcses)}\n" * options.times
        return [Artifact("listing.txt", text.upper() if options.shout else text)]


@pytest.fixture(autouse=True)
def listing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("listing_backend_of_a_test")
    module.Listing = Listing  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(_BUILT_IN, "listing", f"{module.__name__}:Listing")


def test_without_an_output_file_the_artefact_goes_to_standard_output(vmcsc: Any, policy: Write) -> None:
    assert vmcsc("emit", "listing", policy(GOOD)) == (0, "hello good on unknown\n", "")
    assert vmcsc("emit", "listing", policy(GOOD), "-o", "-").out == "hello good on unknown\n"


def test_a_binary_artefact_keeps_its_bytes(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    vmcsc("emit", "listing", policy(GOOD), "--greeting", "bytes", "-o", tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == b"\x00\xff"


def test_the_output_file_gets_the_artefact_and_standard_output_nothing(
    vmcsc: Any, policy: Write, tmp_path: Path
) -> None:
    out = tmp_path / "out.txt"
    assert vmcsc("emit", "-o", out, "listing", policy(GOOD)) == (0, "", "")
    assert out.read_text() == "hello good on unknown\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.vmcs", "out.txt"]


def test_findings_go_to_standard_error(vmcsc: Any, policy: Write) -> None:
    path = policy("policy p { for cpus yonah_core_duo_t2600\n secondary { prefer enable_ept } }")
    run = vmcsc("emit", "listing", path)
    assert run.code == 0
    assert run.out == "hello p on yonah_core_duo_t2600\n"
    assert "note[VMX3003]" in run.err


def test_nothing_is_written_when_there_are_errors(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    run = vmcsc("emit", "listing", policy(BAD), "-o", out)
    assert (run.code, run.out) == (1, "")
    assert "error[VMX2002]" in run.err
    assert not out.exists()
    out.write_text("as before")
    assert vmcsc("emit", "listing", policy(BAD), "-o", out).code == 1
    assert out.read_text() == "as before"


def test_a_requirement_that_one_of_the_cpus_lacks_prevents_the_output(vmcsc: Any, policy: Write) -> None:
    path = policy("policy p { secondary { require enable_ept } }")
    assert vmcsc("emit", "listing", path, "--cpu", "ice_lake_i7_1065g7").out == "hello p on ice_lake_i7_1065g7\n"
    run = vmcsc("emit", "listing", path, "--cpu", "ice_lake_i7_1065g7", "--cpu", "yonah_core_duo_t2600")
    assert (run.code, run.out) == (1, "")


def test_a_file_that_cannot_be_written_is_reported_with_its_reason(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    for out, reason in ((tmp_path / "absent" / "out.txt", "No such file or directory"), (tmp_path, "Is a directory")):
        run = vmcsc("emit", "listing", policy(GOOD), "-o", out)
        assert (run.code, run.out) == (2, "")
        assert run.err == f"vmcsc: error[VMX7003]: {out} cannot be written: {reason}\n"


def test_several_files_cannot_have_one_name(vmcsc: Any, policy: Write) -> None:
    run = vmcsc("emit", "listing", policy(GOOD), "--greeting", "many")
    assert (run.code, run.out) == (2, "")
    assert "a.txt, b.txt" in run.err
    assert "name a folder" in run.err


def test_several_files_go_into_a_folder(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    for folder in ("new/", "new"):  # the second time it is there
        target = str(tmp_path / folder) + ("/" if folder.endswith("/") else "")
        assert vmcsc("emit", "listing", policy(GOOD), "--greeting", "many", "-o", target) == (0, "", "")
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt"])
def test_a_back_end_cannot_write_out_of_the_folder(
    vmcsc: Any, policy: Write, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listing, "emit", lambda self, vmcses, options: [Artifact(name, "x"), Artifact("in.txt", "x")])
    run = vmcsc("emit", "listing", policy(GOOD), "-o", f"{tmp_path}/folder/")
    assert run.code == 2
    assert "does not lie in the folder" in run.err
    assert [path.name for path in tmp_path.rglob("*.txt")] == ["in.txt"]


# --- options of the back end ---


def test_options_of_the_back_end_come_from_its_dataclass(vmcsc: Any, policy: Write) -> None:
    path = policy(GOOD)
    assert vmcsc("emit", "listing", path, "--shout").out == "HELLO GOOD ON UNKNOWN\n"
    assert vmcsc("emit", "listing", path, "--shout", "--no-shout").out == "hello good on unknown\n"
    assert vmcsc("emit", "listing", "--greeting", "bye", path).out == "bye good on unknown\n"
    assert vmcsc("emit", "listing", path, "--times", "0x2").out == "hello good on unknown\n" * 2
    assert vmcsc("emit", "listing", path, "--name", "other").out == "hello other on unknown\n"


def test_the_help_of_a_back_end_shows_its_options(vmcsc: Any) -> None:
    run = vmcsc("emit", "listing", "--help")
    assert run.code == 0
    assert "listing: a list of what it was given" in run.out
    assert "--shout, --no-shout" in run.out
    assert "write in capitals, 100% of them (default: no)" in " ".join(run.out.split())
    assert "--greeting" not in vmcsc("emit", "--help").out


def test_an_option_of_another_back_end_is_wrong_use(vmcsc: Any, policy: Write) -> None:
    run = vmcsc("emit", "listing", policy(GOOD), "--shoot")
    assert run.code == 2
    assert "did you mean --shout?" in run.err
    assert vmcsc("emit", "listing", policy(GOOD), "--times", "often").code == 2


def test_what_the_back_end_refuses_is_wrong_use(vmcsc: Any, policy: Write) -> None:
    run = vmcsc("emit", "listing", policy(GOOD), "--greeting", "refuse")
    assert (run.code, run.out, run.err) == (2, "", "vmcsc: error: the greeting is refused\n")


def test_an_unknown_back_end_is_wrong_use_and_gets_a_suggestion(vmcsc: Any, policy: Write) -> None:
    run = vmcsc("emit", "c-haeder", policy(GOOD))
    assert run.code == 2
    assert "did you mean 'c-header'?" in run.err


@pytest.mark.parametrize("argv", [["emit"], ["emit", "listing"], ["emit", "listing", "minimal", "minimal"]])
def test_a_back_end_and_one_policy_are_needed(vmcsc: Any, argv: list[str]) -> None:
    run = vmcsc(*argv)
    assert run.code == 2
    assert run.err.startswith("usage: vmcsc emit ")


def test_an_unreadable_policy_is_2(vmcsc: Any, tmp_path: Path) -> None:
    run = vmcsc("emit", "listing", tmp_path / "absent.vmcs")
    assert (run.code, run.out) == (2, "")


def test_the_shipped_back_end_writes_a_header(vmcsc: Any, tmp_path: Path) -> None:
    run = vmcsc("emit", "c-header", "minimal", "-o", tmp_path / "minimal.h")
    assert run.code == 0, run.err
    assert "#include <stdint.h>" in (tmp_path / "minimal.h").read_text()


def test_the_backends_are_listed_with_what_they_make(vmcsc: Any) -> None:
    run = vmcsc("backends")
    assert run.code == 0
    assert run.out.startswith("name       what it makes\n")
    assert "listing    a list of what it was given\n" in run.out
    (listed,) = [b for b in json.loads(vmcsc("backends", "--format", "json").out)["backends"] if b["name"] == "listing"]
    assert listed["summary"] == "a list of what it was given"


def test_a_back_end_that_does_not_load_is_a_warning_in_the_list_and_an_error_when_chosen(
    vmcsc: Any, policy: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_BUILT_IN, "broken", "absent_module_of_a_test:Broken")
    run = vmcsc("backends")
    assert run.code == 0
    assert "listing" in run.out
    assert "vmcsc: warning: the back end 'broken' " in run.err
    run = vmcsc("emit", "broken", policy(GOOD))
    assert (run.code, run.out) == (2, "")
    assert "vmcsc: error: the back end 'broken' " in run.err


def test_a_back_end_that_says_what_is_usual_needs_no_policy(vmcsc: Any, tmp_path: Path) -> None:
    target = tmp_path / "checker.h"
    assert vmcsc("emit", "c-checker", "--cpu", "ice_lake_i7_1065g7", "-o", target).code == 0
    usual = target.read_text()
    assert vmcsc("emit", "c-checker", "minimal", "--cpu", "ice_lake_i7_1065g7", "-o", target).code == 0
    assert target.read_text() == usual
    assert vmcsc("emit", "c-header").code == 2
