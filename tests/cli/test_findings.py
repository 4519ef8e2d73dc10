"""Exit codes and summaries of findings, colour and width of the output."""

from __future__ import annotations

import io

import pytest

from vmcsc import codes
from vmcsc.cli.findings import counted, distinct, exit_code, summary
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.diagnostic import Code, Diagnostic, Severity
from vmcsc.source import Source, Span

PLACE = Span(Source("x.vmcs", "policy"), 0, 6)


def finding(code: Code, span: Span | None = PLACE) -> Diagnostic:
    return Diagnostic(code.id, code.severity, "message", span)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        ([finding(codes.PREFERRED_NOT_GRANTED), finding(codes.REPEATED)], 0),
        ([finding(codes.UNKNOWN_CONTROL)], 1),
        ([finding(codes.UNKNOWN_CPU)], 1),  # a mistake in the text of a policy
        ([finding(codes.UNKNOWN_CPU, None)], 2),  # a mistake in the command line
        ([finding(codes.POLICY_NOT_FOUND)], 1),
        ([finding(codes.POLICY_NOT_FOUND, None)], 2),
        ([finding(codes.UNREADABLE)], 2),
        ([finding(codes.CPU_UNREADABLE)], 2),
        ([finding(codes.CANNOT_WRITE, None)], 2),
        ([finding(codes.UNKNOWN_CONTROL), finding(codes.UNREADABLE, None)], 2),
    ],
)
def test_the_worst_finding_decides_on_the_exit_code(found: list[Diagnostic], code: int) -> None:
    assert exit_code(found) == code


def test_a_summary_counts_each_severity_the_worst_first() -> None:
    found = [finding(codes.PREFERRED_NOT_GRANTED)] * 3 + [finding(codes.UNKNOWN_CONTROL), finding(codes.REPEATED)]
    assert summary(found) == "1 error, 1 warning, 3 notes"
    assert summary([]) == "no findings"


def test_counts_use_the_plural() -> None:
    assert [counted(n, "policy") for n in (0, 1, 2)] == ["0 policies", "1 policy", "2 policies"]
    assert counted(2, "CPU") == "2 CPUs"


def test_findings_at_one_place_of_a_file_read_twice_are_one() -> None:
    again = Span(Source("x.vmcs", "policy"), 0, 6)
    elsewhere = Span(Source("y.vmcs", "policy"), 0, 6)
    found = [finding(codes.REPEATED, span) for span in (PLACE, again, elsewhere, None)]
    assert [f.span for f in distinct(found)] == [PLACE, elsewhere, None]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colour_unless_it_is_dumb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert use_color("auto", _Terminal())
    assert not use_color("auto", io.StringIO())
    assert not use_color("auto", None)
    monkeypatch.setenv("TERM", "dumb")
    assert not use_color("auto", _Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not use_color("auto", _Terminal())
    monkeypatch.setenv("NO_COLOR", "")
    assert use_color("auto", _Terminal())


def test_only_a_terminal_has_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert columns(_Terminal()) == 72
    assert columns(io.StringIO()) is None
    assert columns(None) is None


def test_what_an_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    put("漢 ok\n", stream)
    stream.flush()
    assert raw.getvalue() == b"\\u6f22 ok\n"


def test_a_closed_stream_takes_nothing() -> None:
    put("text", None)


def test_only_errors_fail() -> None:
    assert {code.severity for code in codes.ALL if exit_code([finding(code)])} == {Severity.ERROR}
