"""`vmcsc specs`: validate the shipped specs and folders of further ones, with their CPUs and policies."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.capabilities.readers import read_cpu
from vmcsc.cli.findings import counted, distinct, exit_code, print_findings, summary
from vmcsc.cli.parser import Parser, add_color, add_format
from vmcsc.cli.terminal import put
from vmcsc.diagnostic import Diagnostics, Severity
from vmcsc.expression.conditions import check_conditions
from vmcsc.pipeline import compile
from vmcsc.report import FORMATS


def run(argv: Sequence[str]) -> int:
    parser = _parser()
    arguments = parser.parse_intermixed_args(argv)
    folders = [Path(folder) for folder in arguments.folders]
    for folder in folders:
        if not folder.is_dir():
            parser.error(f"{folder} is not a folder")
    diagnostics = Diagnostics()
    database = load_specs(folders, diagnostics, check_shipped=True)
    if database is not None:
        check_conditions(database, diagnostics)
    counts = [] if database is None else [*_entries(database), *_separate(database, diagnostics)]
    found = [finding for finding in distinct(diagnostics) if finding.severity is not Severity.NOTE]
    print_findings(
        found,
        sys.stdout,
        format=arguments.format,
        color=arguments.color,
        suppressed=diagnostics.suppressed,
        database=database,
    )
    if not diagnostics.failed and database is not None and arguments.format != "json":
        put(f"specs {database.version}: {', '.join(counts)}\n", sys.stdout)
    put(f"{counted(1 + len(folders), 'folder')}, {summary(found)}\n", sys.stderr)
    return 1 if exit_code(found) else 0


def _entries(database: Database) -> list[str]:
    """How many entries there are of each kind."""
    return [
        counted(len(database.fields), "field"),
        f"{counted(len(database.controls), 'control')} in {counted(len(database.words), 'word')}",
        counted(len(database.msrs), "MSR"),
        counted(len(database.layouts), "layout"),
        counted(len(database.exit_reasons), "exit reason"),
        counted(len(database.instruction_errors), "instruction error"),
        counted(len(database.exceptions), "exception"),
        counted(len(database.facts), "processor fact"),
        counted(len(database.rules), "rule"),
        counted(len(database.codes), "code"),
    ]


def _separate(database: Database, diagnostics: Diagnostics) -> list[str]:
    """Read every CPU and compile every policy of the folders, also where a later one hides it."""
    cpus = [path for folder in database.folders for path in sorted((folder / "cpus").glob("*.yaml"))]
    policies = [path for folder in database.folders for path in sorted((folder / "policies").glob("*.vmcs"))]
    for path in cpus:
        read_cpu(str(path), database, diagnostics)
    for path in policies:
        diagnostics.extend(compile(path, database=database).diagnostics)
    return [counted(len(cpus), "CPU"), counted(len(policies), "policy")]


def _parser() -> Parser:
    parser = Parser(
        "specs",
        "Validate the shipped specs and folders of further ones, with their CPUs and policies: against\n"
        "their schemas, against each other, and each policy against the CPUs that it names.",
        "vmcsc specs our-specs/",
    )
    help = "a folder of specs that adds to the shipped ones"
    parser.add_argument("folders", nargs="*", metavar="DIR", help=help)
    add_format(parser, FORMATS, "full", "how findings are printed")
    add_color(parser)
    return parser
