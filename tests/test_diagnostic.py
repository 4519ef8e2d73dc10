"""Findings as data: collecting them, bounding them, merging those of several processors."""

from __future__ import annotations

import re

import pytest

from vmcsc import codes
from vmcsc.diagnostic import Code, Diagnostic, Diagnostics, Label, Severity, merged_by_cpu
from vmcsc.source import Source

ERROR = Code("VMX1999", "an-error", Severity.ERROR)
NOTE = Code("VMX1998", "a-note", Severity.NOTE)
SOURCE = Source("a.vmcs", "one\ntwo\n")


def test_a_reported_finding_has_the_severity_of_its_code_and_all_that_was_said() -> None:
    diagnostics = Diagnostics()
    label = Label(SOURCE.span(4, 7), "here too")
    diagnostics.report(NOTE, "hm", SOURCE.span(0, 3), labels=[label], notes=["why"], help="do")
    assert diagnostics.found == [
        Diagnostic("VMX1998", Severity.NOTE, "hm", SOURCE.span(0, 3), (label,), ("why",), "do", ())
    ]


def test_only_an_error_makes_a_run_fail() -> None:
    diagnostics = Diagnostics()
    diagnostics.report(NOTE, "a note")
    diagnostics.report(Code("VMX1997", "a-warning", Severity.WARNING), "a warning")
    assert not diagnostics.failed
    diagnostics.report(ERROR, "an error")
    assert diagnostics.failed


def test_findings_beyond_the_limit_are_counted_instead_of_kept() -> None:
    diagnostics = Diagnostics(limit=3)
    for number in range(10):
        diagnostics.report(NOTE, str(number))
    assert [diagnostic.message for diagnostic in diagnostics] == ["0", "1", "2"]
    assert diagnostics.suppressed == 7


def test_a_run_fails_even_if_its_error_came_after_the_limit() -> None:
    diagnostics = Diagnostics(limit=1)
    diagnostics.report(NOTE, "a note")
    diagnostics.report(ERROR, "an error")
    assert diagnostics.failed


def test_an_error_takes_the_place_of_what_weighs_less_where_there_is_no_more_room() -> None:
    diagnostics = Diagnostics(limit=2)
    for code in (NOTE, NOTE, ERROR, NOTE, ERROR, ERROR):
        diagnostics.report(code, "x")
    assert [diagnostic.code for diagnostic in diagnostics] == [ERROR.id, ERROR.id]
    assert diagnostics.suppressed == 4
    assert diagnostics.failed


def test_findings_sort_by_place_then_weight() -> None:
    late = Diagnostic("VMX1001", Severity.ERROR, "late", SOURCE.span(4, 7))
    note = Diagnostic("VMX1001", Severity.NOTE, "note", SOURCE.span(0, 3))
    error = Diagnostic("VMX1002", Severity.ERROR, "error", SOURCE.span(0, 3))
    nowhere = Diagnostic("VMX1002", Severity.NOTE, "nowhere")
    found = sorted([late, note, error, nowhere], key=Diagnostic.sort_key)
    assert [diagnostic.message for diagnostic in found] == ["nowhere", "error", "note", "late"]


def test_what_several_processors_have_in_common_is_one_finding_that_names_them() -> None:
    place = SOURCE.span(0, 3)
    first = Diagnostic("VMX3001", Severity.ERROR, "no EPT", place, notes=("same", "bit 1 of A"))
    second = Diagnostic("VMX3001", Severity.ERROR, "no EPT", place, notes=("same", "bit 1 of B"))
    elsewhere = Diagnostic("VMX3001", Severity.ERROR, "no EPT", SOURCE.span(4, 7))
    merged = merged_by_cpu([("a", [first]), ("b", [second, elsewhere])])
    assert [diagnostic.cpus for diagnostic in merged] == [("a", "b"), ("b",)]
    assert merged[0].notes == ("same", "bit 1 of A", "bit 1 of B")


@pytest.mark.parametrize("code", codes.ALL, ids=lambda code: code.id)
def test_a_code_is_four_digits_behind_vmx_and_its_name_is_words_joined_by_hyphens(code: Code) -> None:
    assert re.fullmatch(r"VMX[1-9][0-9]{3}", code.id)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code.name)


def test_no_two_codes_have_one_number_or_one_name() -> None:
    assert len({code.id for code in codes.ALL}) == len({code.name for code in codes.ALL}) == len(codes.ALL)
