"""What VM entries and VM exits move between registers and the VMCS: specs/machine/transfers.yaml as functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import Operation, Transfer
from vmcsc.machine.code import Code
from vmcsc.machine.processor import Processor
from vmcsc.machine.vmcs_data import VmcsData, slots_of

Read = Callable[[int, int], int]
Move = Callable[[Processor, list[int], Read], None]
Save = Callable[[Processor, list[int], Read], int]


def no_memory(_: int, __: int) -> int:
    """For what reads none."""
    return 0


class Transfers:
    """`load_guest(p, f, m)` and `load_host(p, f, m)` set registers; `save_guest(p, vmcs)` saves them."""

    def __init__(self, database: Database, operation: Operation, code: Code) -> None:
        self._database = database
        self._operation = operation
        self._code = code
        self._slots = slots_of(database)
        transfers = operation.transfers
        self.load_guest: Move = self._compiled("load_guest", self._loads(transfers["entry"]))
        self.load_host: Move = self._compiled("load_host", self._loads(transfers["exit_load"]))
        saves = ["changed = 0", *self._saves(transfers["exit_save"]), "return changed"]
        self._save: Save = self._compiled("save_guest", saves)

    def save_guest(self, processor: Processor, vmcs: VmcsData) -> None:
        """Save the guest's state into `vmcs`; its `dirty` gets the fields that are not as before."""
        vmcs.dirty |= self._save(processor, vmcs.fields, no_memory)

    def _compiled(self, name: str, lines: Iterator[str] | list[str]) -> Callable[..., Any]:
        return self._code.compile(name, "p, f, m", list(lines))

    def _loads(self, transfers: tuple[Transfer, ...]) -> Iterator[str]:
        for transfer in transfers:
            width = self._operation.registers[transfer.target].width
            value = self._code.text(self._code.number(transfer.value, width))
            yield from self._guarded(transfer, [f"p.{transfer.target} = {value}"])

    def _saves(self, transfers: tuple[Transfer, ...]) -> Iterator[str]:
        for transfer in transfers:
            slot, width = self._slots.of[transfer.target], self._database.fields[transfer.target].width
            value = self._code.text(self._code.number(transfer.value, width))
            lines = [f"if f[{slot}] != (v := {value}):", f"    f[{slot}] = v; changed |= {hex(1 << slot)}"]
            yield from self._guarded(transfer, lines)

    def _guarded(self, transfer: Transfer, lines: list[str]) -> Iterator[str]:
        if transfer.when is None:
            yield from lines
            return
        condition = self._code.text(self._code.condition(transfer.when))
        if condition == "0":  # the processor model does not have what it takes
            return
        yield f"if {condition}:"
        yield from (f"    {line}" for line in lines)
