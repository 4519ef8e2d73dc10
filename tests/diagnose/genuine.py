"""A genuine dump against what the code that printed it was told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.diagnose.dumper import Dumper
from tests.diagnose.given import COUNTS, only_dump, wholly
from tests.diagnose.patterns import LISTS
from vmcsc.architecture.database import Database

MSRS = {
    "guest": [(0xC0000081, 0x0023001000000000), (0x174, 0x10)],
    "store": [(0x10, 0x123456789ABCDEF0)],
    "host": [(0xC0000103, 0xFFFFFFFF00000001), (0x38F, 0x7000000FF)],
}
TITLES = {"guest": "VM-entry MSR-load area", "store": "VM-exit MSR-store area", "host": "VM-exit MSR-load area"}


def wrong_with(
    dumper: Dumper, values: Mapping[str, int], has: Mapping[str, bool], lists: set[str], database: Database
) -> list[str]:  # fmt: skip
    """What of a dump of these values is not read as it was printed, in words."""
    msrs = {name: MSRS[name] for name in lists}
    text, asked = dumper.dump(wholly(values, database), has, msrs)
    return list(_wrong(text, asked, values, lists, database))


def _wrong(
    text: str, asked: frozenset[int], values: Mapping[str, int], lists: set[str], database: Database
) -> Iterator[str]:  # fmt: skip
    dump = only_dump(text, database)
    for name, value in dump.fields.items():
        field = database.fields[name]
        read = field.encoding in asked
        expected = values[name] & (1 << field.width) - 1 if read else 0
        if not value.is_known or value.bits != expected:
            yield f"{name} is {value}, not {expected:#x}"
        if not read and name not in _LACKING:
            yield f"{name} was not read"
    names = {field.encoding: field.name for field in database.fields.values()}
    for encoding in asked:
        if names[encoding] not in dump.fields and names[encoding] not in COUNTS:
            yield f"{names[encoding]} is missing"
    for span in dump.strange:
        yield f"not understood: {span.text}"
    listed = {title: [tuple(entry.values()) for entry in entries] for title, entries in dump.lists.items()}
    if "MSR" in text and listed != {TITLES[name]: MSRS[name] for name in LISTS if name in lists}:
        yield f"MSRs: {listed}"


_LACKING = ("secondary_vm_execution_controls", "tertiary_vm_execution_controls")
"""Printed as 0 where the processor has no such controls."""
