"""`vmcsc.diagnose`: the dumps of a log, and what each of them says."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from vmcsc.architecture.database import Database
from vmcsc.architecture.dumps import Form
from vmcsc.capabilities.cpu import Cpu
from vmcsc.check.vmcs_file import read_vmcs
from vmcsc.diagnose.diagnosis import Diagnosis, diagnose_dump
from vmcsc.diagnose.dump import Dump, Log
from vmcsc.diagnose.log import read_log
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.source import MAX_BYTES, UnreadableText, source_of_bytes

MAX_HEAD = 10_000
"""Characters at the beginning of a text by which it is told whether it may be fields."""

_KEY = re.compile(r"""["']?\w+["']?\s*:(\s|$)""")

WRITTEN = Form("fields", "fields", "Fields in JSON or YAML", "the text does not give it", {}, ())
"""A VMCS that somebody wrote down, which is a dump too."""


def diagnose(
    log: str | bytes | Path | BinaryIO,
    cpu: str | Path | Cpu | None = None,
    *,
    database: Database | None = None,
) -> tuple[Diagnosis, ...]:
    """What every dump of a VMCS or vCPU in `log` says of the entry that failed.

    `log` is a text, bytes, a path or a stream of bytes: a kernel's or hypervisor's log with anything around the dumps,
    or fields in JSON or YAML. `cpu` is a name, a file or a `Cpu` (default: nothing is known of it). Raises `VmcscError`
    where nothing in the log is understood, or an argument means nothing.
    """
    from vmcsc.check.api import cpu_of, shipped  # with policies, which the command does not need

    db = database or shipped()
    known = None if cpu is None else cpu_of(cpu, db)
    diagnostics = Diagnostics()
    try:
        if isinstance(log, Path):
            with log.open("rb") as file:
                read = read_any(file, str(log), db, diagnostics)
        else:
            text = log.encode(errors="replace") if isinstance(log, str) else log
            read = read_any(io.BytesIO(text) if isinstance(text, bytes) else text, "<text>", db, diagnostics)
    except OSError as error:
        raise VmcscError(f"the log cannot be read: {error.strerror or error}") from error
    if not read.dumps and not read.events:
        reason = diagnostics.found[0].message if diagnostics.found else "nothing in the log is a dump of a VMCS"
        raise VmcscError(reason, tuple(diagnostics))
    return tuple(diagnose_dump(dump, db, known) for dump in read.dumps)


def read_any(stream: BinaryIO, name: str, database: Database, diagnostics: Diagnostics) -> Log:
    """A log, or else fields in JSON or YAML; what is wrong with these is reported.

    Raises `OSError`, and `VmcscError` where what the specs say of dumps is not in order.
    """
    _ready(database)
    begin = stream.read(MAX_BYTES + 1)
    log = read_log(_Chained(begin, stream), name, database)
    if log.dumps or log.events or len(begin) > MAX_BYTES:
        return log
    try:
        source = source_of_bytes(begin, name)
    except UnreadableText:
        return log  # a log that holds no dump; nor are fields written so
    if not _may_be_fields(source.text):
        return log
    written = read_vmcs(source, database, diagnostics)
    if written is None or not written.fields:
        return log
    whole = Dump(WRITTEN, 1, log.lines, dict(written.fields), dict(written.spans), written=written)
    return Log(name, (whole,), (), log.lines)


@lru_cache(maxsize=8)
def _ready(database: Database) -> None:
    """The shipped specs are trusted, those of further folders not."""
    diagnostics = Diagnostics()
    if len(database.folders) > 1:
        from vmcsc.diagnose.verify import check_dumps

        check_dumps(database, diagnostics)
    if diagnostics.failed:
        raise VmcscError("the specs are not in order", tuple(diagnostics))


def _may_be_fields(text: str) -> bool:
    """Whether the text looks like a mapping: a brace, or names with colons on its first lines."""
    lines = [
        line.strip() for line in text[:MAX_HEAD].splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    return bool(lines) and (lines[0].startswith("{") or all(_KEY.match(line) or line == "---" for line in lines[:3]))


class _Chained:
    """A stream of which the beginning was read already."""

    def __init__(self, begin: bytes, rest: BinaryIO) -> None:
        self._begin = io.BytesIO(begin)
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        return self._begin.read(size) or self._rest.read(size)
