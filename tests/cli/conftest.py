"""Fixtures for tests of the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from vmcsc.cli import main


class Run(NamedTuple):
    """What a command line did."""

    code: int
    out: str
    err: str


Vmcsc = Callable[..., Run]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the variables of whoever runs it, or on what was said to an earlier test."""
    monkeypatch.setattr("vmcsc.cli.seen._keeps", lambda _: False)
    for name in ("NO_COLOR", "FORCE_COLOR", "VMCSC_TRACEBACK", "VMCSC_CONFIG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def vmcsc(capsys: pytest.CaptureFixture[str]) -> Vmcsc:
    """Runs a command line in this process."""

    def run(*argv: str | Path) -> Run:
        capsys.readouterr()
        code = main([str(argument) for argument in argv])
        return Run(code, *capsys.readouterr())

    return run


@pytest.fixture
def policy(tmp_path: Path) -> Callable[..., Path]:
    """Writes a policy file."""

    def write(text: str, name: str = "one.vmcs") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
