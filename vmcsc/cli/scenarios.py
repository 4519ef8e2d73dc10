"""Policies compiled and their scenarios run, for the commands that do so."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vmcsc import codes
from vmcsc.capabilities.cpu import UNKNOWN_CPU
from vmcsc.cli.parser import Parser, add_cpus, add_specs
from vmcsc.cli.policies import POLICY_HELP, NamedPolicies
from vmcsc.cli.programs import SUFFIX, read_program
from vmcsc.cli.project import Project
from vmcsc.diagnostic import Diagnostic, Diagnostics, Severity
from vmcsc.errors import VmcscError
from vmcsc.policy.model import Policy
from vmcsc.result import Result

if TYPE_CHECKING:
    from vmcsc.capabilities.cpu import Cpu
    from vmcsc.scenario.result import ScenarioResult


def results_of(
    arguments: argparse.Namespace, project: Project, diagnostics: Diagnostics, policies: Sequence[str]
) -> Iterator[ScenarioResult]:
    """Run the scenarios of each policy on each CPU for which it compiles; what else there is to say is reported."""
    from vmcsc.scenario.test import run_scenarios, usual_cpu

    named = NamedPolicies(project.database)
    for name in policies:
        if name.endswith(SUFFIX):
            yield from _of_program(name, project, diagnostics, arguments.match or "")
            continue
        source = named.find(name, diagnostics)
        if source is None:
            continue
        result = project.compile(source, arguments.cpu)
        if [vmcs.cpu for vmcs in result.by_cpu.values()] == [UNKNOWN_CPU]:
            result = project.compile(source, [usual_cpu(project.database)])
        diagnostics.extend(result.diagnostics)
        diagnostics.suppressed += result.suppressed
        for policy, cpu in _runnable(result):
            yield from run_scenarios(policy, project.database, cpu, match=arguments.match or "")


def _of_program(
    path: str, project: Project, diagnostics: Diagnostics, match: str
) -> Iterator[ScenarioResult]:  # fmt: skip
    from vmcsc.bytecode.load import load_program

    program = read_program(path, diagnostics)
    if program is None:
        return
    try:
        yield from load_program(program, path, project.database).run(project.database, match)
    except VmcscError as error:
        diagnostics.report(codes.BYTECODE, f"{path}: {error}")


def _runnable(result: Result) -> Iterator[tuple[Policy, Cpu]]:
    """The CPUs on which the policy has no error."""
    errors: list[Diagnostic] = [one for one in result.diagnostics if one.severity is Severity.ERROR]
    for name, vmcs in result.by_cpu.items():
        if not any(not one.cpus or name in one.cpus for one in errors):
            yield vmcs.policy, vmcs.cpu


def add_common(parser: Parser) -> None:
    parser.add_argument("policies", nargs="+", metavar="POLICY", help=f"{POLICY_HELP}; or a bytecode file (*{SUFFIX})")
    add_cpus(parser)
    add_specs(parser)
    parser.add_argument(
        "-k",
        "--match",
        metavar="TEXT",
        help="only the scenarios whose titles contain TEXT",
    )
