"""`vmcsc disassemble`: print a bytecode file as a listing."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vmcsc.cli.findings import exit_code, print_failure, print_findings
from vmcsc.cli.parser import FINDINGS, Parser, add_color, add_specs
from vmcsc.cli.programs import read_program
from vmcsc.cli.project import open_project
from vmcsc.cli.terminal import put
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError


def run(argv: Sequence[str]) -> int:
    arguments = parser().parse_args(argv)
    try:
        project = open_project(arguments)
    except VmcscError as error:
        return print_failure(error, color=arguments.color)
    diagnostics = Diagnostics()
    program = read_program(arguments.file, diagnostics)
    if program is not None:
        from vmcsc.bytecode.listing import to_text
        from vmcsc.bytecode.names import comment_of

        put(to_text(program, lambda entry: comment_of(entry, project.database)), sys.stdout)
    print_findings(diagnostics.found, sys.stderr, color=arguments.color, database=project.database)
    return exit_code(diagnostics.found)


def parser() -> Parser:
    parser = Parser(
        "disassemble",
        "Print a bytecode file as a listing, which `vmcsc assemble` turns back into the same bytes. Comments say what\n"
        "numbers mean.",
        "vmcsc disassemble kvm_classic.vmxb",
        FINDINGS,
    )
    parser.add_argument("file", metavar="FILE", help="the bytecode file, or - for standard input")
    add_specs(parser)
    add_color(parser)
    return parser
