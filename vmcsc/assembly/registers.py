"""The registers that operands may name, by the names of assembly language."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.assembly.instruction import RegisterOperand

GENERAL = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{number}" for number in range(8, 16)))
"""The general-purpose registers in the order of their numbers."""

SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs")
"""The segment registers in the order of their numbers."""


def _general() -> dict[str, RegisterOperand]:
    found = {}
    for number, name in enumerate(GENERAL):
        legacy = number < 8
        short = name[1:] if legacy else name
        found[name] = RegisterOperand(name, name, number, 64)
        for written, width in (
            (f"e{short}" if legacy else f"{name}d", 32),
            (short if legacy else f"{name}w", 16),
            (_low(short) if legacy else f"{name}b", 8),
        ):
            found[written] = RegisterOperand(written, name, number, width)
    for number, letter in enumerate("acdb"):
        found[f"{letter}h"] = RegisterOperand(f"{letter}h", f"r{letter}x", number + 4, 8, 8)
    return found


def _low(short: str) -> str:
    """`al` of `ax`, `sil` of `si`."""
    return f"{short[0]}l" if short.endswith("x") else f"{short}l"


def _special() -> dict[str, RegisterOperand]:
    control = {f"cr{n}": RegisterOperand(f"cr{n}", f"cr{n}", n, 64) for n in (0, 2, 3, 4, 8)}
    debug = {f"dr{n}": RegisterOperand(f"dr{n}", f"dr{n}", n, 64) for n in range(8)}
    segments = {name: RegisterOperand(name, f"{name}_selector", n, 16) for n, name in enumerate(SEGMENTS)}
    vectors = {f"xmm{n}": RegisterOperand(f"xmm{n}", f"xmm{n}", n, 128) for n in range(16)}
    return {**control, **debug, **segments, **vectors}


REGISTERS: Mapping[str, RegisterOperand] = {**_general(), **_special()}

KINDS: Mapping[str, frozenset[str]] = {
    **{
        f"r{width}": frozenset(name for name, one in _general().items() if one.width == width)
        for width in (8, 16, 32, 64)
    },
    "cr": frozenset(name for name in _special() if name.startswith("cr")),
    "dr": frozenset(name for name in _special() if name.startswith("dr")),
    "xmm": frozenset(name for name in _special() if name.startswith("xmm")),
    "sreg": frozenset(SEGMENTS),
    "rr64": frozenset(name for name, one in _general().items() if one.width == 64),
}
"""The registers that an operand of each kind may be; `rr64` is one that goes to the r/m field of ModRM."""
