"""The capability MSRs of this machine, read from the msr device of every logical processor."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Msr
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.capabilities.differences import Reading, agreed
from vmcsc.capabilities.readings import failed_since
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import Value, known
from vmcsc.source import Span

FOLDER = Path("/dev/cpu")

Open = Callable[[Path], int]
Read = Callable[[int, int, int], bytes]

_OFFLINE = frozenset({errno.ENXIO, errno.ENODEV})
_LOAD = "load it with `sudo modprobe msr`; in a container, on the host"
_RIGHTS = {
    errno.EACCES: "run as root: the device belongs to root",
    errno.EPERM: (
        "run as root with the capability CAP_SYS_RAWIO, which containers mostly lack; where that is not enough, the"
        " kernel is locked down (see /sys/kernel/security/lockdown), as with Secure Boot"
    ),
}


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def read_live(
    database: Database,
    diagnostics: Diagnostics,
    span: Span | None = None,
    *,
    folder: Path = FOLDER,
    open_device: Open = _open,
    read_device: Read = os.pread,
) -> Cpu | None:
    """This machine, as all of its logical processors say; None after reporting why it cannot be read.

    `folder` has `N/msr` for logical processor N. `open_device` returns a file descriptor, and `read_device` reads so
    many bytes of it at an offset, which for the msr device is the index of the MSR.
    """
    before = len(diagnostics)
    found: dict[str, list[Reading]] = {}
    for number in _processors(folder, diagnostics, span):
        path = folder / str(number) / "msr"
        try:
            device = open_device(path)
        except OSError as error:
            if error.errno not in _OFFLINE:
                _cannot_open(path, error, diagnostics, span)
                return None
            message = f"CPU {number} is offline, and not read"
            diagnostics.report(codes.NOT_READ, message, span)
            continue
        try:
            for reading in _read_all(device, number, database, read_device, span):
                found.setdefault(reading.msr.name, []).append(reading)
        finally:
            os.close(device)
    msrs = {several[0].msr.name: agreed(several, diagnostics, span) for several in found.values()}
    read = {name: known(64, bits) for name, bits in msrs.items() if bits is not None}
    if failed_since(diagnostics, before):
        return None
    if not any(value.bits for value in read.values()):
        message = "this machine has no VMX: its capability MSRs cannot be read, or are 0"
        help = "in a virtual machine, let the hypervisor offer nested VMX; a processor of another vendor has none"
        diagnostics.report(codes.CPU_WITHOUT_VMX, message, span, help=help)
        return None
    origin = f"RDMSR on this machine, through {folder}/*/msr"
    return Cpu("live", "this machine", read, {}, dict.fromkeys(read, origin))


def _processors(folder: Path, diagnostics: Diagnostics, span: Span | None) -> list[int]:
    """The numbers of the logical processors that have an msr device; none after reporting that there are none."""
    try:
        names = [path.name for path in folder.iterdir()]
        numbers = sorted(int(name) for name in names if name.isascii() and name.isdigit())
        found = [number for number in numbers if (folder / str(number) / "msr").exists()]
    except FileNotFoundError:
        found = []
    except OSError as error:
        _cannot_open(folder, error, diagnostics, span)
        return []
    if not found:
        message = f"there is no device {folder}/*/msr: the kernel module `msr` is not loaded, or this is not Linux"
        diagnostics.report(codes.SOURCE_UNAVAILABLE, message, span, help=_LOAD)
    return found


def _read_all(device: int, number: int, database: Database, read_device: Read, span: Span | None) -> Iterator[Reading]:
    """Every capability MSR that by the ones before it exists: those that decide have the lower indices."""
    read: dict[str, Value] = {}
    for msr in database.capability_msrs:
        if Capabilities(database, Cpu("", "", read)).exists(msr) is False:
            continue
        bits = _read_one(device, msr, read_device)
        if bits is not None:
            read[msr.name] = known(64, bits)
        yield Reading(msr, bits, number, span)


def _read_one(device: int, msr: Msr, read_device: Read) -> int | None:
    """The value, or None where the processor refuses (#GP, of which the device makes EIO)."""
    try:
        data = read_device(device, 8, msr.index)
    except OSError:
        return None
    return int.from_bytes(data, "little") if len(data) == 8 else None


def _cannot_open(path: Path, error: OSError, diagnostics: Diagnostics, span: Span | None) -> None:
    reason = error.strerror or "it cannot be opened"
    help = _RIGHTS.get(error.errno or 0, "save the output of `rdmsr` or `vmxcap` to a file, and name that instead")
    diagnostics.report(codes.SOURCE_UNAVAILABLE, f"{path} cannot be opened: {reason}", span, help=help)
