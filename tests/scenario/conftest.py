"""Fixtures for tests of scenarios."""

from __future__ import annotations

import pytest

from tests.scenario import processors
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu


@pytest.fixture(scope="session")
def everything(database: Database) -> Cpu:
    return processors.everything(database)
