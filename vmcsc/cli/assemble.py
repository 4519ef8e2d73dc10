"""`vmcsc assemble`: make a bytecode file from a listing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vmcsc import codes
from vmcsc.cli.findings import exit_code, print_findings
from vmcsc.cli.output import write_or_report
from vmcsc.cli.parser import FINDINGS, Parser, add_color
from vmcsc.diagnostic import Diagnostics
from vmcsc.source import MAX_BYTES, Source, UnreadableText, read_source, source_of_bytes


def run(argv: Sequence[str]) -> int:
    arguments = parser().parse_args(argv)
    diagnostics = Diagnostics()
    source = _source(arguments.file, diagnostics)
    if source is not None:
        from vmcsc.bytecode.binary import to_bytes
        from vmcsc.bytecode.listing import from_text

        program = from_text(source, diagnostics)
        if program is not None:
            _write(arguments.output, to_bytes(program), diagnostics)
    print_findings(diagnostics.found, sys.stderr, color=arguments.color, suppressed=diagnostics.suppressed)
    return exit_code(diagnostics.found)


def _source(path: str, diagnostics: Diagnostics) -> Source | None:
    try:
        if path == "-":
            return source_of_bytes(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>")
        return read_source(Path(path))
    except UnreadableText as error:
        diagnostics.report(codes.UNREADABLE, f"{path} cannot be read: {error}")
    except (OSError, ValueError) as error:
        diagnostics.report(codes.UNREADABLE, f"{path} cannot be read: {error}")
    return None


def _write(output: str | None, content: bytes, diagnostics: Diagnostics) -> None:
    if output in (None, "-"):
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    write_or_report(Path(output or ""), content, diagnostics)


def parser() -> Parser:
    parser = Parser(
        "assemble",
        "Make a bytecode file from a listing as `vmcsc disassemble` prints it. A file is replaced as a whole or not\n"
        "at all, and nothing is written where something is wrong with the listing.",
        "vmcsc assemble kvm_classic.txt -o kvm_classic.vmxb",
        FINDINGS,
    )
    parser.add_argument("file", metavar="FILE", help="the listing, or - for standard input")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the file to write; without it, or with -, standard output"
    )
    add_color(parser)
    return parser
