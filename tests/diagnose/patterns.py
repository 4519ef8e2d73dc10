"""Values for all fields of a dump, each unlike the others, and controls that make optional lines come and go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.diagnose.dumper import HAS
from vmcsc.architecture.database import Database

OPTIONAL: Mapping[str, tuple[str, int]] = {
    "posted interrupts": ("pin_based_vm_execution_controls", 7),
    "TPR shadow": ("primary_vm_execution_controls", 21),
    "EPT": ("secondary_vm_execution_controls", 1),
    "VPID": ("secondary_vm_execution_controls", 5),
    "APIC accesses": ("secondary_vm_execution_controls", 0),
    "interrupt delivery": ("secondary_vm_execution_controls", 9),
    "PAUSE-loop exiting": ("secondary_vm_execution_controls", 10),
    "EPT-violation #VE": ("secondary_vm_execution_controls", 18),
    "TSC scaling": ("secondary_vm_execution_controls", 25),
    "entry: IA-32e mode": ("vm_entry_controls", 9),
    "entry: PERF_GLOBAL_CTRL": ("vm_entry_controls", 13),
    "entry: PAT": ("vm_entry_controls", 14),
    "entry: EFER": ("vm_entry_controls", 15),
    "entry: BNDCFGS": ("vm_entry_controls", 16),
    "entry: CET": ("vm_entry_controls", 20),
    "exit: PERF_GLOBAL_CTRL": ("vm_exit_controls", 12),
    "exit: PAT": ("vm_exit_controls", 19),
    "exit: EFER": ("vm_exit_controls", 21),
    "exit: CET": ("vm_exit_controls", 28),
}
"""Controls on which lines depend, by the numbers of their bits in the SDM."""

LISTS = {"guest": "vm_entry_msr_load_count", "store": "vm_exit_msr_store_count", "host": "vm_exit_msr_load_count"}
"""The lists of MSRs, and the field without which each is not printed."""


def distinct(database: Database, seed: int = 0) -> dict[str, int]:
    """A value for each field with bits at both of its ends, and different from those of all others."""
    values = {}
    for number, (name, field) in enumerate(database.fields.items()):
        scattered = (number + 1 + 1000 * seed) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
        values[name] = scattered >> 64 - field.width
    return values


def with_controls(values: Mapping[str, int], on: Mapping[str, bool]) -> dict[str, int]:
    """The values with these optional controls on or off."""
    changed = dict(values)
    for what, (field, bit) in OPTIONAL.items():
        changed[field] = changed[field] & ~(1 << bit) | on.get(what, False) << bit
    return changed


def combinations(database: Database) -> Iterator[tuple[str, dict[str, int], dict[str, bool], set[str]]]:
    """Everything on, everything off, each alone on, and each alone off: a name, the fields, what the processor has,
    and the lists of MSRs that are there."""
    names = [*OPTIONAL, *HAS, *LISTS]
    for one in (None, *names):
        for others in (False, True):
            on = {name: others != (name == one) for name in names}
            values = with_controls(distinct(database), on)
            values |= {count: on[name] for name, count in LISTS.items()}
            title = f"all {'on' if others else 'off'}{f' but {one}' if one else ''}"
            yield title, values, {name: on[name] for name in HAS}, {name for name in LISTS if on[name]}
