"""Fixtures for tests of the readers of capabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import parse_cpu, read_cpu
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.source import Source


class Read(NamedTuple):
    """What a reader made of a text."""

    cpu: Cpu | None
    found: list[Diagnostic]

    @property
    def codes(self) -> list[str]:
        return [diagnostic.code for diagnostic in self.found]

    def msrs(self, database: Database) -> dict[int, int]:
        """The MSRs by index; all of them wholly known."""
        assert self.cpu is not None, self.found
        assert all(read.is_known for read in self.cpu.msrs.values())
        return {database.msrs[name].index: read.bits for name, read in self.cpu.msrs.items()}


@pytest.fixture
def read(database: Database) -> Callable[[str], Read]:
    """Reads a text."""

    def reader(text: str) -> Read:
        diagnostics = Diagnostics()
        return Read(parse_cpu(Source("c.txt", text), "c", database, diagnostics), diagnostics.found)

    return reader


@pytest.fixture
def shipped(database: Database) -> Callable[[str], Cpu]:
    """A CPU of the specs."""

    def find(name: str) -> Cpu:
        cpu = read_cpu(name, database, Diagnostics())
        assert cpu is not None
        return cpu

    return find
