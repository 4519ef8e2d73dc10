"""`vmcsc decode FILE`: the dumps of a log as tables, each field with the bits that are set by name."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from vmcsc import codes
from vmcsc.architecture import model
from vmcsc.architecture.database import Database
from vmcsc.architecture.dumps import dumps_of
from vmcsc.cli.diagnose import failed, read
from vmcsc.cli.diagnosis_json import dump_json, value_json
from vmcsc.cli.findings import counted
from vmcsc.cli.project import open_project
from vmcsc.cli.standard_input import NAME
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.diagnose.dump import Dump, Log
from vmcsc.diagnose.value import Decoded, Part, decode_field, decode_word
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import Value
from vmcsc.report.cells import visible
from vmcsc.report.json import VERSION


def decode_dumps(arguments: argparse.Namespace) -> int:
    """Print the dumps of the file, or of standard input, and return the exit code."""
    database = open_project(arguments).database
    diagnostics = Diagnostics()
    log = read(arguments.words[0] if arguments.words else NAME, database, diagnostics)
    if log is not None and not log.dumps:
        diagnostics.report(codes.UNREADABLE, f"{log.name} has messages about entries, and no dump")
    if log is None or not log.dumps:
        return failed(diagnostics, arguments, database)
    if arguments.format == "json":
        dumps = [_json(dump, database) for dump in log.dumps]
        put(json.dumps({"version": VERSION, "path": log.name, "dumps": dumps}, indent=2) + "\n", sys.stdout)
    else:
        put("\n".join(dump_text(dump, log, database, arguments.color) for dump in log.dumps), sys.stdout)
    put(f"{counted(len(log.dumps), 'dump')}\n", sys.stderr)
    return 0


def dump_text(dump: Dump, log: Log, database: Database, color: str) -> str:
    """The dump as a table, with what of it was not understood."""
    from vmcsc.cli.table import table  # rich takes 40 ms

    rows = [(database.fields[name].sdm, _number(value, database.fields[name]), bits)
            for name, value, bits in _rows(dump, database)]  # fmt: skip
    for title, entries in dump.lists.items():
        rows += [(f"{title}, entry {number}", " = ".join(f"{part:#x}" for part in entry.values()), "")
                 for number, entry in enumerate(entries)]  # fmt: skip
    head = f"{visible(log.name)}:{dump.first_line}: {dump.form.title}, {counted(len(dump.fields), 'field')}\n"
    body = table(("field", "value", "bits"), rows, width=columns(sys.stdout), color=use_color(color, sys.stdout))
    notes = "".join(f"note: {span}: {visible(span.text.strip())}: {says}\n" for span, says in dump.remarks)
    lost = "".join(f"not understood: {span}: {visible(span.text.strip()[:200])}\n" for span in dump.strange)
    more = dump.strangers - len(dump.strange)
    return f"{head}{body}{notes}{lost}" + (f"and {counted(more, 'line')} more\n" if more else "")


def _json(dump: Dump, database: Database) -> dict[str, Any]:
    """As what `diagnose` says of a dump, each field with its bits."""
    fields = {
        name: {"sdm": database.fields[name].sdm, "value": value_json(value), "bits": bits}
        for name, value, bits in _rows(dump, database)
    }
    return {**dump_json(dump), "fields": fields}


def _rows(dump: Dump, database: Database) -> Iterator[tuple[str, Value, str]]:
    """Each field by its encoding: its value and the bits of it that are not 0."""
    qualification = _qualification(dump, database)
    words = {word.field: word for word in database.words.values()}
    for name, field in database.fields.items():
        value = dump.fields.get(name)
        if value is None:
            continue
        word, layout = words.get(name), qualification.get(name)
        decoded = decode_word(word, value.bits, database) if word else decode_field(field, value.bits, database, layout)
        yield name, value, _bits(decoded) if value.is_known else ""


def _qualification(dump: Dump, database: Database) -> dict[str, model.Layout]:
    """The layout that the exit reason gives to the field that says more of it."""
    found = {}
    for failure in dumps_of(database).failures:
        value = dump.fields.get(failure.field)
        if failure.qualified_by is None or value is None or not value.is_known:
            continue
        number = value.bits & failure.mask
        reason = next((one for one in database.exit_reasons.values() if one.number == number), None)
        if reason is not None and reason.qualification is not None:
            found[failure.qualified_by] = database.layouts[reason.qualification]
    return found


def _bits(decoded: Decoded) -> str:
    parts = [part for part in decoded.parts if part.name and (part.value or not part.place.isdigit())]
    named = [part.name if part.place.isdigit() else f"{part.name} {_meaning(part)}" for part in parts]
    return ", ".join([*named, *([f"reserved {_ranges(decoded.reserved)}"] if decoded.reserved else [])])


def _meaning(part: Part) -> str:
    """What the value is called, where it has a name of its own, beside the number."""
    number = str(part.value) if part.value <= 9 else f"{part.value:#x}"
    return number if not part.meaning or part.meaning.endswith(".") else f"{number} ({part.meaning})"


def _ranges(mask: int) -> str:
    """The bits of a mask, those in a row together: `63:32, 7`."""
    found = []
    while mask:
        high = mask.bit_length() - 1
        low = high
        while low and mask >> low - 1 & 1:
            low -= 1
        found.append(f"{high}" if high == low else f"{high}:{low}")
        mask &= (1 << low) - 1
    return ", ".join(found)


def _number(value: Value, field: model.Field) -> str:
    if not value.known:
        return "unknown"
    text = f"{value.bits:#0{field.width // 4 + 2}x}"
    return text if value.is_known else f"{text} (known: {value.known:#x})"
