"""A project to be attacked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.running import POLICY, Here, Run
from vmcsc.cli import main


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The root of a project with one good policy."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "p.vmcs").write_text(POLICY)
    return folder


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs a command line in this process, for what cannot hang."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("VMCSC_CONFIG", raising=False)

    def run_here(*argv: str) -> Run:
        code = main(argv)
        text = "".join(capsys.readouterr())
        assert "internal error" not in text, text
        return Run(code, text)

    return run_here
