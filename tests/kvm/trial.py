"""One change of KVM's configuration tried on a real tree: emitted, applied, read by gcc, compiled, taken back."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.kvm.mini import specs
from tests.kvm.trees import command
from tests.kvm.witness import Masks, masks
from vmcsc import compile, emit
from vmcsc.diagnostic import Diagnostics
from vmcsc.kvm.policy import policy_text
from vmcsc.kvm.tree import read_tree
from vmcsc.vmcs import Vmcs

CHANGES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "changes.yaml").read_text())["changes"]
WITH_MACROS = ("6.1", "6.12", "7.3")
CONFIG = "arch/x86/kvm/vmx/vmx.c"


@dataclass
class Tried:
    """What became of a change. `wrong` says in words what did not come out as it must; `lines` are those changed."""

    version: str
    name: str
    kinds: list[str] = field(default_factory=list)
    lines: int = 0
    compiled: bool = False
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0


def changes_for(version: str) -> list[dict[str, Any]]:
    return [one for one in CHANGES if version in one.get("trees", WITH_MACROS)]


@dataclass
class Bench:
    """A copy of a tree to try changes on. `compiles`: none, some (as the table says) or all. `warnings` are those that
    the compiler has without a change, by file."""

    version: str
    tree: Path
    work: Path
    compiles: str
    warnings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, version: str, tree: Path, work: Path, compiles: str) -> Bench:
        """A copy in `work`, with the policy of the tree beside it."""
        bench = cls(version, work / "tree", work, compiles)
        _copy(tree, bench.tree)
        read = read_tree(bench.tree, specs(), Diagnostics())
        assert read is not None
        (work / "base.vmcs").write_text(policy_text(read, specs(), Diagnostics(), "base"))
        if compiles != "none":
            built = {name: bench.compile(name) for name in ("vmx", "nested")}
            assert all(code == 0 for code, _ in built.values())
            bench.warnings = {name: text for name, (_, text) in built.items()}
        return bench

    def resolved(self, change: Mapping[str, Any]) -> Vmcs:
        """The change as a policy that extends that of the tree and overrides what it says."""
        say = re.sub(r"\b(require|forbid|prefer|allow)\b", r"override \1", str(change["say"]))
        policy = self.work / "changed.vmcs"
        policy.write_text(f"policy changed {{\n  extends base\n  {say}\n}}\n")
        result = compile(policy, database=specs(), search=[self.work])
        assert result.ok and result.vmcs is not None, [one.message for one in result.diagnostics]
        return result.vmcs

    def attempt(self, change: Mapping[str, Any]) -> Tried:
        """Everything that has to hold of the change's patch."""
        began = time.monotonic()
        tried = Tried(self.version, change["name"])
        vmcs = self.resolved(change)
        artifacts = emit(vmcs, "kvm-patch", kernel=str(self.tree), partial=True)
        if not artifacts:
            tried.wrong.append("there is nothing to patch")
            return tried
        patch = self.work / "changed.patch"
        text = str(artifacts[0].content)
        patch.write_bytes(text.encode())
        tried.lines = sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in text.splitlines())
        tried.kinds = sorted({*_kinds(text)})
        if tried.kinds != sorted(change["kinds"]):
            tried.wrong.append(f"hunks are {tried.kinds}, not {change['kinds']}")
        before = self.digests(text)
        found = list(self.apply(patch))
        if not found:
            tried.compiled = self.compiles == "all" or (self.compiles == "some" and bool(change.get("compile")))
            found += self._patched(vmcs, tried.compiled)
            self.run("patch", "-p1", "-R", "-s", "-i", str(patch))
        tried.wrong += found
        if self.digests(text) != before:
            tried.wrong.append("taken back, the files are not what they were")
        tried.seconds = round(time.monotonic() - began, 2)
        return tried

    def _patched(self, vmcs: Vmcs, compiled: bool) -> Iterator[str]:
        yield from means(masks(self.tree, self.work), vmcs)
        for name in ("vmx", "nested") if compiled else ():
            code, text = self.compile(name)
            if code or text != self.warnings[name]:
                yield f"{name}.o: {text.strip()[:300]}"
        if emit(vmcs, "kvm-patch", kernel=str(self.tree), partial=True):
            yield "what was patched is not as the policy says"

    def apply(self, patch: Path) -> Iterator[str]:
        """By git and by patch; it is applied then."""
        paths = re.findall(r"(?m)^--- a/(.*)$", patch.read_text())
        done = self.run("git", "apply", "--check", "-v", str(patch))
        if done.returncode or done.stderr.count("Checking patch") != len(paths):
            yield f"git apply --check: {done.stderr.strip()[:300]}"
        for trial in (["--dry-run"], []):
            done = self.run("patch", "-p1", "-F0", "-s", *trial, "-i", str(patch))
            if done.returncode:
                yield f"patch {' '.join(trial)}: {done.stdout.strip()[:300]}"
                return

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """At the top of the tree, for git no matter what lies above it."""
        environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(self.tree.parent)}
        return subprocess.run(
            arguments, cwd=self.tree, env=environment, capture_output=True, text=True, check=False
        )  # fmt: skip

    def compile(self, name: str) -> tuple[int, str]:
        """With the flags of the kernel's own build: the exit code and what the compiler says."""
        *shell, line = command(self.tree, name)
        line = re.sub(r" -c -o \S+ ", f" -c -o {self.work / name}.o ", line)
        done = subprocess.run([*shell, line], cwd=self.tree, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def digests(self, text: str) -> dict[str, str]:
        """Of the files that a patch changes."""
        paths = re.findall(r"(?m)^--- a/(.*)$", text)
        return {path: hashlib.sha256((self.tree / path).read_bytes()).hexdigest() for path in paths}


def _copy(tree: Path, copy: Path) -> None:
    """By hard links: whoever changes a file writes a new one."""
    try:
        shutil.copytree(tree, copy, symlinks=True, copy_function=os.link)
    except OSError:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(tree, copy, symlinks=True)


def _kinds(text: str) -> Iterator[str]:
    """The kinds of hunks, by what they add and take away in which file."""
    for part in re.split(r"(?m)^--- a/", text)[1:]:
        path, _, body = part.partition("\n")
        changed = [line[1:] for line in body.splitlines()[1:] if line[:1] in "+-"]
        if path.endswith("include/asm/vmx.h"):
            yield "define"
        elif path == CONFIG:
            yield from ("mask" for line in changed if "vmcsc: not used" in line)
            yield from ("force" for line in changed if "vmcsc: for every vCPU" in line)
            yield from ("list" for line in changed if re.match(r"\t{1,3} {0,6}(min|opt|[A-Z]+_)", line))
        elif path.endswith("kvm/vmx/vmx.h"):
            yield "list"


def means(seen: Masks, vmcs: Vmcs) -> Iterator[str]:
    """Where what gcc sees is not what the policy says."""
    for name, word in vmcs.words.items():
        if name not in seen.required:
            continue
        masked = seen.masked.get(name, 0)
        found = (seen.required[name] & ~masked, seen.optional[name] & ~seen.required[name] & ~masked)
        wanted = (word.required, (word.preferred | word.allowed) & ~word.required)
        for what, have, want in zip(("required", "optional"), found, wanted, strict=True):
            if have != want:
                yield f"{what} of {name}: {have:#x}, and the policy says {want:#x}"
