"""Patches are tried on real kernel trees while other tests run: their tests come last and look at what became of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from tests.conftest import skip_or_fail
from tests.kvm.run import VERSIONS
from tests.kvm.trees import why_not

PROJECT = Path(__file__).parent.parent.parent
LATE = Path(__file__).parent / "test_trees.py"

MANY = 1000
"""So many tests, and a processor is left for the others."""

_run = pytest.StashKey[tuple["subprocess.Popen[str]", Path]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    late = [item for item in items if item.path == LATE]
    if late and not config.option.collectonly and not any(map(why_not, VERSIONS)):
        items[:] = [*(item for item in items if item.path != LATE), *late]
        results = Path(mkdtemp(prefix="vmcsc-")) / "results.json"
        jobs = "1" if len(items) > MANY else "2"
        command = [sys.executable, str(LATE.with_name("run.py")), "--results", str(results), "--jobs", jobs]
        process = subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "VMCSC_CACHE": "0"},
        )  # fmt: skip
        config.stash[_run] = process, results


def pytest_unconfigure(config: pytest.Config) -> None:
    if _run in config.stash:
        process, results = config.stash[_run]
        process.kill()
        shutil.rmtree(results.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def tried(pytestconfig: pytest.Config) -> Iterator[dict[tuple[str, str], dict[str, Any]]]:
    """What became of each change on each tree, by version and name."""
    for version in VERSIONS:
        if reason := why_not(version):
            skip_or_fail(reason)
    process, results = pytestconfig.stash[_run]
    said, _ = process.communicate()
    assert results.exists(), said
    yield {(one["version"], one["name"]): one for one in json.loads(results.read_text())}
