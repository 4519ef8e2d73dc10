"""Why a condition is as it is: the parts of its own expression that made it so, with the values they had."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.check.evaluate import RuleResult
from vmcsc.check.state import State
from vmcsc.expression import nodes
from vmcsc.expression.emit_text import emit_text
from vmcsc.expression.evaluate import Reader, evaluate


def reasons(result: RuleResult, state: State) -> list[str]:
    """One line for each part that is false, with what it read."""
    return unmet_parts(result.bound.require, state.read)


def unmet_parts(condition: nodes.Node, read: Reader) -> list[str]:
    """One line for each of the smallest parts of `condition` that keep it from holding, with what they read."""
    parts = deciding_parts(condition, read, expected=True)
    return list(dict.fromkeys(_stated(node, read, expected) for node, expected in parts))


def deciding_parts(node: nodes.Node, read: Reader, *, expected: bool) -> Iterator[tuple[nodes.Node, bool]]:
    """The smallest parts of a condition that are not as `expected`, each with what was expected of it."""
    now = evaluate(node, read).bit(0)
    if now is expected:
        return
    match node:
        case nodes.Invert(width=1, operand=operand) if not isinstance(operand, nodes.Comparison):
            yield from deciding_parts(operand, read, expected=not expected)
        case nodes.Operation(width=1, operator="&" | "|", left=left, right=right):
            yield from deciding_parts(left, read, expected=expected)
            yield from deciding_parts(right, read, expected=expected)
        case _:
            yield node, expected


def _stated(node: nodes.Node, read: Reader, expected: bool) -> str:
    inputs = {emit_text(leaf): read(leaf) for leaf in nodes.leaves(node)}
    values = ", ".join(f"{name} = {value}" for name, value in inputs.items())
    text = emit_text(node) if expected else f"not ({emit_text(node)})"
    return f"{text} is not so: {values}" if values else f"{text} is not so"
