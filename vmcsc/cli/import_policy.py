"""`vmcsc import`: write down as a policy what a hypervisor's sources say."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vmcsc.cli.findings import exit_code, print_failure, print_findings
from vmcsc.cli.output import write_or_report
from vmcsc.cli.parser import FINDINGS, SETTINGS, Parser, add_color, add_format, add_specs, add_strictness
from vmcsc.cli.project import open_project
from vmcsc.cli.terminal import put
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.kvm.policy import policy_text
from vmcsc.kvm.tree import read_tree
from vmcsc.report import FORMATS


def run(argv: Sequence[str]) -> int:
    own = parser()
    arguments = own.parse_intermixed_args(argv)
    if arguments.name is not None and not (arguments.name.isidentifier() and arguments.name.isascii()):
        own.error(f"{arguments.name!r} cannot be the name of a policy")
    try:
        project = open_project(arguments)
    except VmcscError as error:
        return print_failure(error, format=arguments.format, color=arguments.color)
    diagnostics = Diagnostics(found=list(project.findings))
    tree = read_tree(Path(arguments.kernel), project.database, diagnostics)
    if tree is not None:
        text = policy_text(tree, project.database, diagnostics, arguments.name)
        _write(text, arguments.output, diagnostics)
    print_findings(
        diagnostics.found,
        sys.stderr,
        format=arguments.format,
        color=arguments.color,
        suppressed=diagnostics.suppressed,
        database=project.database,
    )
    return exit_code(diagnostics.found, strict=arguments.strict, exit_zero=arguments.exit_zero)


def _write(text: str, output: str | None, diagnostics: Diagnostics) -> None:
    if output in (None, "-"):
        put(text, sys.stdout)
        return
    write_or_report(Path(output or ""), text.encode(), diagnostics)


def parser() -> Parser:
    parser = Parser(
        "import",
        "Read what KVM asks of the processor from the sources of Linux, and print it as a policy. Emitting\n"
        "that policy with `kvm-patch` for the same tree is an empty patch; what you change in it is the patch.",
        "vmcsc import kvm --kernel linux-6.1 -o kvm.vmcs",
        FINDINGS,
        SETTINGS,
    )
    parser.add_argument("source", metavar="SOURCE", choices=("kvm",), help="what to read: kvm")
    parser.add_argument("--kernel", metavar="DIR", required=True, help="the folder with the sources of Linux")
    parser.add_argument("--name", metavar="NAME", help="the policy's name (default: kvm and the kernel's version)")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the file to write; without it, or with -, standard output"
    )
    add_specs(parser)
    add_format(parser, FORMATS, "full", "how findings are printed")
    add_color(parser)
    add_strictness(parser)
    return parser
