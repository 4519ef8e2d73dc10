"""Every example of docs/checks.md does what the text around it says."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import vmcsc
from tests.conftest import skip_or_fail
from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import Status
from vmcsc.check.vmcs_file import read_vmcs
from vmcsc.cli import main
from vmcsc.diagnostic import Diagnostics
from vmcsc.policy.states import known_states, read_state
from vmcsc.source import Source

PAGE = (Path(__file__).parent.parent.parent / "docs" / "checks.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", blocks("yaml vmcs"), ids=["bare", "sections"])
def test_a_vmcs_of_the_page_is_read_and_none_of_its_values_is_lost(text: str, database: Database) -> None:
    diagnostics = Diagnostics()
    written = read_vmcs(Source("page", text), database, diagnostics)
    assert written is not None and diagnostics.found == []
    lines = [line for line in text.partition("memory:")[0].splitlines() if line != "fields:"]
    assert len(written.fields) == len([line for line in lines if "_HIGH" not in line])


def test_the_second_vmcs_gives_memory_the_processor_and_facts(database: Database) -> None:
    written = read_vmcs(Source("page", blocks("yaml vmcs")[1]), database, Diagnostics())
    assert written is not None and written.memory is not None
    assert written.memory.read(0x3000, 32).bits == 0x277, "IA32_PAT"
    assert set(written.processor) == {"vmx_operation", "instruction", "smm"}
    assert set(written.facts) == {"maxphyaddr"} and set(written.msrs) == {"ia32_vmx_basic"}


def test_the_program_prints_what_its_comments_say() -> None:
    for example in (*blocks("python"), *blocks("python batch")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(example, "checks.md", "exec"), {})
        assert printed.getvalue().splitlines() == re.findall(r"^print\(.*\)\s+# (.*)$", example, re.MULTILINE)


def test_the_program_of_the_page_says_of_its_states_what_the_command_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("cc") is None:
        skip_or_fail("cc is not installed")
    monkeypatch.chdir(tmp_path)
    [commands] = blocks("sh program")
    emitted, compiled, judged = commands.splitlines()
    assert main(shlex.split(emitted)[1:]) == 0
    subprocess.run(shlex.split(compiled), check=True)
    for text in blocks("yaml vmcs"):
        (tmp_path / "state.yaml").write_text(text, encoding="utf-8")
        capfd.readouterr()
        code = main(["check", "--state", "state.yaml", "--format", "concise"])
        expected = (code, *capfd.readouterr())
        run = subprocess.run(shlex.split(judged), capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout, run.stderr) == expected


def test_the_policy_compiles_and_its_rules_are_counted(database: Database) -> None:
    [policy] = blocks("vmcs")
    result = vmcsc.compile(policy, database=database)
    assert result.ok and result.diagnostics == ()
    counts = result.checked["ice_lake_i7_1065g7"].counts()
    assert counts[Status.VIOLATED] == 0 and counts[Status.UNDETERMINED] > 0


def test_the_table_has_every_state_with_its_title_and_controls(database: Database) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", PAGE, re.MULTILINE))
    assert set(rows) == set(known_states(database))
    for name, row in rows.items():
        state = read_state(name, database, Diagnostics())
        assert state is not None
        title, needs = row.split(" | ")
        assert title == state.title
        while (other := re.match(r"as `(\w+)`", needs)) is not None:
            needs = rows[other[1]].split(" | ")[1] + needs[other.end() :]
        controls = {path.partition(".")[2] for path in state.controls}
        assert set(re.findall(r"`(\w+)`", needs)) == controls


def test_the_words_for_what_becomes_of_a_rule_are_those_of_the_program() -> None:
    for status in Status:
        assert f"| {status.value} | " in PAGE


def test_the_contents_lead_to_every_section() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    anchors = [heading.lower().replace(" ", "-") for heading in headings]
    assert re.findall(r"^- \[.*\]\(#(.*)\)$", PAGE, re.MULTILINE) == anchors
