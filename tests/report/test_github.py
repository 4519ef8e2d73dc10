"""Findings as GitHub's workflow commands."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmcsc.diagnostic import Diagnostic, Severity
from vmcsc.report import render
from vmcsc.source import Source, Span

ROOT = Path("/home/runner/work/project")
SOURCE = Source("policies/kvm.vmcs", "policy kvm {\n  bad\n}\n", ROOT / "policies" / "kvm.vmcs")
BAD = Span(SOURCE, 15, 18)
COMMAND = re.compile(r"::(error|warning|notice) ([^\n]*?)::([^\n]*)")


def command(found: Diagnostic) -> tuple[str, dict[str, str], str]:
    """The kind, the properties and the text of the only command, read as the runner of GitHub reads it."""
    match = COMMAND.fullmatch(render([found], "github", root=ROOT).removesuffix("\n"))
    assert match is not None
    properties = dict(part.split("=", 1) for part in match[2].split(","))
    return match[1], {name: unquote(value) for name, value in properties.items()}, unquote(match[3])


def test_a_finding_is_a_command_with_its_place_and_code() -> None:
    found = Diagnostic("VMX2002", Severity.ERROR, "no control", BAD, notes=("why",), help="do")
    assert command(found) == (
        "error",
        {
            "file": "policies/kvm.vmcs",
            "line": "2",
            "endLine": "2",
            "col": "3",
            "endColumn": "6",
            "title": "vmcsc (VMX2002)",
        },
        "policies/kvm.vmcs:2:3: no control\nnote: why\nhelp: do",
    )


@pytest.mark.parametrize(
    ("severity", "kind"), [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.NOTE, "notice")]
)
def test_a_note_is_called_a_notice(severity: Severity, kind: str) -> None:
    assert command(Diagnostic("VMX2002", severity, "x", BAD))[0] == kind


def test_columns_are_given_within_one_line_only() -> None:
    over_two_lines = Span(SOURCE, 0, 16)
    _, properties, _ = command(Diagnostic("VMX2002", Severity.ERROR, "x", over_two_lines))
    assert (properties["line"], properties["endLine"]) == ("1", "2")
    assert "col" not in properties
    assert "endColumn" not in properties


def test_what_ends_lines_and_properties_is_escaped_and_nothing_else() -> None:
    source = Source("a,b:c%.vmcs", "x", ROOT / "a,b:c%.vmcs")
    written = render([Diagnostic("VMX2002", Severity.ERROR, "100%: a, b\nc", Span(source, 0, 1))], "github", root=ROOT)
    assert written.startswith("::error file=a%2Cb%3Ac%25.vmcs,line=1,")
    assert written.endswith("::a,b:c%25.vmcs:1:1: 100%25: a, b%0Ac\n")


def test_the_worst_come_first_since_only_ten_are_shown() -> None:
    found = [Diagnostic("VMX2002", severity, text, BAD) for severity, text in zip(
        [Severity.NOTE, Severity.ERROR, Severity.WARNING, Severity.ERROR], "nawb", strict=True
    )]  # fmt: skip
    written = render(found, "github", root=ROOT)
    assert re.findall(r"(\w)$", written, re.MULTILINE) == ["a", "b", "w", "n"]


def test_a_finding_without_a_place_has_only_a_title() -> None:
    assert command(Diagnostic("VMX2007", Severity.ERROR, "no CPU")) == ("error", {"title": "vmcsc (VMX2007)"}, "no CPU")


def test_a_file_outside_of_the_project_is_named_as_it_was_given() -> None:
    source = Source("../x.vmcs", "x", Path("/elsewhere/x.vmcs"))
    assert command(Diagnostic("VMX2002", Severity.ERROR, "x", Span(source, 0, 1)))[1]["file"] == "../x.vmcs"


def test_no_findings_are_no_output_and_left_out_ones_are_mentioned() -> None:
    assert render([], "github") == ""
    assert "3" in render([], "github", suppressed=3)


@given(st.text(max_size=60), st.text(min_size=1, max_size=20))
def test_no_text_ends_its_command_or_begins_another(message: str, name: str) -> None:
    span = Span(Source(name, "x"), 0, 1)
    written = render([Diagnostic("VMX1002", Severity.ERROR, message, span)], "github")
    assert written.count("\n") == 1
    assert written.splitlines() == [written.removesuffix("\n")]
    properties = written.removeprefix("::error ").partition("::")[0].split(",")
    assert [prop.partition("=")[0] for prop in properties] == ["file", "line", "endLine", "col", "endColumn", "title"]
