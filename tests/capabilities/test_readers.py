"""Processors from names, our YAML and JSON mappings of MSRs to values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import inconsistencies, parse_cpu, read_cpu, shipped_cpus
from vmcsc.diagnostic import Code, Diagnostic, Diagnostics
from vmcsc.expression import value
from vmcsc.resources import SPECS
from vmcsc.source import Source

# A processor without secondary controls: everything that any of its MSRs says is left to the plain ones.
YONAH = {0x480: 0x001B040000000005, 0x481: 0x0000001F00000016, 0x482: 0x7781FFFE0401E172}
SPEC = """\
kind: cpu
name: my_cpu
title: My CPU
model: A model
sources: {mine: measured}
msrs:
  - {msr: ia32_vmx_basic, value: 0x001b040000000005, source: mine}
processor:
  - {fact: maxphyaddr, value: 39, source: mine, evidence: leaf 80000008H}
"""


def read(text: str, database: Database) -> tuple[Cpu | None, list[Diagnostic]]:
    diagnostics = Diagnostics()
    return parse_cpu(Source("c.json", text), "c", database, diagnostics), diagnostics.found


def cpu_of(text: str, database: Database) -> Cpu:
    cpu, found = read(text, database)
    assert cpu is not None, found
    assert not found
    return cpu


def refusal(text: str, database: Database) -> Diagnostic:
    cpu, (found,) = read(text, database)
    assert cpu is None
    return found


def assert_finding(found: Diagnostic, code: Code, place: str) -> None:
    assert (found.code, found.span and found.span.text) == (code.id, place), found.message


WRITINGS = {
    "hex keys, hex values": {hex(index): hex(bits) for index, bits in YONAH.items()},
    "hex keys, decimal values in texts": {hex(index): str(bits) for index, bits in YONAH.items()},
    "decimal keys, numbers": {str(index): bits for index, bits in YONAH.items()},
    "upper case": {f"0X{index:X}": f"0X{bits:X}" for index, bits in YONAH.items()},
    "zeros in front": {f"0x{index:08x}": f"0x{bits:016x}" for index, bits in YONAH.items()},
}


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_gives_msrs_by_number_in_hex_or_decimal(
    writing: str, indent: int | str | None, database: Database
) -> None:
    cpu = cpu_of(json.dumps(WRITINGS[writing], indent=indent), database)
    assert {database.msrs[name].index: read for name, read in cpu.msrs.items()} == {
        index: value.known(64, bits) for index, bits in YONAH.items()
    }


def test_json_gives_msrs_by_any_of_their_names_in_any_case(database: Database) -> None:
    names = ["ia32_vmx_basic", "IA32_VMX_PINBASED_CTLS", "vmx_procbased_ctls"]
    cpu = cpu_of(json.dumps(dict(zip(names, YONAH.values(), strict=True))), database)
    assert [database.msrs[name].index for name in cpu.msrs] == list(YONAH)


def test_json_may_hold_the_mapping_under_the_key_msrs(database: Database) -> None:
    cpu = cpu_of(json.dumps({"msrs": {"0x480": "0x5"}, "comment": "of the rest nothing is read"}), database)
    assert list(cpu.msrs) == ["ia32_vmx_basic"]


def test_an_msr_that_is_not_in_the_file_is_absent(database: Database) -> None:
    cpu = cpu_of('{"0x480": 5}', database)
    assert "ia32_vmx_misc" not in cpu.msrs


@pytest.mark.parametrize(
    "raw",
    ["-1", str(1 << 64), '"0x1' + "0" * 16 + '"', '"0xg"', '"12ab"', '""', '"0x"', "1.5", "true", "null", "[1]", '"٣"'],
)
def test_a_value_that_is_no_64_bit_number_is_reported_where_it_stands(raw: str, database: Database) -> None:
    assert_finding(refusal(f'{{"0x480": {raw}}}', database), codes.CPU_UNREADABLE, raw)


@pytest.mark.parametrize("repeated", ['"1152": 2', '"ia32_vmx_basic": 2', '"0x0480": 2', '"IA32_VMX_BASIC": 2'])
def test_an_msr_given_twice_in_different_words_is_inconsistent(repeated: str, database: Database) -> None:
    found = refusal(f'{{"0x480": 1, {repeated}}}', database)
    assert_finding(found, codes.CPU_INCONSISTENT, repeated.partition(":")[0])


def test_a_key_given_twice_is_refused(database: Database) -> None:
    assert_finding(refusal('{"0x480": 1, "0x480": 1}', database), codes.CPU_UNREADABLE, '"0x480"')


def test_a_misspelt_msr_is_an_error_with_what_was_probably_meant(database: Database) -> None:
    found = refusal('{"0x480": 5, "ia32_vmx_misk": 1}', database)
    assert_finding(found, codes.CPU_UNREADABLE, '"ia32_vmx_misk"')
    assert found.help == "did you mean `ia32_vmx_misc`?"


@pytest.mark.parametrize("key", ["0x10", "0xc0000080", "0x9999"])
def test_an_msr_that_says_nothing_of_vmx_is_ignored_with_a_note(key: str, database: Database) -> None:
    cpu, (found,) = read(f'{{"0x480": 5, "{key}": 1}}', database)
    assert_finding(found, codes.MSR_IGNORED, f'"{key}"')
    assert cpu is not None
    assert list(cpu.msrs) == ["ia32_vmx_basic"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "5", '"0x480"', "[[1, 2]]", '{"msrs": {}}', "{'msrs': 5}", "{", "\t"])
def test_a_text_that_is_no_mapping_of_msrs_is_refused(text: str, database: Database) -> None:
    cpu, found = read(text, database)
    assert cpu is None
    assert {diagnostic.code for diagnostic in found} == {codes.CPU_UNREADABLE.id}


def test_a_file_in_which_no_msr_is_one_of_vmx_is_refused(database: Database) -> None:
    cpu, found = read('{"0x10": 1}', database)
    assert cpu is None
    assert codes.CPU_UNREADABLE.id in [diagnostic.code for diagnostic in found]


def test_our_yaml_gives_msrs_facts_and_where_they_come_from(database: Database) -> None:
    cpu = cpu_of(SPEC, database)
    assert (cpu.name, cpu.title) == ("my_cpu", "My CPU")
    assert cpu.msrs == {"ia32_vmx_basic": value.known(64, 0x001B040000000005)}
    assert cpu.facts == {"maxphyaddr": value.known(8, 39)}
    assert cpu.origins == {"ia32_vmx_basic": "measured", "maxphyaddr": "leaf 80000008H"}


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        ("value: 39", "value: 256", codes.CPU_UNREADABLE, "maxphyaddr"),
        ("fact: maxphyaddr", "fact: maxphyadr", codes.CPU_UNREADABLE, "maxphyadr"),
        ("kind: cpu", "kind: fields", codes.SPEC_SCHEMA, None),
        ("title: My CPU", "titel: My CPU", codes.SPEC_SCHEMA, None),
        ("msr: ia32_vmx_basic", "msr: ia32_vmx_basik", codes.CPU_UNREADABLE, "ia32_vmx_basik"),
        ("0x001b040000000005", "-5", codes.SPEC_SCHEMA, "-5"),
    ],
)
def test_a_mistake_in_our_yaml_is_reported(
    old: str, new: str, code: Code, place: str | None, database: Database
) -> None:
    assert old in SPEC
    cpu, found = read(SPEC.replace(old, new), database)
    assert cpu is None
    assert code.id in [diagnostic.code for diagnostic in found]
    assert place is None or place in [diagnostic.span.text for diagnostic in found if diagnostic.span]


def test_a_spec_of_another_kind_is_not_a_cpu(database: Database) -> None:
    text = (SPECS / "version.yaml").read_text()
    assert_finding(refusal(text, database), codes.CPU_UNREADABLE, "version")


# --- what contradicts itself -----------------------------------------------------------------------------------


def test_a_true_msr_without_bit_55_of_ia32_vmx_basic_is_inconsistent(database: Database) -> None:
    text = json.dumps({"0x480": hex(YONAH[0x480]), "0x48d": "0x7f00000016"})
    found = refusal(text, database)
    assert found.code == codes.CPU_INCONSISTENT.id
    assert "IA32_VMX_TRUE_PINBASED_CTLS" in found.message
    assert cpu_of(text.replace(hex(YONAH[0x480]), hex(YONAH[0x480] | 1 << 55)), database)


def test_secondary_controls_that_cannot_be_activated_are_inconsistent(database: Database) -> None:
    plain = {"0x480": 5, "0x482": hex(0x7781FFFE_0401E172), "0x48b": hex(0x2_00000000)}
    found = refusal(json.dumps(plain), database)
    assert found.code == codes.CPU_INCONSISTENT.id
    assert "IA32_VMX_PROCBASED_CTLS2" in found.message
    assert cpu_of(json.dumps({**plain, "0x482": hex(0xF781FFFE_0401E172)}), database)


def test_a_bit_that_must_be_1_and_must_be_0_is_inconsistent(database: Database) -> None:
    found = refusal('{"0x480": 5, "0x481": "0x0000001f00000036"}', database)
    assert found.code == codes.CPU_INCONSISTENT.id
    assert "0x20" in found.message


def test_what_is_not_read_contradicts_nothing(database: Database) -> None:
    cpu_of('{"0x48b": "0x0000000200000000"}', database)
    cpu_of('{"0x48d": "0x0000007f00000016"}', database)


# --- names and paths -------------------------------------------------------------------------------------------


def test_every_shipped_cpu_is_read_by_its_name_without_findings_or_contradictions(database: Database) -> None:
    names = shipped_cpus(database)
    assert len(names) == 13
    for name in names:
        diagnostics = Diagnostics()
        cpu = read_cpu(name, database, diagnostics)
        assert cpu is not None
        assert (diagnostics.found, cpu.name) == ([], name)
        assert list(inconsistencies(cpu, database)) == []
        assert {"ia32_vmx_basic", "ia32_vmx_pinbased_ctls"} <= cpu.msrs.keys()


def test_a_path_is_read_under_the_name_of_its_file(tmp_path: Path, database: Database) -> None:
    path = tmp_path / "lab7.json"
    path.write_text('{"0x480": "0x5"}')
    cpu = read_cpu(str(path), database, Diagnostics())
    assert cpu is not None
    assert cpu.name == "lab7"


def test_an_unknown_name_is_reported_at_its_place_with_what_was_probably_meant(database: Database) -> None:
    diagnostics = Diagnostics()
    place = Source("t", "for cpus x").span(9, 10)
    assert read_cpu("ice_lake_i7_1065g8", database, diagnostics, place) is None
    (found,) = diagnostics
    assert (found.code, found.span) == (codes.UNKNOWN_CPU.id, place)
    assert found.help == "did you mean `ice_lake_i7_1065g7`?"


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"{\x00}", b"#" * ((1 << 20) + 1)])
def test_a_file_that_cannot_be_read_is_a_finding(content: bytes | None, tmp_path: Path, database: Database) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    diagnostics = Diagnostics()
    assert read_cpu(str(path), database, diagnostics) is None
    assert [found.code for found in diagnostics] == [codes.CPU_UNREADABLE.id]
