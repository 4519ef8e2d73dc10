"""Conditions and values of the specs and of a policy as C over the capabilities `c` and the arguments `a`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control, Entry
from vmcsc.capabilities.cpu import condition_of
from vmcsc.expression import nodes
from vmcsc.expression.emit_c import LeafName, constant, emit_c
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.value import Value

from .text import macro, wrapped


def word_macro(name: str) -> str:
    """The macro that numbers a control word in the arrays of the generated code."""
    return f"VMCSC_WORD_{macro(name)}"


def control_macro(control: Control) -> str:
    return f"VMCSC_{macro(control.word)}_{macro(control.name)}"


def place(control: Control) -> str:
    """A control as two arguments: its word and its mask."""
    return f"{word_macro(control.word)}, {control_macro(control)}"


def capability_leaf(others: Mapping[type[nodes.Leaf], LeafName] | None = None) -> LeafName:
    """How C reads what a condition asks of the processor, from `c`; `others` for leaves beyond that."""

    def leaf(node: nodes.Leaf) -> str:
        match node:
            case nodes.Supported():
                return f"vmcsc_supported(c, {place(node.control)})"
            case nodes.Forced():
                return f"vmcsc_forced(c, {place(node.control)})"
            case nodes.MsrBits():
                shifted = f"(c->{node.msr.name} >> {node.low})" if node.low else f"c->{node.msr.name}"
                return cut(shifted, node.width)
            case _:
                chosen = (others or {}).get(type(node))
                return constant(0) if chosen is None else chosen(node)  # a fact that no MSR tells: not there

    return leaf


def cut(text: str, width: int, of: int = 64) -> str:
    """The low `width` bits of an expression that has `of`."""
    return text if width >= of else f"({text} & {constant((1 << width) - 1)})"


def condition(node: nodes.Node, leaf: LeafName) -> str:
    """A truth value as the condition of an `if`: C's logical operators as far as the expression is logic."""
    match _folded(node):
        case nodes.Constant() as known:
            return "1" if known.value else "0"
        case nodes.Invert() as inverted:
            return f"!{grouped(inverted.operand, leaf)}"
        case nodes.Operation(operator="&" | "|") as both:
            return f" {both.operator * 2} ".join(grouped(operand, leaf) for operand in _chain(both, both.operator))
        case other:
            return _bare(emit_c(other, leaf))


def _chain(node: nodes.Node, operator: str) -> Iterator[nodes.Node]:
    """The operands of a chain of one operator, so that it needs no parentheses."""
    pending = [node]
    while pending:
        now = pending.pop()
        if isinstance(now, nodes.Operation) and now.operator == operator:
            pending += [now.right, now.left]
        else:
            yield now


def grouped(node: nodes.Node, leaf: LeafName) -> str:
    """A condition as an operand."""
    match _folded(node):
        case nodes.Operation(operator="&" | "|") as both:
            return f"({condition(both, leaf)})"
        case nodes.Invert() | nodes.Constant() as simple:
            return condition(simple, leaf)
        case other:
            return emit_c(other, leaf)


def _bare(text: str) -> str:
    """The text without parentheses around the whole of it."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:-1] if text.startswith("(") and position == len(text) - 1 else text
    return text


def _folded(node: nodes.Node) -> nodes.Node:
    """`node` without constants in its logic."""
    match node:
        case nodes.Invert(operand=operand):
            inner = _folded(operand)
            return nodes.Constant(1, 1 - inner.value) if isinstance(inner, nodes.Constant) else nodes.Invert(1, inner)
        case nodes.Operation(operator="&" | "|", left=left, right=right):
            absorbing = 1 if node.operator == "|" else 0
            sides = [_folded(left), _folded(right)]
            for side, other in (sides, reversed(sides)):
                if isinstance(side, nodes.Constant):
                    return side if side.value == absorbing else other
            return nodes.Operation(1, node.operator, *sides)
        case nodes.Operation() | nodes.Comparison() | nodes.Resize() | nodes.BitSlice() if not any(nodes.leaves(node)):
            return nodes.Constant(1, evaluate(node, _nothing).bits)  # compilers warn of constants in conditions
        case _:
            return node


def _nothing(leaf: nodes.Leaf) -> Value:
    raise AssertionError(f"{leaf} is no constant")


def guarded(node: nodes.Node | None, leaf: LeafName, statements: Iterable[str]) -> str:
    """Statements that are executed where the condition holds; None: always. Indented by one level."""
    listed = list(statements)
    text = "1" if node is None else condition(node, leaf)
    if text == "0":
        return ""
    if text == "1":
        return "".join(f"    {statement}\n" for statement in listed)
    inner = "".join(f"        {statement}\n" for statement in listed)
    opening = wrapped(f"if ({text})", "    ", "        ")
    return f"{opening} {{\n{inner}    }}\n" if len(listed) > 1 else f"{opening}\n{inner}"


def exists(entry: Entry, database: Database) -> nodes.Node | None:
    """The bound condition under which the processor has the MSR or field; None: always."""
    return None if entry.exists is None else condition_of(database, entry.exists)
