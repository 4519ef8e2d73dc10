"""The values of fields, exceptions and bitmap pages, recomputed bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors import compiled, found, processor
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.expression import value
from vmcsc.expression.value import Value
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.vmcs import Vmcs

SPECS = load()

IO = "primary { require use_io_bitmaps }"
MSRS = "primary { require use_msr_bitmaps }"


def vmcs(body: str, *cpus: Cpu, database: Database = SPECS) -> Vmcs:
    result = compiled(body, *(cpus or (processor(),)), database=database)
    assert result.vmcs is not None, [d.message for d in result.diagnostics]
    return result.vmcs


# --- pages -----------------------------------------------------------------------------------------------------

Range = tuple[int, int]
ports = st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0x120)).map(lambda r: (r[0], min(r[0] + r[1], 0xFFFF)))
msr_numbers = st.one_of(st.integers(0, 0x1FFF), st.integers(0xC000_0000, 0xC000_1FFF))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["intercept", "pass"]), ports), max_size=8), st.booleans())
def test_a_port_exits_if_the_last_statement_about_it_intercepts_it(
    said: Sequence[tuple[str, Range]], begin_with_all: bool
) -> None:
    statements = (["intercept all"] if begin_with_all else ["pass all"]) + [f"{v} {a}..{b}" for v, (a, b) in said]
    made = vmcs(f"{IO}\nio {{ {'; '.join(statements)} }}")
    expected = [begin_with_all] * 0x10000
    for verb, (first, last) in said:
        expected[first : last + 1] = [verb == "intercept"] * (last - first + 1)
    # SDM, I/O-Bitmap Addresses: bitmap A has a bit for each port below 8000h, bitmap B for the others
    pages = made.pages["io_bitmap_a"] + made.pages["io_bitmap_b"]
    assert [bool(pages[port // 8] >> port % 8 & 1) for port in range(0x10000)] == expected


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["intercept", "pass"]), st.sampled_from(["", "read", "write", "read write"]), msr_numbers
        ),
        max_size=8,
    )
)
def test_an_msr_exits_if_the_last_statement_about_it_and_the_access_intercepts_it(
    said: Sequence[tuple[str, str, int]],
) -> None:
    made = vmcs(f"{MSRS}\nmsrs {{ pass all; {'; '.join(f'{v} {a} {n:#x}' for v, a, n in said)} }}")
    expected: dict[tuple[str, int], bool] = {}
    for verb, accesses, number in said:
        for access in accesses.split() or ("read", "write"):
            expected[access, number] = verb == "intercept"
    # SDM, MSR-Bitmap Address: read low, read high, write low, write high, 1 KByte each
    page = made.pages["msr_bitmap"]
    exits = set()
    for quarter, (access, base) in enumerate([(a, b) for a in ("read", "write") for b in (0, 0xC000_0000)]):
        bits = int.from_bytes(page[quarter * 0x400 : (quarter + 1) * 0x400], "little")
        exits |= {(access, base + bit) for bit in range(0x2000) if bits >> bit & 1}
    assert exits == {key for key, intercepted in expected.items() if intercepted}


def test_a_page_has_4096_bytes_and_only_what_is_spoken_of_has_one() -> None:
    assert {name: len(page) for name, page in vmcs(f"{IO}\nio {{ intercept 1 }}").pages.items()} == {
        "io_bitmap_a": 4096,
        "io_bitmap_b": 4096,
    }
    assert vmcs(IO).pages == {}


def test_the_address_of_a_page_is_unknown_until_it_is_given() -> None:
    made = vmcs(f"{IO}\nio {{ intercept 1 }}")
    assert made.fields["io_bitmap_a"].page
    assert made.fields["io_bitmap_a"].value == value.unknown(64)
    written = {field.name: setting for field, setting in made.writes({"io_bitmap_a": 0x5000})}
    assert (written["io_bitmap_a"], written["io_bitmap_b"]) == (value.known(64, 0x5000), value.unknown(64))


def test_a_bitmap_of_which_the_control_is_off_takes_no_effect_and_a_warning_says_so(database: Database) -> None:
    for body, names in (("io { intercept all }", ["no-effect"]), (f"{IO}\nio {{ intercept all }}", [])):
        assert found(compiled(body, processor(), database=database)) == names


# --- exceptions ------------------------------------------------------------------------------------------------


def exceptions(body: str, *cpus: Cpu) -> tuple[Value, Value, Value]:
    fields = vmcs(body, *cpus).fields
    names = ("exception_bitmap", "page_fault_error_code_mask", "page_fault_error_code_match")
    first, second, third = (fields[name].value for name in names)
    return first, second, third


def exits_on_page_fault(body: str, code: int) -> bool:
    """SDM, Exception Bitmap: bit 14 if the masked error code matches, else its opposite."""
    bitmap, mask, match = exceptions(body)
    return bool(bitmap.bits >> 14 & 1) is (code & mask.bits == match.bits)


def always(code: int) -> bool:
    return True


def never(code: int) -> bool:
    return False


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("intercept page_fault", always),
        ("intercept debug", never),
        ("intercept all; pass page_fault", never),
        ("intercept page_fault when error_code & 1 == 0", lambda code: not code & 1),
        ("intercept page_fault when not error_code & 6 == 6", lambda code: code & 6 != 6),
        ("intercept page_fault when error_code.p; intercept all", always),
        ("intercept page_fault when error_code.p; pass 14", never),
        ("intercept page_fault when error_code.p; intercept 0..13", lambda code: bool(code & 1)),
        ("pass all; intercept page_fault when error_code.wr and not error_code.us", lambda code: code & 6 == 2),
    ],
)
def test_a_page_fault_exits_as_the_last_statement_about_it_says(
    statements: str, expected: Callable[[int], bool]
) -> None:
    for code in range(16):
        assert exits_on_page_fault(f"exceptions {{ {statements} }}", code) is expected(code), code


def test_an_exception_is_named_or_numbered() -> None:
    numbered, named = (
        "exceptions { intercept 6, 13, 18 }",
        "exceptions { intercept machine_check, general_protection, 6 }",
    )
    assert exceptions(numbered) == exceptions(named)
    assert exceptions(numbered)[0] == value.known(32, 1 << 6 | 1 << 13 | 1 << 18)


def test_an_unknown_condition_leaves_only_what_it_would_change_unknown() -> None:
    body = """
      exceptions { intercept debug, machine_check }
      when cpu.smx { exceptions { intercept debug, invalid_opcode; pass machine_check } }
      exceptions { pass 3; intercept 4 }
    """
    bitmap, mask, match = exceptions(body)
    assert (~bitmap.known & bitmap.mask, bitmap.bits) == (1 << 6 | 1 << 18, 1 << 1 | 1 << 4)
    assert (mask, match) == (value.known(32, 0), value.known(32, 0))
    tested = (
        "exceptions { intercept page_fault when error_code.p }\nwhen cpu.smx { exceptions { intercept page_fault } }"
    )
    assert exceptions(tested) == (value.known(32, 1 << 14), value.unknown(32), value.unknown(32))


# --- assignments -----------------------------------------------------------------------------------------------


def test_a_field_that_the_cpu_does_not_have_is_left_out_with_a_note(database: Database) -> None:
    body = "when true { virtual_processor_id = 1 }\ntsc_offset = 2"
    result = compiled(body, processor(procbased_ctls2=0), database=database)
    assert result.vmcs is not None
    assert (found(result), list(result.vmcs.fields)) == (["field-absent"], ["tsc_offset"])
    assert "virtual_processor_id" in result.vmcs.absent
    assert "virtual_processor_id" not in [field.name for field, _ in result.vmcs.writes()]


def test_the_fields_are_written_in_the_order_of_their_encodings_behind_the_control_words() -> None:
    made = vmcs(f"guest_rip = 1\ntsc_offset = 2\n{IO}\nio {{ intercept 1 }}\nexceptions {{ intercept 3 }}")
    written = [field.encoding for field, _ in made.writes()]
    words = [0x4000, 0x4002, 0x400C, 0x4012]  # pin-based, primary, VM-exit and VM-entry controls (SDM, appendix B)
    assert [encoding for encoding in written if encoding in words] == words
    rest = [encoding for encoding in written if encoding in (0x2000, 0x2002, 0x2010, 0x4004, 0x681E)]
    assert rest == [0x2000, 0x2002, 0x2010, 0x4004, 0x681E]
    assert written.index(0x4012) < written.index(0x2000)


@pytest.mark.parametrize(("given_value", "expected"), [(None, 7), (9, 9)])
def test_a_parameter_has_the_value_that_is_given_or_its_default(given_value: int | None, expected: int) -> None:
    text = "policy p { param size : u8 = 3 + 4\n guest_rip = u64(size) << 4 | 1 }"
    params = {} if given_value is None else {"size": given_value}
    result = compile(text, processor(), SPECS, params=params)
    assert result.vmcs is not None
    assert result.vmcs.fields["guest_rip"].value == value.known(64, expected << 4 | 1)


def test_a_parameter_without_a_default_is_unknown_bit_for_bit() -> None:
    made = vmcs("param size : u8\nguest_rip = u64(size) << 4 | 1")
    assert made.fields["guest_rip"].value == Value(64, 1, ~0xFF0)
