"""Many VMCSs as people keep them: arrays in an .npz, columns in a .parquet, or an object a line in a .jsonl.

Nothing in a file is executed or unpickled. What is wrong with it are findings, with the array or the line.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import field_of
from vmcsc.check.vmcs_file import WrittenVmcs, lines_of, read_vmcs
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import Value
from vmcsc.records import dataclass
from vmcsc.source import UnreadableText

SUFFIXES = (".npz", ".parquet", ".jsonl", ".ndjson")
"""Kinds of files that are read."""

KNOWN, PROCESSOR = ".known", "processor."
"""An array of this ending is the mask of another one; one of this beginning is state of the processor."""

MAX_ARRAYS = 2000
"""Arrays of one file that are looked at; twice what there can be of fields and state."""

MAX_BYTES = 8 << 30
"""Bytes that an archive may unpack to: ten million states of every field."""

_UNREADABLE = (OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class States:
    """Columns of fields and of the processor's state by name: arrays, or pairs of values and masks."""

    fields: Mapping[str, Any]
    processor: Mapping[str, Any]


def read_states(path: Path, database: Database, diagnostics: Diagnostics) -> States | None:
    """The states of a file, or None after reporting why there are none."""
    try:
        with path.open("rb") as stream:
            if path.suffix == ".npz":
                return _arrays(stream, str(path), database, diagnostics)
            if path.suffix == ".parquet":
                from vmcsc.check.parquet_file import parquet_columns  # pyarrow takes a second

                most = (MAX_ARRAYS, MAX_BYTES)
                columns = parquet_columns(stream, str(path), KNOWN, most, diagnostics)
                return None if columns is None else _named(columns, str(path), database, diagnostics)
            return _lines(stream, str(path), database, diagnostics)
    except UnreadableText as error:
        diagnostics.report(codes.UNREADABLE, f"{path} cannot be read: {error.reason}", error.span)
    except OSError as error:
        diagnostics.report(codes.UNREADABLE, f"{path} cannot be read: {error.strerror or error}")
    return None


# --- .npz ---


def _arrays(stream: BinaryIO, name: str, database: Database, diagnostics: Diagnostics) -> States | None:
    try:
        archive = np.load(stream, allow_pickle=False)
    except (*_UNREADABLE, zipfile.BadZipFile) as error:
        diagnostics.report(codes.UNREADABLE, f"{name} is no whole archive of arrays: {error}")
        return None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        diagnostics.report(codes.UNREADABLE, f"{name} holds one array without a name", help="save with numpy.savez")
        return None
    size = 0 if archive.zip is None else sum(member.file_size for member in archive.zip.infolist())
    if size > MAX_BYTES:
        diagnostics.report(codes.UNREADABLE, f"{name} unpacks to {size} bytes, more than {MAX_BYTES}")
        return None
    found: dict[str, Any] = {}
    for key in archive.files[:MAX_ARRAYS]:
        try:
            found[key] = archive[key]
        except (*_UNREADABLE, zipfile.BadZipFile) as error:
            diagnostics.report(codes.UNREADABLE, f"{name}: the array {key[:100]!r} cannot be read: {error}")
    return _named(found, name, database, diagnostics)


def _named(
    found: Mapping[str, Any], name: str, database: Database, diagnostics: Diagnostics
) -> States | None:  # fmt: skip
    """The arrays under the names that rules have for them."""
    fields: dict[str, Any] = {}
    processor: dict[str, Any] = {}
    masks = {key.removesuffix(KNOWN): array for key, array in found.items() if key.endswith(KNOWN)}
    for key in masks.keys() - found.keys():
        diagnostics.report(
            codes.UNKNOWN_NAME, f"{name}: `{key[:100]}{KNOWN}` is the mask of an array that is not there"
        )
    for key, array in found.items():
        if key.endswith(KNOWN):
            continue
        column = (array, masks[key]) if key in masks else array
        state = key.removeprefix(PROCESSOR)
        part = None if state != key else field_of(database, key)
        if state != key and state in database.state:
            processor[state] = column
        elif part is not None and not part.high and part.name not in fields:
            fields[part.name] = column
        else:
            what = "stands there twice" if part is not None and part.name in fields else "is no field"
            diagnostics.report(codes.UNKNOWN_NAME, f"{name}: the array `{key[:100]}` {what}")
    return None if diagnostics.failed else States(fields, processor)


# --- .jsonl ---


def _lines(stream: BinaryIO, name: str, database: Database, diagnostics: Diagnostics) -> States | None:
    states: list[WrittenVmcs] = []
    for source in lines_of(stream, name):
        written = read_vmcs(source, database, diagnostics)
        if written is not None and (written.memory is not None or written.msrs or written.facts):
            message = "of many states memory and what each says of the CPU are not looked at"
            help = "give such states with --state, one by one"
            diagnostics.report(codes.BAD_VALUE, message, source.span(0, 1), help=help)
        if written is not None:
            states.append(written)
        if diagnostics.full:
            break
    if diagnostics.failed:
        return None
    widths = {field.name: field.width for field in database.fields.values()}
    fields = {one: _column([state.fields.get(one) for state in states], widths[one])
              for one in dict.fromkeys(key for state in states for key in state.fields)}  # fmt: skip
    processor = {one: _column([state.processor.get(one) for state in states], database.state[one].width)
                 for one in dict.fromkeys(key for state in states for key in state.processor)}  # fmt: skip
    return States(fields, processor)


def _column(values: list[Value | None], width: int) -> Any:
    """Values and masks, without the latter where all is known."""
    bits = np.array([0 if value is None else value.bits for value in values], dtype=np.uint64)
    known = np.array([0 if value is None else value.known for value in values], dtype=np.uint64)
    return bits if bool(np.all(known == np.uint64((1 << width) - 1))) else (bits, known)
