"""What the numbers of a program mean, for comments of listings."""

from __future__ import annotations

from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import operation_of
from vmcsc.assembly.decode import decode
from vmcsc.bytecode.program import Entry


def comment_of(entry: Entry, database: Database) -> str:
    """The name of a field or exit reason, or the mnemonic of an instruction; empty where there is nothing to say."""
    operands = entry.operands
    if entry.kind in ("vmwrite", "write") and isinstance(operands[0], int):
        return _field(operands[0], database)
    if entry.kind == "field" and isinstance(operands[2], int):
        return _field(operands[2], database)
    if entry.kind == "code" and isinstance(operands[0], bytes):
        found = decode(operands[0], operation_of(database))
        return "" if found is None else found.entry.mnemonic
    return ""


def _field(encoding: int, database: Database) -> str:
    field = database.field_by_encoding.get(encoding)
    return "" if field is None else field.name
