"""What the conditions of a scenario may name."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc import codes
from vmcsc.expression import nodes
from vmcsc.expression.scope import Scope, Unresolved
from vmcsc.records import dataclass

OPERANDS: Mapping[str, int] = {"host_tsc": 64, "taken": 64, "pending": 64, "failed": 1, "failed_valid": 1}
"""What conditions may ask besides registers, fields and memory, with their widths.

`host_tsc` is the processor's time-stamp counter when the last instruction read it. `taken` is the vector of the last
interrupt or NMI that the host took, `pending` the highest vector that waits (all ones: none). `failed`, `failed_valid`:
the last instruction was a VMX instruction that failed, or failed with an error number.
"""


@dataclass(frozen=True)
class ScenarioScope(Scope):
    """The names of a rule, registers by their own names (`rax`, `eax`, `rflags.cf`), `edx_eax` and `qualification`.

    `exit` is the reason of the exit that the condition is about, which gives the qualification its parts.
    """

    exit: str | None = None

    def resolve(self, parts: tuple[str, ...]) -> nodes.Node | Unresolved:
        head = parts[0]
        if head in self.registers:
            return self._register(parts)
        if head == "qualification":
            return self._qualification(parts[1:])
        if parts == ("edx_eax",):
            return _joined(self._whole("rdx"), self._whole("rax"))
        part = _PARTS.get(head) if len(parts) == 1 else None
        if part is not None:
            return nodes.BitSlice(part[2], self._whole(part[0]), part[1])
        return super().resolve(parts)

    def _qualification(self, rest: tuple[str, ...]) -> nodes.Node | Unresolved:
        """The exit qualification, or a part that it has for this exit."""
        field = next(f for f in self.database.fields.values() if f.name.endswith("qualification"))
        if not rest:
            return nodes.FieldBits(64, field, 0, written="qualification")
        name = None if self.exit is None else self.database.exit_reasons[self.exit].qualification
        named = {} if name is None else self.database.layouts[name].by_name
        bits = named.get(".".join(rest))
        if bits is None:
            message = f"the qualification of {self.exit or 'no exit'} has no part `{'.'.join(rest)}`"
            return Unresolved(codes.UNKNOWN_NAME, message, tuple(f"qualification.{one}" for one in named))
        written = f"qualification.{bits.name}"
        return nodes.FieldBits(bits.width, field, bits.low, values=bits.values, written=written)

    def _whole(self, name: str) -> nodes.Node:
        return nodes.RegisterBits(64, self.registers[name], 0, written=name)


def _joined(high: nodes.Node, low: nodes.Node) -> nodes.Node:
    """The lower halves of two registers as one number of 64 bits."""
    halves = [nodes.Resize(64, nodes.BitSlice(32, whole, 0)) for whole in (high, low)]
    return nodes.Operation(64, "|", nodes.Operation(64, "<<", halves[0], nodes.Constant(64, 32)), halves[1])


_LEGACY = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
_PARTS: Mapping[str, tuple[str, int, int]] = {
    **{f"e{name}": (f"r{name}", 0, 32) for name in _LEGACY},
    **{name: (f"r{name}", 0, 16) for name in _LEGACY},
    **{f"{name[0]}l": (f"r{name}", 0, 8) for name in _LEGACY[:4]},
    **{f"{name[0]}h": (f"r{name}", 8, 8) for name in _LEGACY[:4]},
}
"""Parts of the general-purpose registers: the register, the lowest bit and the width."""
