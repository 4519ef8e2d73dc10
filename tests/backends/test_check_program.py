"""The program of `emit c-checker --main` prints what `vmcsc check --state --format concise` prints, and ends alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.backends.check_program import SANITIZED, Ran, agreed, as_lines, as_text, built, ran, source, spoilt
from tests.backends.checked_in_c import of_row, partly_known
from tests.check.all_rows import ROWS
from tests.conftest import skip_or_fail
from vmcsc import VmcscError
from vmcsc.architecture.database import Database
from vmcsc.cli import main

Theirs = Callable[[Path], Ran]


@pytest.fixture(scope="module")
def text(database: Database) -> str:
    return source(database)


@pytest.fixture(scope="module")
def program(text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(text, tmp_path_factory.mktemp("program"), "gcc", "-std=c99", *SANITIZED)


@pytest.fixture
def theirs(capfd: pytest.CaptureFixture[str]) -> Theirs:
    """What `vmcsc check --state` does with a file."""

    def run(path: Path) -> Ran:
        capfd.readouterr()
        code = main(["check", "--state", str(path), "--format", "concise"])
        return code, *capfd.readouterr()

    return run


# --- the same words ---


def test_states_of_every_kind_come_out_alike(
    program: Path, theirs: Theirs, database: Database, tmp_path: Path
) -> None:  # fmt: skip
    """Rows of every rule, wholly known and in part, one a line."""
    chance = Random(1)
    first = {(row.check.rule, row.status): row for row in ROWS}
    rows = [of_row(row, database) for row in first.values()]
    states = [*rows, *(partly_known(one, chance) for one in chance.sample(rows, 300))]
    path = tmp_path / "states.jsonl"
    texts = [as_text(one) for one in states]
    texts += [{"fields": one["fields"], "cpu": one["cpu"]} for one in chance.sample(texts, 100)]
    path.write_text("\n".join(map(json.dumps, texts)) + "\n\n")
    ours, expected = ran(program, path), theirs(path)
    assert expected[1].count("VM entry succeeds\n") > 100 and ", the state of the processor left aside\n" in expected[1]
    assert "; or " in expected[1] and "(element 1 of " in expected[1] and "but it may fail: " in expected[1]
    assert ours == expected


def test_the_first_element_that_fails_is_the_one_that_is_reported(
    program: Path, theirs: Theirs, tmp_path: Path
) -> None:  # fmt: skip
    """Two entries of the area violate a rule each; the processor does not get to the second one."""
    entries = "00 01 00 c0 00 00 00 00 00 00 00 00 00 00 00 00 77 02 00 00 01 00 00 00 06 04 07 00 06 04 07 00"
    fields = {"VM_ENTRY_MSR_LOAD_COUNT": 2, "VM_ENTRY_MSR_LOAD_ADDR": "0x3000"}
    for number, memory in enumerate((entries, f"{entries[48:]} {entries[:47]}")):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps({"fields": fields, "memory": {"0x3000": memory}}))
        ours = ran(program, path)
        assert ours == theirs(path)
        assert "(element 1 of " in ours[1] and "(element 2 of " in ours[1]
        assert ours[1].splitlines()[0].endswith("qualification 1")


def test_lines_come_out_as_objects_do(program: Path, theirs: Theirs, database: Database, tmp_path: Path) -> None:
    chance = Random(2)
    for number, row in enumerate(chance.sample(ROWS, 25)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(as_lines(as_text(partly_known(of_row(row, database), chance)), chance), newline="")
        assert ran(program, path) == theirs(path), path.read_text()


@pytest.mark.parametrize("names", ["sdm", "linux", "encoding"])
def test_fields_have_all_their_names(
    program: Path, theirs: Theirs, database: Database, tmp_path: Path, names: str
) -> None:  # fmt: skip
    lines = []
    for place, field in enumerate(database.fields.values()):
        name = hex(field.encoding) if names == "encoding" else getattr(field, names)
        if name is not None:
            lines.append(f"{json.dumps(name)}: {place * 7 % 5}")
    path = tmp_path / "names.yaml"
    path.write_text("\n".join(lines))
    ours = ran(program, path)
    assert ours == theirs(path) and "error[VMX2" not in ours[1]


BASICS = {"fields": {"GUEST_RFLAGS": 0}, "cpu": {"maxphyaddr": 46}}
MISTAKES = [
    "",
    "# nothing\n",
    "{}",
    "fields:\nmemory:\nprocessor: 5\ncpu: [1]",
    "GUEST_RFLAGS: 0x1ffffffffffffffff\nGUEST_CR0: -1\nfoo: 1\n0x9999: 2\nGUEST_CR3: x\nGUEST_CR4: 1.5\nGUEST_RSP: no",
    "GUEST_CR0: 1\nguest-cr0: 2\n0x6800: 3\nTSC_OFFSET: 0x100000000\nTSC_OFFSET_HIGH: 2\n",
    "a: 1\nit's: 2\nit's: 3\n",
    'fields: {}\nother: {}\n"x": 1\n',
    "memory:\n 0: 1\n x: '00'\n 1: [0, 256, true, -1]\n -1: '00'\n 0x10: '0x'\n 16: '0'\n 0xffffffffffffffff: '0000'",
    "memory:\n  0x10: '00 01 02'\n  0x11: 'ff'\n  17: [1]\n  0x12: []\n",
    "processor:\n smm: 2\n SMM: 1\n foo: 1\n instruction: vmlaunch\n launch_state: x\n processor.cpl: 3\n vmx_root: on",
    "cpu:\n vmx: 0\n foo: 1\n 0x10: 5\n ia32_vmx_basic: 1\n 0x480: 2\n MSR_IA32_VMX_MISC: true\n maxphyaddr: 300\n",
    "cpu:\n  maxphyaddr: 46\n  cpu.maxphyaddr: 46\n  480h: 2\n  0x3a: 1\n  pat: 1\n",
    "GUEST_RFLAGS: 12h\nGUEST_RSP: 0x_12_3\nGUEST_RIP: 1_000\nGUEST_CR3: '  0012  '\nGUEST_CR0: ~\n",
    "GUEST_RFLAGS: 0\a\n",
    "GUEST_RFLAGS: 0\r\nGUEST_CR0: 1\r",
    "\n".join(f"f{number}: 1" for number in range(1500)),
    json.dumps({**BASICS, "x" * 70: 1}),
    json.dumps({"fields": {"GUEST_" + "x" * 400: 1}, "cpu": {"y" * 990: 2}}),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_what_is_wrong_is_said_alike(program: Path, theirs: Theirs, tmp_path: Path, number: int) -> None:
    path = tmp_path / "state"
    path.write_bytes(MISTAKES[number].encode())
    assert ran(program, path) == theirs(path)


def test_many_states_with_mistakes_are_counted_alike(program: Path, theirs: Theirs, tmp_path: Path) -> None:
    states = [json.dumps(BASICS), json.dumps({"a": 1}), "{", json.dumps({"cpu": {"0x10": 1}}), json.dumps({"b": None})]
    path = tmp_path / "states.jsonl"
    path.write_text("\n".join([states[4], states[3], *states[:2] * 600, states[3]]))
    ours = ran(program, path)
    assert ours == theirs(path) and ours[0] == 1 and "\n" not in ours[2][:-1]


def test_spoilt_texts_are_read_alike_or_not_at_all(
    program: Path, theirs: Theirs, database: Database, tmp_path: Path
) -> None:  # fmt: skip
    """Without a report of the sanitizers. `tests/backends/check_program_run.py` does this for any number of texts."""
    chance, read = Random(3), 0
    for number in range(250):
        path = tmp_path / f"state-{number}"
        path.write_bytes(some_text(database, chance).encode("utf-8", "surrogateescape"))
        ours = ran(program, path)
        wrong = agreed(ours, lambda path=path: theirs(path))  # type: ignore[misc]
        assert wrong is None, f"{path.read_bytes()!r}\n{wrong}"
        read += "error[VMX1001]" not in ours[1]
    assert read > 60


def some_text(database: Database, chance: Random) -> str:
    """A few values of a state, spoilt."""
    whole = as_text(of_row(chance.choice(ROWS), database))
    few = {
        section: dict(chance.sample(sorted(values.items()), min(len(values), 4))) for section, values in whole.items()
    }
    plain = as_lines(few, chance) if chance.random() < 0.6 else json.dumps(few, indent=chance.choice((None, 1)))
    return spoilt(plain, chance)


# --- files ---


def test_standard_input_is_one_state_or_several(
    program: Path, theirs: Theirs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    one = json.dumps(BASICS)
    for given in (
        "GUEST_RFLAGS: 0\n",
        one,
        f"{one}\n\n  {one}  \r\n",
        "\ufeffGUEST_RFLAGS: 0",
        "{}\n\x07",
    ):
        path = tmp_path / "given"
        path.write_bytes(given.encode())
        with path.open(encoding="utf-8") as stream:
            monkeypatch.setattr("sys.stdin", stream)
            expected = theirs(Path("-"))
        assert ran(program, "-", text=given) == expected


def test_files_that_cannot_be_read_are_named_beside_others(program: Path, theirs: Theirs, tmp_path: Path) -> None:
    good, large, missing = tmp_path / "good", tmp_path / "large", tmp_path / "mi\nss\x1bing"
    good.write_text("GUEST_RFLAGS: 0\n")
    large.write_text("#" * (1 << 20) + "\n")
    for path in (good, large, missing, tmp_path):
        assert ran(program, path) == theirs(path)
    both = ran(program, missing, good)
    assert both[0] == 2 and "there is no such file\n" in both[1] and "guest-rflags-bit1" in both[1]
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(b'{"GUEST_RFLAGS": 0}\n{"a\x07": 1}\n{}\n')
    assert ran(program, lines) == theirs(lines)


def test_what_is_beyond_the_form_is_refused_with_its_place(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("fields:\n  GUEST_RFLAGS: &x 2\n")
    code, out, err = ran(program, path)
    assert (code, err) == (2, "1 state, 1 error\n")
    assert out.startswith(f"{path}:2:17: error[VMX1001]: {path} cannot be read: ")
    path.write_text("GUEST_RFLAGS: 2  # naïve\n")
    assert f"{path}:1:22: error[VMX1001]: {path} cannot be read: it holds more than ASCII\n" in ran(program, path)[1]


def test_without_a_file_it_says_how_it_is_used(program: Path) -> None:
    code, out, err = ran(program)
    assert (code, out) == (2, "") and err.startswith("usage: vmcsc_check FILE...\n")
    assert ran(program, "--help")[:2] == (0, err)


# --- the source ---


@pytest.mark.parametrize("command", ["gcc -std=c99 -O2", "clang -std=c99 -O1", "gcc -std=c17", "g++ -x c++ -std=c++17"])
def test_it_compiles(text: str, tmp_path: Path, command: str) -> None:
    if shutil.which(command.split(maxsplit=1)[0]) is None:
        skip_or_fail(f"{command.split(maxsplit=1)[0]} is not installed")
    program = built(text, tmp_path, *command.split())
    path = tmp_path / "state"
    path.write_text("GUEST_RFLAGS: 0\n")
    assert ran(program, path)[0] == 1


def test_it_may_have_the_rules_of_some_stages(database: Database, tmp_path: Path) -> None:
    program = built(source(database, stages="guest_state"), tmp_path, "gcc", "-std=c99")
    path = tmp_path / "state"
    path.write_text("GUEST_RFLAGS: 0\nPIN_BASED_VM_EXEC_CONTROL: 0x20\n")
    assert ran(program, path)[1].startswith(f"{path}: VM entry fails: exit reason 33 ")


def test_it_needs_the_names_of_rules(database: Database) -> None:
    with pytest.raises(VmcscError, match="names"):
        source(database, strings=False)
