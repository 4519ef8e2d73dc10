"""States as a hypervisor dumps them, and which violations of rules such a dump can show."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

from tests.diagnose.dumper import Dumper
from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import Status, evaluate_rule, rules_of
from vmcsc.check.memory import Memory
from vmcsc.check.state import State
from vmcsc.diagnose.api import read_any
from vmcsc.diagnose.dump import Dump, Log
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import known

COUNTS = ("vm_entry_msr_load_count", "vm_exit_msr_store_count", "vm_exit_msr_load_count", "cr3_target_count")
"""Fields that dump_vmcs() reads only to know whether it prints a list (the last one until Linux 5.4)."""

LIST = "vm_entry_msr_load"


def log_of(text: str | bytes, database: Database) -> Log:
    data = text.encode() if isinstance(text, str) else text
    return read_any(io.BytesIO(data), "log", database, Diagnostics())


def only_dump(text: str | bytes, database: Database) -> Dump:
    log = log_of(text, database)
    assert len(log.dumps) == 1, [dump.first_line for dump in log.dumps]
    return log.dumps[0]


def msr_list(state: State) -> list[tuple[int, int]]:
    """The entries of the VM-entry MSR-load area, as far as they are known."""
    address, count = state.fields[f"{LIST}_address"].bits, state.fields[f"{LIST}_count"].bits
    if state.memory is None or not state.memory.has(address, 16):
        return []
    entries = (state.memory.read(address + 16 * number, 128).bits for number in range(min(count, 8)))
    return [(entry & 0xFFFFFFFF, entry >> 64) for entry in entries]


def dumped(state: State, dumper: Dumper, database: Database) -> tuple[str, frozenset[str], list[tuple[int, int]]]:
    """The dump of a state, the fields that were read for it, and the MSRs that it lists."""
    values = {database.fields[name].encoding: value.bits for name, value in state.fields.items()}
    listed = msr_list(state)
    text, asked = dumper.dump(values, msrs={"guest": listed})
    names = {field.encoding: field.name for field in database.fields.values()}
    return text, frozenset(names[encoding] for encoding in asked) - frozenset(COUNTS), listed


def shown(rules: Iterable[str], state: State, told: frozenset[str], listed: list[tuple[int, int]]) -> set[str]:
    """Those of the violated rules that are violated whatever the fields are that the dump does not tell."""
    database = state.database
    fields = {name: value for name, value in state.fields.items() if name in told}
    cpu = state.capabilities.cpu
    plain = State(database, fields, cpu)
    pieces = {0x4000 + 16 * n: index.to_bytes(8, "little") + value.to_bytes(8, "little")
              for n, (index, value) in enumerate(listed)}  # fmt: skip
    area = {f"{LIST}_address": known(64, 0x4000), f"{LIST}_count": known(32, len(listed))}
    with_list = State(database, {**fields, **area}, cpu, Memory(pieces))
    found = set()
    for bound in rules_of(database):
        if bound.rule.id in rules:
            about = with_list if bound.rule.each and bound.rule.each[1] == LIST and listed else plain
            if evaluate_rule(bound, about).status is Status.VIOLATED:
                found.add(bound.rule.id)
    return found


def wholly(values: Mapping[str, int], database: Database) -> dict[int, int]:
    """Values by encoding, cut to the width of each field."""
    fields = database.fields
    return {fields[name].encoding: value & (1 << fields[name].width) - 1 for name, value in values.items()}
