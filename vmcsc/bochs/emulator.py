"""One boot of Bochs: orders in, replies out, in bounded time."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from vmcsc.bochs.image import Harness, Witness, build
from vmcsc.bochs.tools import Tools
from vmcsc.errors import VmcscError
from vmcsc.records import dataclass
from vmcsc.resources import EXAMPLES

MAX_ORDERS = 60 << 20
"""Bytes of orders that the harness has room for."""

_SETTINGS = """\
cpu: model={model}, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest={memory}, host=128
"""
"""What is otherwise than for the bare hypervisor: an MSR that is not there faults."""


@dataclass(frozen=True, slots=True)
class Booted:
    """The words that the harness replied with, whether it came to the end, and the last that Bochs said."""

    words: tuple[int, ...]
    ended: bool
    said: str


def boot(
    tools: Tools,
    model: str,
    orders: bytes,
    replies: int,
    seconds: float,
    memory: int = 128,
    witness: Witness | None = None,
) -> Booted:
    """Carry out `orders` on a CPU model of Bochs, which may take so many seconds and give `replies` words.

    `memory` is in MiB, at least 128.
    """
    if len(orders) > MAX_ORDERS:
        raise VmcscError("too many orders for one boot")
    harness = build(tools, witness)
    booted = _boot(harness, tools, model, orders, replies, seconds, memory)
    if booted.words or booted.ended:
        return booted
    return _boot(harness, tools, model, orders, replies, seconds, memory)  # rarely it does not come up at all


def _boot(
    harness: Harness, tools: Tools, model: str, orders: bytes, replies: int, seconds: float, memory: int
) -> Booted:
    content, place, size = harness.disk(orders, 8 * replies)
    with TemporaryDirectory(prefix="vmcsc-") as folder:
        work = Path(folder)
        disk = work / "disk.img"
        with disk.open("wb") as stream:
            stream.write(content)
            stream.truncate(size)
        (work / "bochsrc").write_text(_configuration(tools, model, disk, memory))
        (work / "commands").write_text("c\nq\n")
        said = _run([tools.bochs, "-q", "-f", "bochsrc", "-rc", "commands"], work, seconds)
        with disk.open("rb") as stream:
            stream.seek(place)
            head = stream.read(512)
            (count,) = struct.unpack_from("<Q", head)
            words = stream.read(8 * min(count, replies))
    return Booted(struct.unpack(f"<{len(words) // 8}Q", words), "harness: end" in said, said[-2000:])


def _configuration(tools: Tools, model: str, disk: Path, memory: int) -> str:
    """That of the bare hypervisor, but for the processor and the memory."""
    text = (EXAMPLES / "bare_hypervisor" / "bochsrc.in").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith(("cpu:", "memory:"))]
    text = "\n".join(kept).replace("@DISK@", str(disk))
    text = text.replace("@SHARE@/bochs/BIOS-bochs-latest", tools.bios).replace("@SHARE@/vgabios/vgabios.bin", tools.vga)
    return _SETTINGS.format(model=model, memory=memory) + text + "\n"


def _run(command: list[str], folder: Path, seconds: float) -> str:
    """What the program wrote; it is killed with all its children when the time is over."""
    with (folder / "said").open("w+b") as said:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said.seek(0)
        return said.read()[-100_000:].decode("utf-8", "replace")
