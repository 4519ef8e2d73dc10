"""Why a rule is violated: the parts of its own expression that made it false, with the values they had."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.check.evaluate import RuleResult
from vmcsc.check.state import State
from vmcsc.expression import nodes
from vmcsc.expression.emit_text import emit_text
from vmcsc.expression.evaluate import evaluate


def reasons(result: RuleResult, state: State) -> list[str]:
    """One line for each part that is false, with what it read."""
    wanted = result.bound.require
    return list(dict.fromkeys(_false_parts(wanted, state, expected=True)))


def _false_parts(node: nodes.Node, state: State, *, expected: bool) -> Iterator[str]:
    """The smallest parts of a condition that are not as `expected`."""
    now = evaluate(node, state.read).bit(0)
    if now is expected:
        return
    match node:
        case nodes.Invert(width=1, operand=operand) if not isinstance(operand, nodes.Comparison):
            yield from _false_parts(operand, state, expected=not expected)
        case nodes.Operation(width=1, operator="&" | "|", left=left, right=right):
            yield from _false_parts(left, state, expected=expected)
            yield from _false_parts(right, state, expected=expected)
        case _:
            yield _stated(node, state, expected)


def _stated(node: nodes.Node, state: State, expected: bool) -> str:
    inputs = {emit_text(leaf): state.read(leaf) for leaf in nodes.leaves(node)}
    values = ", ".join(f"{name} = {value}" for name, value in inputs.items())
    text = emit_text(node) if expected else f"not ({emit_text(node)})"
    return f"{text} is not so: {values}" if values else f"{text} is not so"
