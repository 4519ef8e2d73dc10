"""How findings look to people."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmcsc.diagnostic import Diagnostic, Label, Severity
from vmcsc.report import render
from vmcsc.source import Source, Span

POLICY = Source(
    "kvm.vmcs",
    "policy kvm {\n  primary {\n\trequire hlt_exitng, hlt_exitng\n  }\n}\n",
)


def at(source: Source, text: str, nth: int = 0) -> Span:
    """The `nth` place of `text` in `source`."""
    start = [match.start() for match in re.finditer(re.escape(text), source.text)][nth]
    return Span(source, start, start + len(text))


def error(message: str, span: Span | None, **more: object) -> Diagnostic:
    return Diagnostic("VMX2002", Severity.ERROR, message, span, **more)  # type: ignore[arg-type]


def full(*diagnostics: Diagnostic, suppressed: int = 0) -> str:
    return render(diagnostics, "full", suppressed=suppressed)


def shown(text: str) -> str:
    return dedent(text).removeprefix("\n")


def test_a_finding_begins_with_path_line_column_severity_and_code() -> None:
    first, *_ = full(error("no such control", at(POLICY, "hlt_exitng"))).splitlines()
    assert first == "kvm.vmcs:3:10: error[VMX2002]: no such control"


def test_the_line_stands_below_with_carets_under_the_span_and_tabs_expanded() -> None:
    assert full(error("no such control", at(POLICY, "hlt_exitng"))) == shown(
        """
        kvm.vmcs:3:10: error[VMX2002]: no such control
          |
        3 |     require hlt_exitng, hlt_exitng
          |             ^^^^^^^^^^
        """
    )


def test_a_label_right_of_the_place_stands_beside_its_carets() -> None:
    label = Label(at(POLICY, "hlt_exitng", 1), "and again here")
    assert full(error("twice", at(POLICY, "hlt_exitng"), labels=(label,))) == shown(
        """
        kvm.vmcs:3:10: error[VMX2002]: twice
          |
        3 |     require hlt_exitng, hlt_exitng
          |             ^^^^^^^^^^  ---------- and again here
        """
    )


def test_a_label_left_of_the_place_stands_below_its_carets() -> None:
    label = Label(at(POLICY, "require"), "in this statement")
    assert full(error("bad", at(POLICY, "hlt_exitng"), labels=(label,))) == shown(
        """
        kvm.vmcs:3:10: error[VMX2002]: bad
          |
        3 |     require hlt_exitng, hlt_exitng
          |             ^^^^^^^^^^
          |     ------- in this statement
        """
    )


def test_labels_on_other_lines_and_in_other_files_have_a_place_of_their_own() -> None:
    base = Source("base.vmcs", "\n" * 10 + "primary { forbid hlt_exiting }\n")
    labels = (
        Label(at(POLICY, "primary"), "in this block"),
        Label(at(base, "forbid hlt_exiting"), "forbidden here"),
    )
    assert full(error("bad", at(POLICY, "hlt_exitng"), labels=labels)) == shown(
        """
        kvm.vmcs:3:10: error[VMX2002]: bad
           |
         3 |     require hlt_exitng, hlt_exitng
           |             ^^^^^^^^^^
          --> kvm.vmcs:2:3
           |
         2 |   primary {
           |   ------- in this block
          --> base.vmcs:11:11
           |
        11 | primary { forbid hlt_exiting }
           |           ------------------ forbidden here
        """
    )


def test_notes_processors_and_help_follow_in_this_order() -> None:
    found = error(
        "bad",
        at(POLICY, "hlt_exitng"),
        notes=("because\nof this",),
        help="write `hlt_exiting`",
        cpus=("yonah", "conroe"),
    )
    assert full(found).splitlines()[-4:] == [
        "  = note: because",
        "          of this",
        "  = note: on: yonah, conroe",
        "  = help: write `hlt_exiting`",
    ]


def test_of_many_processors_some_are_named_and_the_rest_counted() -> None:
    found = error("bad", None, cpus=tuple(f"cpu_{number}" for number in range(13)))
    note = full(found).splitlines()[-1]
    named = re.findall(r"cpu_\d+", note)
    assert 1 < len(named) < 13
    assert note.endswith(f" and {13 - len(named)} more")


def test_a_span_of_several_lines_is_marked_on_its_first_line() -> None:
    span = at(POLICY, "primary {").to(at(POLICY, "}"))
    assert full(error("all of this", span)) == shown(
        """
        kvm.vmcs:2:3: error[VMX2002]: all of this
          |
        2 |   primary {
          |   ^^^^^^^^^
        """
    )


@pytest.mark.parametrize("text", ["", "policy", "policy\n"])
def test_the_end_of_the_text_is_a_place_too(text: str) -> None:
    source = Source("x.vmcs", text)
    lines = full(error("something is missing", Span(source, len(text), len(text)))).splitlines()
    position = source.position(len(text))
    assert lines[0].startswith(f"x.vmcs:{position.line}:{position.column}: ")
    assert lines[-1] == "  | " + " " * (position.column - 1) + "^"


def test_carets_stand_under_wide_characters() -> None:
    source = Source("x.vmcs", 'summary "漢字" bad')
    _, _, line, marks = full(error("bad", at(source, "bad"))).splitlines()
    columns_before_bad = len('summary "') + 2 * 2 + len('" ')
    assert line.endswith("bad")
    assert marks == "  | " + " " * columns_before_bad + "^^^"


def test_a_very_long_line_is_cut_around_the_span() -> None:
    source = Source("x.vmcs", "a" * 100_000 + "bad" + "b" * 100_000)
    first, _, line, marks = full(error("bad", at(source, "bad"))).splitlines()
    assert first.startswith("x.vmcs:1:100001: ")
    assert len(line) < 150
    assert line.index("bad") == marks.index("^^^")
    assert line.endswith("...")


def test_labels_of_a_long_line_are_shown_where_they_are() -> None:
    source = Source("x.vmcs", "first" + " " * 5000 + "second")
    label = Label(at(source, "second"), "and here")
    text = full(error("bad", at(source, "first"), labels=(label,)))
    assert "second\n  |" in text
    assert " --> x.vmcs:1:5006" in text


def test_a_finding_without_a_place_is_vmcscs_own() -> None:
    found = error("no CPU is named `x`", None, help="see `vmcsc cpu list`")
    assert full(found) == "vmcsc: error[VMX2002]: no CPU is named `x`\n  = help: see `vmcsc cpu list`\n"


def test_findings_are_parted_by_a_blank_line() -> None:
    assert full(error("one", None), error("two", None)) == (
        "vmcsc: error[VMX2002]: one\n\nvmcsc: error[VMX2002]: two\n"
    )


def test_no_findings_are_no_text() -> None:
    assert full() == ""
    assert render([], "concise") == ""


def test_findings_beyond_the_limit_are_counted() -> None:
    assert full(error("one", None), suppressed=7).endswith("\nvmcsc: 7 more findings are not shown\n")
    assert render([error("one", None)], "concise", suppressed=1).splitlines()[-1] == (
        "vmcsc: 1 more finding is not shown"
    )


def test_concise_gives_each_finding_one_line() -> None:
    label = Label(at(POLICY, "require"), "in this statement")
    found = [
        error("two\nlines", at(POLICY, "hlt_exitng"), labels=(label,), notes=("a",), help="b"),
        Diagnostic("VMX3003", Severity.NOTE, "dropped", None),
    ]
    assert render(found, "concise") == ("kvm.vmcs:3:10: error[VMX2002]: two\\nlines\nvmcsc: note[VMX3003]: dropped\n")


def test_colour_changes_nothing_but_the_colour() -> None:
    label = Label(at(POLICY, "require"), "in this statement")
    found = [error("bad", at(POLICY, "hlt_exitng"), labels=(label,), notes=("a",), help="b", cpus=("yonah",))]
    for format in ("full", "concise"):
        coloured = render(found, format, color=True)
        assert "\x1b[" in coloured
        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(found, format)


def test_a_message_that_quotes_a_huge_name_is_cut() -> None:
    for format in ("full", "concise"):
        text = render([error(f"no control `{'a' * 100_000}`", None)], format)
        assert len(text) < 1100
        assert text.endswith("aaa...\n")


HOSTILE = st.text(alphabet=st.characters(exclude_characters="\n"))


@given(HOSTILE, HOSTILE, HOSTILE, st.data())
def test_no_text_of_a_user_commands_the_terminal(name: str, line: str, message: str, data: st.DataObject) -> None:
    source = Source(name, line)
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, len(line)))
    span = Span(source, start, end)
    found = error(message, span, labels=(Label(span, message),), notes=(message,), help=message, cpus=(message,))
    for format in ("full", "concise"):
        assert all(printed.isprintable() for printed in render([found], format).split("\n"))


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="full, concise, json"):
        render([], "xml")
