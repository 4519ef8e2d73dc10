"""`vmcsc decode` takes a value apart, and says what no such value can have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vmcsc.architecture.database import Database
from vmcsc.diagnose.value import decode_field, decode_word


def rows(text: str) -> list[list[str]]:
    """The cells of the table, but for the meaning, which may have blanks."""
    return [line.split(maxsplit=3) for line in text.splitlines() if line[:1].isdigit()]


@pytest.mark.parametrize(
    ("command", "head", "cells"),
    [
        (
            "exit-reason 0x80000021",
            "field exit_reason",
            [
                ["15:0", "basic_reason", "0x21", "VM-entry failure due to invalid guest state"],
                ["31", "entry_failure", "1"],
            ],
        ),
        ("qualification 0x13 --reason 28", "field exit_qualification", [["3:0", "control_register", "3"]]),
        ("access-rights 0xc093", "layout access_rights", [["3:0", "type", "3"], ["4", "s", "1"]]),
        ("controls primary 0x80008000", "word primary", [["15", "cr3_load_exiting", "1"]]),
        ("primary_vm_execution_controls 0x80", "word primary", [["7", "hlt_exiting", "1"]]),
        ("eptp 0x1801e", "field ept_pointer", [["2:0", "memory_type", "6", "write_back"]]),
        ("GUEST_RFLAGS 0x202", "field guest_rflags", [["9", "if", "1"]]),
    ],
)
def test_a_value_is_taken_apart(command: str, head: str, cells: list[list[str]], vmcsc: Any) -> None:
    run = vmcsc("decode", *command.split())
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith(head)
    shown = rows(run.out)
    for cell in cells:
        assert any(row[: len(cell)] == cell for row in shown), run.out


def test_of_a_capability_msr_each_control_has_its_settings(vmcsc: Any) -> None:
    run = vmcsc("decode", "msr", "0x48b", "0x300000002")
    settings = {row[1]: row[3] for row in rows(run.out)}
    assert settings["enable_ept"] == "must be 1"
    assert settings["virtualize_apic_accesses"] == "may be 0 or 1"
    assert settings["enable_vpid"] == "must be 0"


def test_an_instruction_error_has_the_rules_that_it_stands_for_by_section(vmcsc: Any, database: Database) -> None:
    run = vmcsc("decode", "instruction-error", "7")
    rules = [rule for rule in database.rules if rule.outcome.get("instruction_error") == 7]
    assert len(rules) > 50
    assert all(f"  {rule.code} {rule.id}: " in run.out for rule in rules)
    for section in {rule.section for rule in rules}:
        assert run.out.count(f"{section}\n") == 1
    run = vmcsc("decode", "instruction-error", "12")  # no rule of VM entry stands behind this one
    assert run.out.startswith("VMREAD or VMWRITE named a field that this processor lacks")


def test_what_two_layouts_share_is_shown_for_each(vmcsc: Any) -> None:
    run = vmcsc("decode", "intr-info", "0x80000b0e")
    assert "layout entry_interruption_information" in run.out
    assert "layout exit_interruption_information" in run.out
    assert "hardware_exception" in run.out


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("rflags 0", "bit 1 is always 1, and 0 here"),
        ("exit-reason 0x10000", "bit 16 is reserved, and 1"),
        ("controls pin_based 0x100", "bit 8 is reserved, and 1"),
        ("exit-reason 0x100000000", "it has more than 32 bits"),
    ],
)
def test_what_no_such_value_can_have_is_said(command: str, sentence: str, vmcsc: Any) -> None:
    run = vmcsc("decode", *command.split())
    assert run.code == 0
    assert f"wrong: {sentence}\n" in run.out


def test_as_json(vmcsc: Any) -> None:
    document = json.loads(vmcsc("decode", "exit-reason", "33", "--format", "json").out)
    (value,) = document["values"]
    assert (value["name"], value["value"], value["wrong"]) == ("exit_reason", 33, [])
    assert value["parts"][0]["meaning"] == "VM-entry failure due to invalid guest state"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense", "5"], "no field, control word, MSR or layout is named `nonsense`"),
        (["exit-reason", "x"], "a name and a number are needed"),
        (["5"], "a name and a number are needed"),
        (["qualification", "1", "--reason", "nonsense"], "nonsense is no exit reason"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], said: str, vmcsc: Any) -> None:
    run = vmcsc("decode", *arguments)
    assert (run.code, run.out) == (2, "")
    assert said in run.err


def test_every_field_and_word_can_be_decoded(database: Database) -> None:
    for value in (0, (1 << 64) - 1, 1 << 100):
        for field in database.fields.values():
            assert decode_field(field, value, database).value == value
        for word in database.words.values():
            assert decode_word(word, value, database).value == value
