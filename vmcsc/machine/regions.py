"""VMCS regions in memory: the revision identifier, and behind it data that only this machine can read.

A logical processor keeps the data of a VMCS that is active on it and writes them back when VMCLEAR says so. Until then
the region holds what it held before, so another processor that takes the VMCS meanwhile finds old data. The order of
the data differs from machine to machine: software must use VMREAD and VMWRITE (SDM: Format of the VMCS Region).
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from vmcsc.machine.vmcs_data import VmcsData

if TYPE_CHECKING:
    from vmcsc.machine.machine import Machine
    from vmcsc.machine.processor import Processor

HEADER = 8
"""Bytes of the revision identifier and the abort indicator, which software may use."""

SHADOW = 1 << 31
"""The bit of the first word that makes a region that of a shadow VMCS."""


class RegionFormat:
    """Where each field lies in a region, and what its bytes are mixed with."""

    def __init__(self, fields: int, key: int) -> None:
        random = Random(key)
        self._order = random.sample(range(fields), fields)
        self._masks = [random.getrandbits(64) for _ in range(fields)]
        self._empty = bytes(8 * fields)

    def read(self, content: bytes, launch_mask: int) -> tuple[list[int], bool]:
        """Fields by slot and the launch state; a region that was never written holds zeros."""
        size = len(self._order)
        body = content[: 8 * size]
        if body == self._empty:
            return [0] * size, False
        words = [int.from_bytes(body[8 * at : 8 * at + 8], "little") for at in range(size)]
        fields = [words[self._order[slot]] ^ self._masks[slot] for slot in range(size)]
        return fields, bool(int.from_bytes(content[8 * size : 8 * size + 8], "little") ^ launch_mask & 1)

    def write(self, fields: list[int], launched: bool, launch_mask: int) -> bytes:
        words = [0] * len(fields)
        for slot, value in enumerate(fields):
            words[self._order[slot]] = value ^ self._masks[slot]
        return b"".join(word.to_bytes(8, "little") for word in [*words, launch_mask & 1 ^ launched])


def clear(machine: Machine, p: Processor, address: int) -> None:
    """VMCLEAR: what `p` holds of the VMCS goes to its region, and its launch state becomes clear."""
    data = p.active.pop(address, None) or _load(machine, address)
    data.launched = False
    _store(machine, data)
    if p.vmcs is not None and p.vmcs.address == address:
        p.vmcs = None


def activate(machine: Machine, p: Processor, address: int) -> VmcsData:
    """VMPTRLD: the VMCS at `address` as `p` holds it, or else as its region has it."""
    data = p.active.get(address)
    if data is None:
        for other in machine.processors:
            if other is not p and address in other.active:
                machine.notes.append(
                    f"the VMCS at {address:#x} is active on processor {other.number}, and now on {p.number} too:"
                    f" processor {p.number} sees it as it was before"
                )
        data = p.active[address] = _load(machine, address)
    data.shadow = bool(machine.memory.read(address, 32) & SHADOW)
    return data


def give_back(machine: Machine, p: Processor) -> None:
    """VMXOFF: the data of every VMCS that is active on `p` go to their regions."""
    for data in p.active.values():
        data.vmxoff_since_launch = data.launched
        _store(machine, data)
    p.vmcs = None


def at_link(machine: Machine, p: Processor, address: int) -> VmcsData:
    """The shadow VMCS that the link pointer names."""
    data = p.active.get(address)
    if data is None:
        data = p.active[address] = _load(machine, address)
    return data


def _load(machine: Machine, address: int) -> VmcsData:
    content = machine.memory.read_bytes(address + HEADER, 8 * len(machine.slots.names) + 8)
    fields, launched = machine.region_format.read(content, machine.key)
    masks = machine.slots.widths
    fields = [value & (1 << masks[slot]) - 1 for slot, value in enumerate(fields)]
    return VmcsData(address, fields, launched=launched)


def _store(machine: Machine, data: VmcsData) -> None:
    content = machine.region_format.write(data.fields, data.launched, machine.key)
    machine.memory.write_bytes(data.address + HEADER, content)
