"""Names, widths and conditions: what an expression may say, and what it is told otherwise."""

from __future__ import annotations

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bits
from vmcsc.diagnostic import Code, Diagnostic, Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind, bind_condition
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression

PARAMETERS = {"a1": 1, "a8": 8, "b8": 8, "a16": 16, "a32": 32, "a64": 64, "b64": 64, "start": 64}
ERROR_CODE = (32, {"present": Bits("present", 0, 0, "P", "", {}), "kind": Bits("kind", 3, 2, "", "", {"user": 2})})


@pytest.fixture(scope="module")
def scope(database: Database) -> Scope:
    return Scope(database, parameters=PARAMETERS, operands={"error_code": ERROR_CODE})


def bound(text: str, width: int, scope: Scope) -> nodes.Node:
    node, found = attempt(text, width, scope)
    assert node is not None, found
    return node


def attempt(text: str, width: int | None, scope: Scope) -> tuple[nodes.Node | None, list[Diagnostic]]:
    """The bound expression (a condition without `width`) and the findings; there is always one of both."""
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("t", text), diagnostics)
    assert parsed is not None, diagnostics.found
    node = bind_condition(parsed, scope, diagnostics) if width is None else bind(parsed, width, scope, diagnostics)
    assert (node is None) == bool(diagnostics.found), diagnostics.found
    return node, diagnostics.found


def finding(text: str, width: int | None, scope: Scope) -> Diagnostic:
    """The only finding of an expression that means nothing."""
    _, (found,) = attempt(text, width, scope)
    return found


def assert_finding(found: Diagnostic, code: Code, place: str) -> None:
    assert (found.code, found.span and found.span.text) == (code.id, place), found.message


def constant(text: str, width: int, scope: Scope) -> int:
    """The value of an expression that reads nothing."""
    node = bound(text, width, scope)
    assert not list(nodes.leaves(node))
    result = evaluate(node, lambda leaf: pytest.fail(f"read {leaf}"))
    assert result.is_known
    return result.bits


# --- widths ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("a8", 8),
        ("a8 + 1", 8),
        ("1 | a16", 16),
        ("~a32", 32),
        ("-a8", 8),
        ("a8 << a64", 8),
        ("u64(a8) + a64", 64),
        ("u8(a64)", 8),
        ("a64[15:8]", 8),
        ("a64[3]", 1),
        ("a8 == b8", 1),
        ("not a8 < b8", 1),
        ("a8 in [1, 3..5]", 1),
        ("a1 and a8 == 1", 1),
        ("error_code", 32),
        ("error_code.kind", 2),
        ("cpu.maxphyaddr", 8),
        ("ia32_vmx_basic", 64),
        ("ia32_vmx_basic.region_size", 13),
        ("supported(hlt_exiting)", 1),
        ("forced(primary.hlt_exiting)", 1),
        ("true", 1),
    ],
)
def test_every_expression_has_a_width_and_fits_that_alone(text: str, width: int, scope: Scope) -> None:
    assert bound(text, width, scope).width == width
    for other in {1, 8, 16, 32, 64} - {width}:
        code = codes.NOT_A_CONDITION if other == 1 else codes.WIDTH_MISMATCH
        assert_finding(finding(text, other, scope), code, text)


@pytest.mark.parametrize("operator", ["&", "|", "^", "+", "-", "*", "==", "!=", "<", "<=", ">", ">="])
def test_the_sides_of_an_operator_agree_in_width(operator: str, scope: Scope) -> None:
    text = f"a8 {operator} a64"
    found = finding(text, 64, scope)
    assert_finding(found, codes.WIDTH_MISMATCH, text)
    assert found.help == "write `u64(a8)`"


def test_the_help_names_the_narrower_side_wherever_it_stands(scope: Scope) -> None:
    assert finding("a32 + a8", 32, scope).help == "write `u32(a8)`"


def test_following_the_help_for_widths_mends_the_expression(scope: Scope) -> None:
    for left, right in [("a8", "a64"), ("a16", "a8"), ("ia32_vmx_basic.region_size", "a16"), ("a1", "a8")]:
        found = finding(f"{left} == {right}", None, scope)
        assert found.help is not None
        mended = found.help.split("`")[1]
        text = f"{left} == {right}".replace(mended[mended.index("(") + 1 : -1], mended, 1)
        assert bound(text, 1, scope).width == 1


def test_a_literal_that_is_shifted_must_say_how_wide_it_is(scope: Scope) -> None:
    found = finding("1 << a8", 64, scope)
    assert_finding(found, codes.WIDTH_MISMATCH, "1")
    assert found.help == "write `u64(1)`"
    assert bound("u64(1) << a8", 64, scope).width == 64


@pytest.mark.parametrize("text", ["a8[8]", "a8[3:4]", "a8[64:0]", "3[64]"])
def test_a_slice_lies_inside_its_operand_with_the_higher_bit_first(text: str, scope: Scope) -> None:
    assert_finding(finding(text, 8, scope), codes.VALUE_TOO_WIDE, text)


# --- literals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 8, 16, 32, 64])
def test_a_literal_fits_as_an_unsigned_or_a_negative_number_of_the_width(width: int, scope: Scope) -> None:
    top, bottom = (1 << width) - 1, 1 << (width - 1)
    assert constant(str(top), width, scope) == top
    assert constant(f"-{bottom}", width, scope) == bottom
    assert constant("~0", width, scope) == top
    if width < 64:
        assert_finding(finding(str(top + 1), width, scope), codes.VALUE_TOO_WIDE, str(top + 1))
    assert_finding(finding(f"-{bottom + 1}", width, scope), codes.VALUE_TOO_WIDE, f"-{bottom + 1}")


@pytest.mark.parametrize("text", ["256 + a8", "a8 == 256", "a8 & 0x100", "a8 in [1, 256]", "256 < a8", "u8(256)"])
def test_a_literal_that_does_not_fit_what_it_meets_is_reported_where_it_stands(text: str, scope: Scope) -> None:
    found = finding(text, 8 if text in ("256 + a8", "a8 & 0x100", "u8(256)") else None, scope)
    assert found.code == codes.VALUE_TOO_WIDE.id
    assert found.span is not None
    assert found.span.text in ("256", "0x100")


@pytest.mark.parametrize(
    "text", ["255 + 1 - 1", "1 << 7 | 0x7f", "(1 << 64) - 1 & 0xff", "1000 >> 2 & 0xff", "3 * 5", "-1 & 0xf0"]
)
def test_operations_between_literals_are_exact_like_pythons(text: str, scope: Scope) -> None:
    assert constant(text, 8, scope) == eval(text)


@pytest.mark.parametrize("text", ["1 << 512", "1 << -1", "1 >> 10000000000", "(1 << 511) * 4"])
def test_a_literal_that_no_field_could_hold_is_refused_before_it_is_computed(text: str, scope: Scope) -> None:
    assert finding(text, 64, scope).code == codes.VALUE_TOO_WIDE.id


# --- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "help"),
    [
        ("tsc_offst", codes.UNKNOWN_NAME, None),
        ("strat", codes.UNKNOWN_NAME, "did you mean `start`?"),
        ("cpu.maxphyadr", codes.UNKNOWN_NAME, "did you mean `cpu.maxphyaddr`?"),
        ("cpu", codes.UNKNOWN_NAME, None),
        ("ia32_vmx_basik", codes.UNKNOWN_NAME, "did you mean `ia32_vmx_basic`?"),
        ("ia32_vmx_basic.region_sise", codes.UNKNOWN_NAME, "did you mean `region_size`?"),
        ("error_code.presnt", codes.UNKNOWN_NAME, "did you mean `present`?"),
        ("supported(hlt_exitin)", codes.UNKNOWN_CONTROL, "did you mean `hlt_exiting`?"),
        ("supported(primary.hlt_exitin)", codes.UNKNOWN_CONTROL, "did you mean `primary.hlt_exiting`?"),
        ("suported(hlt_exiting)", codes.UNKNOWN_FUNCTION, "did you mean `supported`?"),
        ("load_ia32_pat == 1", codes.OUT_OF_SCOPE, "ask `supported(load_ia32_pat)` instead"),
        ("primary.hlt_exiting", codes.OUT_OF_SCOPE, "ask `supported(primary.hlt_exiting)` instead"),
        ("tsc_offset == 1", codes.OUT_OF_SCOPE, "declare a `param` and use it in both places"),
        ("ia32_fs_base == 1", codes.OUT_OF_SCOPE, None),
    ],
)
def test_a_name_without_a_meaning_here_is_reported_with_what_was_probably_meant(
    text: str, code: Code, help: str | None, scope: Scope
) -> None:
    found = finding(text, None, scope)
    assert found.code == code.id, found.message
    assert help is None or found.help == help


def test_a_control_of_two_words_must_say_which(scope: Scope) -> None:
    found = finding("supported(load_ia32_pat)", None, scope)
    assert found.code == codes.AMBIGUOUS_NAME.id
    assert found.help is not None
    for path in ("vm_entry.load_ia32_pat", "vm_exit.load_ia32_pat"):
        assert path in found.help
        assert bound(f"supported({path})", 1, scope)


def test_rules_may_read_the_settings_of_controls(database: Database) -> None:
    node = bound("primary.hlt_exiting", 1, Scope(database, controls=True))
    assert node == nodes.ControlBit(1, database.controls["primary.hlt_exiting"])


def test_a_parameter_hides_what_else_has_its_name(database: Database) -> None:
    node = bound("tsc_offset", 16, Scope(database, parameters={"tsc_offset": 16}))
    assert node == nodes.Parameter(16, "tsc_offset")


def test_an_alias_means_the_msr_it_stands_for(scope: Scope) -> None:
    assert bound("vmx_basic", 64, scope) == bound("ia32_vmx_basic", 64, scope)


@pytest.mark.parametrize(
    "text",
    ["ia32_vmx_basic.memory_type == write_back", "write_back == ia32_vmx_basic.memory_type", "error_code.kind != user"],
)
def test_a_comparison_knows_the_names_of_the_values_of_its_other_side(text: str, scope: Scope) -> None:
    number = "6" if "write_back" in text else "2"
    assert bound(text, 1, scope) == bound(text.replace("write_back", number).replace("user", number), 1, scope)


def test_a_membership_knows_the_names_of_the_values_of_its_operand(scope: Scope) -> None:
    named = bound("ia32_vmx_basic.memory_type in [uncacheable, write_back]", 1, scope)
    assert named == bound("ia32_vmx_basic.memory_type in [0, 6]", 1, scope)


def test_the_name_of_a_value_means_nothing_elsewhere(scope: Scope) -> None:
    assert_finding(finding("write_back == a8", None, scope), codes.UNKNOWN_NAME, "write_back")
    assert_finding(finding("ia32_vmx_basic.memory_type == wite_back", None, scope), codes.UNKNOWN_NAME, "wite_back")


# --- conditions and calls --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a8", "a8 & 1", "ia32_vmx_basic", "not a8", "a8 and a1", "a1 or a8"])
def test_a_number_is_not_a_condition(text: str, scope: Scope) -> None:
    assert finding(text, None, scope).code == codes.NOT_A_CONDITION.id


@pytest.mark.parametrize("text", ["2", "1 + 1", "not 3", "a1 and 2"])
def test_a_literal_is_a_condition_only_if_it_is_0_or_1(text: str, scope: Scope) -> None:
    assert finding(text, None, scope).code == codes.NOT_A_CONDITION.id
    assert bound("1 and not 0", 1, scope).width == 1


def test_both_sides_of_and_are_reported_in_one_run(scope: Scope) -> None:
    _, found = attempt("a8 and b8", None, scope)
    assert [diagnostic.code for diagnostic in found] == [codes.NOT_A_CONDITION.id] * 2
    _, found = attempt("unknown_1 == unknown_2 + unknown_3", None, scope)
    assert [diagnostic.code for diagnostic in found] == [codes.UNKNOWN_NAME.id] * 3


def test_every_item_of_a_membership_is_reported_in_one_run(scope: Scope) -> None:
    _, found = attempt("a8 in [256, 1..300, 5, nothing]", None, scope)
    assert [d.span and d.span.text for d in found] == ["256", "300", "nothing"]


@pytest.mark.parametrize(
    "text", ["u8()", "u8(a8, b8)", "supported()", "forced(a8, a8)", "supported(1)", "supported(a8 + 1)"]
)
def test_a_function_takes_one_argument_of_its_kind(text: str, scope: Scope) -> None:
    assert finding(text, None, scope).code == codes.WRONG_ARGUMENTS.id


def test_an_expression_lists_what_it_reads(scope: Scope) -> None:
    node = bound("a8 == b8 and supported(hlt_exiting) or error_code.present", 1, scope)
    kinds = [type(leaf).__name__ for leaf in nodes.leaves(node)]
    assert kinds == ["Parameter", "Parameter", "Supported", "Operand"]
