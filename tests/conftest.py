"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true every skip is a failure, whatever it was skipped by."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def caches_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the caches of whoever runs it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def database() -> Database:
    """The shipped specs."""
    diagnostics = Diagnostics()
    loaded = load_specs([], diagnostics)
    assert loaded is not None, [diagnostic.message for diagnostic in diagnostics]
    return loaded
