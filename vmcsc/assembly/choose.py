"""Mnemonic and operands to an instruction: the first form that fits."""

from __future__ import annotations

from difflib import get_close_matches

from vmcsc import codes
from vmcsc.architecture.operation import Form, InstructionEntry, Operation
from vmcsc.assembly.encode import encode
from vmcsc.assembly.instruction import ImmediateOperand, Instruction, MemoryOperand, Operand, RegisterOperand
from vmcsc.assembly.registers import KINDS
from vmcsc.diagnostic import Diagnostics
from vmcsc.records import replace
from vmcsc.source import Span


def assemble(
    mnemonic: str, operands: tuple[Operand, ...], operation: Operation, diagnostics: Diagnostics, span: Span
) -> Instruction | None:
    """The instruction, or None after reporting that there is none of the name, or no form for the operands."""
    entries = operation.by_mnemonic.get(mnemonic)
    if entries is None:
        near = get_close_matches(mnemonic[:100], operation.by_mnemonic, n=1)
        help = f"did you mean `{near[0]}`?" if near else "specs/machine/instructions lists what the machine knows"
        diagnostics.report(codes.UNKNOWN_INSTRUCTION, f"no instruction is called `{mnemonic[:100]}`", span, help=help)
        return None
    for entry in entries:
        for form in entry.forms:
            fitted = fit(form, operands)
            if fitted is not None:
                return instruction_of(entry, form, fitted)
    forms = [form_text(mnemonic, form) for entry in entries for form in entry.forms]
    message = f"`{mnemonic}` does not take these operands"
    help = f"its forms are {', '.join(f'`{form}`' for form in forms[:8])}{' and more' if len(forms) > 8 else ''}"
    diagnostics.report(codes.WRONG_OPERANDS, message, span, help=help)
    return None


def instruction_of(entry: InstructionEntry, form: Form, operands: tuple[Operand, ...]) -> Instruction:
    return Instruction(entry, form, operands, encode(form, operands))


def form_text(mnemonic: str, form: Form) -> str:
    return f"{mnemonic} {', '.join(kind.replace('rr', 'r') for _, kind in form.operands)}".rstrip()


def fit(form: Form, operands: tuple[Operand, ...]) -> tuple[Operand, ...] | None:
    """The operands as the form takes them, or None where it does not."""
    if len(form.operands) != len(operands):
        return None
    fitted = [_fit(kind, operand) for (_, kind), operand in zip(form.operands, operands, strict=True)]
    found = tuple(operand for operand in fitted if operand is not None)
    return found if len(found) == len(fitted) and not _excludes_itself(found) else None


def _excludes_itself(operands: tuple[Operand, ...]) -> bool:
    """AH, BH, CH and DH cannot stand beside a register that needs a REX prefix."""
    registers = [one for one in operands if isinstance(one, RegisterOperand)]
    new = [one for one in registers if one.number >= 8 or (one.width == 8 and one.low == 0 and one.number >= 4)]
    far = [one for one in operands if isinstance(one, MemoryOperand) and any(r and r.number >= 8 for r in _parts(one))]
    return bool(new or far) and any(one.low for one in registers)


def _parts(operand: MemoryOperand) -> tuple[RegisterOperand | None, RegisterOperand | None]:
    return operand.base, operand.index


def _fit(kind: str, operand: Operand) -> Operand | None:
    if kind.startswith("rm"):
        return _fit(kind.replace("rm", "r", 1), operand) or _fit(kind.replace("rm", "m", 1), operand)
    if isinstance(operand, MemoryOperand):
        width = kind[1:]
        if kind[0] != "m" or not (width.isdigit() or not width):
            return None
        return replace(operand, width=int(width or 0))
    if isinstance(operand, ImmediateOperand):
        if kind.isdigit():
            return operand if operand.value == int(kind) else None
        if not kind.startswith("imm"):
            return None
        bits = int(kind[3:])
        fits = -(1 << bits - 1) <= operand.value < 1 << bits
        return ImmediateOperand(operand.value & (1 << bits) - 1, bits) if fits else None
    assert isinstance(operand, RegisterOperand)
    return operand if operand.written == kind or operand.written in KINDS.get(kind, ()) else None
