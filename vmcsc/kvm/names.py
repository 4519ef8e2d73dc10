"""What names of controls are in a tree: its own macros, evaluated."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping

from vmcsc.kvm.sources import KernelFile, Macro
from vmcsc.records import dataclass, field

_WORD = re.compile(r"[A-Za-z_]\w*")
_SUFFIX = re.compile(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b")
_OPERATORS: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.Add: operator.add,
    ast.Mult: operator.mul,
    ast.LShift: lambda left, right: left << min(right, 64),
}
_KERNEL = dict.fromkeys(("BIT", "BIT_ULL", "_BITUL"), Macro(("n",), "(1 << (n))", 0, 0, 0))
"""Macros of the whole kernel, which need no look-up."""

MAX_DEPTH, MAX_LENGTH, MAX_STEPS = 20, 4000, 100_000


class UnknownName(Exception):
    """A name that the tree does not define, or an expression that is none of constants."""


@dataclass
class Names:
    """The macros of some files, evaluated when they are asked for. Constant expressions of C and of Python that have
    these operators alone mean the same."""

    macros: dict[str, Macro]
    _values: dict[str, int] = field(default_factory=dict)
    _steps: int = 0

    def value(self, expression: str, depth: int = 0) -> int:
        """Raises `UnknownName`."""
        self._steps += 1
        if depth > MAX_DEPTH or len(expression) > MAX_LENGTH or self._steps > MAX_STEPS:
            raise UnknownName("an expression that is too long")
        text = _SUFFIX.sub(r"\1", expression.replace("\\\n", " ").strip())
        text = re.sub(r"\b0+(\d)", r"\1", text)
        try:
            tree = ast.parse(f"({text})", mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UnknownName(_short(expression)) from error
        return self._node(tree.body, depth)

    def _node(self, node: ast.expr, depth: int) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return int(node.value)
        if isinstance(node, ast.Name):
            return self.named(node.id, depth)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](self._node(node.left, depth), self._node(node.right, depth))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            return ~self._node(node.operand, depth) & (1 << 64) - 1
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._call(node.func.id, [ast.unparse(argument) for argument in node.args], depth)
        raise UnknownName(_short(ast.unparse(node)))

    def named(self, name: str, depth: int = 0) -> int:
        """The value of one macro."""
        if name not in self._values:
            macro = self.macros.get(name)
            if macro is None or macro.parameters:
                raise UnknownName(name)
            self._values[name] = self.value(macro.text, depth + 1)
        return self._values[name]

    def _call(self, name: str, arguments: list[str], depth: int) -> int:
        macro = _KERNEL.get(name) or self.macros.get(name)
        if macro is None or len(macro.parameters) != len(arguments):
            raise UnknownName(name)
        text = macro.text
        for parameter, argument in zip(macro.parameters, arguments, strict=True):
            text = re.sub(rf"\b{parameter}\b(?!##)", lambda _, a=argument: a, text)  # type: ignore[misc]
            text = re.sub(rf"##\s*{parameter}\b", lambda _, a=argument: f"##{a}", text)  # type: ignore[misc]
        return self.value(re.sub(r"\s*##\s*", "", text), depth + 1)

    def mask(self, expression: str) -> int:
        """The bits of those names in an expression that are known; what else stands there is no control."""
        mask = 0
        for name in _WORD.findall(expression):
            try:
                mask |= self.named(name)
            except UnknownName:
                continue
        return mask

    def bit(self, name: str) -> int | None:
        """The number of the bit, where the name is one of a single bit."""
        try:
            value = self.named(name)
        except UnknownName:
            return None
        return value.bit_length() - 1 if value > 0 and value & value - 1 == 0 else None

    def with_prefix(self, prefix: str) -> dict[int, str]:
        """By bit the names of single bits that begin so; where there are several, the first in the tree."""
        found: dict[int, str] = {}
        for name in self.macros:
            if name.startswith(prefix) and (bit := self.bit(name)) is not None:
                found.setdefault(bit, name)
        return found


def _short(text: str) -> str:
    return " ".join(text.split())[:60]


def read_names(files: Iterable[KernelFile]) -> Names:
    """The macros of these files; of several definitions the first counts."""
    macros: dict[str, Macro] = {}
    for file in files:
        for name, definitions in file.macros.items():
            macros.setdefault(name, definitions[0])
    return Names(macros)
