"""What an undetermined rule lacks: of all that it reads, only what keeps its expressions from having a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vmcsc.check.evaluate import RuleResult
from vmcsc.check.state import State
from vmcsc.expression import nodes
from vmcsc.expression.emit_text import number
from vmcsc.expression.evaluate import evaluate

FIELD, MSR, CPU, PROCESSOR, MEMORY = "field", "msr", "cpu", "processor", "memory"
"""The kinds of what may be missing. The name of `MEMORY` is an address, or what lies there."""

Missing = tuple[str, str]
"""A kind and a name."""

WRITTEN: Mapping[str, str] = {CPU: "cpu.", PROCESSOR: "processor.", MEMORY: "memory at "}
"""What stands before the name of a kind, where it stands alone."""


def missing_of(result: RuleResult, state: State) -> list[Missing]:
    """What would have to be known to decide the rule, each once."""
    bound = result.bound
    parts = [bound.when, bound.require]
    if bound.area is not None:
        parts[:0] = [bound.area.count, bound.area.address]
        state.at(bound.area.area.name, None)
    return list(dict.fromkeys(found for part in parts for found in _open(part, state)))


def hangs_on_processor(result: RuleResult, state: State, missing: Sequence[Missing] | None = None) -> bool:
    """Whether the state of the processor, and that alone, would tell if the rule applies, or else if it holds.

    `missing` is what the rule lacks, if the caller knows.
    """
    if missing is not None and all(kind != PROCESSOR for kind, _ in missing):
        return False
    deciding = list(_open(result.bound.when, state)) or missing_of(result, state)
    return all(kind == PROCESSOR for kind, _ in deciding)


def text_of(missing: Missing) -> str:
    """As one would write it in a rule."""
    kind, name = missing
    return f"{WRITTEN.get(kind, '')}{name}"


def _open(node: nodes.Node, state: State) -> Iterator[Missing]:
    """What the value of `node` hangs on and nobody knows."""
    if evaluate(node, state.read).is_known:
        return
    if isinstance(node, nodes.Memory):
        address = evaluate(node.address, state.read)
        if address.is_known:
            yield MEMORY, number(address.bits)
        else:
            yield from _open(node.address, state)
    elif isinstance(node, nodes.Leaf):
        yield from _unread(node, state)
    else:
        for child in nodes.children(node):
            yield from _open(child, state)


def _unread(leaf: nodes.Leaf, state: State) -> Iterator[Missing]:
    words = state.database.words
    match leaf:
        case nodes.FieldBits():
            yield FIELD, leaf.field.name
        case nodes.ControlBit(control=control):
            for one in (control, *state.database.activators(words[control.word])):
                word = words[one.word]
                if state.field(word.field, word.width).bit(one.bit) is None:
                    yield FIELD, word.field
        case nodes.Supported(control=control) | nodes.Forced(control=control):
            yield MSR, state.capabilities.allowed(words[control.word]).msr.name
        case nodes.AllowedBits(word=word):
            yield MSR, state.capabilities.allowed(word).msr.name
        case nodes.MsrBits(msr=msr):
            yield MSR, msr.name
        case nodes.CpuFact(fact=fact):
            yield CPU, fact.name
        case nodes.ProcessorState():
            yield PROCESSOR, leaf.state.name
        case nodes.ElementBits(area=area):
            yield MEMORY, area.address
