"""`# vmcsc: ignore[CODE]`: which findings a comment accepts, and what is said of comments that accept none."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics, Severity
from vmcsc.ignore import known_codes, why_not_ignored
from vmcsc.pipeline import compile
from vmcsc.result import Result
from vmcsc.source import Source
from vmcsc.syntax.format import format_source

OLD = "yonah_core_duo_t2600"
NEW = "ice_lake_i7_1065g7"
Check = Callable[..., list[tuple[str, int]]]


def policy(*lines: str, cpus: str = f"{OLD}, {NEW}") -> str:
    """A policy whose body begins on line 3."""
    return "\n".join(["policy p {", f"for cpus {cpus}" if cpus else "", *lines, "}"])


def found(result: Result) -> list[tuple[str, int]]:
    return [(d.code, 0 if d.span is None else d.span.first.line) for d in result.diagnostics]


@pytest.fixture
def check(database: Database) -> Check:
    def run(*lines: str, cpus: str = f"{OLD}, {NEW}", **more: Any) -> list[tuple[str, int]]:
        return found(compile(policy(*lines, cpus=cpus), database=database, **more))

    return run


PREFER = "secondary { prefer enable_ept }"  # VMX3003 on the old processor


# --- what is ignored ---


def test_without_a_comment_there_is_a_finding(check: Check) -> None:
    assert check(PREFER) == [("VMX3003", 3)]


@pytest.mark.parametrize(
    "lines",
    [
        [f"{PREFER} # vmcsc: ignore[VMX3003]"],
        [f"{PREFER} # vmcsc: ignore[VMX3003] the old one uses shadow paging"],
        [f"{PREFER} # EPT where there is one # vmcsc: ignore[VMX3003]"],
        [f"{PREFER} #vmcsc:ignore[ VMX3003 ]"],
        ["# vmcsc: ignore[VMX3003]", PREFER],
        ["  # vmcsc: ignore[VMX3003]", "", "# a comment", PREFER],
        ["prefer enable_ept # vmcsc: ignore[VMX3003]"],
    ],
)
def test_a_comment_ignores_on_its_line_or_on_the_next_that_says_something(check: Check, lines: Sequence[str]) -> None:
    body = lines if "secondary" in " ".join(lines) else ["secondary {", *lines, "}"]
    assert check(*body) == []


def test_other_findings_on_the_line_stay(check: Check) -> None:
    line = "secondary { prefer enable_ept; prefer enable_ept } # vmcsc: ignore[VMX3003] both"
    assert check(line) == [("VMX2027", 3)]


def test_the_same_finding_on_another_line_stays(check: Check) -> None:
    assert check(f"{PREFER} # vmcsc: ignore[VMX3003]", "secondary { prefer enable_vpid }") == [("VMX3003", 4)]


@pytest.mark.parametrize(
    "lines",
    [
        ["secondary { # vmcsc: ignore[VMX3003]", "  prefer enable_vpid,", "    enable_ept", "}"],
        ["# vmcsc: ignore[VMX3003]", "secondary {", "  prefer enable_vpid,", "    enable_ept", "}"],
        ["secondary {", "  # vmcsc: ignore[VMX3003]", "  prefer enable_vpid,", "    enable_ept", "}"],
        ["secondary {", "  prefer enable_vpid,  # vmcsc: ignore[VMX3003]", "    enable_ept", "}"],
        ["secondary {", "  prefer enable_vpid,", "    enable_ept  # vmcsc: ignore[VMX3003]", "}"],
        ["when (cpu.maxphyaddr > 0", "  or 1 == 1) { # vmcsc: ignore[VMX3003]", PREFER, "}"],
    ],
)
def test_a_comment_speaks_of_the_whole_statement_and_of_the_block_that_begins_there(
    check: Check, lines: Sequence[str]
) -> None:
    assert check(*lines) == []
    assert check(*(line.replace("vmcsc:", "") for line in lines)) != []


def test_a_comment_at_the_head_of_a_policy_speaks_of_all_of_it(database: Database) -> None:
    text = policy(PREFER, "secondary { prefer enable_vpid }").replace("{", "{ # vmcsc: ignore[VMX3003]", 1)
    assert found(compile(text, database=database)) == []


def test_of_a_block_and_a_statement_in_it_the_ignore_of_the_statement_is_used(check: Check) -> None:
    lines = ["secondary { # vmcsc: ignore[VMX3003]", "prefer enable_ept # vmcsc: ignore[VMX3003]", "}"]
    assert check(*lines) == [("VMX1020", 3)]


def test_a_comment_behind_the_end_of_a_block_says_nothing_of_it(check: Check) -> None:
    assert check("secondary {", "prefer enable_ept", "} # vmcsc: ignore[VMX3003]") == [("VMX3003", 4), ("VMX1020", 5)]


def test_the_canonical_layout_ignores_the_same(database: Database) -> None:
    wide = "secondary { prefer enable_vpid, unrestricted_guest, enable_pml, enable_invpcid, enable_rdtscp, enable_ept }"
    for lines in ([f"{wide} # vmcsc: ignore[VMX3003]"], ["# vmcsc: ignore[VMX3003]", wide]):
        formatted = format_source(Source("p.vmcs", policy(*lines)), Diagnostics())
        assert formatted is not None
        assert formatted != policy(*lines)
        assert found(compile(formatted, database=database)) == []


def test_a_comment_with_code_before_it_says_nothing_of_the_next_line(check: Check) -> None:
    assert check("primary { require hlt_exiting } # vmcsc: ignore[VMX3003]", PREFER) == [
        ("VMX1020", 3),
        ("VMX3003", 4),
    ]


def test_a_string_that_looks_like_a_comment_ignores_nothing(check: Check) -> None:
    assert check(f'summary "# vmcsc: ignore[VMX3003]"; {PREFER}') == [("VMX3003", 3)]


def test_an_ignored_error_leaves_a_vmcs(database: Database) -> None:
    line = "secondary { require enable_ept } # vmcsc: ignore[VMX3001] tested without"
    refused = compile(policy(line.partition("#")[0], cpus=OLD), database=database)
    accepted = compile(policy(line, cpus=OLD), database=database)
    assert (refused.ok, accepted.ok) == (False, True)
    assert accepted.vmcs is not None


def test_a_policy_may_ignore_what_is_found_in_its_own_lines_when_another_extends_it(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "base.vmcs").write_text(f"policy base {{\n{PREFER} # vmcsc: ignore[VMX3003]\n}}\n")
    child = tmp_path / "child.vmcs"
    child.write_text(f"policy child extends base {{\nfor cpus {OLD}\nsecondary {{ prefer enable_vpid }}\n}}\n")
    assert found(compile(child, database=database)) == [("VMX3003", 3)]


def test_the_codes_of_a_caller_are_ignored_everywhere(check: Check) -> None:
    assert check(PREFER, "secondary { prefer enable_vpid }", ignore=["VMX3003"]) == []


def test_an_error_that_leaves_nothing_to_compile_is_never_ignored(check: Check) -> None:
    assert check("primary { require nonsense }", ignore=["VMX2002"]) == [("VMX2002", 3)]
    assert ("VMX2002", 3) in check("primary { require nonsense } # vmcsc: ignore[VMX2002]")
    assert ("VMX2007", 2) in check("# nothing", cpus="nonsense # vmcsc: ignore[VMX2007]")


def test_warnings_are_ignored_beside_such_an_error(check: Check) -> None:
    twice = "primary { require hlt_exiting, hlt_exiting }"
    assert ("VMX2027", 4) in check("primary { require nonsense }", twice)
    assert check("primary { require nonsense }", f"{twice} # vmcsc: ignore[VMX2027]") == [("VMX2002", 3)]


# --- ignores that ignore nothing ---


def test_an_ignore_that_ignores_nothing_is_a_warning_at_its_code(database: Database) -> None:
    result = compile(policy(f"{PREFER} # vmcsc: ignore[VMX3003, VMX3011]"), database=database)
    [unused] = result.diagnostics
    assert (unused.code, unused.severity) == ("VMX1020", Severity.WARNING)
    assert unused.span is not None
    assert unused.span.text == "VMX3011"


def test_the_second_ignore_of_one_finding_ignores_nothing(check: Check) -> None:
    assert check("# vmcsc: ignore[VMX3003]", f"{PREFER} # vmcsc: ignore[VMX3003]") == [("VMX1020", 4)]


def test_an_ignore_at_the_end_of_a_file_ignores_nothing(database: Database) -> None:
    result = compile(f"{policy(PREFER, cpus=NEW)}\n\n# vmcsc: ignore[VMX3003]\n#\n", database=database)
    assert found(result) == [("VMX1020", 6)]


def test_what_depends_on_processors_is_judged_only_for_those_of_the_policy(check: Check) -> None:
    line = f"{PREFER} # vmcsc: ignore[VMX3003] on the old one"
    assert check(line, cpu=NEW) == []
    assert check(line, cpus="") == []
    assert check(line, cpus="", default_cpus=[NEW]) == [("VMX1020", 3)]
    assert check(line, cpus="", default_cpus=[NEW, OLD]) == []


def test_what_depends_on_no_processor_is_always_judged(check: Check) -> None:
    assert check("primary { require hlt_exiting } # vmcsc: ignore[VMX2027]", cpu=NEW) == [("VMX1020", 3)]


def test_nothing_is_said_of_ignores_while_there_is_nothing_to_judge_by(check: Check) -> None:
    assert check("primary { require nonsense }", f"{PREFER} # vmcsc: ignore[VMX3011]") == [("VMX2002", 3)]


def test_unused_ignores_of_a_base_are_its_own_matter(database: Database, tmp_path: Path) -> None:
    base = tmp_path / "base.vmcs"
    base.write_text(f"policy base {{\nfor cpus {NEW}\n{PREFER} # vmcsc: ignore[VMX3003]\n}}\n")
    child = tmp_path / "child.vmcs"
    child.write_text(f"policy child extends base {{\nfor cpus {NEW}\n}}\n")
    assert found(compile(child, database=database)) == []
    assert found(compile(base, database=database)) == [("VMX1020", 3)]


def test_the_warning_about_unused_ignores_can_be_ignored_by_the_caller(check: Check) -> None:
    assert check(f"{PREFER} # vmcsc: ignore[VMX3003, VMX3011]", ignore=["VMX1020"]) == []


# --- comments that are no ignores ---


@pytest.mark.parametrize(
    ("comment", "marked", "said"),
    [
        ("vmcsc: ignore", "# vmcsc: ignore", "which codes"),
        ("vmcsc: ignore[]", "# vmcsc: ignore[]", "no code"),
        ("vmcsc: ignore[VMX3003 x", "# vmcsc: ignore[VMX3003 x", "no `]`"),
        ("vmcsc: ignore[VMX3999]", "VMX3999", "no finding has the code"),
        ("vmcsc: ignore[vmx3003]", "vmx3003", "no finding has the code"),
        ("vmcsc: ignore[preferred-not-granted]", "preferred-not-granted", "no finding has the code"),
        ("vmcsc: ignore[VMX1002]", "VMX1002", "cannot be ignored"),
        ("vmcsc: ignroe[VMX3003]", "# vmcsc: ignroe[VMX3003]", "there is no `ignroe`"),
        ("vmcsc: disable[VMX3003]", "# vmcsc: disable[VMX3003]", "there is no `disable`"),
    ],
)
def test_what_only_looks_like_an_ignore_is_a_warning(database: Database, comment: str, marked: str, said: str) -> None:
    result = compile(policy("primary { require hlt_exiting }", f"# {comment}"), database=database)
    [bad] = result.diagnostics
    assert (bad.code, bad.severity) == ("VMX1021", Severity.WARNING)
    assert bad.span is not None
    assert bad.span.text == marked
    assert said in bad.message


def test_a_code_in_small_letters_gets_the_right_one_as_a_suggestion(database: Database) -> None:
    [bad] = compile(policy("# vmcsc: ignore[vmx3003]"), database=database).diagnostics
    assert bad.help == "did you mean `VMX3003`?"


@pytest.mark.parametrize("comment", ["vmcsc: the compiler", "ask vmcsc", "vmcsc ignores this", "see vmcsc:"])
def test_prose_is_no_ignore(check: Check, comment: str) -> None:
    assert check(f"# {comment}", PREFER) == [("VMX3003", 4)]


def test_a_megabyte_of_ignores_is_read_in_time(database: Database) -> None:
    many = ", ".join(f"VMX{number}" for number in range(100_000))
    begun = time.process_time()
    for text in (
        "#vmcsc:ignore[" * 60_000,
        "# vmcsc: ignore[VMX3003]\n" * 30_000,
        f"{'#' * 900_000}vmcsc:",
        f"vmcsc: ignore[{many}]",
    ):
        compile(policy(f"#{text}"), database=database)
    assert time.process_time() - begun < 10


# --- which codes can be ignored ---


def test_every_code_of_a_rule_can_be_ignored(database: Database) -> None:
    known = known_codes(database)
    assert {rule.code for rule in database.rules} <= known.keys()
    assert [rule.code for rule in database.rules if why_not_ignored(rule.code, known)] == []


def test_the_errors_that_come_before_a_vmcs_cannot_be_ignored(database: Database) -> None:
    known = known_codes(database)
    before = {code.id for code in codes.ALL if code.severity is Severity.ERROR and code.id[3] in "1279"}
    assert all(why_not_ignored(code, known) for code in before)
    assert why_not_ignored(codes.REQUIRED_NOT_GRANTED.id, known) is None
    assert all(why_not_ignored(code.id, known) is None for code in codes.ALL if code.severity is not Severity.ERROR)
