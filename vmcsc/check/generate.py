"""The rules as the text of one Python function over plain ints, made of bound expressions and nothing else.

The function is `check(f, c, s, r, p, w, m, late, unknown)`: `f`, `c` and `s` are the values of the fields, of what is
asked of the CPU and of the processor's state, in the order of `Inputs`. It sets `r[i]`, not applicable so far, to
`p[i]` where rule `i` is passed, and to `w(i, None)` where it is violated (`w(i, n)`: by element `n`). `m(address,
width)` reads memory and raises `Unknown` where it cannot; `late(i)` is called for a rule that is to be looked at in
another way. Where something is `unknown` it returns, for each rule, the values of all that the rule reads besides
memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import MAX_ELEMENTS
from vmcsc.expression import nodes
from vmcsc.expression.emit_python import bits_of, emit_python
from vmcsc.expression.rules import BoundArea, BoundRule
from vmcsc.records import dataclass

MAX_DEPTH, MAX_NODES = 40, 2000
"""Python's compiler bounds how deep parentheses nest, and a huge rule is no faster as code."""

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the function takes: the places of fields and of state by name, and the leaves that ask about the CPU."""

    fields: dict[str, int]
    capabilities: list[nodes.Leaf]
    state: dict[str, int]


def is_small(bound: BoundRule) -> bool:
    """Whether the rule is to be part of the function."""
    parts = [bound.when, bound.require]
    if bound.area is not None:
        parts += [bound.area.address, bound.area.count]
    return _size(parts) <= MAX_NODES


def reads_memory(bound: BoundRule) -> bool:
    """Whether the result of the rule hangs on the content of memory."""
    return any(isinstance(leaf, nodes.Memory | nodes.ElementBits) for leaf in bound.leaves())


def _size(parts: Sequence[nodes.Node]) -> int:
    """The number of nodes; more than any limit where they are too many or too deep."""
    pending, found = [(part, 1) for part in parts], 0
    while pending:
        node, depth = pending.pop()
        found += 1
        if depth > MAX_DEPTH or found > MAX_NODES:
            return MAX_NODES + 1
        pending.extend((child, depth + 1) for child in nodes.children(node))
    return found


def generate(rules: Sequence[BoundRule], database: Database) -> tuple[str, Inputs]:
    """The text of the function for those of `rules` that are small, and what it takes."""
    chosen = [(index, rule) for index, rule in enumerate(rules) if is_small(rule)]
    text = _Text(database, [rule for _, rule in chosen])
    body = [line for index, rule in chosen for line in text.rule(index, rule)]
    read = [text.read(rule) if is_small(rule) else "None" for rule in rules]
    head = ["def check(f, c, s, r, p, w, m, late, unknown):"]
    for letter, names in (("f", text.inputs.fields), ("c", text.inputs.capabilities), ("s", text.inputs.state)):
        if names:
            head.append(f"    ({''.join(f'{letter}{index}, ' for index in range(len(names)))}) = {letter}")
    lines = [*head, *(f"    x{number} = {one}" for number, one in enumerate(text.shared)), *body]
    lines += [
        "    if unknown:",
        "        return (",
        *(f"            {one}," for one in read),
        "        )",
        "    return ()",
    ]
    return "\n".join(lines) + "\n", text.inputs


class _Text:
    """Writes the parts of the function, and notes what they take."""

    def __init__(self, database: Database, rules: Sequence[BoundRule]) -> None:
        self.inputs = Inputs({}, [], {})
        self.shared: list[str] = []
        self._database = database
        self._names: dict[Key, str] = {}
        self._used = Counter(leaf.key for rule in rules for leaf in rule.leaves())

    def read(self, bound: BoundRule) -> str:
        """What the rule reads besides memory, each once."""
        leaves = {leaf.key: leaf for leaf in bound.leaves() if not isinstance(leaf, nodes.Memory | nodes.ElementBits)}
        return f"({''.join(f'{self._leaf(leaf)}, ' for leaf in leaves.values())})"

    def rule(self, index: int, bound: BoundRule) -> Iterator[str]:
        lines = self._plain(index, bound) if bound.area is None else self._each(index, bound, bound.area)
        if not reads_memory(bound):
            yield from (f"    {line}" for line in lines)
            return
        yield "    try:"
        yield from (f"        {line}" for line in lines)
        yield f"    except Unknown: late({index})"

    def _plain(self, index: int, bound: BoundRule) -> list[str]:
        outcome = f"r[{index}] = p[{index}] if {self._code(bound.require)} else w({index}, None)"
        return [outcome] if _always(bound.when) else [f"if {self._code(bound.when)}:", f"    {outcome}"]

    def _each(self, index: int, bound: BoundRule, area: BoundArea) -> list[str]:
        """A violation counts only where the element is known: else the rule might hold for want of elements."""
        size = area.area.size
        return [
            f"n = {self._code(area.count)}",
            f"if n > {MAX_ELEMENTS}: late({index})",
            "elif n:",
            f"    a = {self._code(area.address)}",
            "    for i in range(n):",
            f"        e = (a + i * {size}) & {hex((1 << 64) - 1)}",
            f"        if {self._code(bound.when)}:",
            f"            if {self._code(bound.require)}:",
            f"                r[{index}] = p[{index}]",
            "            else:",
            f"                m(e, {size * 8})",
            f"                r[{index}] = w({index}, i + 1)",
            "                break",
        ]

    def _code(self, node: nodes.Node) -> str:
        return emit_python(node, self._leaf)

    def _leaf(self, leaf: nodes.Leaf) -> str:
        if isinstance(leaf, nodes.Memory):
            return f"m({self._code(leaf.address)}, {leaf.width})"
        if isinstance(leaf, nodes.ElementBits):
            size = leaf.area.size * 8
            return bits_of(f"m(e, {size})", leaf.low, leaf.width, size)
        key = leaf.key
        if key not in self._names:
            text = self._fresh(leaf)
            if self._used[key] > 1 and not text.isalnum():
                self.shared.append(text)
                text = f"x{len(self.shared) - 1}"
            self._names[key] = text
        return self._names[key]

    def _fresh(self, leaf: nodes.Leaf) -> str:
        match leaf:
            case nodes.FieldBits():
                return bits_of(self._field(leaf.field.name), leaf.low, leaf.width, leaf.field.width)
            case nodes.ControlBit():
                own = self._database.words[leaf.control.word]
                bits = [leaf.control, *self._database.activators(own)]
                fields = ((self._database.words[control.word].field, control.bit) for control in bits)
                return f"({' & '.join(f'({self._field(name)} >> {bit})' for name, bit in fields)} & 1)"
            case nodes.ProcessorState():
                return f"s{self.inputs.state.setdefault(leaf.state.name, len(self.inputs.state))}"
            case _:
                self.inputs.capabilities.append(leaf)
                return f"c{len(self.inputs.capabilities) - 1}"

    def _field(self, name: str) -> str:
        return f"f{self.inputs.fields.setdefault(name, len(self.inputs.fields))}"


def _always(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Constant) and node.value == 1
