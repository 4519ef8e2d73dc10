"""`vmcsc check`: compile policies and print what is wrong with them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from vmcsc.cli.findings import counted, distinct, exit_code, findings_text, print_failure, summary
from vmcsc.cli.parser import FINDINGS, SETTINGS, Parser, add_color, add_cpus, add_format, add_specs, add_strictness
from vmcsc.cli.policies import POLICY_HELP, NamedPolicies
from vmcsc.cli.project import open_project
from vmcsc.cli.seen import remember
from vmcsc.cli.terminal import put
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.report import FORMATS
from vmcsc.result import Result


def run(argv: Sequence[str]) -> int:
    started = time.time()
    arguments = (chosen := parser()).parse_intermixed_args(argv)
    given = [arguments.policies, arguments.state, arguments.states]
    if not any(given):
        chosen.error("name a policy, or a VMCS with --state")
    if sum(map(bool, given)) > 1:
        chosen.error("either policies, or --state, or --states")
    if arguments.output and not arguments.states:
        chosen.error("-o is for --states")
    try:
        project = open_project(arguments, with_cpus=not arguments.cpu and bool(arguments.policies))
    except VmcscError as error:
        return print_failure(error, sys.stdout, format=arguments.format, color=arguments.color)
    if arguments.state:
        from vmcsc.cli.check_state import check_states

        return check_states(arguments, project)
    if arguments.states:
        from vmcsc.cli.check_many import check_many_states

        return check_many_states(arguments, project.database)
    named = NamedPolicies(project.database)
    diagnostics = Diagnostics(found=list(project.findings))
    results = []
    for name in arguments.policies:
        source = named.find(name, diagnostics)
        result = None if source is None else project.compile(source, arguments.cpu, strict=arguments.strict)
        results.append(result)
        if result is not None:
            diagnostics.extend(result.diagnostics)
            diagnostics.suppressed += result.suppressed
    found = distinct(diagnostics)
    output = findings_text(
        found,
        sys.stdout,
        format=arguments.format,
        color=arguments.color,
        suppressed=diagnostics.suppressed,
        database=project.database,
    )
    counts = f"{counted(len(arguments.policies), 'policy')}, {summary(found)}{_open(results)}\n"
    code = exit_code(found, strict=arguments.strict, exit_zero=arguments.exit_zero)
    put(output, sys.stdout)
    put(counts, sys.stderr)
    remember(argv, arguments, project, results, (output, counts, code), started)
    return code


def _open(results: Sequence[Result | None]) -> str:
    """How many rules could not be decided where the rules were looked at, at most on one CPU."""
    most = max((count for result in results if result is not None for count in result.undetermined.values()), default=0)
    return f"; {counted(most, 'rule')} undetermined" if most else ""


def parser() -> Parser:
    parser = Parser(
        "check",
        "Compile policies, for the CPUs that they name or those given, and print what is wrong with them.\n"
        "Where neither says a CPU, those of the settings are taken, or else only what no CPU could grant is\n"
        "an error. Findings go to standard output, how many there are to standard error, and how many rules\n"
        "of VM entry could not be decided where a policy gives guest or host state (--strict lists those that only\n"
        "lack something about the CPU). A comment\n"
        "`# vmcsc: ignore[CODE] reason` in a policy ignores what is found on its line.\n"
        "With --state, say instead what VM entry makes of a VMCS that something else wrote: whether it succeeds,\n"
        "which rules it violates, and which cannot be decided for want of what; with --states, of how many.",
        "vmcsc check kvm-classic --cpu ice_lake_i7_1065g7",
        FINDINGS,
        SETTINGS,
    )
    parser.add_argument("policies", nargs="*", metavar="POLICY", help=POLICY_HELP)
    parser.add_argument(
        "--state",
        action="append",
        default=[],
        metavar="FILE",
        help="a VMCS instead of a policy: {FIELD: value} in JSON or YAML, a .jsonl of many, or - for standard input;"
        " may be repeated",
    )
    parser.add_argument(
        "--states",
        action="append",
        default=[],
        metavar="FILE",
        help="many VMCSs at once, counted: arrays in an .npz (FIELD, FIELD.known for the bits that are known,"
        " processor.NAME), such columns in a .parquet, or an object a line in a .jsonl; needs the extra `batch`, a"
        " .parquet `parquet`; may be repeated",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="with --states, write what became of each to an .npz")
    add_cpus(parser)
    add_specs(parser)
    add_format(parser, FORMATS, "full", "how findings are printed")
    add_color(parser)
    add_strictness(parser)
    return parser
