"""Bytes back to the instruction that has them as its encoding."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from vmcsc.architecture.operation import Form, InstructionEntry, Operation
from vmcsc.assembly.encode import OVERRIDES, Template, encode, roles, template_of
from vmcsc.assembly.instruction import ImmediateOperand, Instruction, MemoryOperand, Operand, RegisterOperand
from vmcsc.assembly.registers import KINDS, REGISTERS

LONGEST = 15
"""No instruction has more bytes."""


def decode(code: bytes, operation: Operation) -> Instruction | None:
    """The instruction whose encoding is `code`, all of it; None where the specs have none."""
    if not 0 < len(code) <= LONGEST:
        return None
    for entry, form in _candidates(operation, code):
        operands = _operands(form, template_of(form.code), code)
        if operands is not None and encode(form, operands) == code:
            return Instruction(entry, form, operands, code)
    return None


@lru_cache(maxsize=4)
def _by_opcode(operation: Operation) -> dict[bytes, list[tuple[InstructionEntry, Form]]]:
    found: dict[bytes, list[tuple[InstructionEntry, Form]]] = {}
    for entry in operation.instructions.values():
        for form in entry.forms:
            template = template_of(form.code)
            numbers = range(8) if template.in_opcode else range(1)
            for number in numbers:
                opcode = template.opcode[:-1] + bytes([template.opcode[-1] + number])
                found.setdefault(opcode, []).append((entry, form))
    return found


def _candidates(operation: Operation, code: bytes) -> Iterator[tuple[InstructionEntry, Form]]:
    """The forms whose opcode stands somewhere behind prefixes of `code`."""
    known = _by_opcode(operation)
    for start in range(min(len(code), 5)):
        for length in (1, 2, 3, 4):
            yield from known.get(code[start : start + length], ()) if start + length <= len(code) else ()


class _Cursor:
    def __init__(self, code: bytes) -> None:
        self.code, self.at = code, 0

    def take(self, size: int) -> bytes | None:
        piece = self.code[self.at : self.at + size]
        self.at += size
        return piece if len(piece) == size else None


def _operands(form: Form, template: Template, code: bytes) -> tuple[Operand, ...] | None:
    """The operands that `code` would have in that form; whether it really has that form, encoding them again tells."""
    cursor = _Cursor(code)
    segment = next((name for name, byte in OVERRIDES.items() if code[:1] == bytes([byte])), None)
    cursor.at = len(template.prefixes) + (segment is not None)
    rex = code[cursor.at] if cursor.at < len(code) and code[cursor.at] & 0xF0 == 0x40 else 0
    cursor.at += bool(rex)
    if template.vex is not None:
        rex = 0x40 | (code[1] >> 5 ^ 7) if len(code) > 3 else 0
        cursor.at = 3
    opcode = cursor.take(len(template.opcode))
    if opcode is None:
        return None
    kinds = [kind for _, kind in form.operands]
    reg_place, rm_place = roles(kinds) if template.modrm else (None, None)
    found: dict[int, Operand | None] = {}
    if template.in_opcode:
        place = next(at for at, kind in enumerate(kinds) if kind in KINDS)
        found[place] = _register(kinds[place], opcode[-1] & 7 | (rex & 1) << 3, rex)
    if template.modrm:
        modrm = cursor.take(1)
        if modrm is None:
            return None
        if reg_place is not None:
            found[reg_place] = _register(kinds[reg_place], modrm[0] >> 3 & 7 | (rex & 4) << 1, rex)
        if rm_place is not None:
            found[rm_place] = _rm(kinds[rm_place], modrm[0], rex, segment, cursor)
    immediates = iter(template.immediates)
    for place, kind in enumerate(kinds):
        if kind.startswith("imm"):
            width = next(immediates, int(kind[3:]))
            piece = cursor.take(width // 8)
            found[place] = None if piece is None else ImmediateOperand(int.from_bytes(piece, "little"), int(kind[3:]))
        elif place not in found:
            found[place] = REGISTERS.get(kind)
    operands = tuple(found[place] for place in range(len(kinds)))
    chosen = tuple(one for one in operands if one is not None)
    return chosen if len(chosen) == len(operands) else None


@lru_cache(maxsize=512)
def _register(kind: str, number: int, rex: int) -> RegisterOperand | None:
    """The register of that number; without REX the numbers 4 to 7 of bytes are AH to BH."""
    kind = kind.replace("rm", "r", 1)
    for name in KINDS.get(kind, ()):
        register = REGISTERS[name]
        if register.number == number and (kind != "r8" or not 4 <= number < 8 or bool(register.low) is not bool(rex)):
            return register
    return None


def _rm(kind: str, modrm: int, rex: int, segment: str | None, cursor: _Cursor) -> Operand | None:
    mode, low = modrm >> 6, modrm & 7
    if mode == 3:
        return None if kind.startswith("m") else _register(kind, low | (rex & 1) << 3, rex)
    if not kind.startswith(("m", "rm")):
        return None
    base: RegisterOperand | None = _general(low | (rex & 1) << 3)
    index: RegisterOperand | None = None
    scale = 1
    size = {0: 0, 1: 1, 2: 4}[mode]
    if low == 4:
        sib = cursor.take(1)
        if sib is None:
            return None
        number = sib[0] >> 3 & 7 | (rex & 2) << 2
        index = None if number == 4 else _general(number)
        scale = 1 << (sib[0] >> 6) if index is not None else 1
        base = _general(sib[0] & 7 | (rex & 1) << 3)
        if sib[0] & 7 == 5 and mode == 0:
            base, size = None, 4
    elif low == 5 and mode == 0:
        return None  # relative to RIP
    piece = cursor.take(size)
    if piece is None:
        return None
    width = kind.lstrip("rm")
    usual = "ss" if base is not None and base.register in ("rsp", "rbp") else "ds"
    displacement = int.from_bytes(piece, "little", signed=True)
    return MemoryOperand(base, index, scale, displacement, segment or usual, int(width) if width.isdigit() else 0)


def _general(number: int) -> RegisterOperand:
    register = _register("r64", number, 0)
    assert register is not None
    return register
