"""Instructions have their real encodings: the witness is GNU as, which gets the same text."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest

from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import Form, Operation, operation_of
from vmcsc.assembly.choose import assemble
from vmcsc.assembly.decode import decode
from vmcsc.assembly.encode import encode
from vmcsc.diagnostic import Diagnostics
from vmcsc.scenario.operands import Operands
from vmcsc.source import Source
from vmcsc.syntax import tree
from vmcsc.syntax.parser import parse_policy_file

MEMORY = (
    "[rax]", "[rsp]", "[rbp]", "[r12]", "[r13]", "[rbx + 0x7f]", "[rbx + 0x80]", "[rsp + 8]", "[rip_less]",
    "[rcx + rdx * 4 + 0x12345]", "[r8 + r9 * 8]", "[fs + rax]", "[gs + r15 + 0x10]", "[rbp + rsi]", "[r13 + rdi * 2]",
)  # fmt: skip
UNKNOWN_TO_GNU = ("pbndkb", "urdmsr ", "uwrmsr ", "rdmsr ", "wrmsrns ")
"""What GNU as learnt after version 2.40; the encoding is the manual's."""

SAMPLES = {
    "cr": ("cr0", "cr3", "cr4", "cr8"),
    "dr": ("dr0", "dr3", "dr7"),
    "rr64": ("rax", "r9"),
    "r64": ("rax", "rsp", "r8", "r15"),
    "r32": ("eax", "edi", "r9d"),
    "r16": ("ax", "si", "r10w"),
    "r8": ("al", "bh", "sil", "r11b"),
    "sreg": ("es", "ss", "fs", "gs"),
    "xmm": ("xmm0", "xmm7", "xmm12"),
    "imm8": ("0x0", "0x7f", "0xff"),
    "imm16": ("0x1234",),
    "imm32": ("0x12345678",),
    "imm64": ("0x123456789abcdef0",),
}


def samples(kind: str) -> tuple[str, ...]:
    """Operands of that kind, as scenarios write them."""
    if kind.startswith("rm"):
        return (*SAMPLES["r" + kind[2:]], *samples("m" + kind[2:]))
    if kind in SAMPLES:
        return SAMPLES[kind]
    if kind[0] == "m" and (kind[1:].isdigit() or kind == "m"):
        return tuple(one for one in MEMORY if one != "[rip_less]")
    return (kind,)


def texts(operation: Operation) -> list[str]:
    """Each form with all its sample operands."""

    def of(mnemonic: str, form: Form) -> list[str]:
        chosen = product(*(samples(kind) for _, kind in form.operands))
        return [f"{mnemonic} {', '.join(operands)}".rstrip() for operands in chosen]

    def is_one(text: str) -> bool:
        return not text.startswith(UNKNOWN_TO_GNU) and not (
            "bh" in text and re.search(r"sil|r8|r9|r1[0-5]", text)
        )  # AH to DH: no REX

    found = [
        text for entry in operation.instructions.values() for form in entry.forms for text in of(entry.mnemonic, form)
    ]
    return [text for text in dict.fromkeys(found) if is_one(text)]


def our_bytes(text: str, database: Database) -> bytes:
    diagnostics = Diagnostics()
    parsed = parse_policy_file(Source("<test>", f'scenario "s" {{ guest {text} }}'), diagnostics)
    (scenario,) = parsed.body
    assert isinstance(scenario, tree.Scenario)
    (statement,) = scenario.body
    assert isinstance(statement, tree.Execute)
    operands = Operands(database, {}, diagnostics).read(statement.instruction.operands)
    assert operands is not None, diagnostics.found
    found = assemble(statement.instruction.mnemonic, operands, operation_of(database), diagnostics, statement.span)
    assert found is not None, diagnostics.found
    return found.code


def for_gnu(text: str) -> str:
    """The same in the syntax of GNU as: segments before the bracket, and the width of memory."""
    for segment in ("fs", "gs"):
        text = text.replace(f"[{segment} + ", f"{segment}:[")
    return (
        text.replace("rep_", "rep ")
        .replace("_far [", " fword ptr [")
        .replace("_far fs", " fword ptr fs")
        .replace("_far gs", " fword ptr gs")
    )


@pytest.fixture(scope="module")
def by_gnu(database: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What GNU as makes of each text: each starts at a multiple of 16 bytes and has a marker of its length."""
    if shutil.which("as") is None or shutil.which("objcopy") is None:
        pytest.skip("GNU as is not installed")
    folder: Path = tmp_path_factory.mktemp("as")
    known = texts(operation_of(database))
    lines = [".intel_syntax noprefix"]
    for number, text in enumerate(known):
        lines += [f".org {32 * number}", f"1: {for_gnu(text)}", f"2: .org {32 * number + 24}", ".byte 2b - 1b"]
    (folder / "a.s").write_text("\n".join(lines) + "\n")
    subprocess.run(["as", "--64", "-o", "a.o", "a.s"], cwd=folder, check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", "a.o", "a.bin"], cwd=folder, check=True)
    content = (folder / "a.bin").read_bytes()
    found = {}
    for number, text in enumerate(known):
        piece = content[32 * number : 32 * number + 25]
        found[text] = piece[: piece[24]]
    return found


def test_every_form_has_the_bytes_that_gnu_as_gives_it(database: Database, by_gnu: dict[str, bytes]) -> None:
    assert len(by_gnu) > 500
    differing = {text: (our_bytes(text, database).hex(), code.hex()) for text, code in by_gnu.items()}
    assert {text: both for text, both in differing.items() if both[0] != both[1]} == {}


def test_bytes_lead_back_to_the_instruction(database: Database) -> None:
    operation = operation_of(database)
    for text in texts(operation):
        code = our_bytes(text, database)
        found = decode(code, operation)
        assert found is not None, text
        assert encode(found.form, found.operands) == code == found.code, text
        assert found.entry.mnemonic == text.split()[0], text


@pytest.mark.parametrize("code", [b"", b"\x0f", b"\x0f\xa2\x00", b"\xff\xff", b"\x66" * 15, b"\x90" * 16, b"\x0f\x01"])
def test_other_bytes_are_no_instruction(database: Database, code: bytes) -> None:
    assert decode(code, operation_of(database)) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("pbndkb", "0f01c7"),
        ("urdmsr rax, rcx", "f20f38f8c8"),
        ("uwrmsr r9, rdx", "f3440f38f8ca"),
        ("rdmsr rbx, 0x10", "c4e77bf6c310000000"),
        ("rdmsr r10, 0xc0000080", "c4c77bf6c2800000c0"),
        ("wrmsrns 0x174, rax", "c4e77af6c074010000"),
    ],
)
def test_forms_that_gnu_as_learnt_later(text: str, code: str, database: Database) -> None:
    assert our_bytes(text, database).hex() == code
    found = decode(bytes.fromhex(code), operation_of(database))
    assert found is not None and found.entry.mnemonic == text.split(maxsplit=1)[0]
