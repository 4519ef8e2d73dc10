"""The MSR areas of a VMCS: entries of 16 bytes with index, reserved bits and value (SDM: VM-Exit Controls for MSRs)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmcsc.machine.msrs import set_value, value_of
from vmcsc.machine.outcome import Fault

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

SIZE = 16
MAX_ENTRIES = 4096
"""More than any processor takes; a count beyond ends in an error of the last entry that was looked at."""


def load_msrs(machine: Machine, p: Processor, address: int, count: int) -> int | None:
    """Load each MSR; the number of the first entry that cannot be loaded, from 1, or None."""
    for number in range(1, count + 1):
        entry = address + SIZE * (number - 1)
        index, reserved = machine.memory.read(entry, 32), machine.memory.read(entry + 4, 32)
        if reserved or number > MAX_ENTRIES:
            return number
        try:
            set_value(machine, p, index, machine.memory.read(entry + 8, 64))
        except Fault:
            return number
    return None


def store_msrs(machine: Machine, p: Processor, address: int, count: int) -> int | None:
    """Store each MSR that the entries name; as `load_msrs`."""
    for number in range(1, count + 1):
        entry = address + SIZE * (number - 1)
        if machine.memory.read(entry + 4, 32) or number > MAX_ENTRIES:
            return number
        try:
            machine.memory.write(entry + 8, 64, value_of(machine, p, machine.memory.read(entry, 32)))
        except Fault:
            return number
    return None
