"""The orders of the harness as words, and the replies that belong to them; harness.c carries them out."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from vmcsc.records import dataclass


class Order(IntEnum):
    """As in harness.c."""

    END = 0
    READ_MSRS = 1
    READ_CPUID = 2
    PROBE_MSRS = 3
    VMX_ON = 4
    PROBE_FIELDS = 5
    REPORT = 6
    CODE = 7
    BASE = 8
    CASE = 9
    POKE = 10
    REGISTER = 11
    REGISTERS = 12
    RUN = 13
    INTERRUPT = 14
    FLUSH = 15
    PAGE = 16
    WRITE_FIELD = 17
    RESET = 18
    TRY_FIELD = 19
    HOST = 20
    TELL = 21


HOST = ("cr0", "cr4", "exit", "stack", "tables", "exit32", "tables32", "tss", "gdt", "gdt_limit", "idt", "vmcs")
"""Where things lie in the harness, as it tells when it becomes a hypervisor, behind whether that failed."""

HOST_WORDS = 1 + len(HOST)

FLUSHED = 64
"""After so many orders replies are on the disk, unless it is said otherwise."""

COMPLETED, FAULTED, EXITED = range(3)
"""How code ended: by itself, by an exception, by a VM exit from the guest that it entered."""

CARRY, ZERO = 1 << 0, 1 << 6
"""Flags by which VMX instructions tell that they failed."""


NMI, INIT = 4, 5
"""Delivery modes of the I/O APIC: how a guest is woken that does not come back by itself. In Bochs 2.7 an INIT goes on
waiting after the exit that it caused, so that every later guest exits for it too."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run of code ended. `value`: the flags, or the vector of an exception; `code`: its error code, or the
    VM-instruction error where an instruction failed with one. `report`: the fields asked for, after an exit."""

    how: int
    value: int
    code: int
    report: tuple[int, ...]


class Orders:
    """Orders in a row; `replies` counts the words that come back for them."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.replies = 0
        self.size = 0
        self._reported = 0
        self._said = 0

    def _add(self, order: Order, *words: int, replies: int = 0) -> None:
        self._append([order, *words])
        self.replies += replies

    def _append(self, words: Sequence[int]) -> None:
        part = struct.pack(f"<{len(words)}Q", *words)
        self._parts.append(part)
        self.size += len(part)

    def extend(self, other: Orders) -> None:
        """Further orders behind these."""
        self._parts += other._parts
        self.replies += other.replies
        self.size += other.size

    def content(self) -> bytes:
        return b"".join(self._parts) + struct.pack("<Q", Order.END)

    # --- about the processor ---

    def read_msrs(self, indexes: Sequence[int]) -> None:
        """For each MSR: whether it can be read, and its value."""
        self._add(Order.READ_MSRS, len(indexes), *indexes, replies=2 * len(indexes))

    def read_cpuid(self, leaves: Sequence[tuple[int, int]]) -> None:
        """For each leaf and sub-leaf: EAX, EBX, ECX, EDX."""
        self._add(Order.READ_CPUID, len(leaves), *(word for leaf in leaves for word in leaf), replies=4 * len(leaves))

    def probe_msrs(self, indexes: Sequence[int]) -> None:
        """For each MSR: the bits that are 1 or that WRMSR can change."""
        self._add(Order.PROBE_MSRS, len(indexes), *indexes, replies=len(indexes))

    def vmx_on(self, revision: int, fixed: Sequence[int], *, in_operation: bool = True) -> None:
        """CR0 and CR4 as VMX wants them, and if asked VMXON, VMCLEAR, VMPTRLD: whether that failed, and `HOST`.

        `revision` and `fixed` are MSRs: that of the revision identifier, and those of fixed bits of CR0 and CR4.
        """
        self._add(Order.VMX_ON, revision, *fixed, int(in_operation), replies=HOST_WORDS)

    def probe_fields(self, encodings: Sequence[int]) -> None:
        """For each field whether there is one; all are 0 afterwards."""
        self._add(Order.PROBE_FIELDS, len(encodings), *encodings, replies=len(encodings))

    # --- VM entries ---

    def report(self, error: int, encodings: Sequence[int]) -> None:
        """From now on what every `Ending` tells: the field of the VM-instruction error, and those after an exit.

        The first one is the exit reason, the last one the guest's RIP.
        """
        self._add(Order.REPORT, error, len(encodings), *encodings)
        self._reported = len(encodings)

    def code(self, which: int, content: bytes) -> None:
        """Code by a number below 16, of up to 63 bytes."""
        self._add(Order.CODE, which, len(content) + 1, *content, 0xC3)

    def base(self, fields: Iterable[tuple[int, int]], memory: Mapping[int, int]) -> None:
        """Values of fields by encoding, and 8 bytes of memory by address, from which cases differ."""
        written = [word for pair in fields for word in pair]
        pieces = [word for pair in memory.items() for word in pair]
        self._add(Order.BASE, len(written) // 2, *written, len(memory), *pieces)

    def host(self, bits: int) -> None:
        """From now on cases enter from a host of 64 bits, as at the start, or of 32."""
        self._add(Order.HOST, bits)

    def page(self, address: int, content: bytes) -> None:
        """4 KiB of memory, which is as before after each case in which a guest ran."""
        self._add(Order.PAGE, address, *struct.unpack("<512Q", content))

    def case(self, code: int, fields: Sequence[tuple[int, int]], memory: Mapping[int, int], *, wake: int = NMI) -> None:
        """Run a code where fields, by their places in the base, and memory are different: an `Ending`."""
        written = [word for pair in fields for word in pair]
        pieces = [word for pair in memory.items() for word in pair]
        self._append([Order.CASE, code, wake, len(fields), *written, len(memory), *pieces])
        self.replies += 3 + self._reported + self._said

    def tell(self, words: Sequence[int], said: int) -> None:
        """Tell a witness that was built into the harness; of each case it says so many words behind the ending."""
        self._add(Order.TELL, len(words), *words)
        self._said = said

    # --- one step at a time ---

    def reset(self, *, leave: bool) -> None:
        """Memory as at the start, and if asked out of VMX operation.

        An INIT that came when a guest exited for something else waits until then, and is a reset.
        """
        self._add(Order.RESET, int(leave))

    def poke(self, address: int, content: bytes) -> None:
        self._add(Order.POKE, address, len(content), *content)

    def register(self, number: int, value: int) -> None:
        self._add(Order.REGISTER, number, value)

    def registers(self) -> None:
        """The 16 registers, in the order of their numbers; that of RSP means nothing."""
        self._add(Order.REGISTERS, replies=16)

    def run(self, code: int, *, wake: int = INIT) -> None:
        """Run a code once: the time-stamp counter before and after, and an `Ending`."""
        self._add(Order.RUN, code, wake, replies=5 + self._reported)

    def write_field(self, encoding: int, value: int) -> None:
        self._add(Order.WRITE_FIELD, encoding, value)

    def try_field(self, encoding: int, value: int) -> None:
        """VMWRITE: whether it failed."""
        self._add(Order.TRY_FIELD, encoding, value, replies=1)

    def flush(self, every: int) -> None:
        """Write replies to the disk after so many orders, in case that the emulator does not come back from one."""
        self._add(Order.FLUSH, every)

    def interrupt(self, vector: int) -> None:
        """From the processor to itself; it waits until something lets it in."""
        self._add(Order.INTERRUPT, vector)


class Replies:
    """The words that came back, taken one after the other."""

    def __init__(self, words: Sequence[int], reported: int) -> None:
        self._words = words
        self._at = 0
        self._reported = reported

    @property
    def left(self) -> int:
        return len(self._words) - self._at

    def take(self, count: int) -> tuple[int, ...]:
        taken = tuple(self._words[self._at : self._at + count])
        self._at += count
        return taken

    def ending(self) -> Ending | None:
        """The next `Ending`, or None where the harness did not come so far."""
        if self.left < 3 + self._reported:
            return None
        how, value, code, *report = self.take(3 + self._reported)
        return Ending(how, value, code, tuple(report))
