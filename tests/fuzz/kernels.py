"""What is fuzzed of kernel trees: the file with the lists and the file with the code, in a tree that is in order."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kvm.mini import write_tree
from vmcsc.architecture.database import Database
from vmcsc.backend import findings, get
from vmcsc.diagnostic import Diagnostic, Diagnostics, Severity
from vmcsc.kvm.policy import policy_text
from vmcsc.kvm.tree import read_tree
from vmcsc.pipeline import compile

FOLDER = Path("arch/x86/kvm/vmx")
LISTS, CODE = "vmx.h", "vmx.c"
POLICY = """policy own {
  extends kvm_6_1
  primary { override require rdtsc_exiting }
  secondary { override forbid enable_vpid, descriptor_table_exiting; allow enable_pconfig }
}"""


@cache
def _trees() -> dict[str, dict[str, bytes]]:
    """By form the files of a tree."""
    found = {}
    for form in ("macros", "locals"):
        with TemporaryDirectory() as folder:
            root = write_tree(Path(folder) / "linux", form=form)
            files = [path for path in root.rglob("*") if path.is_file()]
            found[form] = {str(path.relative_to(root)): path.read_bytes() for path in files}
    return found


def texts_with_lists() -> Sequence[bytes]:
    return [_trees()["macros"][str(FOLDER / LISTS)]]


def texts_with_code() -> Sequence[bytes]:
    return [_trees()[form][str(FOLDER / CODE)] for form in ("macros", "locals")]


def read_kernel(path: Path, database: Database) -> list[Diagnostic]:
    """As `vmcsc import kvm`, and `vmcsc emit kvm-patch` of what was imported and of another policy."""
    form = "macros" if path.name == LISTS or b"KVM_REQUIRED" in path.read_bytes() else "locals"
    root = path.parent / "linux"
    for name, content in _trees()[form].items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    shutil.copy(path, root / FOLDER / path.name)
    diagnostics = Diagnostics()
    tree = read_tree(root, database, diagnostics)
    if tree is not None:
        imported = policy_text(tree, database, diagnostics, "imported")
        diagnostics.extend(_patched(imported, root, database, empty=True))
        diagnostics.extend(_patched(POLICY, root, database, empty=False))
    shutil.rmtree(root)
    return diagnostics.found


def _patched(text: str, root: Path, database: Database, *, empty: bool) -> list[Diagnostic]:
    vmcs = compile(text, database=database).vmcs
    if vmcs is None:
        return []
    backend = get("kvm-patch")
    options = backend.options(kernel=str(root), partial=True)
    found = findings(backend, [vmcs], options)
    if not any(one.severity is Severity.ERROR for one in found):
        content = "".join(str(one.content) for one in backend.emit([vmcs], options))
        odd = "for every vCPU" in content or "implied" in content  # half a patch, or lists that make no sense together
        assert odd or not (empty and content), "what was imported is not an empty patch"
    return found
