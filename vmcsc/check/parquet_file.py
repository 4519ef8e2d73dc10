"""Many VMCSs as columns of a Parquet file: integers under the names of fields. What is null is unknown."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics

_WHOLE = np.uint64(2**64 - 1)


def parquet_columns(
    stream: BinaryIO, name: str, known: str, most: tuple[int, int], diagnostics: Diagnostics
) -> dict[str, Any] | None:  # fmt: skip
    """The columns by name, and a mask under the name and `known` where some of one are null; None where that fails.

    `most`: how many columns, and how many bytes unpacked.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        help = "pip install 'vmcsc[parquet]'"
        diagnostics.report(codes.UNREADABLE, f"{name} cannot be read without pyarrow", help=help)
        return None
    try:
        file = parquet.ParquetFile(stream)
        columns, groups = file.metadata.num_columns, range(file.metadata.num_row_groups)
        size = sum(file.metadata.row_group(number).total_byte_size for number in groups)
        if columns > most[0] or size > most[1] or file.metadata.num_rows * 8 > most[1]:
            message = f"{name} has {columns} columns of {size} bytes, more than {most[0]} or {most[1]}"
            diagnostics.report(codes.UNREADABLE, message)
            return None
        found: dict[str, Any] = {}
        there: dict[str, Any] = {}
        for field in file.schema_arrow:
            if not pyarrow.types.is_integer(field.type):
                message = f"{name}: the column `{field.name[:100]}` has the type {str(field.type)[:60]}"
                diagnostics.report(codes.BAD_VALUE, message, help="a column of values has integers")
                continue
            if field.name in found:
                diagnostics.report(codes.ASSIGNED_TWICE, f"{name}: the column `{field.name[:100]}` stands there twice")
                continue
            column = file.read(columns=[field.name]).column(0)
            found[field.name] = column.fill_null(0).to_numpy()
            if column.null_count:
                there[f"{field.name}{known}"] = np.where(column.is_null().to_numpy(), np.uint64(0), _WHOLE)
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        diagnostics.report(codes.UNREADABLE, f"{name} is no whole Parquet file: {str(error)[:200]}")
        return None
    for mask, whole in there.items():  # a column may have nulls and a mask
        found[mask] = found[mask].astype(np.uint64) & whole if mask in found else whole
    return None if diagnostics.failed else found
