"""The x86 encoding of an instruction in 64-bit mode, from the template of its form.

A template has bytes in hex, `/r` or `/0` to `/7` for a ModRM byte, `+r` behind a byte that takes a register's number,
`ib iw id iq` for an immediate, `rex.w`, and `vex.f2.7` or `vex.f3.7` for a VEX prefix with opcode map 7, as the manual
writes opcodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from vmcsc.architecture.operation import Form
from vmcsc.assembly.instruction import ImmediateOperand, MemoryOperand, Operand, RegisterOperand
from vmcsc.records import dataclass

VEX = {"vex.f2.7": (3, 7), "vex.f3.7": (2, 7)}
"""What a VEX prefix stands for: the number of a legacy prefix, and the opcode map."""

IMMEDIATES = {"ib": 8, "iw": 16, "id": 32, "iq": 64}
_PREFIXES = frozenset({0x66, 0xF2, 0xF3, 0xF0})
OVERRIDES = {"es": 0x26, "cs": 0x2E, "ss": 0x36, "ds": 0x3E, "fs": 0x64, "gs": 0x65}


@dataclass(frozen=True, slots=True)
class Template:
    """The parts of a form's encoding. `digit` is that of the ModRM byte, None where it holds a register; `vex` the
    prefix and opcode map that a VEX prefix tells, None without one.
    """

    prefixes: bytes
    opcode: bytes
    wide: bool
    modrm: bool
    digit: int | None
    in_opcode: bool
    immediates: tuple[int, ...]
    vex: tuple[int, int] | None


@lru_cache(maxsize=1024)
def template_of(code: str) -> Template:
    """The template that `code` writes. Raises `ValueError` where it is none."""
    tokens = code.split()
    opcode = bytes(int(token.removesuffix("+r"), 16) for token in tokens if _is_byte(token))
    split = next((at for at, byte in enumerate(opcode) if byte not in _PREFIXES), len(opcode))
    modrm = next((token for token in tokens if token.startswith("/")), None)
    vex = next((VEX[token] for token in tokens if token in VEX), None)
    known = {"rex.w", *IMMEDIATES, *VEX}
    unknown = [token for token in tokens if not (_is_byte(token) or token.startswith("/") or token in known)]
    if unknown or not opcode:
        raise ValueError(f"{code!r} is no encoding")
    return Template(
        opcode[:split],
        opcode[split:],
        "rex.w" in tokens,
        modrm is not None,
        None if modrm in (None, "/r") else int(modrm[1:]),
        any(token.endswith("+r") for token in tokens),
        tuple(IMMEDIATES[token] for token in tokens if token in IMMEDIATES),
        vex,
    )


def _is_byte(token: str) -> bool:
    digits = token.removesuffix("+r")
    return len(digits) == 2 and all(character in "0123456789abcdef" for character in digits)


def encode(form: Form, operands: tuple[Operand, ...]) -> bytes:
    """The bytes of the instruction. The operands fit the form."""
    template = template_of(form.code)
    kinds = [kind for _, kind in form.operands]
    reg, rm = _roles(kinds, operands) if template.modrm else (None, None)
    rex = 8 if template.wide else 0
    opcode = bytearray(template.opcode)
    if template.in_opcode:
        register = next(one for one in operands if isinstance(one, RegisterOperand))
        opcode[-1] += register.number & 7
        rex |= register.number >> 3
    tail = b""
    if template.modrm:
        field = template.digit if template.digit is not None else reg.number if reg is not None else 0
        rex |= (field >> 3) << 2
        tail, extended = _modrm(field & 7, rm)
        rex |= extended
    needed = any(isinstance(one, RegisterOperand) and _needs_rex(one) for one in operands)
    override = bytes(_override(operands))
    prefix = bytes([0x40 | rex]) if rex or needed else b""
    if template.vex is not None:
        prefix = vex_prefix(template.vex, rex)
    immediates = iter(one for one in operands if isinstance(one, ImmediateOperand))
    constants = b"".join(_immediate(next(immediates), width) for width in template.immediates)
    return override + template.prefixes + prefix + bytes(opcode) + tail + constants


def vex_prefix(vex: tuple[int, int], rex: int) -> bytes:
    """The three bytes of a VEX prefix: R, X and B inverted, no further operand, vectors of 128 bits."""
    prefix, opcode_map = vex
    return bytes([0xC4, (~rex & 7) << 5 | opcode_map, 0x78 | prefix])


def _immediate(operand: ImmediateOperand, width: int) -> bytes:
    return (operand.value & (1 << width) - 1).to_bytes(width // 8, "little")


def _needs_rex(operand: RegisterOperand) -> bool:
    """SPL, BPL, SIL and DIL are the numbers of AH, CH, DH and BH without a REX prefix."""
    return operand.width == 8 and operand.low == 0 and 4 <= operand.number < 8


def _override(operands: tuple[Operand, ...]) -> Iterator[int]:
    for operand in operands:
        if isinstance(operand, MemoryOperand):
            default = "ss" if operand.base is not None and operand.base.register in ("rsp", "rbp") else "ds"
            if operand.segment != default:
                yield OVERRIDES[operand.segment]


def _roles(kinds: list[str], operands: tuple[Operand, ...]) -> tuple[RegisterOperand | None, Operand | None]:
    """Which operand goes to the reg field of ModRM, and which to its r/m field."""
    reg_place, rm_place = roles(kinds)
    reg = None if reg_place is None else operands[reg_place]
    return reg if isinstance(reg, RegisterOperand) else None, None if rm_place is None else operands[rm_place]


def roles(kinds: list[str]) -> tuple[int | None, int | None]:
    """The places of the operands that go to the reg and the r/m field."""
    places = [place for place, kind in enumerate(kinds) if _in_modrm(kind)]
    candidates = [place for place in places if kinds[place].startswith(("m", "rm", "rr"))]
    candidates += [place for place in places if kinds[place] in ("r8", "r16", "r32", "r64")]
    candidates += [place for place in reversed(places) if kinds[place] == "xmm"]
    at = candidates[0] if candidates else None
    return next((place for place in places if place != at), None), at


def _in_modrm(kind: str) -> bool:
    return kind in ("r8", "r16", "r32", "r64", "cr", "dr", "sreg", "xmm") or kind.startswith(("m", "rm", "rr"))


def _modrm(field: int, rm: Operand | None) -> tuple[bytes, int]:
    """ModRM, SIB and displacement, and the bits of REX that extend base and index."""
    if isinstance(rm, RegisterOperand):
        return bytes([0xC0 | field << 3 | rm.number & 7]), rm.number >> 3
    if not isinstance(rm, MemoryOperand):
        return bytes([0xC0 | field << 3]), 0
    base, index = rm.base, rm.index
    if base is None and index is None:
        return bytes([field << 3 | 4, 0x25]) + _signed(rm.displacement, 4), 0
    rex = (0 if base is None else base.number >> 3) | (0 if index is None else index.number >> 3) << 1
    mode, displacement = _displacement(rm)
    if index is None and base is not None and base.number & 7 != 4:
        return bytes([mode << 6 | field << 3 | base.number & 7]) + displacement, rex
    scale = rm.scale.bit_length() - 1
    sib = scale << 6 | (4 if index is None else index.number & 7) << 3 | (5 if base is None else base.number & 7)
    return bytes([mode << 6 | field << 3 | 4, sib]) + displacement, rex


def _displacement(rm: MemoryOperand) -> tuple[int, bytes]:
    if rm.base is None:
        return 0, _signed(rm.displacement, 4)
    if rm.displacement == 0 and rm.base.number & 7 != 5:
        return 0, b""
    if -128 <= rm.displacement < 128:
        return 1, _signed(rm.displacement, 1)
    return 2, _signed(rm.displacement, 4)


def _signed(value: int, size: int) -> bytes:
    return (value & (1 << size * 8) - 1).to_bytes(size, "little")
