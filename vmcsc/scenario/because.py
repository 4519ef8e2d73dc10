"""Why an instruction or event exited, or did not: the controls, masks and bits of bitmaps that decided it."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.architecture.operation import InstructionEntry, Step
from vmcsc.check.explain import deciding_parts
from vmcsc.expression import nodes
from vmcsc.expression.emit_text import emit_text, number
from vmcsc.expression.evaluate import Reader, evaluate
from vmcsc.machine.code import Code, Widths

_HYPERVISORS = (nodes.ControlBit, nodes.FieldBits, nodes.Memory)
"""What the hypervisor decides; the rest of a condition is what the guest did."""


def because(step: Step, widths: Widths, code: Code, read: Reader) -> list[str]:
    """The parts of the condition of `step` that made it hold: `primary.hlt_exiting = 1`."""
    if step.when is None:
        return []
    condition = code.condition(step.when, widths)
    parts = [node for node, _ in deciding_parts(condition, read, expected=False)]
    of_hypervisor = [node for node in parts if any(isinstance(leaf, _HYPERVISORS) for leaf in nodes.leaves(node))]
    return list(dict.fromkeys(stated(node, read) for node in of_hypervisor or parts))


def instead(entry: InstructionEntry, reason: str, code: Code, read: Reader) -> list[str]:
    """For each step of the instruction that would exit for `reason`, what keeps it from doing so."""
    found = []
    for step in entry.steps:
        if step.action == "exit" and step.target == reason and step.when is not None:
            condition = code.condition(step.when, entry.values)
            parts = [stated(node, read) for node, _ in deciding_parts(condition, read, expected=True)]
            if parts:
                found.append(" and ".join(dict.fromkeys(parts)))
    return found


def stated(node: nodes.Node, read: Reader) -> str:
    """A smallest part of a condition with the value that it has."""
    place = _bit_of_memory(node, read)
    if place is not None:
        return f"{place} = {evaluate(node, read).bits}"
    if isinstance(node, nodes.Leaf):
        return f"{emit_text(node)} = {number(evaluate(node, read).bits)}"
    inputs = dict(_inputs(node, read))
    values = ", ".join(f"{name} = {value}" for name, value in inputs.items())
    text = emit_text(node) if evaluate(node, read).bits else f"not ({emit_text(node)})"
    return f"{text} ({values})" if values else text


def _inputs(node: nodes.Node, read: Reader) -> Iterator[tuple[str, str]]:
    for leaf in nodes.leaves(node):
        if not isinstance(leaf, nodes.Memory):
            yield emit_text(leaf), number(evaluate(leaf, read).bits)


def _bit_of_memory(node: nodes.Node, read: Reader) -> str | None:
    """The name of one bit of a page whose address a field holds: `io_bitmap_a bit 0x60`."""
    if not (isinstance(node, nodes.BitSlice) and node.width == 1):
        return None
    shifted, count = node.operand, node.low
    if isinstance(shifted, nodes.Operation) and shifted.operator == ">>":
        count += evaluate(shifted.right, read).bits
        shifted = shifted.left
    if not isinstance(shifted, nodes.Memory):
        return None
    address = evaluate(shifted.address, read).bits
    fields = [leaf for leaf in nodes.leaves(shifted.address) if isinstance(leaf, nodes.FieldBits)]
    if not fields:
        return f"bit {number(count)} of memory at {address:#x}"
    base = read(fields[0]).bits
    return f"{fields[0].field.name} bit {number((address - base) * 8 + count)}"
