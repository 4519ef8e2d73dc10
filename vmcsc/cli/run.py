"""`vmcsc run`: run the scenarios of a policy and draw how guest and hypervisor take turns."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from vmcsc.cli.findings import distinct, exit_code, print_failure, print_findings
from vmcsc.cli.parser import FINDINGS, SETTINGS, Parser, add_color
from vmcsc.cli.project import open_project
from vmcsc.cli.scenarios import add_common, results_of
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.report.cells import visible


def run(argv: Sequence[str]) -> int:
    # A policy behind --trace is a policy.
    arguments = parser().parse_args(["--trace=text" if one == "--trace" else one for one in argv])
    try:
        project = open_project(arguments, with_cpus=not arguments.cpu)
    except VmcscError as error:
        return print_failure(error, color=arguments.color)
    diagnostics = Diagnostics(found=list(project.findings))
    results = list(results_of(arguments, project, diagnostics, arguments.policies))
    from vmcsc.cli.trace import count_text, trace_json, trace_text

    if arguments.trace == "json":
        put(json.dumps({"version": 1, "scenarios": [trace_json(one) for one in results]}, indent=2) + "\n", sys.stdout)
    else:
        draw = trace_text if arguments.trace else count_text
        width, color = columns(sys.stdout), use_color(arguments.color, sys.stdout)
        put("\n".join(draw(one, width, color) for one in results), sys.stdout)
    findings = distinct([*diagnostics, *(finding for one in results for finding in one.findings)])
    print_findings(
        findings, sys.stderr, color=arguments.color, suppressed=diagnostics.suppressed, database=project.database
    )  # fmt: skip
    if arguments.match is not None and not results:
        put(f"vmcsc run: no scenario has {visible(arguments.match)!r} in its title\n", sys.stderr)
        return 2
    return exit_code(findings)


def parser() -> Parser:
    parser = Parser(
        "run",
        "Run the scenarios of policies on the bundled machine and say how often guest and hypervisor took turns, or\n"
        "with --trace draw each VM entry and VM exit, with its qualification and what decided it. What does not come\n"
        "true goes to standard error.",
        "vmcsc run kvm-classic --trace -k HLT",
        FINDINGS,
        SETTINGS,
    )
    add_common(parser)
    parser.add_argument(
        "--trace",
        nargs="?",
        const="text",
        choices=("text", "json"),
        metavar="text|json",
        help="everything that happened in its order, drawn in two columns or as JSON: --trace=json",
    )
    add_color(parser)
    return parser
