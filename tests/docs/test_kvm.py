"""What docs/kvm.md shows works, on a tree of a few lines."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kvm.mini import write_tree

TEXT = (Path(__file__).parent.parent.parent / "docs" / "kvm.md").read_text()


def blocks() -> list[str]:
    return re.findall(r"```\n(.*?)```", TEXT, re.DOTALL)


def test_the_commands_work_one_after_the_other(vmcsc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / "linux-6.1", version=(6, 1, 192))
    imported, policy, emitted, checked = blocks()
    (tmp_path / "no-pml.vmcs").write_text(policy)
    for line in (*imported.splitlines(), emitted.splitlines()[0]):
        run = vmcsc(*line.split()[1:])
        assert run.code == 0, run
    for line in (checked, emitted.splitlines()[1].partition("&& ")[2]):
        done = subprocess.run(["sh", "-c", line], cwd=tmp_path / "linux-6.1", check=False, capture_output=True)
        assert done.returncode == 0, done
    assert "ENABLE_PML" not in (tmp_path / "linux-6.1/arch/x86/kvm/vmx/vmx.h").read_text()


@pytest.mark.parametrize("code", sorted({*re.findall(r"VMX\d{4}", TEXT)}))
def test_codes_mean_what_is_said_of_them(code: str, vmcsc: Any) -> None:
    assert vmcsc("explain", code).code == 0
