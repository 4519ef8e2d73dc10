"""`vmcsc diff`: what differs between two policies, or between what one policy comes to on several CPUs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from vmcsc import codes
from vmcsc.capabilities.compare import Difference
from vmcsc.capabilities.cpu import UNKNOWN_CPU
from vmcsc.cli.findings import counted, distinct, print_findings
from vmcsc.cli.parser import Parser, add_color, add_format, add_specs
from vmcsc.cli.policies import POLICY_HELP, NamedPolicies
from vmcsc.cli.project import Project, open_project
from vmcsc.cli.sides import Side, differences_json, differences_text
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.diagnostic import Diagnostics, Severity
from vmcsc.pipeline import compile
from vmcsc.report.cells import visible
from vmcsc.resolve.compare import compare_vmcses
from vmcsc.resolve.sayings import compare_policies
from vmcsc.vmcs import Vmcs


def run(argv: Sequence[str]) -> int:
    own = parser()
    arguments = own.parse_intermixed_args(argv)
    if len(arguments.policies) > 2:
        own.error("at most two policies can be compared")
    if len(arguments.policies) == 1 and len(arguments.cpu) < 2:
        own.error("one policy is compared on two CPUs or more: give --cpu twice, or a second policy")
    if len(arguments.policies) == 2 and len(arguments.cpu) > 1:
        own.error("two policies are compared on one CPU: give --cpu once")
    project = open_project(arguments)
    compiled = _compiled(arguments, project)
    if compiled is None:
        return 2
    differences, sides = _compared(arguments, project, compiled)
    if arguments.format == "json":
        text = json.dumps(differences_json(differences, sides), indent=2) + "\n"
    else:
        text = differences_text(differences, sides, columns(sys.stdout), use_color(arguments.color, sys.stdout))
    put(text, sys.stdout)
    return 1 if differences else 0


def _compared(
    arguments: argparse.Namespace, project: Project, vmcses: Sequence[Vmcs]
) -> tuple[Sequence[Difference], Sequence[Side]]:
    """The differences, and the sides that they are between."""
    if len(arguments.policies) == 1:
        return compare_vmcses(vmcses), [(vmcs.cpu.name, vmcs.cpu.title) for vmcs in vmcses]
    policies = [vmcs.policy for vmcs in vmcses]
    found = compare_vmcses(vmcses) if arguments.cpu else compare_policies(project.database, policies)
    return found, [(policy.name, policy.summary or policy.source.name) for policy in policies]


def _compiled(arguments: argparse.Namespace, project: Project) -> list[Vmcs] | None:
    """A VMCS for each side, or None after printing why there is none for one of them.

    A VMCS that a CPU refuses, or that breaks a rule, can be compared as well.
    """
    named = NamedPolicies(project.database)
    diagnostics = Diagnostics()
    found: list[Vmcs] = []
    for name in arguments.policies:
        source = named.find(name, diagnostics)
        if source is None:
            continue
        for cpu in arguments.cpu or [UNKNOWN_CPU]:
            result = compile(source, cpu, project.database, search=project.search)
            errors = [finding for finding in result.diagnostics if finding.severity is Severity.ERROR]
            if result.vmcs is None or any(finding.code == codes.UNKNOWN_CPU.id for finding in errors):
                diagnostics.extend(errors)
                diagnostics.suppressed += result.suppressed
                continue
            found.append(result.vmcs)
            if errors:
                where = f" on {result.vmcs.cpu.name}" if arguments.cpu else ""
                hint = f"`{visible(name)}` has {counted(len(errors), 'error')}{where}, which `vmcsc check` shows"
                put(f"vmcsc diff: warning: {hint}\n", sys.stderr)
    print_findings(
        distinct(diagnostics),
        sys.stderr,
        color=arguments.color,
        suppressed=diagnostics.suppressed,
        database=project.database,
    )
    return found if len(found) == len(arguments.policies) * max(1, len(arguments.cpu)) else None


def parser() -> Parser:
    parser = Parser(
        "diff",
        "Show what differs between two policies, or between what one policy comes to on several CPUs:\n"
        "control by control with the reasons on each side, bitmaps by ranges, fields and parameters. Without\n"
        "a CPU, what the policies say is compared; with one, what they come to there. Scenarios are not.\n"
        "Exit code 0 if nothing differs, 1 if something does, 2 on wrong use or unreadable input.",
        "vmcsc diff kvm-classic kvm-6.1 --cpu ice_lake_i7_1065g7",
    )
    parser.add_argument("policies", nargs="+", metavar="POLICY", help=POLICY_HELP)
    parser.add_argument(
        "--cpu",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="the CPU on which two policies are compared; given more than once, the CPUs on which one policy is",
    )
    add_specs(parser)
    add_format(parser, ("text", "json"), "text", "how differences are printed")
    add_color(parser)
    return parser
