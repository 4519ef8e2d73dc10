"""The msr device of every logical processor, played by sparse files: an MSR lies at the offset of its index."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.live import read_live
from vmcsc.diagnostic import Diagnostic, Diagnostics

ICE_LAKE = "ice_lake_i7_1065g7"


def device(path: Path, msrs: Mapping[int, int]) -> None:
    """A file that answers pread at the index of an MSR as the msr device does; MSRs overlap, so one file holds one."""
    path.mkdir(parents=True)
    (path / "msr").write_bytes(b"")
    for index, bits in msrs.items():
        (path / f"{index:x}").write_bytes(b"\0" * index + bits.to_bytes(8, "little"))


@pytest.fixture
def machine(tmp_path: Path, database: Database) -> Callable[..., tuple[Cpu | None, list[Diagnostic]]]:
    """Reads a machine whose processors have these MSRs. A processor of `None` is offline."""

    def read(*processors: Mapping[int, int] | None) -> tuple[Cpu | None, list[Diagnostic]]:
        opened: dict[int, Path] = {}
        for number, msrs in enumerate(processors):
            device(tmp_path / str(number), msrs or {})
        (tmp_path / "microcode").mkdir()

        def open_device(path: Path) -> int:
            assert path.name == "msr"
            if processors[int(path.parent.name)] is None:
                raise OSError(errno.ENXIO, "No such device or address")
            descriptor = os.open(path, os.O_RDONLY)
            opened[descriptor] = path.parent
            return descriptor

        def read_device(descriptor: int, length: int, offset: int) -> bytes:
            path = opened[descriptor] / f"{offset:x}"
            if not path.exists():
                raise OSError(errno.EIO, "Input/output error")
            with path.open("rb") as file:
                return os.pread(file.fileno(), length, offset)

        diagnostics = Diagnostics()
        cpu = read_live(database, diagnostics, folder=tmp_path, open_device=open_device, read_device=read_device)
        return cpu, diagnostics.found

    return read


@pytest.fixture
def msrs(database: Database, shipped: Callable[[str], Cpu]) -> dict[int, int]:
    return {database.msrs[name].index: read.bits for name, read in shipped(ICE_LAKE).msrs.items()}


def test_a_machine_is_what_all_its_processors_say(
    machine: Callable[..., Any], msrs: dict[int, int], shipped: Callable[..., Any]
) -> None:
    cpu, found = machine(msrs, msrs, msrs)
    assert found == []
    assert cpu.msrs == shipped(ICE_LAKE).msrs
    assert (cpu.name, cpu.title) == ("live", "this machine")
    assert "RDMSR" in cpu.origins["ia32_vmx_basic"]


def test_one_sparse_file_is_read_at_the_index_of_the_msr(tmp_path: Path, database: Database) -> None:
    """With the real pread, on a file of one MSR: what lies behind its end counts as not read."""
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "msr").write_bytes(b"\0" * 0x480 + (0x1B040000000005).to_bytes(8, "little"))
    cpu = read_live(database, Diagnostics(), folder=tmp_path)
    assert cpu is not None
    assert cpu.msrs["ia32_vmx_basic"].bits == 0x1B040000000005


def test_a_difference_between_processors_names_msr_and_processors(
    machine: Callable[..., Any], msrs: dict[int, int]
) -> None:
    other = {**msrs, 0x48B: msrs[0x48B] & ~(1 << 33)}
    cpu, (found,) = machine(msrs, msrs, other, msrs)
    assert cpu is None
    assert found.code == codes.PROCESSORS_DIFFER.id
    assert "IA32_VMX_PROCBASED_CTLS2 (0x48b)" in found.message
    assert f"{msrs[0x48B]:#018x} on CPUs 0-1, 3" in found.message
    assert "on CPU 2" in found.message


def test_an_msr_that_only_some_processors_have_is_a_difference(
    machine: Callable[..., Any], msrs: dict[int, int]
) -> None:
    cpu, (found,) = machine(msrs, {**msrs, 0x491: 1})
    assert cpu is None
    assert found.code == codes.PROCESSORS_DIFFER.id
    assert "0x0000000000000001 on CPU 1" in found.message
    assert "unreadable on CPU 0" in found.message


def test_an_msr_that_does_not_exist_is_not_even_read(machine: Callable[..., Any], database: Database) -> None:
    """Some hypervisors answer 0 for any MSR; Yonah has neither TRUE MSRs nor secondary controls."""
    yonah = {0x480: 0x001B040000000005, 0x481: 0x0000001F00000016, 0x482: 0x7781FFFE0401E172}
    cpu, found = machine({**yonah, 0x48B: 0, 0x48D: 0, 0x491: 0})
    assert found == []
    assert {database.msrs[name].index for name in cpu.msrs} == set(yonah)


def test_a_processor_that_is_offline_is_noted(machine: Callable[..., Any], msrs: dict[int, int]) -> None:
    cpu, (found,) = machine(msrs, None)
    assert cpu is not None
    assert (found.code, found.message) == (codes.NOT_READ.id, "CPU 1 is offline, and not read")


@pytest.mark.parametrize("processor", [{}, {0x480: 0, 0x481: 0}])
def test_a_machine_without_vmx_is_told_from_one_that_cannot_be_read(
    processor: dict[int, int], machine: Callable[..., Any]
) -> None:
    cpu, (found,) = machine(processor)
    assert cpu is None
    assert found.code == codes.CPU_WITHOUT_VMX.id


@pytest.mark.parametrize("folder", ["missing", "empty", "no msr"])
def test_without_the_module_the_help_says_how_to_load_it(folder: str, tmp_path: Path, database: Database) -> None:
    path = tmp_path / "cpu"
    if folder != "missing":
        path.mkdir()
    if folder == "no msr":
        (path / "0").mkdir()
        (path / "0" / "cpuid").write_bytes(b"")
    diagnostics = Diagnostics()
    assert read_live(database, diagnostics, folder=path) is None
    (found,) = diagnostics
    assert found.code == codes.SOURCE_UNAVAILABLE.id
    assert "modprobe msr" in (found.help or "")


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EACCES, "root"), (errno.EPERM, "lockdown"), (errno.EMFILE, "rdmsr")]
)
def test_a_refusal_says_what_to_do(number: int, advice: str, tmp_path: Path, database: Database) -> None:
    device(tmp_path / "0", {})
    device(tmp_path / "1", {})

    def refuse(path: Path) -> int:
        raise OSError(number, os.strerror(number))

    diagnostics = Diagnostics()
    assert read_live(database, diagnostics, folder=tmp_path, open_device=refuse) is None
    (found,) = diagnostics
    assert found.code == codes.SOURCE_UNAVAILABLE.id
    assert os.strerror(number) in found.message
    assert advice in (found.help or "")


def test_every_device_is_closed_again(tmp_path: Path, database: Database) -> None:
    for number in range(3):
        device(tmp_path / str(number), {})
    opened: list[int] = []

    def open_device(path: Path) -> int:
        opened.append(os.open(path, os.O_RDONLY))
        return opened[-1]

    read_live(database, Diagnostics(), folder=tmp_path, open_device=open_device)
    assert len(opened) == 3
    for descriptor in opened:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
