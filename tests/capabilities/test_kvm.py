"""The ioctls of KVM, played by a function that reads and writes their structures by the layout in linux/kvm.h."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.kvm import GET_MSR_FEATURE_INDEX_LIST, GET_MSRS, read_kvm
from vmcsc.diagnostic import Diagnostic, Diagnostics


def iowr(type: int, number: int, size: int) -> int:
    """_IOWR of asm-generic/ioctl.h."""
    return 3 << 30 | size << 16 | type << 8 | number


class Kvm:
    """/dev/kvm with these feature MSRs; it lists those of `refused` too, but does not give them."""

    def __init__(self, msrs: Mapping[int, int], refused: tuple[int, ...] = ()) -> None:
        self.msrs, self.refused = msrs, refused

    def __call__(self, descriptor: int, request: int, structure: bytearray) -> int:
        assert os.fstat(descriptor)
        if request == GET_MSR_FEATURE_INDEX_LIST:
            indices = [*self.msrs, *self.refused]
            (room,) = struct.unpack_from("=I", structure)
            struct.pack_into("=I", structure, 0, len(indices))
            if room < len(indices):
                raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
            struct.pack_into(f"={len(indices)}I", structure, 4, *indices)
            return 0
        assert request == GET_MSRS
        count, _, index, _, _ = struct.unpack("=IIIIQ", structure)
        assert count == 1
        if index not in self.msrs:
            return 0
        struct.pack_into("=Q", structure, 16, self.msrs[index])
        return 1


def ask(database: Database, ioctl: Callable[[int, int, bytearray], int]) -> tuple[Cpu | None, list[Diagnostic]]:
    diagnostics = Diagnostics()
    cpu = read_kvm(database, diagnostics, open_device=lambda _: os.open(os.devnull, os.O_RDWR), ioctl=ioctl)
    return cpu, diagnostics.found


def test_the_requests_have_the_numbers_of_the_kernel() -> None:
    assert iowr(0xAE, 0x0A, 4) == GET_MSR_FEATURE_INDEX_LIST  # struct kvm_msr_list without its indices
    assert iowr(0xAE, 0x88, 8) == GET_MSRS  # struct kvm_msrs without its entries


def test_what_kvm_offers_is_marked_as_such(database: Database, shipped: Callable[[str], Cpu]) -> None:
    ice_lake = shipped("ice_lake_i7_1065g7").msrs
    msrs = {database.msrs[name].index: read.bits for name, read in ice_lake.items()}
    cpu, found = ask(database, Kvm({0x8B: 1, 0x10A: 2, **msrs}, refused=(0x491,)))
    assert cpu is not None
    assert (found, cpu.msrs) == ([], ice_lake)
    assert (cpu.name, cpu.title) == ("kvm", "what KVM offers to guests on this machine")
    assert all("not what the processor has" in origin for origin in cpu.origins.values())


@pytest.mark.parametrize("kvm", [Kvm({}), Kvm({0x8B: 1}), Kvm({}, refused=(0x480, 0x481)), Kvm({0x480: 0})])
def test_without_nested_vmx_the_help_says_how_to_get_it(kvm: Kvm, database: Database) -> None:
    cpu, (found,) = ask(database, kvm)
    assert cpu is None
    assert found.code == codes.CPU_WITHOUT_VMX.id
    assert "nested=1" in (found.help or "")


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOENT, "modprobe kvm_intel"), (errno.EACCES, "group `kvm`"), (errno.EPERM, "root"), (errno.EBUSY, "")],
)
def test_a_device_that_cannot_be_opened_says_what_to_do(number: int, advice: str, database: Database) -> None:
    def refuse(path: Path) -> int:
        raise OSError(number, os.strerror(number))

    diagnostics = Diagnostics()
    assert read_kvm(database, diagnostics, open_device=refuse) is None
    (found,) = diagnostics
    assert found.code == codes.SOURCE_UNAVAILABLE.id
    assert "/dev/kvm" in found.message
    assert advice in (found.help or "")


def test_a_kernel_without_feature_msrs_is_told(database: Database) -> None:
    def refuse(descriptor: int, request: int, structure: bytearray) -> int:
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    cpu, (found,) = ask(database, refuse)
    assert cpu is None
    assert found.code == codes.SOURCE_UNAVAILABLE.id
    assert "4.18" in (found.help or "")
