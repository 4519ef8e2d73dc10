"""Encodings, masks and numbers of VMX as macros: the same in every header of one version of the specs."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import ControlWord, Layout

from .expressions import control_macro
from .text import defines, heading, hex_constant, macro, wrapped


def architecture_part(database: Database) -> str:
    """All macros, by subject."""
    parts = [
        heading("VMCS field encodings (_HIGH: bits 63:32 of a 64-bit field)"),
        defines(_encodings(database, internal=False)),
        heading("Fields that processors or other documents name, but the SDM does not describe"),
        defines(_encodings(database, internal=True)),
        *(_word(word) for word in database.active_order),
        *(_layout(layout) for layout in database.layouts.values() if layout.width <= 64),
        heading("Basic exit reasons"),
        defines((f"VMCSC_EXIT_REASON_{macro(r.name)}", f"{r.number}u") for r in database.exit_reasons.values()),
        heading("VM-instruction errors"),
        defines(
            (f"VMCSC_INSTRUCTION_ERROR_{macro(e.name)}", f"{e.number}u") for e in database.instruction_errors.values()
        ),
        heading("VMX capability MSRs"),
        defines((f"VMCSC_MSR_{macro(msr.name)}", hex_constant(msr.index, 32)) for msr in database.capability_msrs),
    ]
    return "\n".join(parts)


def _encodings(database: Database, *, internal: bool) -> Iterator[tuple[str, str]]:
    for field in database.fields.values():
        if (field.status == "internal") is not internal:
            continue
        yield f"VMCSC_FIELD_{macro(field.name)}", hex_constant(field.encoding, 16)
        high = database.encoding.high(field)
        if high is not None:
            yield f"VMCSC_FIELD_{macro(field.name)}_HIGH", hex_constant(high, 16)


def _word(word: ControlWord) -> str:
    """The controls of a word, and an assertion that no two of them share a bit."""
    rows = [(control_macro(control), hex_constant(control.mask, word.width)) for control in word.controls]
    text = f"{heading(word.sdm)}\n{defines(rows)}"
    if not word.controls:
        return text
    masks = [*(name for name, _ in rows), hex_constant(word.reserved_default1, word.width)]
    together = word.reserved_default1 | sum(control.mask for control in word.controls)
    total = wrapped(" + ".join(masks if word.reserved_default1 else masks[:-1]))
    claim = f"each control of {macro(word.name)} has a bit of its own"
    return f'{text}\nVMCSC_STATIC_ASSERT({hex_constant(together, word.width)} ==\n{total},\n    "{claim}");\n'


def _layout(layout: Layout) -> str:
    rows = []
    for bits in layout.bits:
        name = f"VMCSC_{macro(layout.name)}_{macro(bits.name)}"
        rows.append((f"{name}_MASK", hex_constant(bits.mask, layout.width)))
        if bits.width > 1:
            rows.append((f"{name}_SHIFT", f"{bits.low}u"))
        rows.extend((f"{name}_{macro(value)}", f"{number}u") for value, number in bits.values.items())
    return heading(f"Bits of {layout.sdm}") + "\n" + defines(rows)
