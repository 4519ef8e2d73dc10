"""`vmcsc test --on bochs`: the scenarios of policies on the bundled machine and on Bochs, side by side."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from vmcsc import codes
from vmcsc.architecture.emulator import emulator_of
from vmcsc.bochs.judge import Step
from vmcsc.bochs.processor import Model, read_model
from vmcsc.bochs.scenarios import OnBochs, Prepared, prepare_scenarios, run_on_bochs
from vmcsc.bochs.tools import Tools, find_tools
from vmcsc.cli.findings import code_texts, counted, distinct, exit_code, findings_text, print_failure
from vmcsc.cli.policies import NamedPolicies
from vmcsc.cli.programs import SUFFIX
from vmcsc.cli.project import Project, open_project
from vmcsc.cli.terminal import put, use_color
from vmcsc.diagnostic import Diagnostic, Diagnostics, Severity
from vmcsc.errors import VmcscError
from vmcsc.machine.machine import Machine
from vmcsc.report import TEXTS
from vmcsc.report.cells import visible
from vmcsc.report.style import paint

EMULATOR = "bochs"


def run_there(arguments: argparse.Namespace) -> int:
    """The whole command, where `--on` is given."""
    try:
        named = _model_name(arguments)
        tools = find_tools()
        project = open_project(arguments)
        model = read_model(named or emulator_of(project.database).usual, project.database, tools)
        diagnostics = Diagnostics(found=list(project.findings))
        results = list(_results(arguments, project, model, tools, diagnostics))
    except VmcscError as error:
        return print_failure(error, format=arguments.format, color=arguments.color)
    for one in results:
        _report(one, diagnostics)
    findings = distinct([*diagnostics, *(finding for one in results for finding in one.here.findings)])
    _print(results, findings, arguments, project, diagnostics.suppressed)
    put(_summary(results) + "\n", sys.stderr)
    if arguments.match is not None and not results:
        put(f"vmcsc test: no scenario has {visible(arguments.match)!r} in its title\n", sys.stderr)
        return 2
    return exit_code(findings, strict=arguments.strict, exit_zero=arguments.exit_zero)


def _model_name(arguments: argparse.Namespace) -> str:
    """The CPU model that is named, or an empty text."""
    on: str = arguments.on
    emulator, _, model = on.partition(":")
    if emulator != EMULATOR:
        raise VmcscError(f"scenarios run on {EMULATOR}, not on {visible(emulator)!r}")
    if arguments.cpu:
        raise VmcscError(f"the processor is Bochs's own: name a model of it with --on {EMULATOR}:MODEL, and no --cpu")
    if arguments.junit is not None:
        raise VmcscError("--junit goes with the bundled machine alone, not with --on")
    return model


def _results(
    arguments: argparse.Namespace, project: Project, model: Model, tools: Tools, diagnostics: Diagnostics
) -> Iterator[OnBochs]:
    named, machine = NamedPolicies(project.database), Machine(project.database, model.cpu)
    for name in arguments.policies:
        if name.endswith(SUFFIX):
            raise VmcscError(f"{name} is bytecode, which runs on the bundled machine alone")
        source = named.find(name, diagnostics)
        if source is None:
            continue
        result = project.compile(source, [model.cpu])
        diagnostics.extend(result.diagnostics)
        diagnostics.suppressed += result.suppressed
        if result.policy is None or any(one.severity is Severity.ERROR for one in result.diagnostics):
            continue
        prepared: list[Prepared] = list(
            prepare_scenarios(result.policy, model, machine, match=arguments.match or "")
        )  # fmt: skip
        yield from run_on_bochs(prepared, model, project.database, tools)


def _report(one: OnBochs, diagnostics: Diagnostics) -> None:
    """A finding where both differ."""
    if one.missing is not None or one.agrees:
        return
    message = f"on Bochs the scenario {one.here.title!r} comes to something else"
    notes = [note for step in one.steps if step.difference is not None for note in _notes(step)]
    if one.lost:
        notes.append("Bochs did not come to the end of it")
    diagnostics.report(codes.SCENARIO_DIFFERS, message, one.span, notes=notes)


def _notes(step: Step) -> Iterator[str]:
    yield f"`{step.text}` here: {step.here}; on Bochs: {step.there}"
    yield step.difference or ""


def _print(
    results: Sequence[OnBochs], findings: Sequence[Diagnostic], arguments: argparse.Namespace, project: Project,
    suppressed: int,
) -> None:  # fmt: skip
    if arguments.format == "json":
        from vmcsc.report.json import as_json

        content = {
            "version": 1,
            "scenarios": [_as_json(one) for one in results],
            "findings": as_json(findings, code_texts(project.database)),
        }
        put(json.dumps(content, indent=2) + "\n", sys.stdout)
        return
    if arguments.format in TEXTS:
        put("".join(_lines(results, use_color(arguments.color, sys.stdout))), sys.stdout)
    text = findings_text(
        findings, sys.stdout, format=arguments.format, color=arguments.color, suppressed=suppressed,
        database=project.database,
    )  # fmt: skip
    put(("\n" if text and results and arguments.format == "full" else "") + text, sys.stdout)


def _lines(results: Sequence[OnBochs], color: bool) -> Iterator[str]:
    """A line for each scenario: what came of it here, and whether it came to the same there."""
    for (policy, cpu), group in groupby(results, key=lambda one: (one.here.policy, one.here.cpu)):
        yield f"{paint('strong', visible(policy), color)} on {visible(cpu)}\n"
        yield "  here  Bochs\n"
        for one in group:
            here = paint("note", "pass", color) if one.here.passed else paint("error", "FAIL", color)
            word = _word(one)
            there = paint("error" if word == "differs" else "note", word.ljust(7), color)
            why = f" ({visible(one.missing)})" if one.missing is not None else ""
            yield f"  {here}  {there}  {visible(one.here.title)}{why}\n"


def _word(one: OnBochs) -> str:
    return "not run" if one.missing is not None else "same" if one.agrees else "differs"


def _as_json(one: OnBochs) -> Mapping[str, Any]:
    return {
        "policy": one.here.policy,
        "cpu": one.here.cpu,
        "title": one.here.title,
        "passed": one.here.passed,
        "bochs": _word(one),
        "reason": one.missing,
        "lost": one.lost,
        "steps": [
            {"text": step.text, "here": step.here, "bochs": step.there, "difference": step.difference}
            for step in one.steps
        ],
    }


def _summary(results: Sequence[OnBochs]) -> str:
    failed = sum(not one.here.passed for one in results)
    missing = sum(one.missing is not None for one in results)
    differ = sum(one.missing is None and not one.agrees for one in results)
    return (
        f"{counted(len(results), 'scenario')}: {len(results) - failed} passed, {failed} failed; on Bochs "
        f"{len(results) - missing - differ} the same, {differ} different, {missing} not run"
    )
