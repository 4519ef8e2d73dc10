"""`vmcsc test`: run the scenarios of policies and say which of them do not come true."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmcsc import codes
from vmcsc.cli.findings import code_texts, counted, distinct, exit_code, findings_text, print_failure
from vmcsc.cli.output import write_whole
from vmcsc.cli.parser import FINDINGS, SETTINGS, Parser, add_color, add_format, add_strictness
from vmcsc.cli.project import Project, open_project
from vmcsc.cli.scenarios import add_common, results_of
from vmcsc.cli.terminal import put, use_color
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.report import FORMATS, TEXTS
from vmcsc.report.cells import visible
from vmcsc.report.style import paint

if TYPE_CHECKING:
    from vmcsc.architecture.model import CodeText
    from vmcsc.scenario.result import ScenarioResult


def run(argv: Sequence[str]) -> int:
    arguments = parser().parse_args(argv)
    if arguments.on is not None:
        from vmcsc.cli.on_bochs import run_there

        return run_there(arguments)
    try:
        project = open_project(arguments, with_cpus=not arguments.cpu)
    except VmcscError as error:
        return print_failure(error, format=arguments.format, color=arguments.color)
    diagnostics = Diagnostics(found=list(project.findings))
    started = time.monotonic()
    results = list(results_of(arguments, project, diagnostics, arguments.policies))
    seconds = time.monotonic() - started
    if arguments.junit is not None:
        _write_junit(arguments.junit, results, diagnostics)
    findings = [*diagnostics, *(finding for one in results for finding in one.findings)]
    _print(results, distinct(findings), arguments, project, diagnostics.suppressed)
    put(f"{_summary(results)} in {seconds:.1f} s\n", sys.stderr)
    if arguments.match is not None and not results:
        put(f"vmcsc test: no scenario has {visible(arguments.match)!r} in its title\n", sys.stderr)
        return 2
    return exit_code(findings, strict=arguments.strict, exit_zero=arguments.exit_zero)


def _print(
    results: Sequence[ScenarioResult], findings: Sequence[Diagnostic], arguments: argparse.Namespace, project: Project,
    suppressed: int,
) -> None:  # fmt: skip
    if arguments.format == "json":
        put(json.dumps(_as_json(results, findings, code_texts(project.database)), indent=2) + "\n", sys.stdout)
        return
    if arguments.format in TEXTS:
        color = use_color(arguments.color, sys.stdout)
        put("".join(_lines(results, color, told=arguments.format == "full")), sys.stdout)
    text = findings_text(
        findings, sys.stdout, format=arguments.format, color=arguments.color, suppressed=suppressed,
        database=project.database,
    )  # fmt: skip
    put(("\n" if text and results and arguments.format == "full" else "") + text, sys.stdout)


def _lines(results: Sequence[ScenarioResult], color: bool, *, told: bool) -> Iterable[str]:
    """A line for each scenario, below the policy and the CPU on which it ran; and what had to be assumed."""
    for (policy, cpu), group in groupby(results, key=lambda one: (one.policy, one.cpu)):
        yield f"{paint('strong', visible(policy), color)} on {visible(cpu)}\n"
        settled: dict[str, None] = {}
        assumed: dict[str, None] = {}
        for one in group:
            word = paint("note", "pass", color) if one.passed else paint("error", "FAIL", color)
            yield f"  {word}  {visible(one.title)}\n"
            yield from (f"        {visible(note)}\n" for note in one.notes)
            settled |= dict.fromkeys(one.settled)
            assumed |= dict.fromkeys(one.assumed)
        if told and settled:
            yield f"  settled for the run: {'; '.join(visible(what) for what in settled)}\n"
        if told and assumed:
            yield f"  not known, so taken as absent or 0: {', '.join(visible(what) for what in assumed)}\n"


def _summary(results: Sequence[ScenarioResult]) -> str:
    failed = sum(not one.passed for one in results)
    return f"{counted(len(results), 'scenario')}: {len(results) - failed} passed, {failed} failed"


def _as_json(
    results: Iterable[ScenarioResult], findings: Sequence[Diagnostic], texts: Mapping[str, CodeText]
) -> dict[str, Any]:
    from vmcsc.report.json import as_json

    scenarios = [
        {
            "policy": one.policy,
            "cpu": one.cpu,
            "title": one.title,
            "passed": one.passed,
            "notes": list(one.notes),
            "settled": list(one.settled),
            "assumed": list(one.assumed),
        }
        for one in results
    ]
    return {"version": 1, "scenarios": scenarios, "findings": as_json(findings, texts)}


def _write_junit(path: str, results: Sequence[ScenarioResult], diagnostics: Diagnostics) -> None:
    from vmcsc.cli.junit import junit_text

    try:
        write_whole(Path(path), junit_text(results).encode("utf-8", "backslashreplace"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        diagnostics.report(codes.CANNOT_WRITE, f"{path} cannot be written: {reason}")


def parser() -> Parser:
    parser = Parser(
        "test",
        "Run every scenario of policies on the bundled machine and say which of them do not come true.\n"
        "They run on each CPU that the policy or the command line names, or else on one that the specs name.\n"
        "A scenario that fails says what happened instead, and which control or bit of a bitmap decided it.",
        "vmcsc test kvm-classic --cpu ice_lake_i7_1065g7",
        FINDINGS,
        SETTINGS,
    )
    add_common(parser)
    parser.add_argument(
        "--on",
        metavar="bochs[:MODEL]",
        help="run the scenarios on the emulator Bochs too, as a CPU model of it that has VMX, and show both results "
        "side by side; takes the place of --cpu",
    )
    parser.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML to FILE too")
    add_format(parser, FORMATS, "full", "how results and findings are printed")
    add_color(parser)
    add_strictness(parser)
    return parser
