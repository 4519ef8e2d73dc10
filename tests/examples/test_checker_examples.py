"""The examples that link the checker compile, and the one in Rust does what it says. The module is in tests/kvm."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from tests.examples.stand_ins import CC, EDK2
from vmcsc import compile, emit
from vmcsc.architecture.database import Database
from vmcsc.resources import EXAMPLES


def working_cargo() -> str | None:
    """The program, unless it has no toolchain for this user."""
    found = shutil.which("cargo")
    if found is None or subprocess.run([found, "--version"], capture_output=True, check=False).returncode != 0:
        return None
    return found


CARGO = working_cargo()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "checker"
    shutil.copytree(EXAMPLES / "checker", copy, ignore=shutil.ignore_patterns("target"))
    return copy


def write_header(folder: Path, database: Database, **options: object) -> None:
    vmcs = compile("minimal", "ice_lake_i7_1065g7", database).vmcs
    assert vmcs is not None
    [artifact] = emit(vmcs, "c-checker", **options)
    (folder / artifact.path).write_text(str(artifact.content))


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_edk2_driver_compiles(compiler: str, folder: Path, database: Database) -> None:
    """Against declarations that stand in for MdePkg, with the options that EDK2 gives GCC."""
    if shutil.which(compiler) is None:
        skip_or_fail(f"{compiler} is not installed")
    driver = folder / "edk2_driver"
    write_header(driver, database, stdint=False)
    for name, text in EDK2.items():
        (driver / name).parent.mkdir(exist_ok=True)
        (driver / name).write_text(text)
    command = [compiler, "-I.", "-Os", "-ffreestanding", "-fno-builtin", "-fshort-wchar", "-fno-strict-aliasing",
               "-nostdinc", "-mno-red-zone", "-Wall", "-Wextra", "-Werror", "-c", "CheckEntry.c"]  # fmt: skip
    done = subprocess.run(command, cwd=driver, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


if CARGO is not None:  # which nobody needs for anything else, so where it is not this is no gap

    def test_the_crate_compiles_and_passes_its_tests(folder: Path, database: Database) -> None:
        """With a crate that stands in for `cc`, so that nothing is downloaded."""
        assert CARGO is not None
        crate = folder / "rust"
        write_header(crate, database)
        for name, text in CC.items():
            (folder / "cc" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "cc" / name).write_text(text)
        command = [CARGO, "test", "--offline", "--quiet", "--config", f'patch.crates-io.cc.path="{folder / "cc"}"']
        environment = {**os.environ, "CARGO_HOME": str(folder / "home"), "CARGO_TERM_COLOR": "never"}
        done = subprocess.run(command, cwd=crate, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr + done.stdout
        assert "2 passed" in done.stdout
