"""`vmcsc check --state`: what VM entry makes of VMCSs that something else wrote."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.check.check import check_fields
from vmcsc.check.evaluate import Status
from vmcsc.check.vmcs_file import is_jsonl, lines_of, read_vmcs
from vmcsc.cli.findings import code_texts, counted, exit_code, print_findings, summary
from vmcsc.cli.judged import Judged
from vmcsc.cli.project import Project
from vmcsc.cli.standard_input import read_standard_input
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.records import replace
from vmcsc.report import TEXTS
from vmcsc.report.cells import visible
from vmcsc.report.json import VERSION, as_json
from vmcsc.report.style import paint
from vmcsc.source import Source, UnreadableText, read_source

LINES = (".jsonl", ".ndjson")


def check_states(arguments: argparse.Namespace, project: Project) -> int:
    """Judge every VMCS on every CPU, print what became of it, and return the exit code."""
    run = _Run(arguments, project.database)
    about_cpus = Diagnostics()
    for name in arguments.cpu:
        cpu = name if isinstance(name, Cpu) else read_cpu(name, project.database, about_cpus)
        run.cpus += [] if cpu is None else [cpu]
    run.could_not_read(about_cpus)
    if not run.diagnostics.failed:
        run.cpus = run.cpus or [UNKNOWN_CPU]
        for name in arguments.state:
            unreadable = Diagnostics()
            for source in _sources(name, unreadable):
                run.take(source)
            run.could_not_read(unreadable)
    return run.finish()


def _sources(name: str, diagnostics: Diagnostics) -> Iterator[Source]:
    """The texts of a file, one for each VMCS in it."""
    try:
        if name == "-":
            source = read_standard_input()
            yield from _lines(source) if is_jsonl(source) else [source]
        elif Path(name).suffix in LINES and Path(name).is_file():
            with Path(name).open("rb") as stream:
                yield from lines_of(stream, name)
        else:
            yield read_source(Path(name))
    except UnreadableText as error:
        shown = "standard input" if name == "-" else name
        diagnostics.report(codes.UNREADABLE, f"{shown} cannot be read: {error.reason}", error.span)
    except OSError as error:
        diagnostics.report(codes.UNREADABLE, f"{name} cannot be read: {error.strerror or error}")


def _lines(source: Source) -> Iterator[Source]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if line.strip():
            yield replace(source, text=line, first_line=number)


class _Run:
    """Prints as it goes in the formats for people; the others are one document."""

    def __init__(self, arguments: argparse.Namespace, database: Database) -> None:
        self.diagnostics = Diagnostics()
        self.cpus: list[Cpu] = []
        self._arguments = arguments
        self._format: str = arguments.format
        self._db = database
        self._color = use_color(arguments.color, sys.stdout)
        self._texts = 0
        self._printed = False
        self._undetermined = False
        self._violations: list[Diagnostic] = []
        self._objects: list[dict[str, Any]] = []

    def take(self, source: Source) -> None:
        """Judge one text on every CPU."""
        self._texts += 1
        found = Diagnostics()
        written = read_vmcs(source, self._db, found)
        self.could_not_read(found)
        for cpu in self.cpus if written is not None else ():
            assert written is not None
            own = written.on(cpu)
            checked = check_fields(written.fields, own, self._db, written.memory, written.processor, written.spans)
            named = () if cpu is UNKNOWN_CPU else (cpu.name,)
            findings = tuple(replace(finding, cpus=named) for finding in checked.findings)
            self._took(Judged(written, cpu, replace(checked, findings=findings), self._db))

    def could_not_read(self, found: Diagnostics) -> None:
        """Say what is wrong with a text, or with a file."""
        if found.found and self._format in TEXTS:
            self._separate()
            self._print(sorted(found, key=Diagnostic.sort_key), found.suppressed)
        self.diagnostics.extend(found)
        self.diagnostics.suppressed += found.suppressed

    def _took(self, judged: Judged) -> None:
        undetermined = bool(judged.checked.of(Status.UNDETERMINED))
        self._undetermined |= undetermined
        self._violations += judged.checked.findings
        if self._format == "json":
            self._objects.append(judged.as_json())
        elif self._format in TEXTS:
            self._print_judged(judged)
        elif self._arguments.strict and undetermined:
            self._violations.append(_note(judged))

    def finish(self) -> int:
        """Print what is left to print, and return the exit code."""
        read = self.diagnostics
        everything = [*read, *self._violations]
        if self._format == "json":
            findings = as_json(read, code_texts(self._db))
            whole = {"version": VERSION, "states": self._objects, "findings": findings, "suppressed": read.suppressed}
            put(json.dumps(whole, indent=2) + "\n", sys.stdout)
        elif self._format not in TEXTS:
            self._print(everything, read.suppressed)
        put(f"{counted(self._texts, 'state')}, {summary(everything)}\n", sys.stderr)
        code = exit_code(everything, strict=self._arguments.strict, exit_zero=self._arguments.exit_zero)
        undecided = self._arguments.strict and self._undetermined and not self._arguments.exit_zero
        return code or int(undecided)

    def _print(self, findings: Sequence[Diagnostic], suppressed: int = 0) -> None:
        print_findings(
            findings,
            sys.stdout,
            format=self._format,
            color=self._arguments.color,
            suppressed=suppressed,
            database=self._db,
        )

    def _print_judged(self, judged: Judged) -> None:
        self._separate()
        place = paint("strong", f"{visible(judged.place)}:", self._color)
        put(f"{place} {visible(judged.headline())}\n", sys.stdout)
        gap = "\n" if self._format == "full" else ""
        if judged.checked.findings:
            put(gap, sys.stdout)
            self._print(judged.checked.findings)
        if self._format == "full":
            put(gap + "".join(f"{visible(line)}\n" for line in judged.details(columns(sys.stdout))), sys.stdout)
        put(f"{judged.counts()}\n", sys.stdout)

    def _separate(self) -> None:
        if self._printed and self._format == "full":
            put("\n", sys.stdout)
        self._printed = True


def _note(judged: Judged) -> Diagnostic:
    number = len(judged.checked.of(Status.UNDETERMINED))
    message = f"{counted(number, 'rule')} cannot be decided for this VMCS"
    code = codes.RULES_UNDETERMINED
    return Diagnostic(code.id, code.severity, message, judged.written.source.span(0, 1))
