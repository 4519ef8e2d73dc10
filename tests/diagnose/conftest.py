"""The kernel's own dumping code, compiled once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import skip_or_fail
from tests.diagnose.dumper import Dumper, build
from tests.kvm.run import VERSIONS
from tests.kvm.trees import why_not


@pytest.fixture(scope="session")
def dumpers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Dumper]]:
    """A running dumper of each version that this machine has the sources of."""
    for version in VERSIONS:
        if reason := why_not(version):
            skip_or_fail(reason)
    running = {version: Dumper(build(version, tmp_path_factory.mktemp(f"dumper-{version}"))) for version in VERSIONS}
    yield running
    for dumper in running.values():
        dumper.close()


@pytest.fixture(scope="session")
def dumper(dumpers: dict[str, Dumper]) -> Dumper:
    """That of the newest version."""
    return dumpers[VERSIONS[-1]]
