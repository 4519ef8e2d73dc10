"""Patches for real kernel trees: they apply, mean what the policy says, compile, and can be taken back.

The long form: `python tests/kvm/run.py --compile all`; for other kernels, `VMCSC_LINUX_SOURCES=DIR python
tests/kvm/run.py 5.10 7.3`, with the tarballs of Debian's packages linux-source-5.10 and linux-source-7.3 in DIR.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from backends.kvm_patch.edits import edited
from tests.conftest import skip_or_fail
from tests.kvm.mini import specs
from tests.kvm.run import VERSIONS
from tests.kvm.trees import CACHE, command, prepared, why_not
from tests.kvm.trial import Bench, changes_for
from tests.kvm.witness import masks
from vmcsc import compile, emit
from vmcsc.diagnostic import Diagnostics
from vmcsc.kvm.policy import policy_text
from vmcsc.kvm.tree import Tree, read_tree
from vmcsc.resources import EXAMPLES

Results = dict[tuple[str, str], dict[str, Any]]

WANTED = [(version, change["name"]) for version in VERSIONS for change in changes_for(version)]

LISTS = {
    "6.1": {
        "pin_based": (0x9, 0xE0), "primary": (0x21998E8C, 0xDA621000), "secondary": (0, 0xC71BFFFF),
        "tertiary": (0, 0x10), "vm_exit": (0x8204, 0x3FC1000), "vm_entry": (0x204, 0x7E000),
    },
    "6.12": {
        "pin_based": (0x9, 0xE0), "primary": (0x21998E8C, 0xDA621000), "secondary": (0, 0xC71FFFFF),
        "tertiary": (0, 0x10), "vm_exit": (0x8204, 0x3FC1000), "vm_entry": (0x204, 0x7E000),
    },
}  # fmt: skip
"""What each kernel requires and uses, evaluated from preprocessed source when the kernels were studied."""


@pytest.mark.parametrize(("version", "name"), WANTED, ids=str)
def test_a_change_comes_out_as_it_must(version: str, name: str, tried: Results) -> None:
    assert tried[version, name]["wrong"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_table_has_each_kind_of_hunk_alone_and_combined(version: str, tried: Results) -> None:
    own = [one for (of, _), one in tried.items() if of == version]
    assert len(own) >= 60
    compiled = [one for one in own if one["compiled"]]
    assert len(compiled) >= 20
    for some in (own, compiled):
        kinds = [tuple(one["kinds"]) for one in some]
        assert {kind for kind in kinds if len(kind) == 1} >= {("list",), ("mask",)}
        assert {kind for of in kinds for kind in of} == {"list", "mask", "force", "define"}
        assert ("define", "force", "list", "mask") in kinds


@pytest.fixture(scope="module")
def bench(tried: Results) -> Iterator[Bench]:
    """A copy of a tree on which nothing else works, now that all changes were tried."""
    assert tried
    with TemporaryDirectory(prefix="work-", dir=CACHE) as folder:
        yield Bench.of("6.1", prepared("6.1"), Path(folder), "some")


def tree_of(version: str) -> Tree:
    if reason := why_not(version):
        skip_or_fail(reason)
    tree = read_tree(prepared(version), specs(), Diagnostics())
    assert tree is not None
    return tree


@pytest.mark.parametrize("version", VERSIONS)
def test_import_has_the_lists_of_the_kernel(version: str, tried: Results) -> None:
    assert tried
    tree = tree_of(version)
    assert {word: (tree.required(word), tree.optional(word)) for word in tree.words} == LISTS[version]
    text = policy_text(tree, specs(), Diagnostics())
    vmcs = compile(text, database=specs()).vmcs
    assert vmcs is not None
    for word, (required, optional) in LISTS[version].items():
        resolved = vmcs.words[word]
        assert (resolved.required, resolved.preferred | resolved.allowed) == (required, optional | required & 0)
    assert emit(vmcs, "kvm-patch", kernel=str(tree.root)) == []


def test_the_shipped_policy_of_a_kernel_is_that_kernel(tried: Results) -> None:
    assert tried
    vmcs = compile("kvm-6.1", database=specs()).vmcs
    assert vmcs is not None
    assert emit(vmcs, "kvm-patch", kernel=str(prepared("6.1"))) == []


def test_the_witness_sees_the_lists_too(bench: Bench) -> None:
    seen = masks(bench.tree, bench.work)
    assert {word: (seen.required[word], seen.optional[word]) for word in seen.required} == LISTS["6.1"]


@pytest.mark.parametrize("name", ["TERTIARY_EXEC_IPI_VIRT", "PIN_BASED_POSTED_INTR", "VM_ENTRY_IA32E_MODE"])
def test_a_list_edit_that_is_known_to_break_the_build_breaks_it(name: str, bench: Bench) -> None:
    """So the masks are needed, and the test of what compiles can fail."""
    tree = read_tree(bench.tree, specs(), Diagnostics())
    assert tree is not None
    assert tree.lists is not None
    lists = [one for word in tree.words.values() for one in (*word.required_lists, *word.optional_lists)]
    (one,) = [one for one in lists if name in one.items]
    header = bench.tree / tree.lists.path
    before = header.read_text()
    try:
        header.unlink()  # it is a link to the file of the cache
        header.write_text(before[: one.start] + edited(one, {name}, []) + before[one.end :])
        assert {bench.compile(file)[0] for file in ("vmx", "nested")} != {0}
    finally:
        header.write_text(before)
    assert {bench.compile(file)[0] for file in ("vmx", "nested")} == {0}


def test_a_patch_for_another_kernel_is_refused_by_its_digests_where_it_would_apply(bench: Bench) -> None:
    (bench.work / "other").mkdir()
    newer = Bench.of("6.12", prepared("6.12"), bench.work / "other", "none")
    vmcs = newer.resolved({"say": "vm_entry { forbid load_ia32_bndcfgs }; vm_exit { forbid clear_ia32_bndcfgs }"})
    (artifact,) = emit(vmcs, "kvm-patch", kernel=str(newer.tree))
    (bench.work / "newer.patch").write_bytes(str(artifact.content).encode())
    fits = bench.run("patch", "-p1", "-F0", "--dry-run", "-s", "-i", "../newer.patch")
    assert fits.returncode == 0
    check = "sed -n 's/^# sha256 //p' ../newer.patch | sha256sum --check --strict --quiet"
    assert bench.run("sh", "-c", check).returncode != 0
    assert newer.run("sh", "-c", check.replace("../newer", "../../newer")).returncode == 0


def test_the_tree_is_never_written_to(bench: Bench) -> None:
    tree = read_tree(bench.tree, specs(), Diagnostics())
    assert tree is not None
    files = [bench.tree / file.path for file in tree.files]
    before = [(file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    vmcs = bench.resolved({"say": "secondary { forbid enable_vpid }"})
    emit(vmcs, "kvm-patch", kernel=str(bench.tree))
    assert [(file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files] == before


@pytest.mark.parametrize("version", VERSIONS)
def test_the_module_that_checks_an_entry_compiles(version: str, tried: Results, tmp_path: Path) -> None:
    """The example of the checker in a kernel, as the kernel compiles its own files, but every warning is an error."""
    assert tried
    vmcs = compile("minimal", "ice_lake_i7_1065g7").vmcs
    assert vmcs is not None
    [header] = emit(vmcs, "c-checker", stdint=False)
    (tmp_path / header.path).write_text(str(header.content))
    shutil.copy(EXAMPLES / "checker" / "kernel_module" / "check_entry.c", tmp_path)
    tree = prepared(version)
    shell, flag, text = command(tree, "nested")
    own = re.sub(r"-MMD,\S+", f"-MMD,{tmp_path}/d", re.sub(r" -o \S+ \S+$", "", text.strip()))
    done = subprocess.run(
        [shell, flag, f"{own} -Werror -o {tmp_path}/check_entry.o {tmp_path}/check_entry.c"],
        cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert b"violates %s" in (tmp_path / "check_entry.o").read_bytes()
