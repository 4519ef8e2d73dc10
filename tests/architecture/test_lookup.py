"""Words to the entries that they may mean. Expected numbers are those of the SDM and of Linux's headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import KINDS, field_of, look_up, number_of, plain, similar


def meanings(database: Database, word: str, kind: str | None = None) -> list[tuple[str, str]]:
    return [(meaning.kind, meaning.name) for meaning in look_up(database, word, kind)]


@pytest.mark.parametrize(
    ("word", "kind", "name"),
    [
        ("hlt_exiting", "control", "primary.hlt_exiting"),
        ("primary.hlt_exiting", "control", "primary.hlt_exiting"),
        ("HLT exiting", "control", "primary.hlt_exiting"),
        ("CPU_BASED_HLT_EXITING", "control", "primary.hlt_exiting"),
        ("vmx-hlt-exit", "control", "primary.hlt_exiting"),
        ("GUEST_RIP", "field", "guest_rip"),
        ("0x681e", "field", "guest_rip"),
        ("681EH", "field", "guest_rip"),
        ("26654", "field", "guest_rip"),
        ("VPID", "field", "virtual_processor_id"),
        ("IA32_VMX_BASIC", "msr", "ia32_vmx_basic"),
        ("0x480", "msr", "ia32_vmx_basic"),
        ("EXIT_REASON_HLT", "exit-reason", "hlt"),
        ("#PF", "exception", "page_fault"),
        ("MAXPHYADDR", "fact", "maxphyaddr"),
        ("VMX4001", "rule", "exec-virtual-nmi-needs-nmi-exiting"),
        ("vmx2002", "code", "VMX2002"),
        ("unknown-control", "code", "VMX2002"),
        ("tertiary", "word", "tertiary"),
        ("guest_rflags.if", "bits", "guest_rflags.if"),
    ],
)
def test_an_entry_is_found_by_each_of_its_names_and_numbers(
    database: Database, word: str, kind: str, name: str
) -> None:
    assert (kind, name) in meanings(database, word)


def test_a_number_has_all_of_its_meanings(database: Database) -> None:
    kinds = [kind for kind, _ in meanings(database, "0")]
    assert kinds == ["field", "exit-reason", "exception"]  # VPID, exception or NMI, #DE; no error has number 0
    assert {"exit-reason", "instruction-error"} <= {kind for kind, _ in meanings(database, "7")}


def test_a_kind_narrows_a_number(database: Database) -> None:
    assert meanings(database, "33", "exit-reason") == [("exit-reason", "entry_failure_guest_state")]
    assert meanings(database, "33", "msr") == []


def test_high_halves_of_fields_are_found_by_encoding_and_name(database: Database) -> None:
    by_number, by_name = look_up(database, "0x2011"), look_up(database, "TSC_OFFSET_HIGH")
    assert by_number == by_name
    assert [(m.kind, m.name, m.high) for m in by_number] == [("field", "tsc_offset_high", True)]
    assert [m.high for m in look_up(database, "0x2010")] == [False]


def test_every_entry_is_found_by_its_own_name(database: Database) -> None:
    for control in database.controls:
        assert ("control", control) in meanings(database, control)
    for field in database.fields.values():
        assert ("field", field.name) in meanings(database, field.name)
        assert ("field", field.name) in meanings(database, hex(field.encoding))
    for rule in database.rules:
        assert meanings(database, rule.id, "rule") == [("rule", rule.id)]


def test_the_code_of_a_rule_that_is_written_for_many_things_means_the_first(database: Database) -> None:
    for code in {rule.code for rule in database.rules}:
        first = next(rule for rule in database.rules if rule.code == code)
        assert meanings(database, code, "rule") == [("rule", first.id)]


def test_a_field_is_meant_by_each_of_its_names_and_by_its_encoding(database: Database) -> None:
    for field in database.fields.values():
        for word in (*field.names, hex(field.encoding), f"0{field.encoding:X}H"):
            part = field_of(database, word)
            assert part is not None and (part.field, part.high) == (field, False), word
    for control_word in database.words.values():
        part = field_of(database, control_word.sdm)
        assert part is not None and part.name == control_word.field
    part = field_of(database, "0x2011")
    assert part is not None and (part.name, part.high) == ("tsc_offset_high", True)
    assert field_of(database, "TSC_OFFSET_HIGH") == part
    assert field_of(database, "hlt_exiting") is None and field_of(database, "0x7ffe") is None


def test_every_code_is_known_even_where_no_spec_explains_it(database: Database) -> None:
    for code in codes.ALL:
        assert ("code", code.id) in meanings(database, code.id)


def test_meanings_are_given_in_the_order_of_the_kinds_and_once(database: Database) -> None:
    for word in ("0", "1", "hlt", "ept_pointer", "0x4002"):
        found = meanings(database, word)
        assert len(set(found)) == len(found)
        assert [kind for kind, _ in found] == sorted((kind for kind, _ in found), key=KINDS.index)


def test_a_word_without_letters_or_digits_means_nothing(database: Database) -> None:
    assert look_up(database, "...") == []
    assert look_up(database, "") == []


def test_what_is_meant_is_guessed_from_what_is_close_or_contained(database: Database) -> None:
    assert similar(database, "hlt_exitng")[0] == "primary.hlt_exiting"
    assert "guest_rflags" in similar(database, "rflag")
    assert similar(database, "hlt_exitng", "msr") == []


@given(st.integers(0, (1 << 64) - 1))
def test_numbers_are_read_as_the_manual_c_and_python_write_them(number: int) -> None:
    assert number_of(f"{number}") == number
    assert number_of(f"{number:#x}") == number
    assert number_of(f"0{number:X}H") == number or number.bit_length() > 60
    assert number_of(f" {number:#X} ".replace("0X", "0x")) == number


@pytest.mark.parametrize("word", ["", "0x", "h", "12g", "-1", "1e3", "0b1", "١٢", "9" * 100])
def test_other_words_are_no_numbers(word: str) -> None:
    assert number_of(word) is None


@given(st.text())
def test_case_and_punctuation_do_not_matter(text: str) -> None:
    assert plain(f" -_{text.lower()}!") == plain(text.lower())
    assert plain(plain(text)) == plain(text)
