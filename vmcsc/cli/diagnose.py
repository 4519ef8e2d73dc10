"""`vmcsc diagnose`: which rule of VM entry a log shows violated."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.cli.findings import counted, print_failure, print_findings
from vmcsc.cli.parser import SETTINGS, Parser, add_color, add_format, add_specs
from vmcsc.cli.project import open_project
from vmcsc.cli.standard_input import NAME, read_cpu
from vmcsc.cli.terminal import put
from vmcsc.diagnose.api import read_any
from vmcsc.diagnose.diagnosis import Diagnosis, diagnose_dump
from vmcsc.diagnose.dump import Log
from vmcsc.diagnose.messages import asked_of
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.report.json import VERSION

EXIT = (
    "exit status:\n"
    "  0  nothing is violated\n"
    "  1  a rule is violated, or the host lacks what was asked of it\n"
    "  2  wrong use, or nothing in the log is understood\n"
)


def run(argv: Sequence[str]) -> int:
    own = parser()
    arguments = own.parse_intermixed_args(argv)
    if arguments.cpu == NAME and arguments.file == NAME:
        own.error("standard input is either the log or the CPU")
    diagnostics = Diagnostics()
    try:
        database = open_project(arguments).database
    except VmcscError as error:
        return print_failure(error, sys.stdout, color=arguments.color)
    cpu = UNKNOWN_CPU if arguments.cpu is None else read_cpu(arguments.cpu, database, diagnostics)
    log = None if cpu is None else read(arguments.file, database, diagnostics)
    if log is None or cpu is None:
        return failed(diagnostics, arguments, database)
    found = [diagnose_dump(dump, database, cpu) for dump in log.dumps]
    lacking = any(one.granted is False for event in log.events for one in asked_of(event, database, cpu))
    _print(log, found, cpu, database, arguments)
    violated = sum(len(one.violated) for one in found)
    put(f"{counted(len(found), 'dump')}, {counted(violated, 'violated rule')}\n", sys.stderr)
    return int(bool(violated) or lacking)


def read(name: str, database: Database, diagnostics: Diagnostics) -> Log | None:
    """What the file or standard input tells, or None after reporting that this is nothing."""
    shown = "<stdin>" if name == NAME else name
    try:
        with _opened(name) as stream:
            log = read_any(stream, shown, database, diagnostics)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        diagnostics.report(codes.UNREADABLE, f"{shown} cannot be read: {reason}")
        return None
    if log.dumps or log.events:
        return log
    if not diagnostics.failed:
        message = f"none of {counted(log.lines, 'line')} of {shown} belongs to a dump, and it is no mapping of fields"
        help = "give what dmesg, journalctl -k, `xl dmesg` or QEMU printed, or fields in JSON or YAML"
        diagnostics.report(codes.UNREADABLE, message, help=help)
    return None


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == NAME:
        if sys.stdin is None:
            raise ValueError("it is closed")
        buffer = getattr(sys.stdin, "buffer", None)  # a test or a program may have put a text there
        yield io.BytesIO(sys.stdin.read().encode(errors="replace")) if buffer is None else buffer
        return
    path = Path(name)
    if path.exists() and not (path.is_file() or path.is_fifo()):
        raise ValueError("it is a folder or a device")
    with path.open("rb") as stream:
        yield stream


def failed(diagnostics: Diagnostics, arguments: argparse.Namespace, database: Database) -> int:
    """Print what is wrong, and return the exit code."""
    json_too = arguments.format if arguments.format == "json" else "full"
    print_findings(list(diagnostics), sys.stdout, format=json_too, color=arguments.color, database=database)
    return 2


def _print(
    log: Log, found: Sequence[Diagnosis], cpu: Cpu, database: Database, arguments: argparse.Namespace
) -> None:  # fmt: skip
    if arguments.format == "json":
        from vmcsc.cli.diagnosis_json import as_json, event_json

        whole: dict[str, Any] = {
            "version": VERSION,
            "path": log.name,
            "lines": log.lines,
            "further": log.further,
            "unread": log.unread,
            "fragments": list(log.fragments),
            "dumps": [as_json(one) for one in found],
            "messages": [event_json(event, database, cpu) for event in log.events],
        }
        put(json.dumps(whole, indent=2) + "\n", sys.stdout)
        return
    from vmcsc.cli.diagnosis_text import print_log

    print_log(log, found, cpu, database, arguments.color)


def parser() -> Parser:
    parser = Parser(
        "diagnose",
        "Say which rules of VM entry a log shows violated. The log may be what the kernel, Xen or QEMU printed with\n"
        "anything around it, several dumps, or fields in JSON or YAML. Besides what is violated it names what would\n"
        "be on some processors (suspect), what cannot be told and why, and what the dump does not prove.",
        "vmcsc diagnose dmesg.txt --cpu ice_lake_i7_1065g7",
        EXIT,
        SETTINGS,
    )
    parser.add_argument("file", nargs="?", default=NAME, metavar="FILE", help="the log; - or nothing: standard input")
    parser.add_argument(
        "--cpu",
        metavar="NAME|FILE",
        help="the processor of the host, as for vmcsc check; without it what only a capability decides is suspect",
    )
    add_specs(parser)
    add_format(parser, ("full", "json"), "full", "how it is printed")
    add_color(parser)
    return parser
