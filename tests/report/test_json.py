"""Findings as programs read them."""

from __future__ import annotations

import json

from vmcsc.architecture.model import CodeText
from vmcsc.diagnostic import Diagnostic, Label, Severity
from vmcsc.report import render
from vmcsc.source import Source, Span

SOURCE = Source("kvm.vmcs", "policy kvm {\n  bad\n}\n")
BAD = Span(SOURCE, 15, 18)


def test_a_finding_has_every_key_and_positions_that_count_from_one() -> None:
    found = Diagnostic(
        "VMX2002",
        Severity.ERROR,
        "no control",
        BAD,
        (Label(Span(SOURCE, 0, 6), "in this policy"),),
        ("a note",),
        "a help",
        ("yonah",),
    )
    assert json.loads(render([found], "json")) == {
        "version": 1,
        "findings": [
            {
                "code": "VMX2002",
                "name": "unknown-control",
                "severity": "error",
                "message": "no control",
                "path": "kvm.vmcs",
                "start": {"line": 2, "column": 3},
                "end": {"line": 2, "column": 6},
                "labels": [
                    {
                        "path": "kvm.vmcs",
                        "start": {"line": 1, "column": 1},
                        "end": {"line": 1, "column": 7},
                        "text": "in this policy",
                    }
                ],
                "notes": ["a note"],
                "help": "a help",
                "cpus": ["yonah"],
            }
        ],
        "suppressed": 0,
    }


def test_what_a_finding_lacks_is_null_or_empty_and_never_left_out() -> None:
    (found,) = json.loads(render([Diagnostic("VMX2007", Severity.ERROR, "no CPU")], "json"))["findings"]
    assert found["path"] is None
    assert found["start"] is None
    assert found["end"] is None
    assert found["labels"] == []
    assert found["notes"] == []
    assert found["help"] is None
    assert found["cpus"] == []


def test_no_findings_are_an_empty_list() -> None:
    assert json.loads(render([], "json", suppressed=3)) == {"version": 1, "findings": [], "suppressed": 3}


def test_codes_of_rules_have_the_name_that_the_caller_knows() -> None:
    found = Diagnostic("VMX4001", Severity.ERROR, "x")
    text = CodeText("VMX4001", "virtual-nmis-need-nmi-exiting", "error", "summary", "explanation")
    named = json.loads(render([found], "json", texts={"VMX4001": text}))
    assert named["findings"][0]["name"] == "virtual-nmis-need-nmi-exiting"
    assert json.loads(render([found], "json"))["findings"][0]["name"] is None


def test_the_text_is_ascii_and_keeps_what_it_says() -> None:
    message = "\x1b[31m 漢字 \u202e \udce9"
    text = render([Diagnostic("VMX2001", Severity.ERROR, message)], "json", color=True)
    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text)["findings"][0]["message"] == message
