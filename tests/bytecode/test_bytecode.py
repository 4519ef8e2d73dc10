"""Bytecode: what is written is read back, runs like the policy, and whatever is broken is told precisely."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmcsc.architecture.database import Database
from vmcsc.bytecode.binary import MAX_BYTES, BrokenProgram, from_bytes, to_bytes
from vmcsc.bytecode.compile import program_of
from vmcsc.bytecode.listing import from_text, to_text
from vmcsc.bytecode.load import load_program
from vmcsc.bytecode.program import SECTIONS, Entry, Program
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.pipeline import compile
from vmcsc.scenario.test import run_scenarios, usual_cpu
from vmcsc.source import Source

POLICIES = ("minimal", "kvm-classic", "kvm-6.1", "kvm-7.3", "introspection", "kvm-story")
HEADER = 28


@pytest.fixture(scope="module")
def programs(database: Database) -> dict[str, Program]:
    cpu = usual_cpu(database)
    found = {}
    for name in POLICIES:
        policy = compile(name, cpu, database).policy
        assert policy is not None
        found[name] = program_of(policy, database, cpu)
    return found


@pytest.fixture(scope="module")
def small() -> bytes:
    """A program with an entry in each section."""
    entries = {
        "capabilities": (Entry("cpu", ("c", "C")),),
        "memory": (Entry("fill", (0x1000, 4096, 0xFF)), Entry("bytes", (0x2000, b"\x01\x02"))),
        "host": (Entry("vmwrite", (0x681E, 5)),),
        "guest": (Entry("code", (b"\x0f\xa2",)),),
        "scenarios": (Entry("scenario", ("s", 0, 1)), Entry("guest", ("guest cpuid", 0))),
    }
    return to_bytes(Program("p", bytes(20), entries))


# --- round trips ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POLICIES)
def test_bytes_and_listing_lead_back(name: str, programs: dict[str, Program]) -> None:
    data = to_bytes(programs[name])
    assert from_bytes(data) == programs[name]
    diagnostics = Diagnostics()
    again = from_text(Source("listing", to_text(programs[name])), diagnostics)
    assert again is not None, diagnostics.found
    assert to_bytes(again) == data


@pytest.mark.parametrize("name", POLICIES)
def test_a_program_runs_as_its_policy_does(name: str, programs: dict[str, Program], database: Database) -> None:
    policy = compile(name, usual_cpu(database), database).policy
    assert policy is not None
    expected = list(run_scenarios(policy, database))
    found = list(load_program(programs[name], "p.vmxb", database).run(database))
    assert [(one.title, one.passed) for one in found] == [(one.title, one.passed) for one in expected]
    assert [[h.exited for h in one.happenings] for one in found] == [
        [h.exited for h in one.happenings] for one in expected
    ]


def test_random_programs_lead_back() -> None:
    chance = random.Random(0)
    for _ in range(200):
        program = Program(word(chance), chance.randbytes(20), {s.name: tuple(entries(s, chance)) for s in SECTIONS})
        data = to_bytes(program)
        assert from_bytes(data) == program
        listed = from_text(Source("listing", to_text(program)), Diagnostics())
        assert listed is not None and to_bytes(listed) == data


def word(chance: random.Random) -> str:
    return "".join(chance.choice('ab"\\; \té\n{#') for _ in range(chance.randrange(8)))


def entries(section: Any, chance: random.Random) -> list[Entry]:
    found = []
    for _ in range(chance.randrange(6)):
        kind = chance.choice(list(section.kinds))
        operands: list[int | str | bytes] = []
        for one in section.kinds[kind][1]:
            if one == "text":
                operands.append(word(chance))
            elif one == "bytes":
                operands.append(chance.randbytes(chance.randrange(5)))
            else:
                operands.append(chance.getrandbits(int(one[1:])))
        found.append(Entry(kind, tuple(operands)))
    return found


# --- what is broken ---------------------------------------------------------------------------------------------


def said(data: bytes) -> str:
    with pytest.raises(BrokenProgram) as broken:
        from_bytes(data)
    return str(broken.value)


def test_every_truncation_is_told(small: bytes) -> None:
    for size in range(len(small)):
        assert "bytes, and" in said(small[:size]) or "are left" in said(small[:size])


def test_every_changed_byte_is_told(small: bytes) -> None:
    """But for the digest of the specs and the name of the policy, which may be anything."""
    harmless = {*range(8, HEADER), HEADER + 4}
    for at in range(len(small)):
        changed = small[:at] + bytes([small[at] ^ 0x41]) + small[at + 1 :]
        if at not in harmless:
            said(changed)


def test_each_mistake_has_its_own_message(small: bytes) -> None:
    assert "it is no bytecode" in said(b"ELF!" + small[4:])
    assert "version 9" in said(small[:4] + b"\x09\x00" + small[6:])
    assert "flags are 0x1" in said(small[:6] + b"\x01\x00" + small[8:])
    assert "follow behind the last section" in said(small + b"\0")
    assert f"no program has more than {MAX_BYTES}" in said(bytes(MAX_BYTES + 1))


def sections(data: bytes) -> list[bytes]:
    at, found = HEADER + 5, []
    while at < len(data):
        size = 12 + int.from_bytes(data[at + 4 : at + 8], "little")
        found.append(data[at : at + size])
        at += size
    return found


def test_sections_stand_in_their_order(small: bytes) -> None:
    head, parts = small[: HEADER + 5], sections(small)
    swapped = head + b"".join([parts[1], parts[0], *parts[2:]])
    assert said(swapped) == "at byte 33: the section memory stands where the section capabilities belongs"
    assert "an unknown section 77" in said(head + b"\x4d" + parts[0][1:] + b"".join(parts[1:]))


def test_an_unknown_opcode_is_told_where_it_is(small: bytes) -> None:
    head, parts = small[: HEADER + 5], sections(small)
    content = b"\x63" + parts[3][13:]
    broken = parts[3][:8] + zlib.crc32(content).to_bytes(4, "little") + content
    message = said(head + b"".join([*parts[:3], broken, parts[4]]))
    assert message.endswith("the section guest has no opcode 99")


def test_a_checksum_that_is_wrong_is_told(small: bytes) -> None:
    changed = small[:-1] + bytes([small[-1] ^ 1])
    assert "the checksum of the section scenarios is not that of its content" in said(changed)


@pytest.mark.parametrize(
    ("section", "entries", "message"),
    [
        ("guest", [Entry("code", (b"\x0f\x0f",))], "no instruction with the bytes 0f 0f"),
        ("host", [Entry("vmwrite", (0x9999, 0))], "no field with the encoding 0x9999"),
        ("host", [Entry("vmwrite", (0x0800, 1 << 16))], "has 16 bits"),
        ("capabilities", [Entry("msr", ("nothing", 0, 0))], "no MSR 'nothing'"),
        ("capabilities", [Entry("fact", ("maxphyaddr", 3, 0, 0))], "not 3"),
        ("scenarios", [Entry("resume", ("resume",))], "before the first scenario"),
        ("scenarios", [Entry("scenario", ("s", 0, 99))], "on 1 to"),
        ("scenarios", [Entry("scenario", ("s", 0, 1)), Entry("guest", ("g", 5))], "no instruction 5"),
        ("scenarios", [Entry("scenario", ("s", 0, 1)), Entry("on_exit", ("o", 12))], "a block has no end"),
        ("scenarios", [Entry("scenario", ("s", 0, 1)), Entry("expect", ("e",))], "has no end"),
        ("scenarios", [Entry("scenario", ("s", 0, 1)), Entry("end", ())], "stands where a step belongs"),
        ("scenarios", [Entry("scenario", ("s", 0, 1)), *[Entry("on_exit", ("o", 12))] * 20], "deep in each other"),
        ("scenarios", [Entry("scenario", ("s", 0, 1)), Entry("configure", ("c", 3))], "no processor 3"),
        ("scenarios", [Entry("scenario", ("s", 0, 1)), Entry("set", ("s", 0, "eax", 3))], "no register 'eax'"),
        ("scenarios", [Entry("scenario", ("s", 0, 1)), Entry("event", ("e", "party", 0, 0))], "no event 'party'"),
        (
            "scenarios",
            [Entry("scenario", ("s", 0, 1)), Entry("expect", ("e",)), Entry("condition", ("c", "raxx == 1"))],
            "the condition 'raxx == 1' means nothing",
        ),
    ],
)
def test_what_means_nothing_is_told(section: str, entries: list[Entry], message: str, database: Database) -> None:
    program = Program("p", bytes(20), {**{one.name: () for one in SECTIONS}, section: tuple(entries)})
    with pytest.raises(VmcscError, match=message.replace("(", "\\(")):
        load_program(program, "p.vmxb", database)


def test_a_listing_tells_each_of_its_mistakes() -> None:
    text = (
        "vmxb 2\nwhat 1\nhost\n  vmwrite 1\n  vmread 1 2\n  vmwrite 0x1 -5\nguest\n  code ff\nscenarios\n  resume x\n"
    )
    diagnostics = Diagnostics()
    assert from_text(Source("listing", text), diagnostics) is None
    lines = [one.span.first.line for one in diagnostics if one.span is not None]
    assert lines == [1, 2, 4, 5, 6, 8, 10]


# --- commands ---------------------------------------------------------------------------------------------------


def test_the_commands_work_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from vmcsc.cli import main

    run: Callable[..., int] = lambda *argv: main([str(one) for one in argv])  # noqa: E731
    first, listing, second = tmp_path / "a.vmxb", tmp_path / "a.txt", tmp_path / "b.vmxb"
    assert run("emit", "bytecode", "minimal", "--cpu", "ice_lake_i7_1065g7", "-o", first) == 0
    capsys.readouterr()
    assert run("disassemble", first) == 0
    listing.write_text(capsys.readouterr().out)
    assert "; cpuid" in listing.read_text()
    assert run("assemble", listing, "-o", second) == 0
    assert first.read_bytes() == second.read_bytes()
    assert run("test", second) == 0
    assert run("run", second, "--trace") == 0
    second.write_bytes(first.read_bytes()[:-3])
    assert run("test", second) == 1
    assert "VMX8006" in capsys.readouterr().out
    assert run("emit", "bytecode", "minimal") == 2


def test_the_documentation_lists_every_entry_with_its_opcode_and_a_listing_that_runs(database: Database) -> None:
    text = (Path(__file__).parent.parent.parent / "docs" / "bytecode.md").read_text()
    for section in SECTIONS:
        part = text.split(f"### {section.number}: {section.name}\n")[1].split("\n#")[0]
        listed = [
            (line.split("|")[2].strip(" `"), int(line.split("|")[1])) for line in part.splitlines() if "| `" in line
        ]
        assert listed == [(kind, opcode) for kind, (opcode, _) in section.kinds.items()]
    listing = text.split("```\nvmxb 1")[1].split("```")[0]
    program = from_text(Source("listing", "vmxb 1" + listing), Diagnostics())
    assert program is not None
    (result,) = load_program(program, "tiny.vmxb", database).run(database)
    assert result.passed
