"""A VMCS as people write it: every name for a field, every way to write a number, sections, and what is refused."""

from __future__ import annotations

import io
import json
import time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU
from vmcsc.capabilities.readers import read_cpu
from vmcsc.check.vmcs_file import WrittenVmcs, is_jsonl, lines_of, parse_number, read_vmcs
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.loading import load
from vmcsc.source import MAX_BYTES, Source, UnreadableText

specs = cache(load)
"""The specs for tests whose examples a generator makes."""

NAMES = {code.id: code.name for code in codes.ALL}


def read(text: str, database: Database) -> WrittenVmcs:
    diagnostics = Diagnostics()
    written = read_vmcs(Source("state", text), database, diagnostics)
    assert written is not None, [d.message for d in diagnostics]
    return written


def numbers(text: str, database: Database) -> dict[str, int]:
    return {name: value.bits for name, value in read(text, database).fields.items()}


def refused(text: str, database: Database) -> list[Diagnostic]:
    diagnostics = Diagnostics()
    assert read_vmcs(Source("state", text), database, diagnostics) is None
    return diagnostics.found


def test_a_fact_is_meant_where_an_msr_is_called_that_too(database: Database) -> None:
    written = read("cpu: {pat: 1, cpu.tsc: 0, ia32_vmx_basic: 5}", database)
    assert {name: value.bits for name, value in written.facts.items()} == {"pat": 1, "tsc": 0}
    assert not {name for msr in database.capability_msrs for name in msr.names} & set(database.facts)


def test_a_line_that_cannot_be_read_is_named_by_its_number() -> None:
    with pytest.raises(UnreadableText) as caught:
        list(lines_of(io.BytesIO(b"{}\n\n{\xff}\n"), "states"))
    assert str(caught.value.span) == "states:3:2"


# --- fields ---


@pytest.mark.parametrize(
    "name",
    ["guest_rip", "GUEST_RIP", "Guest RIP", "0x681e", "681EH", "26654", '"0x681E"', "guest-rip"],
)
def test_a_field_is_known_by_every_name_that_look_up_knows(name: str, database: Database) -> None:
    assert numbers(f"{name}: 5", database) == {"guest_rip": 5}


def test_a_control_word_is_known_by_the_name_of_the_word_too(database: Database) -> None:
    assert numbers("PIN_BASED_VM_EXEC_CONTROL: 0x16", database) == {"pin_based_vm_execution_controls": 0x16}
    assert numbers("pin_based: 0x16", database) == {"pin_based_vm_execution_controls": 0x16}


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("10", 10),
        ("0x10", 16),
        ('"0x10"', 16),
        ('"10"', 10),
        ('"10h"', 16),
        ("0xffff_0000", 0xFFFF0000),
        ('" 0X1F "', 31),
    ],
)
def test_a_value_is_decimal_or_hexadecimal(written: str, number: int, database: Database) -> None:
    assert numbers(f"guest_rip: {written}", database) == {"guest_rip": number}


def test_json_and_yaml_are_read_alike(database: Database) -> None:
    values = {"GUEST_CR0": "0x80050033", "0x6804": 8224}
    assert numbers(json.dumps(values), database) == {"guest_cr0": 0x80050033, "guest_cr4": 0x2020}
    assert numbers(json.dumps(values, indent=2), database) == numbers("GUEST_CR0: 0x80050033\n0x6804: 8224", database)


def test_what_is_null_or_left_out_is_unknown(database: Database) -> None:
    assert numbers("guest_rip: null\nguest_rsp: 1", database) == {"guest_rsp": 1}
    assert numbers("{}", database) == {}


def test_high_halves_are_put_above_the_low_ones(database: Database) -> None:
    assert numbers("0x2010: 0x89abcdef\n0x2011: 0x01234567", database) == {"tsc_offset": 0x0123456789ABCDEF}
    assert numbers("TSC_OFFSET: 0x0123456789abcdef\nTSC_OFFSET_HIGH: 0x01234567", database) == {
        "tsc_offset": 0x0123456789ABCDEF
    }
    (alone,) = read("tsc_offset_high: 1", database).fields.values()
    assert (alone.bits, alone.known) == (1 << 32, 0xFFFFFFFF << 32)
    (finding,) = refused("TSC_OFFSET: 0x0200000000\nTSC_OFFSET_HIGH: 3", database)
    assert NAMES[finding.code] == "assigned-twice"


def test_the_place_of_a_field_is_its_key_and_value(database: Database) -> None:
    written = read('{"guest_rip": 1,\n "GUEST_RSP": 0x10}', database)
    assert written.spans["guest_rsp"].text == '"GUEST_RSP": 0x10'
    assert str(written.spans["guest_rsp"]) == "state:2:2"


# --- sections ---

WHOLE = """
fields: {guest_rip: 0x1000}
memory:
  0x1000: "00 10 00 00 00 00 00 00"
  8192: [0xff, 1]
processor: {instruction: vmresume, cpl: 3, vmx_operation: true, processor.smm: 0}
cpu: {maxphyaddr: 46, cpu.intel_64: true, ia32_vmx_basic: 0x00da050000000013, 0x485: 0x7004c1e7}
"""


def test_sections_give_memory_the_state_of_the_processor_and_facts_of_the_cpu(database: Database) -> None:
    written = read(WHOLE, database)
    assert {name: value.bits for name, value in written.fields.items()} == {"guest_rip": 0x1000}
    assert written.memory is not None
    assert written.memory.read(0x1000, 64).bits == 0x1000
    assert written.memory.read(0x2000, 16).bits == 0x01FF
    assert written.memory.read(0x2000, 32).known == 0xFFFF
    state = {name: value.bits for name, value in written.processor.items()}
    assert state == {"instruction": 1, "cpl": 3, "vmx_operation": 1, "smm": 0}
    cpu = written.on(UNKNOWN_CPU)
    assert {name: value.bits for name, value in cpu.facts.items()} == {"maxphyaddr": 46, "intel_64": 1}
    assert cpu.msrs["ia32_vmx_misc"].bits == 0x7004C1E7


def test_what_the_text_says_of_the_cpu_wins_over_the_cpu(database: Database) -> None:
    ice = read_cpu("ice_lake_i7_1065g7", database, Diagnostics())
    assert ice is not None
    cpu = read("fields: {}\ncpu: {maxphyaddr: 52}", database).on(ice)
    assert cpu.facts["maxphyaddr"].bits == 52
    assert cpu.facts["linear_address_width"] == ice.facts["linear_address_width"]
    assert read("{}", database).on(ice) is ice


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "name", "at"),
    [
        ("guest_rp: 1", "unknown-field", "guest_rp"),
        ("0x6821: 1", "unknown-field", "0x6821"),
        ("guest_cs_selector: 0x10000", "value-too-wide", "0x10000"),
        ("guest_rip: 0x10000000000000000", "value-too-wide", "0x10000000000000000"),
        ("tsc_offset_high: 0x100000000", "value-too-wide", "0x100000000"),
        ("guest_rip: -1", "bad-value", "-1"),
        ("guest_rip: hello", "bad-value", "hello"),
        ("guest_rip: ffff", "bad-value", "ffff"),
        ("guest_rip: 1.5", "bad-value", "1.5"),
        ("guest_rip: 1e3", "bad-value", "1e3"),
        ("guest_rip: true", "bad-value", "true"),
        ("guest_rip: [1]", "bad-value", "[1]"),
        ("guest_rip: {a: 1}", "bad-value", "{a: 1}"),
        ('guest_rip: ""', "bad-value", '""'),
        ("guest_rip: 1\nGUEST_RIP: 1", "assigned-twice", "GUEST_RIP: 1"),
        ("[1]", "bad-value", "[1]"),
        ("17", "bad-value", "17"),
        ("fields: {}\nfeilds: {}", "unknown-name", "feilds"),
        ("fields: {}\nguest_rip: 1", "unknown-name", "guest_rip"),
        ("fields: 3", "bad-value", "3"),
        ("memory: {x: '00'}", "bad-value", "x"),
        ('memory: {-1: "00"}', "bad-value", "-1"),
        ("memory: {0: '123'}", "bad-value", "'123'"),
        ("memory: {0: 16}", "bad-value", "16"),
        ("memory: {0: [256]}", "value-too-wide", "256"),
        ("memory: {0: [null]}", "bad-value", "[null]"),
        ("memory: {0xffffffffffffffff: '0000'}", "bad-value", "'0000'"),
        ("memory: {0: '0000', 1: '00'}", "assigned-twice", "{0: '0000', 1: '00'}"),
        ("memory: {16: '00', 0x10: '00'}", "assigned-twice", "0x10"),
        ("processor: {cpll: 1}", "unknown-name", "cpll"),
        ("processor: {cpl: 4}", "value-too-wide", "4"),
        ("processor: {instruction: vmxon}", "bad-value", "vmxon"),
        ("processor: {cpl: 1, CPL: 2}", "assigned-twice", "CPL"),
        ("cpu: {maxphyaddr: 300}", "cpu-unreadable", "maxphyaddr"),
        ("cpu: {nonsense: 1}", "cpu-unreadable", "nonsense"),
        ("cpu: {ia32_vmx_basic: x}", "bad-value", "x"),
        ('{"guest_rip": 1', "unreadable", None),
        ("a: &b 1", "unreadable", "&b"),
        ("guest_rip: 1\nguest_rip: 2", "unreadable", "guest_rip"),
    ],
)
def test_a_mistake_is_found_where_it_stands(text: str, name: str, at: str | None, database: Database) -> None:
    (finding,) = refused(text, database)
    assert NAMES[finding.code] == name
    assert finding.span is not None
    assert at is None or finding.span.text.startswith(at)


def test_a_mistake_comes_with_what_was_probably_meant(database: Database) -> None:
    def help_of(text: str) -> str | None:
        return refused(text, database)[0].help

    assert help_of("guest_rp: 1") in ("did you mean `guest_rip`?", "did you mean `guest_rsp`?")
    assert help_of("guest_rip: ffff8000") == "write `0xffff8000` for a hexadecimal number"
    assert help_of("guest_cs_selector: -1") == "write `0xffff`"
    assert help_of("fields: {}\nguest_rip: 1") == "where there are sections, fields stand under `fields`"
    assert help_of("processor: {cpll: 1}") == "did you mean `cpl`?"


def test_every_mistake_is_found_in_one_run(database: Database) -> None:
    found = refused("guest_rip: -1\nguest_rp: 1\nguest_cs_selector: 0x10000\nguest_rsp: text", database)
    assert [d.span.first.line for d in found if d.span] == [1, 2, 3, 4]


def test_ten_thousand_unknown_keys_cost_little_and_are_counted(database: Database) -> None:
    text = json.dumps({f"unknown_{number}": number for number in range(10_000)})
    diagnostics = Diagnostics()
    started = time.perf_counter()
    assert read_vmcs(Source("state", text), database, diagnostics) is None
    assert time.perf_counter() - started < 5
    assert (len(diagnostics), diagnostics.suppressed) == (1000, 9000)
    assert diagnostics.failed


@settings(deadline=None, max_examples=150)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["fields", "memory", "processor", "cpu", "guest_rip", "0x10", "cpl", "maxphyaddr", "0x480"]
                )
                | st.text(max_size=6),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_json_holds_is_read_or_refused_with_a_place(value: object) -> None:
    diagnostics = Diagnostics()
    written = read_vmcs(Source("state", json.dumps(value)), specs(), diagnostics)
    assert (written is None) is diagnostics.failed
    assert all(finding.span is not None for finding in diagnostics)


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=60))
def test_whatever_text_is_given_is_read_or_refused(text: str) -> None:
    diagnostics = Diagnostics()
    assert (read_vmcs(Source("state", text), specs(), diagnostics) is None) is diagnostics.failed


@given(st.integers(0, (1 << 64) - 1))
def test_a_number_is_read_however_it_is_written(number: int) -> None:
    for text in (number, str(number), hex(number), f"{number:#X}", f"0{number:X}h", f" {number:#x} "):
        assert parse_number(text) == number


@pytest.mark.parametrize(
    "raw", [None, True, 1.0, [], {}, "", "x", "0x", "1 2", "-", "\u0661", "0x1g", "1__h", "9" * 200]
)
def test_what_is_no_number_is_none(raw: object) -> None:
    assert parse_number(raw) is None


# --- many in one file ---


def test_each_line_of_a_jsonl_is_a_text_at_its_own_line() -> None:
    stream = io.BytesIO(b'{"guest_rip": 1}\n\n  \n{"guest_rsp": 2}')
    sources = list(lines_of(stream, "many.jsonl"))
    assert [(source.name, source.first_line) for source in sources] == [("many.jsonl", 1), ("many.jsonl", 4)]
    assert str(sources[1].span(1, 2)) == "many.jsonl:4:2"
    assert sources[1].line(4) == '{"guest_rsp": 2}'


def test_a_line_without_end_is_refused_before_memory_is_full() -> None:
    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1) -> bytes:
            assert size is not None and 0 < size <= MAX_BYTES + 1
            return b"x" * size

    with pytest.raises(UnreadableText, match="larger"):
        list(lines_of(Endless(), "many.jsonl"))  # type: ignore[arg-type]


def test_several_objects_on_lines_are_many_and_one_object_over_lines_is_not() -> None:
    assert is_jsonl(Source("-", '{"a": 1}\n{"b": 2}\n'))
    assert not is_jsonl(Source("-", '{"a": 1}\n'))
    assert not is_jsonl(Source("-", '{\n"a": 1\n}\n'))
    assert not is_jsonl(Source("-", "a: 1\nb: 2\n"))
