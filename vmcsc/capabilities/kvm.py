"""What KVM on this machine offers to guests: its feature MSRs, asked of /dev/kvm. Not what the processor has."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import known
from vmcsc.source import Span

DEVICE = Path("/dev/kvm")
TITLE = "what KVM offers to guests on this machine"

# include/uapi/linux/kvm.h: _IOWR(KVMIO, 0x0a, struct kvm_msr_list) and _IOWR(KVMIO, 0x88, struct kvm_msrs)
GET_MSR_FEATURE_INDEX_LIST = 0xC004AE0A
GET_MSRS = 0xC008AE88
MAX_MSRS = 1024

Ioctl = Callable[[int, int, bytearray], int]
"""As `fcntl.ioctl`: file descriptor, request, and the structure, which it changes."""

_REASONS = {
    errno.ENOENT: ("it does not exist", "load KVM with `sudo modprobe kvm_intel`; VMX may be off in the firmware"),
    errno.ENODEV: ("KVM is not running", "load it with `sudo modprobe kvm_intel`"),
    errno.EACCES: ("permission denied", "run as root, or as a member of the group `kvm`"),
    errno.EPERM: ("not permitted", "run as root; a container needs the device passed in"),
}


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def _ioctl(device: int, request: int, structure: bytearray) -> int:
    from fcntl import ioctl  # there is none on Windows

    result: int = ioctl(device, request, structure)
    return result


def read_kvm(
    database: Database,
    diagnostics: Diagnostics,
    span: Span | None = None,
    *,
    device: Path = DEVICE,
    open_device: Callable[[Path], int] = _open,
    ioctl: Ioctl = _ioctl,
) -> Cpu | None:
    """The processor that a guest of KVM can see here; None after reporting why it cannot be asked for."""
    try:
        descriptor = open_device(device)
    except OSError as error:
        reason, help = _REASONS.get(error.errno or 0, (error.strerror or "it cannot be opened", None))
        message = f"{device} cannot be opened: {reason}"
        diagnostics.report(codes.SOURCE_UNAVAILABLE, message, span, help=help)
        return None
    try:
        return _ask(descriptor, database, diagnostics, span, ioctl)
    except (OSError, ImportError) as error:
        message = f"{device} does not tell which feature MSRs it offers: {getattr(error, 'strerror', None) or error}"
        help = "a kernel from 4.18 on tells; on an older one save the output of `vmxcap` in a guest, and name that file"
        diagnostics.report(codes.SOURCE_UNAVAILABLE, message, span, help=help)
        return None
    finally:
        os.close(descriptor)


def _ask(descriptor: int, database: Database, diagnostics: Diagnostics, span: Span | None, ioctl: Ioctl) -> Cpu | None:
    offered = _offered(descriptor, ioctl)
    msrs = {}
    for msr in database.capability_msrs:
        bits = _read(descriptor, msr.index, ioctl) if msr.index in offered else None
        if bits is not None:
            msrs[msr.name] = known(64, bits)
    if not any(value.bits for value in msrs.values()):
        message = "KVM on this machine offers no VMX to guests"
        help = "on a processor with VMX, load the module `kvm_intel` with the parameter `nested=1`"
        diagnostics.report(codes.CPU_WITHOUT_VMX, message, span, help=help)
        return None
    origin = "KVM_GET_MSRS on /dev/kvm: what KVM offers to guests, not what the processor has"
    return Cpu("kvm", TITLE, msrs, {}, dict.fromkeys(msrs, origin))


def _offered(descriptor: int, ioctl: Ioctl) -> frozenset[int]:
    """The indices of the feature MSRs. struct kvm_msr_list: their number, and so many 32-bit indices."""
    structure = bytearray(4 + 4 * MAX_MSRS)
    struct.pack_into("=I", structure, 0, MAX_MSRS)
    ioctl(descriptor, GET_MSR_FEATURE_INDEX_LIST, structure)
    (count,) = struct.unpack_from("=I", structure)
    return frozenset(struct.unpack_from(f"={min(count, MAX_MSRS)}I", structure, 4))


def _read(descriptor: int, index: int, ioctl: Ioctl) -> int | None:
    """One feature MSR. struct kvm_msrs: 1 entry, padding, and the entry: its index, padding, and the value."""
    structure = bytearray(struct.pack("=IIIIQ", 1, 0, index, 0, 0))
    try:
        if ioctl(descriptor, GET_MSRS, structure) != 1:
            return None
    except OSError:
        return None
    value: int = struct.unpack_from("=Q", structure, 16)[0]
    return value
