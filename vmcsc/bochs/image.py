"""The harness as a disk that Bochs boots: built from its sources once in a process."""

from __future__ import annotations

import struct
import subprocess
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from vmcsc.bochs.tools import Tools
from vmcsc.errors import VmcscError
from vmcsc.records import dataclass
from vmcsc.resources import EXAMPLES

SECTOR = 512
CYLINDER = 16 * 63 * SECTOR
"""A disk has whole cylinders, or Bochs does not take it."""

_PLACE = 0x1F0
"""Where in the first sector the harness looks for its orders."""

_FLAGS = (
    "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-array-bounds", "-ffreestanding", "-fno-pic",
    "-mno-red-zone", "-mgeneral-regs-only", "-fno-stack-protector", "-fno-asynchronous-unwind-tables",
    "-mcmodel=kernel",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Harness:
    """The first sector of the disk, and the sectors behind it."""

    boot: bytes
    kernel: bytes

    def disk(self, orders: bytes, reply_size: int) -> tuple[bytes, int, int]:
        """The beginning of a disk with `orders`, where replies begin on it, and how large it is, in bytes."""
        begin = SECTOR + len(self.kernel)
        sectors = -(-len(orders) // SECTOR)
        place = struct.pack("<II", begin // SECTOR, sectors)
        boot = self.boot[:_PLACE] + place + self.boot[_PLACE + len(place) :]
        replies = begin + sectors * SECTOR
        size = -(-(replies + SECTOR + reply_size + SECTOR) // CYLINDER) * CYLINDER
        return boot + self.kernel + orders.ljust(sectors * SECTOR, b"\0"), replies, size


@dataclass(frozen=True, slots=True)
class Witness:
    """C that is built into the harness, and of each entry says `words` words before it is made.

    `source` has the functions `witness_told` and `witness` of harness.c; `headers` is a folder of what it includes.
    """

    source: Path
    headers: Path
    words: int


@lru_cache(maxsize=2)
def build(tools: Tools, witness: Witness | None = None) -> Harness:
    """Assemble, compile and link the harness. Raises `VmcscError` with what a tool said."""
    here, boot = Path(__file__).parent, EXAMPLES / "bare_hypervisor"
    with TemporaryDirectory(prefix="vmcsc-") as folder:
        work = Path(folder)
        _call(tools.nasm, "-f", "elf64", boot / "start.asm", "-o", work / "start.o")
        _call(tools.nasm, "-f", "elf64", here / "harness.asm", "-o", work / "run.o")
        _call(tools.nasm, "-f", "elf64", here / "host32.asm", "-o", work / "run32.o")
        flags: list[str | Path] = [*_FLAGS, "-I", boot]
        objects = [work / "start.o", work / "run.o", work / "run32.o", work / "harness.o"]
        if witness is not None:
            _call(tools.gcc, *flags, "-O1", "-I", witness.headers, "-c", witness.source, "-o", work / "witness.o")
            flags.append(f"-DWITNESS={witness.words}")
            objects.append(work / "witness.o")
        _call(tools.gcc, *flags, "-c", here / "harness.c", "-o", work / "harness.o")
        _call(tools.ld, "-nostdlib", "-z", "noexecstack", "-T", boot / "kernel.ld", *objects, "-o", work / "kernel.elf")
        _call(tools.objcopy, "-O", "binary", work / "kernel.elf", work / "kernel.bin")
        kernel = (work / "kernel.bin").read_bytes()
        kernel = kernel.ljust(-(-len(kernel) // SECTOR) * SECTOR, b"\0")
        sectors = f"SECTORS={len(kernel) // SECTOR}"
        _call(tools.nasm, "-f", "bin", "-D", sectors, boot / "boot.asm", "-o", work / "boot.bin")
        return Harness((work / "boot.bin").read_bytes(), kernel)


def _call(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise VmcscError(f"the harness cannot be built: {command[0]} says: {done.stderr.strip()[:2000]}")
