"""`vmcsc check`: compile policies and print what is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vmcsc.cli.findings import counted, distinct, exit_code, print_findings, summary
from vmcsc.cli.parser import Parser, add_color, add_cpus, add_format, add_specs
from vmcsc.cli.policies import POLICY_HELP, NamedPolicies
from vmcsc.cli.terminal import put
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.pipeline import compile, load
from vmcsc.report import FORMATS


def run(argv: Sequence[str]) -> int:
    arguments = _parser().parse_intermixed_args(argv)
    try:
        database = load(*arguments.specs)
    except VmcscError as error:
        print_findings(error.diagnostics, sys.stdout, format=arguments.format, color=arguments.color)
        put(f"vmcsc: error: {error}\n", sys.stderr)
        return 2
    named = NamedPolicies(database)
    diagnostics = Diagnostics()
    for name in arguments.policies:
        source = named.find(name, diagnostics)
        if source is not None:
            diagnostics.extend(compile(source, arguments.cpu or None, database).diagnostics)
    found = distinct(diagnostics)
    print_findings(
        found,
        sys.stdout,
        format=arguments.format,
        color=arguments.color,
        suppressed=diagnostics.suppressed,
        database=database,
    )
    put(f"{counted(len(arguments.policies), 'policy')}, {summary(found)}\n", sys.stderr)
    return exit_code(found)


def _parser() -> Parser:
    parser = Parser(
        "check",
        "Compile policies, for the CPUs that they name or those given, and print what is wrong with them.\n"
        "Findings go to standard output. Exit code 1 if there are errors, 2 if something cannot be read.",
        "vmcsc check kvm-classic --cpu ice_lake_i7_1065g7",
    )
    parser.add_argument("policies", nargs="+", metavar="POLICY", help=POLICY_HELP)
    add_cpus(parser)
    add_specs(parser)
    add_format(parser, FORMATS, "full", "how findings are printed")
    add_color(parser)
    return parser
