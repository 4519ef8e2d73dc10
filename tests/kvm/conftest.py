"""Patches are tried on real kernel trees while other tests run: their tests come last and look at what became of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from tests.conftest import skip_or_fail
from tests.kvm.run import VERSIONS
from tests.kvm.trees import why_not

PROJECT = Path(__file__).parent.parent.parent
LATE = Path(__file__).parent / "test_trees.py"

FIRST = "gw0"
"""What pytest-xdist calls the first process."""

MANY = 1000
"""So many tests, and a processor is left for the others."""

MINUTES = 30
"""So long the tests wait for what another process of theirs started."""

_results = pytest.StashKey[Path]()
_run = pytest.StashKey["subprocess.Popen[bytes]"]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    late = [item for item in items if item.path == LATE]
    if not late or config.option.collectonly or any(map(why_not, VERSIONS)):
        return
    items[:] = [*(item for item in items if item.path != LATE), *late]
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    results = Path(gettempdir()) / f"vmcsc-kernels-{session}" / "results.json"
    config.stash[_results] = results
    if os.environ.get("PYTEST_XDIST_WORKER", FIRST) == FIRST:  # of the processes that tests run in, one starts it
        results.parent.mkdir()
        config.stash[_run] = _started(results, "1" if len(items) > MANY else "2")


def _started(results: Path, jobs: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(LATE.with_name("run.py")), "--results", str(results), "--jobs", jobs]
    with results.with_name("said").open("wb") as said:
        return subprocess.Popen(
            command, cwd=PROJECT, stdout=said, stderr=said, env={**os.environ, "VMCSC_CACHE": "0"}
        )  # fmt: skip


def pytest_unconfigure(config: pytest.Config) -> None:
    if _run in config.stash and "PYTEST_XDIST_WORKER" not in os.environ:  # else another process may wait for it
        config.stash[_run].kill()
        shutil.rmtree(config.stash[_results].parent, ignore_errors=True)


@pytest.fixture(scope="session")
def tried(pytestconfig: pytest.Config) -> Iterator[dict[tuple[str, str], dict[str, Any]]]:
    """What became of each change on each tree, by version and name."""
    for version in VERSIONS:
        if reason := why_not(version):
            skip_or_fail(reason)
    results = pytestconfig.stash[_results]
    said = results.with_name("said")
    latest = time.monotonic() + 60 * MINUTES
    while not results.exists() and time.monotonic() < latest and not _failed(pytestconfig):
        time.sleep(0.5)
    assert results.exists(), said.read_text()
    yield {(one["version"], one["name"]): one for one in json.loads(results.read_text())}
    shutil.rmtree(results.parent, ignore_errors=True)


def _failed(config: pytest.Config) -> bool:
    return _run in config.stash and config.stash[_run].poll() not in (None, 0)
