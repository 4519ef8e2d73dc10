"""Kernel trees as Debian ships them, unpacked as far as KVM needs and configured, in a cache outside the project."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

SOURCES = Path(os.environ.get("VMCSC_LINUX_SOURCES", "/usr/src"))
"""Where the tarballs `linux-source-VERSION.tar.xz` lie."""

CACHE = Path(
    os.environ.get("VMCSC_KERNELS")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vmcsc-kernels"
)

NEEDED = ("make", "gcc", "flex", "bison", "bc", "xz", "git", "patch")
"""Programs without which nothing can be built."""

A_DAY = 24 * 60 * 60

_LEFT_OUT = (
    "drivers/*.[chS]", "fs/*.[ch]", "net/*.[ch]", "sound/*.[ch]", "Documentation/*.rst", "Documentation/*.txt",
    "Documentation/*.yaml", "Documentation/*.svg", "arch/[a-tv-wyz]*/*.[chS]", "arch/*/*.dts*", "tools/testing/*.c",
)  # fmt: skip
_CONFIG = (
    "make -s x86_64_defconfig >/dev/null && scripts/config -e VIRTUALIZATION -e KVM -e KVM_INTEL -d KVM_AMD &&"
    " make -s olddefconfig >/dev/null && make -s -j2 arch/x86/kvm/vmx/vmx.o arch/x86/kvm/vmx/nested.o"
)


def tarball(version: str) -> Path | None:
    """The tarball of a version; None where the package is not installed."""
    found = sorted(SOURCES.glob(f"linux-source-{version}.tar.*"))
    return found[0] if found else None


def why_not(version: str) -> str | None:
    """Why a tree cannot be prepared."""
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} cannot be found"
    return None if tarball(version) else f"linux-source-{version} is not installed in {SOURCES}"


def prepared(version: str) -> Path:
    """The tree, built once: it is unpacked beside its place and moved there when it is whole."""
    source = tarball(version)
    assert source is not None, why_not(version)
    state = source.stat()
    mark = hashlib.sha256(f"{source.name} {state.st_size} {state.st_mtime_ns} {_CONFIG}".encode()).hexdigest()[:12]
    place = CACHE / f"linux-{version}-{mark}"
    if not place.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(work := CACHE / f"work-{version}-{os.getpid()}", ignore_errors=True)
        work.mkdir()
        left_out = [f"--exclude=linux-source-{version}/{pattern}" for pattern in _LEFT_OUT]
        unpack = ["tar", "xf", str(source), "-C", str(work), "--strip-components=1", "--wildcards", *left_out]
        subprocess.run(unpack, check=True)
        subprocess.run(["sh", "-c", _CONFIG], cwd=work, check=True, capture_output=True)
        try:
            work.rename(place)
        except OSError:  # another run was first
            shutil.rmtree(work, ignore_errors=True)
    return place


def forget_old_work() -> None:
    """Copies that a run left behind because it was stopped."""
    for folder in CACHE.glob("work-*"):
        if time.time() - folder.stat().st_mtime > A_DAY:
            shutil.rmtree(folder, ignore_errors=True)


def command(tree: Path, name: str) -> list[str]:
    """How the kernel compiles a file of KVM, as the build wrote it down."""
    text = (tree / f"arch/x86/kvm/vmx/.{name}.o.cmd").read_text()
    match = re.match(r"(?:saved)?cmd_\S+ := (.*?)(?: ;|\n)", text)
    assert match is not None
    return ["sh", "-c", match.group(1)]
