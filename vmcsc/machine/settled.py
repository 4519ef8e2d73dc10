"""A processor model that the machine can run as: every capability is a number, and what had to be assumed is listed."""

from __future__ import annotations

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.expression import nodes


class Settled:
    """Answers with numbers what `cpu` has. `assumed` names what nobody read: it counts as absent, or is the least."""

    def __init__(self, database: Database, cpu: Cpu) -> None:
        self.cpu = cpu
        self.capabilities = Capabilities(database, cpu)
        self.assumed: list[str] = []
        self._known: dict[tuple[str | int, ...], int] = {}

    def read(self, leaf: nodes.Leaf) -> int:
        """The number for a leaf that asks about the processor."""
        known = self._known.get(leaf.key)
        if known is None:
            known = self._known[leaf.key] = self._fresh(leaf)
        return known

    def _fresh(self, leaf: nodes.Leaf) -> int:
        if isinstance(leaf, nodes.AllowedBits):
            allowed = self.capabilities.allowed(leaf.word)
            return (allowed.must_be_1 if leaf.must_be_1 else allowed.may_be_1).bits
        value = self.capabilities.read(leaf)
        if value.is_known:
            return value.bits
        if isinstance(leaf, nodes.CpuFact):
            self.assumed.append(leaf.fact.name)
            return value.bits | (leaf.fact.between[0] if leaf.fact.between else 0)
        return value.bits
