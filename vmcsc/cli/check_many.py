"""`vmcsc check --states`: what VM entry makes of many VMCSs, counted."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.cli.findings import counted, print_findings
from vmcsc.cli.output import write_or_report
from vmcsc.cli.terminal import columns, is_terminal, put, use_color
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.report.cells import visible
from vmcsc.report.json import VERSION

MAX_RULES = 20
"""Rules that the table names; JSON has all of them."""

VERDICTS = ("fail", "succeed", "cannot be told")
"""What the verdicts are called, by their numbers in `Many.verdict`."""


def check_many_states(arguments: argparse.Namespace, database: Database) -> int:
    """Judge all states of the files, print how many become what, and return the exit code."""
    diagnostics = Diagnostics()
    try:
        results = list(_results(arguments, database, diagnostics))
    except VmcscError as error:
        diagnostics.report(codes.UNREADABLE, str(error))
        results = []
    if diagnostics.failed:
        format = "json" if arguments.format == "json" else "full"
        print_findings(list(diagnostics), sys.stdout, format=format, color=arguments.color, database=database)
        return 2
    if arguments.format == "json":
        whole = {"version": VERSION, "results": [_json(*result) for result in results]}
        put(json.dumps(whole, indent=2) + "\n", sys.stdout)
    else:
        put("\n".join(_text(*result, arguments.color) for result in results), sys.stdout)
    put(f"{counted(sum(many.count for *_, many in results), 'state')}\n", sys.stderr)
    return int(any((many.verdict == 0).any() for *_, many in results) and not arguments.exit_zero)


def _results(
    arguments: argparse.Namespace, database: Database, diagnostics: Diagnostics
) -> Iterator[tuple[str, Cpu, Any]]:  # fmt: skip
    """Each file on each CPU; the result of the only one is written where that was asked for."""
    try:
        from vmcsc.check.many import check_many
        from vmcsc.check.states_file import SUFFIXES, read_states
    except ModuleNotFoundError:
        raise VmcscError("many states at once need numpy: pip install 'vmcsc[batch]'") from None
    cpus = [UNKNOWN_CPU] if not arguments.cpu else [
        cpu for name in arguments.cpu if (cpu := read_cpu(name, database, diagnostics)) is not None
    ]  # fmt: skip
    if arguments.output and len(arguments.states) * len(cpus) != 1:
        raise VmcscError("one result is written for one file on one CPU")
    for name in arguments.states if not diagnostics.failed else ():
        path = Path(name)
        if path.suffix not in SUFFIXES:
            raise VmcscError(f"{name} is none of {', '.join(SUFFIXES)}")
        states = read_states(path, database, diagnostics)
        for cpu in cpus if states is not None else ():
            assert states is not None
            with _progress(name) as progress:
                many = check_many(states.fields, cpu, states.processor, database, progress=progress)
            if arguments.output:
                write_or_report(Path(arguments.output), _archive(many), diagnostics)
            yield name, cpu, many


@contextmanager
def _progress(name: str) -> Iterator[Any]:
    """A bar on a terminal."""
    if not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(visible(name), total=None)
        yield lambda done: bar.update(task, completed=done)


def _archive(many: Any) -> bytes:
    """The result as arrays: a number for each state, and the names that the numbers stand for."""
    import numpy as np

    content = io.BytesIO()
    np.savez_compressed(
        content,
        verdict=many.verdict,
        first_rule=many.first,
        rules=np.array(many.rules),
        **{name: many.part(name) for name in many.parts},
    )
    return content.getvalue()


def _numbers(many: Any) -> Sequence[int]:
    return [int((many.verdict == verdict).sum()) for verdict in range(len(VERDICTS))]


def _outcomes(many: Any) -> list[tuple[str, int]]:
    """Each outcome with how many states have it, the commonest first."""
    found = [(str(outcome), int((many.outcome == place).sum())) for place, outcome in enumerate(many.outcomes)]
    return sorted(((text, number) for text, number in found if number), key=lambda one: -one[1])


def _rules(many: Any) -> list[tuple[str, int, int]]:
    """The rules that are violated or undetermined in some state, with in how many."""
    found = [(rule, counts[2], counts[3]) for rule, counts in many.counts.items() if counts[2] or counts[3]]
    return sorted(found, key=lambda one: (-one[1], -one[2]))


def _text(name: str, cpu: Cpu, many: Any, color: str) -> str:
    from vmcsc.cli.table import table  # rich takes 40 ms

    on = "" if cpu is UNKNOWN_CPU else f" on {cpu.title}"
    verdicts = ", ".join(f"{number} {text}" for number, text in zip(_numbers(many), VERDICTS, strict=True))
    head = f"{visible(name)}: {counted(many.count, 'state')}{visible(on)}: {verdicts}\n"
    wide, colored = columns(sys.stdout), use_color(color, sys.stdout)
    outcomes = [(text, str(number)) for text, number in _outcomes(many)]
    rules = [(rule, str(violated), str(undetermined)) for rule, violated, undetermined in _rules(many)]
    parts = [head]
    if outcomes:
        parts.append(table(("outcome", "states"), outcomes, width=wide, color=colored))
    if rules:
        parts.append(table(("rule", "violated", "undetermined"), rules[:MAX_RULES], width=wide, color=colored))
    if len(rules) > MAX_RULES:
        parts.append(f"and {counted(len(rules) - MAX_RULES, 'rule')} more; --format json has all of them\n")
    return "\n".join(parts)


def _json(name: str, cpu: Cpu, many: Any) -> dict[str, Any]:
    fails, succeeds, open_ones = _numbers(many)
    return {
        "path": name,
        "cpu": None if cpu is UNKNOWN_CPU else cpu.name,
        "states": many.count,
        "verdicts": {"fails": fails, "succeeds": succeeds, "undetermined": open_ones},
        "outcomes": [{"outcome": text, "states": number} for text, number in _outcomes(many)],
        "rules": {
            rule: dict(zip(("not_applicable", "passed", "violated", "undetermined"), counts, strict=True))
            for rule, counts in many.counts.items()
        },
    }
