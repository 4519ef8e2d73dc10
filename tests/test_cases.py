"""The corpora of `tests/cases`: every mistake that they hold is reported at its line, and nothing else is.

What is expected stands in the files themselves; see `tests/cases/README.md`. `python tests/test_cases.py` prints how
many files and codes the corpora cover.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.capabilities.readers import read_cpu
from vmcsc.cli.config import VARIABLE
from vmcsc.cli.project import open_project
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.resolve.rules import control_rules

CASES = Path(__file__).parent / "cases"
MARKER = re.compile(r"(?P<before>.*?)# *(?P<next>next-line )?(?P<expected>(error|warning|note)\[VMX\d{4}\].*)")
EXPECTED = re.compile(r"(?P<severity>error|warning|note)\[(?P<code>VMX\d{4})\](: (?P<part>.*))?")
EXPECT_FILE = re.compile(r"(?P<line>\d+): (?P<expected>.*)")

ELSEWHERE = {
    "VMX1014": "a text that long does not belong in a corpus: tests/hostile/test_policies.py",
    "VMX2030": "only a VMCS that `vmcsc check --state` reads has such values: tests/check/test_vmcs_file.py",
    "VMX3017": "only a machine can be unavailable: tests/capabilities/test_live.py, test_kvm.py",
    "VMX3023": "only said where --strict asks: tests/policy/test_state_blocks.py",
    "VMX8001": "only a run can fail: tests/scenario/test_scenarios.py",
    "VMX8005": "only a run can stop: tests/scenario/test_scenarios.py",
    "VMX8006": "only bytecode has such mistakes: tests/bytecode/test_bytecode.py",
    "VMX8007": "only a listing has such mistakes: tests/bytecode/test_bytecode.py",
    "VMX8008": "only an emulator can differ: tests/cli/test_on_bochs.py",
    "VMX7003": "only `vmcsc emit -o FILE` writes: tests/cli/test_emit.py",
    **{f"VMX70{number}": "only a kernel tree can have such findings: tests/kvm" for number in range(10, 18)},
}
"""Codes that no text can cause, and what covers them."""


@dataclass(frozen=True)
class Expected:
    """A finding that a case must cause. `part` is a part of what it says, be it message, note or help."""

    file: str
    line: int
    severity: str
    code: str
    part: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.severity}[{self.code}]: {self.part}"

    def matches(self, found: Found) -> bool:
        place = (found.file, found.line, found.finding.severity.value, found.finding.code)
        return place == (self.file, self.line, self.severity, self.code) and self.part in said_by(found.finding)


@dataclass(frozen=True)
class Found:
    file: str
    line: int
    finding: Diagnostic

    def __str__(self) -> str:
        finding = self.finding
        return f"{self.file}:{self.line}: {finding.severity.value}[{finding.code}]: {finding.message}"


def said_by(finding: Diagnostic) -> str:
    return "\n".join([finding.message, *finding.notes, finding.help or ""])


# --- what a file expects ----------------------------------------------------------------------------------------


def expected_in(path: Path, folder: Path) -> Iterator[Expected]:
    """The expectations in the comments of a file, or in the `.expect` file beside one that has no comments."""
    name = str(path.relative_to(folder))
    beside = path.with_name(path.name + ".expect")
    if beside.exists():
        for line in beside.read_text(encoding="utf-8").splitlines():
            match = EXPECT_FILE.fullmatch(line)
            assert match, f"{beside}: {line!r} is no expectation"
            yield from each_of(match["expected"], name, int(match["line"]))
        return
    lines = path.read_bytes().decode("utf-8", "replace").split("\n")
    for number, line in enumerate(lines, 1):
        match = MARKER.fullmatch(line.rstrip("\r"))
        if match is None:
            continue
        target = number
        while match["next"] and "# next-line " in lines[target - 1]:
            target += 1
        yield from each_of(match["expected"], name, target)


def each_of(text: str, file: str, line: int) -> Iterator[Expected]:
    """Several expectations for one line are separated by `#`."""
    for one in re.split(r" +# *(?=(?:error|warning|note)\[)", text.strip()):
        match = EXPECTED.fullmatch(one)
        assert match, f"{file}:{line}: {one!r} is no expectation"
        yield Expected(file, line, match["severity"], match["code"], match["part"] or "")


def located(findings: Iterable[Diagnostic], folder: Path) -> list[Found]:
    """Findings by file and line. One without a place has line 0; one outside the case keeps its whole path."""
    found = []
    for finding in findings:
        if finding.span is None:
            found.append(Found("", 0, finding))
            continue
        path = Path(finding.span.source.name)
        inside = path.is_relative_to(folder)
        found.append(Found(str(path.relative_to(folder) if inside else path), finding.span.first.line, finding))
    return found


def differences(expected: Iterable[Expected], found: Iterable[Found]) -> list[str]:
    """What is missing and what is too much, a line each."""
    left = list(found)
    missing = []
    for wanted in expected:
        match = next((one for one in left if wanted.matches(one)), None)
        if match is None:
            missing.append(f"missing    {wanted}")
        else:
            left.remove(match)
    return missing + [f"unexpected {one}" for one in left]


def settle(differences: list[str]) -> None:
    """Fail with the differences, if there are any."""
    assert not differences, "\n" + "\n".join(differences)


# --- the corpora ------------------------------------------------------------------------------------------------


def policies(corpus: str) -> list[Path]:
    """The policies of a corpus: its files, and `main.vmcs` in each of its folders."""
    return sorted([*(CASES / corpus).glob("*.vmcs"), *(CASES / corpus).glob("*/main.vmcs")])


def texts_of(case: Path) -> list[Path]:
    """The files that belong to a case: those in its folder where it has one."""
    return sorted(p for p in case.parent.rglob("*") if p.is_file()) if case.name == "main.vmcs" else [case]


FAIL, PASS, UNREADABLE = policies("fail"), policies("pass"), policies("unreadable")
CPUS = sorted(path for path in (CASES / "cpus").iterdir() if path.suffix in (".yaml", ".json", ".txt", ".xml"))
CONFIGS = sorted((CASES / "config").glob("*.toml"))
SPECS = sorted(path for path in (CASES / "specs").iterdir() if path.is_dir())


def name_of(path: Path) -> str:
    return path.parent.name if path.name == "main.vmcs" else path.stem


def expectations(files: Iterable[Path], folder: Path) -> list[Expected]:
    return [expected for file in files if file.suffix != ".expect" for expected in expected_in(file, folder)]


def check_policy(case: Path, database: Database) -> list[str]:
    cpus = [str(path) for path in texts_of(case) if path.stem == "cpu"]
    result = compile(case, cpus or None, database)
    return differences(expectations(texts_of(case), case.parent), located(result.diagnostics, case.parent))


@pytest.mark.parametrize("case", FAIL + UNREADABLE, ids=name_of)
def test_a_policy_with_a_mistake_is_reported_at_its_line_and_nowhere_else(case: Path, database: Database) -> None:
    settle(check_policy(case, database))


@pytest.mark.parametrize("case", PASS, ids=name_of)
def test_a_policy_in_order_compiles_without_errors(case: Path, database: Database) -> None:
    settle(check_policy(case, database))
    assert compile(case, database=database).ok


@pytest.mark.parametrize("case", CPUS, ids=lambda path: path.name)
def test_what_is_wrong_with_the_description_of_a_cpu_is_reported_at_its_line(case: Path, database: Database) -> None:
    diagnostics = Diagnostics()
    read_cpu(str(case), database, diagnostics)
    settle(differences(expectations([case], case.parent), located(diagnostics, case.parent)))


@pytest.mark.parametrize("case", SPECS, ids=lambda path: path.name)
def test_what_is_wrong_with_a_folder_of_specs_is_reported_at_its_line(case: Path) -> None:
    found: Iterable[Diagnostic] = ()
    if case.name.startswith("shipped_"):  # as `vmcsc specs` reads them, which checks what is shipped too
        diagnostics = Diagnostics()
        load_specs([case], diagnostics, check_shipped=True)
        found = [d for d in diagnostics if d.span and Path(d.span.source.name).is_relative_to(case)]
    else:
        try:
            load(case)
        except VmcscError as error:
            found = error.diagnostics
    settle(differences(expectations(sorted(case.rglob("*.yaml")), case), located(found, case)))


@pytest.mark.parametrize("case", CONFIGS, ids=name_of)
def test_what_is_wrong_with_the_settings_of_a_project_is_reported_at_its_line(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(case))
    with pytest.raises(VmcscError) as refused:
        open_project(Namespace(specs=[]), with_cpus=True)
    settle(differences(expectations([case], case.parent), located(refused.value.diagnostics, case.parent)))


# --- what the corpora cover -------------------------------------------------------------------------------------


def all_expected() -> list[Expected]:
    found = [e for case in FAIL + PASS + UNREADABLE for e in expectations(texts_of(case), case.parent)]
    found += expectations(CPUS, CASES / "cpus") + expectations(CONFIGS, CASES / "config")
    return found + [e for case in SPECS for e in expectations(sorted(case.rglob("*.yaml")), case)]


def test_every_code_is_expected_somewhere(database: Database) -> None:
    """Of rules, those that speak of controls alone; the others need the values of a whole VMCS."""
    reported = {code.id for code in codes.ALL} | {rule.rule.code for rule in control_rules(database)}
    covered = {expected.code for expected in all_expected()}
    assert reported - covered - ELSEWHERE.keys() == set()
    assert covered - reported - {rule.code for rule in database.rules} == set(), "codes that no text can cause"
    assert covered & ELSEWHERE.keys() == set(), "covered after all"


def test_codes_have_the_severity_of_the_register(database: Database) -> None:
    known = {code.id: code.severity.value for code in codes.ALL} | {rule.code: "error" for rule in database.rules}
    assert {e for e in all_expected() if known[e.code] != e.severity} == set()


def test_the_corpora_are_as_large_as_they_should_be() -> None:
    assert len(FAIL) >= 80
    assert len(PASS) >= 25
    assert all(expectations(texts_of(case), case.parent) for case in FAIL + UNREADABLE), "a case that expects nothing"
    assert all(e.severity == "note" for case in PASS for e in expectations(texts_of(case), case.parent))


def test_most_expectations_say_a_part_of_the_message() -> None:
    expected = all_expected()
    assert sum(bool(one.part) for one in expected) > len(expected) * 0.9


def main() -> None:
    found = all_expected()
    print(f"{len(FAIL)} policies with mistakes, {len(PASS)} without, {len(UNREADABLE)} unreadable")
    print(f"{len(CPUS)} CPU files, {len(CONFIGS)} configurations, {len(SPECS)} folders of specs")
    print(f"{len(found)} expected findings of {len({expected.code for expected in found})} codes")


if __name__ == "__main__":
    main()
