"""What is wrong with a file of a folder of specs that speaks of kernels is told by `vmcsc specs`."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmcsc.architecture.loader import load_specs
from vmcsc.diagnostic import Diagnostics
from vmcsc.kvm.verify import check_kernels
from vmcsc.resources import SPECS

KVM = (SPECS / "kernels" / "kvm.yaml").read_text()


def said(folder: Path, text: str) -> list[str]:
    (folder / "kernels").mkdir()
    (folder / "kernels" / "kvm.yaml").write_text(text)
    diagnostics = Diagnostics()
    database = load_specs([folder], diagnostics)
    assert database is not None
    check_kernels(database, diagnostics)
    return [one.message for one in diagnostics]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: kvm", "kind: kvm", None),
        ("word: tertiary", "word: quaternary", "kvm: nothing is named quaternary"),
        ("secondary.enable_ept:", "secondary.enable_etp:", "kvm: nothing is named secondary.enable_etp"),
        ("fixed: vmcs_write32_fixedbits", "fixed: 32 bits", "`fixed`"),
        ("handlers: kvm_vmx_exit_handlers", "handler: kvm_vmx_exit_handlers", "handler"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    assert old in KVM
    found = said(tmp_path, KVM.replace(old, new))
    assert (found == []) if message is None else any(message in one for one in found), found
