"""Which reader takes a text is decided by what stands in it; no text raises, and each works from the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import parse_cpu, read_cpu
from vmcsc.cli import main
from vmcsc.diagnostic import Diagnostics, Severity
from vmcsc.resources import SPECS
from vmcsc.source import Source

PAGE = (Path(__file__).parents[2] / "docs" / "capabilities.md").read_text()
FENCES = re.findall(r"^```(\w*)\n(.*?)^```\n", PAGE, re.DOTALL | re.MULTILINE)
EXAMPLES = [text for language, text in FENCES if language != "console"]
SAMPLE = (Path(__file__).parent / "samples" / "vmxcap-ice-lake-i7-1065g7.txt").read_text()


def texts(database: Database, cpu: Cpu) -> dict[str, str]:
    """One processor in every form in which all of its MSRs can be written."""
    msrs = {database.msrs[name].index: read.bits for name, read in cpu.msrs.items()}
    return {
        "cpu.yaml": (SPECS / "cpus" / f"{cpu.name}.yaml").read_text(),
        "cpu.json": json.dumps({hex(index): hex(bits) for index, bits in msrs.items()}),
        "msrs.yaml": "msrs:\n" + "".join(f"  {index:#x}: {bits:#x}\n" for index, bits in msrs.items()),
        "rdmsr.log": "".join(f"{index:#x}: {bits:x}\n" for index, bits in msrs.items()),
        "cpu.rdmsr": "".join(f"[CPU 0] MSR {index:08X}: {bits:016X}\n" for index, bits in msrs.items()),
    }


@pytest.mark.parametrize("form", ["cpu.yaml", "cpu.json", "msrs.yaml", "rdmsr.log", "cpu.rdmsr"])
def test_one_processor_is_the_same_in_every_form(form: str, shipped: Callable[..., Any], database: Database) -> None:
    cpu = shipped("ice_lake_i7_1065g7")
    diagnostics = Diagnostics()
    read = parse_cpu(Source(form, texts(database, cpu)[form]), "c", database, diagnostics)
    assert diagnostics.found == []
    assert read is not None
    assert read.msrs == cpu.msrs


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_page_about_capabilities_is_read(example: str, database: Database) -> None:
    diagnostics = Diagnostics()
    assert parse_cpu(Source("page", example), "page", database, diagnostics) is not None
    assert diagnostics.found == []


SUFFIXES = ["cpu.yaml", "cpu.json", "cpu.txt", "cpu"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_name_of_a_file_decides_nothing(suffix: str, tmp_path: Path, database: Database) -> None:
    path = tmp_path / suffix
    path.write_text(SAMPLE)
    diagnostics = Diagnostics()
    cpu = read_cpu(str(path), database, diagnostics)
    assert (diagnostics.found, cpu and cpu.name) == ([], "cpu")


FILES = {
    "a.log": "0x480: 00da050000000013\n",
    "vmxcap.txt": SAMPLE,
    "features.txt": "vmx-ept, vmx-vpid\n",
    "guest.xml": "<domain><cpu><feature policy='require' name='vmx-ept'/></cpu></domain>",
    "qmp.json": '{"return": {"model": {"props": {"vmx-ept": true}}}}',
    "line.sh": "qemu-system-x86_64 -cpu host,+vmx-ept\n",
}
POLICY = "policy p {\n  primary { prefer hlt_exiting }\n}\n"


@pytest.mark.parametrize("name", FILES)
def test_check_takes_every_form(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text(FILES[name])
    (tmp_path / "p.vmcs").write_text(POLICY)
    assert main(["check", str(tmp_path / "p.vmcs"), "--cpu", str(tmp_path / name)]) == 0
    assert "error" not in capsys.readouterr().out


def test_check_ends_with_2_where_a_source_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.vmcs").write_text(POLICY)
    (tmp_path / "a.txt").write_text("nothing of this is about a processor\n")
    assert main(["check", str(tmp_path / "p.vmcs"), "--cpu", str(tmp_path / "a.txt")]) == 2
    assert "rdmsr" in capsys.readouterr().out  # says which forms there are


@pytest.mark.parametrize("word", ["live", "kvm"])
def test_the_reserved_words_read_this_machine_or_say_why_not(word: str, database: Database) -> None:
    diagnostics = Diagnostics()
    cpu = read_cpu(word, database, diagnostics, Source("p", "for cpus x").span(9, 10))
    if cpu is None:
        assert [d.code for d in diagnostics if d.severity is Severity.ERROR] != []
        assert all(d.span is not None and d.help for d in diagnostics if d.severity is Severity.ERROR)
    else:
        assert cpu.name == word


def test_a_message_about_kvm_says_that_it_is_what_guests_get(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], shipped: Callable[..., Any]
) -> None:
    offered = Cpu("kvm", "what KVM offers to guests on this machine", shipped("yonah_core_duo_t2600").msrs)
    monkeypatch.setattr("vmcsc.capabilities.kvm.read_kvm", lambda *_: offered)
    (tmp_path / "p.vmcs").write_text("policy p {\n  primary { require use_tpr_shadow }\n}\n")
    assert main(["check", str(tmp_path / "p.vmcs"), "--cpu", "kvm"]) == 1
    assert "what KVM offers to guests on this machine: IA32_VMX_PROCBASED_CTLS" in capsys.readouterr().out


def test_an_unknown_bit_is_said_to_be_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "v.txt").write_text(SAMPLE)
    (tmp_path / "p.vmcs").write_text("policy p {\n  vm_exit { require load_cet_state }\n}\n")
    assert main(["check", str(tmp_path / "p.vmcs"), "--cpu", str(tmp_path / "v.txt")]) == 0
    out = capsys.readouterr().out
    assert "unknown" in out
    assert "leaves bit 28 out" in out


# --- hostile texts ---------------------------------------------------------------------------------------------

SEEDS = [*FILES.values(), "kind: cpu\nname: a\nmsrs: []\n", '{"0x480": 5}', "$ rdmsr -a 0x480\n13\n", "[CPU 0]", "<"]
WORDS = st.one_of(
    st.sampled_from(
        ["0x480:", "480", "=", "IA32_VMX_BASIC", "MSR", "rdmsr", "cpu0:", "00da0500_00000013", "f" * 18, "#"]
    ),
    st.sampled_from(["vmx-ept", "-vmx-vpid", "=off", "-cpu", "host,+vmx", "'", '"', "%", ",", "\n", "\t", "\r"]),
    st.sampled_from(["<feature", "name='vmx-ept'/>", "<", ">", "&#0;", "<!--", "<![CDATA[", "{", "}", "[", "]"]),
    st.sampled_from(["Hex:", "yes", "default", "pin-based controls\n", "NMI exiting", "kind:", "cpu", "msrs:"]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(), st.lists(WORDS).map(" ".join), st.lists(st.sampled_from(SEEDS)).map("\n".join)))
@example("0x480: ٣\n")
@example("0x480: 1\n0x480: \ud7ff")
@example("<a>\x00</a>")
def test_no_text_raises(database: Database, text: str) -> None:
    check(text, database)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_changed_sample_raises(database: Database, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(SEEDS))
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + data.draw(st.one_of(st.text(max_size=5), WORDS)) + text[end:]
    check(text, database)


def check(text: str, database: Database) -> None:
    """A processor without errors, or errors that each point into the text."""
    diagnostics = Diagnostics()
    cpu = parse_cpu(Source("t", text), "t", database, diagnostics)
    assert (cpu is None) == diagnostics.failed
    for found in diagnostics:
        assert found.code in {code.id for code in codes.ALL}
        assert found.span is not None
        assert 0 <= found.span.start <= len(text)
        assert found.message
