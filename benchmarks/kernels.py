"""How long it takes to read what KVM asks of VMX from a kernel tree, and to make a patch for the tree."""

from __future__ import annotations

import os
from pathlib import Path

from measure import Row, computing

from vmcsc import compile, emit
from vmcsc.loading import load

WHAT = "a kernel tree read, and a patch for it, in a process"
CACHE = Path(os.environ.get("VMCSC_KERNELS") or Path.home() / ".cache" / "vmcsc-kernels")
POLICY = """policy p {
  extends kvm_6_1
  secondary { override forbid enable_pml, enable_vpid; allow enable_pconfig }
  primary { override require rdtsc_exiting }
}"""


def rows(rounds: int) -> list[Row]:
    trees = sorted(CACHE.glob("linux-6.1-*"))
    if not trees:
        return [Row(WHAT, None, "s", target=0.5)]
    database = load()
    vmcs = compile(POLICY, database=database).vmcs
    assert vmcs is not None

    def run() -> None:
        (artifact,) = emit(vmcs, "kvm-patch", kernel=str(trees[0]))
        assert len(artifact.content) > 1000

    return [Row(WHAT, computing(run, min(rounds, 15)), "s", target=0.5)]
