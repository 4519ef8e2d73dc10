"""Which bit of which page or field stands for a port, an MSR or an exception: against the SDM's own arithmetic.

The expected pages come from a simulation of what a policy says, access by access, and never from the code under test.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.backends.driver import STRICT, compiler
from vmcsc.architecture.database import Database
from vmcsc.backend import emit
from vmcsc.capabilities.cpu import Cpu
from vmcsc.pipeline import compile
from vmcsc.vmcs import Vmcs

MSR_NAMES = {"fs_base": 0xC0000100, "ia32_sysenter_eip": 0x176, "tsc": 0x10, "ia32_efer": 0xC0000080}
LOW, HIGH = range(0x2000), range(0xC0000000, 0xC0002000)


def compiled(body: str, database: Database) -> Vmcs:
    result = compile(f"policy p {{\n{body}\n}}", Cpu("none", "none"), database)
    assert result.vmcs is not None, [d.message for d in result.diagnostics]
    return result.vmcs


# --- I/O ---


def io_bit(vmcs: Vmcs, port: int) -> int:
    """Bitmap A is for ports 0000 to 7FFF, bitmap B for 8000 to FFFF; a bit for each port."""
    page = vmcs.pages["io_bitmap_a" if port <= 0x7FFF else "io_bitmap_b"]
    offset = port & 0x7FFF
    return page[offset // 8] >> offset % 8 & 1


def test_the_pages_are_pages(database: Database) -> None:
    vmcs = compiled("io { intercept 1 }\nmsrs { intercept fs_base }", database)
    assert {name: len(page) for name, page in vmcs.pages.items()} == dict.fromkeys(
        ("io_bitmap_a", "io_bitmap_b", "msr_bitmap"), 4096
    )


@pytest.mark.parametrize("port", [0, 1, 7, 8, 0x60, 0x80, 0x7FFF, 0x8000, 0x8001, 0xCF8, 0xFFFF])
def test_a_port_has_one_bit_in_the_right_page(port: int, database: Database) -> None:
    vmcs = compiled(f"io {{ intercept {port:#x} }}", database)
    assert io_bit(vmcs, port) == 1
    assert sum(byte.bit_count() for page in vmcs.pages.values() for byte in page) == 1


def test_the_bits_of_ports_lie_where_the_manual_says(database: Database) -> None:
    """Written out for a few ports, since the helper above could be wrong too."""
    vmcs = compiled("io { intercept 0x0, 0x9, 0x7fff, 0x8000, 0xffff }", database)
    a, b = vmcs.pages["io_bitmap_a"], vmcs.pages["io_bitmap_b"]
    assert {n: byte for n, byte in enumerate(a) if byte} == {0: 0x01, 1: 0x02, 4095: 0x80}
    assert {n: byte for n, byte in enumerate(b) if byte} == {0: 0x01, 4095: 0x80}


def test_random_sequences_of_ports_the_later_statement_wins(database: Database) -> None:
    rng = random.Random(1)
    for _ in range(20):
        lines, ports = [], [0] * 0x10000
        for _ in range(rng.randint(1, 8)):
            verb = rng.choice(("intercept", "pass"))
            first = rng.randrange(0x10000)
            last = rng.choice((first, min(0xFFFF, first + rng.randrange(300)), rng.randint(first, 0xFFFF)))
            text = rng.choice((f"{first:#x}..{last}", f"{first}..{last:#x}")) if last > first else str(first)
            if rng.random() < 0.15:
                first, last, text = 0, 0xFFFF, "all"
            lines.append(f"{verb} {text}")
            ports[first : last + 1] = [int(verb == "intercept")] * (last + 1 - first)
        vmcs = compiled("io { " + "; ".join(lines) + " }", database)
        assert [io_bit(vmcs, port) for port in range(0x10000)] == ports, lines


# --- MSRs ---


def msr_bit(vmcs: Vmcs, msr: int, access: str) -> int:
    """Four bitmaps of 1 KiB: reads of low MSRs at 0, of high ones at 1024, writes at 2048 and 3072."""
    start = {("read", 0): 0, ("read", 1): 1024, ("write", 0): 2048, ("write", 1): 3072}[access, int(msr in HIGH)]
    offset = msr & 0x1FFF
    return vmcs.pages["msr_bitmap"][start + offset // 8] >> offset % 8 & 1


def test_the_bits_of_msrs_lie_where_the_manual_says(database: Database) -> None:
    vmcs = compiled("msrs { intercept read 0, 0x1fff, 0xc0000000; intercept write 0x9, fs_base, 0xc0001fff }", database)
    page = vmcs.pages["msr_bitmap"]
    assert {n: byte for n, byte in enumerate(page) if byte} == {
        0x000: 0x01,
        0x3FF: 0x80,
        0x400: 0x01,
        0x801: 0x02,
        0xC20: 0x01,
        0xFFF: 0x80,
    }


def test_random_sequences_of_msrs_the_later_statement_wins_for_each_access(database: Database) -> None:
    rng = random.Random(2)
    for _ in range(12):
        lines = []
        bits = {(access, msr): 0 for access in ("read", "write") for span in (LOW, HIGH) for msr in span}
        for _ in range(rng.randint(1, 8)):
            verb, accesses = (
                rng.choice(("intercept", "pass")),
                rng.choice(((), ("read",), ("write",), ("read", "write"))),
            )
            span: Iterable[int]
            text, span = _msrs(rng)
            lines.append(" ".join([verb, *accesses, text]))
            for access in accesses or ("read", "write"):
                bits.update(dict.fromkeys(((access, msr) for msr in span), int(verb == "intercept")))
        vmcs = compiled("msrs { " + "; ".join(lines) + " }", database)
        assert {(access, msr): msr_bit(vmcs, msr, access) for access, msr in bits} == bits, lines


def _msrs(rng: random.Random) -> tuple[str, Sequence[int]]:
    draw = rng.random()
    if draw < 0.2:
        return "all", [*LOW, *HIGH]
    if draw < 0.5:
        name = rng.choice(list(MSR_NAMES))
        return name, [MSR_NAMES[name]]
    half = rng.choice((LOW, HIGH))
    first = rng.choice(half)
    last = rng.randint(first, half[-1])
    return f"{first:#x}..{last:#x}", range(first, last + 1)


# --- the pages in the generated header ---


def test_the_header_has_the_same_pages_on_page_boundaries(database: Database, tmp_path: Path) -> None:
    """Runs of equal bytes are written short there: single bits, runs of every length, and noise must come out whole."""
    rng = random.Random(5)
    bodies = ["io { intercept all }\nmsrs { intercept all }", "io { pass all }", "msrs { pass 0 }"]
    for _ in range(25):
        lines = []
        for _ in range(rng.randint(1, 12)):
            first = rng.choice(
                (rng.randrange(0x10000), rng.randrange(0, 0x10000, 128), rng.randrange(0, 0x10000, 8192))
            )
            last = min(0xFFFF, first + rng.choice((0, 1, 7, 127, 128, 511, 2047, 8191, 32767, rng.randrange(0x8000))))
            lines.append(f"{rng.choice(('intercept', 'pass'))} {first}..{last}")
        bodies.append("io { " + "; ".join(lines) + " }")
    bodies.append("io { intercept " + ", ".join(str(port) for port in range(0x10000) if rng.random() < 0.05) + " }")
    found = [compiled(body, database) for body in bodies] + [shipped("kvm_classic", database)]
    dumps = ""
    for number, vmcs in enumerate(found):
        (artifact,) = emit(vmcs, "c-header", prefix=f"p{number}")
        assert isinstance(artifact.content, str)
        (tmp_path / f"p{number}.h").write_text(artifact.content)
        dumps += "".join(f"    dump(p{number}_{name}, sizeof p{number}_{name});\n" for name in vmcs.pages)
    includes = "".join(f'#include "p{number}.h"\n' for number in range(len(found)))
    (tmp_path / "dump.c").write_text(f"{includes}{DUMP}int main(void)\n{{\n{dumps}    return 0;\n}}\n")
    command = [compiler("gcc"), "-std=c99", *STRICT, str(tmp_path / "dump.c"), "-o", str(tmp_path / "dump")]
    subprocess.run(command, check=True, timeout=120)
    written = subprocess.run([tmp_path / "dump"], check=True, timeout=60, capture_output=True).stdout
    assert written == b"".join(page for vmcs in found for page in vmcs.pages.values())


DUMP = """#include <stdio.h>
#include <stdlib.h>
static void dump(const uint8_t *page, size_t size)
{
    if ((uintptr_t)page % 4096u != 0u || fwrite(page, 1u, size, stdout) != 4096u)
        exit(1);
}
"""


def shipped(name: str, database: Database) -> Vmcs:
    vmcs = compile(name, Cpu("none", "none"), database).vmcs
    assert vmcs is not None
    return vmcs


# --- exceptions: the exception bitmap, and for page faults the error code ---

DEFINED = (0, 1, 2, 3, 4, 5, 6, 7, 15)
"""P, W/R, U/S, RSVD, I/D, PK, SS, HLAT, SGX."""

ERROR_CODES = [
    sum(1 << bit for number, bit in enumerate(DEFINED) if chosen >> number & 1) for chosen in range(1 << len(DEFINED))
]
"""Every error code of a page fault that a processor can push."""


def known(vmcs: Vmcs, name: str) -> int:
    value = vmcs.fields[name].value
    assert value.is_known
    return value.bits


def exits(vmcs: Vmcs, vector: int, error_code: int = 0) -> bool:
    """Section "Exceptions": the bit of the vector; for #PF its meaning turns round where mask and match disagree."""
    bit = bool(known(vmcs, "exception_bitmap") >> vector & 1)
    if vector != 14:
        return bit
    mask, match = known(vmcs, "page_fault_error_code_mask"), known(vmcs, "page_fault_error_code_match")
    return bit if error_code & mask == match else not bit


def test_each_vector_has_its_bit(database: Database) -> None:
    for vector in range(32):
        vmcs = compiled(f"exceptions {{ intercept {vector} }}", database)
        assert [exits(vmcs, other) for other in range(32)] == [other == vector for other in range(32)]
        assert all(exits(vmcs, 14, code) == (vector == 14) for code in ERROR_CODES)


def test_exceptions_have_the_vectors_of_the_architecture(database: Database) -> None:
    names = {"divide_error": 0, "debug": 1, "breakpoint": 3, "invalid_opcode": 6, "page_fault": 14, "machine_check": 18}
    for name, vector in names.items():
        assert known(compiled(f"exceptions {{ intercept {name} }}", database), "exception_bitmap") == 1 << vector


def test_later_statements_about_exceptions_win(database: Database) -> None:
    rng = random.Random(3)
    for _ in range(40):
        lines, wanted = [], [False] * 32
        for _ in range(rng.randint(1, 6)):
            verb = rng.choice(("intercept", "pass"))
            first = rng.randrange(32)
            last = rng.randint(first, 31)
            lines.append(f"{verb} {first}..{last}")
            wanted[first : last + 1] = [verb == "intercept"] * (last + 1 - first)
        vmcs = compiled("exceptions { " + "; ".join(lines) + " }", database)
        assert [exits(vmcs, vector) for vector in range(32)] == wanted, lines
        assert all(exits(vmcs, 14, code) == wanted[14] for code in ERROR_CODES), lines


CONDITIONS = [
    ("error_code & 1 == 0", lambda code: code & 1 == 0),
    ("error_code & 1 == 1", lambda code: code & 1 == 1),
    ("error_code & 1 != 0", lambda code: code & 1 != 0),
    ("not error_code & 1 == 1", lambda code: code & 1 != 1),
    ("error_code & 0x5 == 4", lambda code: code & 5 == 4),
    ("error_code & 0x5 != 4", lambda code: code & 5 != 4),
    ("4 == 5 & error_code", lambda code: code & 5 == 4),
    ("error_code == 0", lambda code: code == 0),
    ("error_code != 7", lambda code: code != 7),
    ("error_code.p", lambda code: code & 1 != 0),
    ("not error_code.wr", lambda code: code & 2 == 0),
    ("error_code.us and not error_code.p", lambda code: code & 4 != 0 and code & 1 == 0),
    (
        "error_code.sgx and error_code.hlat and error_code & 3 == 2",
        lambda code: code >> 7 & 0x101 == 0x101 and code & 3 == 2,
    ),
    ("error_code[2]", lambda code: code >> 2 & 1 == 1),
    ("not error_code[15]", lambda code: code >> 15 & 1 == 0),
    ("error_code[2:1] == 3", lambda code: code >> 1 & 3 == 3),
    ("error_code[5:1] & 3 == 2", lambda code: code >> 1 & 3 == 2),
    ("error_code & 0xffffffff == 0x8001", lambda code: code == 0x8001),
    ("(error_code & 6 == 2) and error_code & 1 == 1", lambda code: code & 7 == 3),
]


@pytest.mark.parametrize(("text", "wanted"), CONDITIONS, ids=[text for text, _ in CONDITIONS])
def test_a_page_fault_exits_exactly_where_its_condition_holds(text: str, wanted: object, database: Database) -> None:
    assert callable(wanted)
    vmcs = compiled(f"exceptions {{ intercept page_fault when {text}, breakpoint }}", database)
    assert [exits(vmcs, 14, code) for code in ERROR_CODES] == [wanted(code) for code in ERROR_CODES]
    assert exits(vmcs, 3) and not exits(vmcs, 1)


def test_random_masks_and_values_by_brute_force(database: Database) -> None:
    rng = random.Random(4)
    for _ in range(60):
        mask = sum(1 << bit for bit in DEFINED if rng.random() < 0.4) | rng.choice((0, 1 << 20))
        value = rng.getrandbits(32) & mask
        operator = rng.choice(("==", "!="))
        vmcs = compiled(f"exceptions {{ intercept page_fault when error_code & {mask} {operator} {value} }}", database)
        for code in ERROR_CODES:
            assert exits(vmcs, 14, code) == ((code & mask == value) is (operator == "==")), (
                mask,
                operator,
                value,
                code,
            )


def test_of_two_conditions_the_later_one_counts(database: Database) -> None:
    vmcs = compiled(
        "exceptions { intercept page_fault when error_code & 1 == 0; intercept page_fault when error_code & 6 != 2 }",
        database,
    )
    assert [exits(vmcs, 14, code) for code in ERROR_CODES] == [code & 6 != 2 for code in ERROR_CODES]


@pytest.mark.parametrize("condition", ["== 0", "!= 0"])
@pytest.mark.parametrize(("verb", "outcome"), [("intercept", True), ("pass", False)])
def test_a_later_statement_without_a_condition_undoes_it(
    condition: str, verb: str, outcome: bool, database: Database
) -> None:
    for target in ("page_fault", "all", "10..20"):
        body = f"exceptions {{ intercept page_fault when error_code & 5 {condition}; {verb} {target} }}"
        vmcs = compiled(body, database)
        assert all(exits(vmcs, 14, code) is outcome for code in ERROR_CODES)


def test_a_condition_that_no_mask_and_value_can_test_is_reported(database: Database) -> None:
    for condition in (
        "error_code & 1 == 0 or error_code & 2 == 0",
        "error_code > 3",
        "error_code & 1 == 2",
        "error_code & 5 != 1 and error_code & 2 == 2",
        "error_code in [1, 3]",
        "error_code.p and not error_code.p",
    ):
        result = compile(f"policy p {{ exceptions {{ intercept page_fault when {condition} }} }}", None, database)
        assert [d.code for d in result.diagnostics] == ["VMX2025"], condition


def test_exceptions_under_conditions_of_the_processor(database: Database) -> None:
    """Where the condition does not hold, the block does not exist: neither its bit nor its mask and match."""
    body = """exceptions { intercept page_fault when error_code & 2 == 2 }
    when supported(secondary.enable_ept) { exceptions { pass page_fault; intercept 6 } }"""
    for name, ept in (("ice_lake_i7_1065g7", True), ("conroe_core2_x6800", False)):
        vmcs = compile(f"policy p {{\n{body}\n}}", name, database).vmcs
        assert vmcs is not None
        assert [exits(vmcs, 14, code) for code in ERROR_CODES] == [not ept and code & 2 != 0 for code in ERROR_CODES]
        assert exits(vmcs, 6) is ept
