"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.diagnostic import Diagnostics


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the running test because the machine lacks something; with CI=true that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"skipped, which CI does not allow: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def database() -> Database:
    """The shipped specs."""
    diagnostics = Diagnostics()
    loaded = load_specs([], diagnostics)
    assert loaded is not None, [diagnostic.message for diagnostic in diagnostics]
    return loaded
