"""The shipped specs are complete and consistent, and what is wrong in a user's own is found at its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Capabilities
from vmcsc.diagnostic import Code, Diagnostic, Diagnostics

Overlay = Callable[..., tuple[Database | None, list[Diagnostic]]]

FIELD = """\
kind: fields
fields:
  - name: our_field
    encoding: 0x2ffe
    width: 64
    type: host_state
    access: read_write
    sdm: Our field
    section: Ours
    summary: A field of our house.
"""
CONTROLS = """\
kind: controls
word: tertiary
controls:
  - name: our_control
    bit: 60
    sdm: Our control
    section: Ours
    summary: A control of our house.
"""
MSR = """\
kind: msrs
msrs:
  - name: our_msr
    index: 0x4fff
    sdm: OUR_MSR
    section: Ours
    summary: An MSR of our house.
    bits:
      - {at: "7:0", name: low, sdm: Low byte, summary: The low byte., values: {one: 1}}
    reserved: ["63:8"]
"""
LAYOUT = """\
kind: layouts
layouts:
  - name: our_layout
    width: 32
    sdm: Our layout
    section: Ours
    summary: A layout of our house.
    bits:
      - {at: "3:0", name: kind, sdm: Kind, summary: The kind., values: {first: 1}}
    reserved: ["31:4"]
"""


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    """Loads the shipped specs with files of ours, given as name=text."""

    def load(**files: str) -> tuple[Database | None, list[Diagnostic]]:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        diagnostics = Diagnostics()
        return load_specs([tmp_path], diagnostics), diagnostics.found

    return load


def refusal(result: tuple[Database | None, list[Diagnostic]]) -> Diagnostic:
    database, found = result
    assert database is None
    assert len(found) == 1, [diagnostic.message for diagnostic in found]
    return found[0]


def assert_finding(found: Diagnostic, code: Code, file: str, line: int, column: int, text: str) -> None:
    assert found.code == code.id, found.message
    assert found.span is not None
    place = (Path(found.span.source.name).name, found.span.first.line, found.span.first.column)
    assert place == (file, line, column), found.message
    assert found.span.text.startswith(text)


# --- the shipped specs -----------------------------------------------------------------------------------------


def test_the_shipped_specs_fit_their_schemas_and_each_other() -> None:
    diagnostics = Diagnostics()
    assert load_specs([], diagnostics, check_shipped=True) is not None, diagnostics.found
    assert diagnostics.found == []


def test_the_manual_has_200_fields_of_which_73_have_a_high_half(database: Database) -> None:
    fields = [field for field in database.fields.values() if field.status == "sdm"]
    assert len(fields) == 200
    highs = {database.encoding.high(field) for field in fields} - {None}
    assert len(highs) == 73
    assert highs.isdisjoint(field.encoding for field in database.fields.values())


def test_a_high_half_has_the_encoding_plus_1_of_a_64_bit_field_and_leads_back_to_it(database: Database) -> None:
    for field in database.fields.values():
        high = database.encoding.high(field)
        assert high == (field.encoding + 1 if field.size == "64" else None)
        if high is not None:
            assert database.field_by_encoding[high] is field
        assert database.field_by_encoding[field.encoding] is field


def test_the_manual_has_103_controls_in_eight_words(database: Database) -> None:
    assert len(database.words) == 8
    assert len([control for control in database.controls.values() if control.status == "sdm"]) == 103


def test_34_reserved_bits_belong_to_the_default1_class(database: Database) -> None:
    assert sum(word.reserved_default1.bit_count() for word in database.words.values()) == 34


def test_there_are_20_capability_msrs_in_a_row(database: Database) -> None:
    assert [msr.index for msr in database.capability_msrs] == list(range(0x480, 0x494))


def test_every_bit_of_a_capability_msr_is_described(database: Database) -> None:
    for msr in database.capability_msrs:
        covered = msr.reserved
        for bits in msr.bits:
            covered |= bits.mask
        assert covered == (1 << 64) - 1, msr.name


def test_the_manual_has_79_exit_reasons(database: Database) -> None:
    assert len([reason for reason in database.exit_reasons.values() if reason.status == "sdm"]) == 79


def test_the_manual_has_25_instruction_errors(database: Database) -> None:
    assert len([error for error in database.instruction_errors.values() if error.status == "sdm"]) == 25


def test_the_encoding_of_every_field_states_its_width_type_and_no_reserved_bit(database: Database) -> None:
    """As in the manual's table: width in bits 14:13, type in bits 11:10, access type in bit 0."""
    widths, types = ["16", "64", "32", "natural"], ["control", "read_only_data", "guest_state", "host_state"]
    for field in database.fields.values():
        encoding = field.encoding
        assert encoding & ~0x6FFE == 0, field.name
        assert (widths[encoding >> 13 & 3], types[encoding >> 10 & 3]) == (field.size, field.type), field.name


def test_every_entry_has_its_name_its_summary_and_its_section(database: Database) -> None:
    described = [*database.fields.values(), *database.controls.values(), *database.exit_reasons.values()]
    for entry in [*described, *database.instruction_errors.values(), *database.capability_msrs]:
        assert entry.name.isidentifier()
        assert entry.name == entry.name.lower()
        assert entry.section or entry.status != "sdm", entry.name
        assert entry.summary.endswith("."), entry.name


def test_every_control_word_stands_behind_the_one_that_activates_it(database: Database) -> None:
    order = [word.name for word in database.active_order]
    assert sorted(order) == sorted(database.words)
    for word in database.words.values():
        if word.activated_by is not None:
            assert order.index(database.controls[word.activated_by].word) < order.index(word.name)
    function = database.words["vm_function"]
    assert [control.path for control in database.activators(function)] == [
        "secondary.enable_vm_functions",
        "primary.activate_secondary_controls",
    ]


def test_every_condition_of_existence_can_be_evaluated(database: Database) -> None:
    capabilities = Capabilities(database, UNKNOWN_CPU)
    for entry in [*database.fields.values(), *database.controls.values(), *database.msrs.values()]:
        capabilities.exists(entry)


# --- a user's own ----------------------------------------------------------------------------------------------


def test_an_overlay_adds_fields_controls_msrs_and_layouts(overlay: Overlay) -> None:
    database, found = overlay(fields=FIELD, controls=CONTROLS, msrs=MSR, layouts=LAYOUT)
    assert found == []
    assert database is not None
    assert database.fields["our_field"].encoding == 0x2FFE
    assert database.controls["tertiary.our_control"].bit == 60
    assert database.words["tertiary"].by_bit[60].name == "our_control"
    assert database.msrs["our_msr"].by_name["low"].mask == 0xFF
    assert database.layouts["our_layout"].reserved == 0xFFFF_FFF0


def test_an_overlay_leaves_the_shipped_database_as_it_was(overlay: Overlay, database: Database) -> None:
    overlay(fields=FIELD)
    assert "our_field" not in database.fields


def test_an_unknown_key_is_reported_at_the_key(overlay: Overlay) -> None:
    found = refusal(overlay(a=FIELD.replace("    sdm:", "    sdn: x\n    sdm:")))
    assert_finding(found, codes.SPEC_SCHEMA, "a.yaml", 8, 5, "sdn")
    assert "sdm" in found.message


def test_a_missing_key_is_reported_at_its_entry(overlay: Overlay) -> None:
    found = refusal(overlay(a=FIELD.replace("    encoding: 0x2ffe\n", "")))
    assert_finding(found, codes.SPEC_SCHEMA, "a.yaml", 3, 5, "name: our_field")
    assert "`encoding`" in found.message


def test_two_mistakes_against_the_schema_are_two_findings(overlay: Overlay) -> None:
    database, found = overlay(a=FIELD.replace("width: 64", "width: 65").replace("type: host_state", "type: hostile"))
    assert database is None
    assert [d.span and (d.span.first.line, d.span.text) for d in found] == [(6, "hostile"), (5, "65")]


@pytest.mark.parametrize(
    ("text", "name", "place"),
    [
        (FIELD, "our_field", (3, 11)),
        (CONTROLS, "our_control", (4, 11)),
        (MSR, "our_msr", (3, 11)),
        (LAYOUT, "our_layout", (3, 11)),
    ],
)
def test_a_name_defined_twice_is_reported_with_both_places(
    overlay: Overlay, text: str, name: str, place: tuple[int, int]
) -> None:
    found = refusal(overlay(a=text, b=text))
    assert_finding(found, codes.SPEC_DUPLICATE, "b.yaml", *place, name)
    assert [Path(label.span.source.name).name for label in found.labels] == ["a.yaml"]


def test_a_shipped_name_cannot_be_defined_again(overlay: Overlay) -> None:
    found = refusal(overlay(a=FIELD.replace("our_field", "tsc_offset")))
    assert_finding(found, codes.SPEC_DUPLICATE, "a.yaml", 3, 11, "tsc_offset")
    assert [Path(label.span.source.name).name for label in found.labels] == ["control.yaml"]


@pytest.mark.parametrize(
    ("old", "new"), [("0x2ffe", "0x0ffe"), ("0x2ffe", "0x2bfe"), ("0x2ffe", "0x6ffe"), ("width: 64", "width: 32")]
)
def test_an_encoding_that_contradicts_its_field_is_reported(overlay: Overlay, old: str, new: str) -> None:
    found = refusal(overlay(a=FIELD.replace(old, new)))
    assert_finding(found, codes.SPEC_BITS, "a.yaml", 3, 11, "our_field")


def test_the_encoding_of_a_high_half_is_not_that_of_a_field(overlay: Overlay) -> None:
    assert_finding(refusal(overlay(a=FIELD.replace("0x2ffe", "0x2fff"))), codes.SPEC_SCHEMA, "a.yaml", 4, 15, "0x2fff")


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (FIELD, "0x2ffe", "0x2c00"),  # host_ia32_pat
        (CONTROLS, "bit: 60", "bit: 4"),  # ipi_virtualization
        (MSR, "0x4fff", "0x480"),  # ia32_vmx_basic
    ],
)
def test_a_number_that_is_taken_is_reported_with_whose_it_is(overlay: Overlay, text: str, old: str, new: str) -> None:
    found = refusal(overlay(a=text.replace(old, new)))
    assert found.code == codes.SPEC_DUPLICATE.id
    assert found.span is not None
    assert found.labels


@pytest.mark.parametrize(
    ("text", "old", "new", "target"),
    [
        (FIELD, "    sdm:", "    layout: rflag\n    sdm:", "rflag"),
        (MSR[: MSR.index("    bits:")], "    sdm:", "    layout: no_such_layout\n    sdm:", "no_such_layout"),
    ],
)
def test_a_reference_to_nothing_is_reported(overlay: Overlay, text: str, old: str, new: str, target: str) -> None:
    found = refusal(overlay(a=text.replace(old, new, 1)))
    assert found.code == codes.SPEC_REFERENCE.id
    assert f"`{target}`" in found.message
    assert found.span is not None
    assert Path(found.span.source.name).name == "a.yaml"


def test_controls_of_a_word_that_no_manual_has_are_reported(overlay: Overlay) -> None:
    found = refusal(overlay(a=CONTROLS.replace("tertiary", "tertiari")))
    assert_finding(found, codes.SPEC_SCHEMA, "a.yaml", 2, 7, "tertiari")


def test_a_word_that_is_defined_by_halves_is_reported(overlay: Overlay) -> None:
    found = refusal(overlay(a=CONTROLS.replace("controls:", "width: 64\ncontrols:")))
    assert_finding(found, codes.SPEC_SCHEMA, "a.yaml", 3, 1, "width")
    found = refusal(overlay(a=CONTROLS.replace("controls:", "field: f\ncontrols:")))
    assert_finding(found, codes.SPEC_SCHEMA, "a.yaml", 3, 1, "field")
    assert "`sdm`" in found.message
    assert "`summary`" in found.message


def test_several_missing_keys_are_one_finding(overlay: Overlay) -> None:
    found = refusal(overlay(a=FIELD.replace("    encoding: 0x2ffe\n", "").replace("    width: 64\n", "")))
    assert "`encoding`, `width`" in found.message


def test_a_layout_is_as_wide_as_its_field(overlay: Overlay) -> None:
    found = refusal(overlay(a=FIELD.replace("    sdm:", "    layout: our_layout\n    sdm:"), b=LAYOUT))
    assert_finding(found, codes.SPEC_BITS, "a.yaml", 3, 11, "our_field")


def test_a_bit_outside_its_word_is_reported(overlay: Overlay) -> None:
    found = refusal(overlay(a=CONTROLS.replace("tertiary", "secondary")))
    assert_finding(found, codes.SPEC_BITS, "a.yaml", 4, 11, "our_control")


def test_a_reserved_bit_of_a_word_cannot_be_a_control(overlay: Overlay) -> None:
    found = refusal(overlay(a=CONTROLS.replace("tertiary", "primary").replace("60", "26")))
    assert_finding(found, codes.SPEC_BITS, "a.yaml", 4, 11, "our_control")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"31:4"', '"31:5"'),  # bit 4 is left out
        ('"31:4"', '"31:3"'),  # bit 3 is named and reserved
        ('"31:4"', '"32:4"'),  # bit 32 is beyond the width
        ("first: 1", "first: 16"),  # does not fit four bits
    ],
)
def test_a_layout_accounts_for_each_of_its_bits_once(overlay: Overlay, old: str, new: str) -> None:
    database, found = overlay(a=LAYOUT.replace(old, new))
    assert database is None
    assert {diagnostic.code for diagnostic in found} == {codes.SPEC_BITS.id}


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("fields: []\n", codes.SPEC_SCHEMA, (1, 1)),
        ("kind: feilds\n", codes.SPEC_SCHEMA, (1, 7)),
        ("kind: ../schemas/fields\n", codes.SPEC_SCHEMA, (1, 7)),
        (f"kind: {'a' * 300}\n", codes.SPEC_SCHEMA, (1, 7)),
        ("- kind: fields\n", codes.SPEC_SCHEMA, (1, 1)),
        ("", codes.SPEC_SCHEMA, (1, 1)),
        ("kind: fields\nkind: fields\n", codes.SPEC_SYNTAX, (2, 1)),
        ("kind: [fields\n", codes.SPEC_SYNTAX, (2, 1)),
    ],
)
def test_a_file_that_is_no_spec_is_reported(overlay: Overlay, text: str, code: Code, place: tuple[int, int]) -> None:
    assert_finding(refusal(overlay(a=text)), code, "a.yaml", *place, "")


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    diagnostics = Diagnostics()
    assert load_specs([tmp_path / "absent"], diagnostics) is None
    assert [found.code for found in diagnostics] == [codes.SPEC_SYNTAX.id]


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"kind: \xff")
    diagnostics = Diagnostics()
    assert load_specs([tmp_path], diagnostics) is None
    assert [found.code for found in diagnostics] == [codes.SPEC_SYNTAX.id]
