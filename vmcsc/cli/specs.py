"""`vmcsc specs`: validate the shipped specs and folders of further ones, with their CPUs and policies."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.kvm import FOLDER as KERNELS
from vmcsc.architecture.loader import load_specs
from vmcsc.architecture.operation import FOLDER
from vmcsc.architecture.reader import read_document
from vmcsc.capabilities.readers import read_cpu
from vmcsc.cli.config import read_config
from vmcsc.cli.findings import counted, distinct, exit_code, print_failure, print_findings, summary
from vmcsc.cli.parser import FINDINGS, SETTINGS, Parser, add_color, add_format, add_strictness
from vmcsc.cli.project import Project, folders_of, ignored_codes, refuse
from vmcsc.cli.terminal import put
from vmcsc.diagnose.verify import check_dumps
from vmcsc.diagnostic import Diagnostic, Diagnostics, Severity
from vmcsc.errors import VmcscError
from vmcsc.expression.conditions import check_conditions
from vmcsc.kvm.verify import check_kernels
from vmcsc.machine.verify import check_machine
from vmcsc.policy.states import known_states, read_state
from vmcsc.report import FORMATS, TEXTS


def run(argv: Sequence[str]) -> int:
    arguments = (chosen := parser()).parse_intermixed_args(argv)
    folders = [Path(folder) for folder in arguments.folders]
    for folder in folders:
        if not folder.is_dir():
            chosen.error(f"{folder} is not a folder")
    diagnostics = Diagnostics()
    try:
        config = read_config(diagnostics)
        folders = folders or folders_of(config, "specs", diagnostics)
        search = folders_of(config, "search", diagnostics)
        refuse(diagnostics)
    except VmcscError as error:
        return print_failure(error, sys.stdout, format=arguments.format, color=arguments.color)
    database = load_specs(folders, diagnostics, check_shipped=True)
    if database is not None:
        check_conditions(database, diagnostics)
        if not folders or any((folder / FOLDER).is_dir() for folder in folders):
            check_machine(database, diagnostics)
        if not folders or any((folder / KERNELS).is_dir() for folder in folders):
            before = len(diagnostics)
            check_kernels(database, diagnostics)
            if len(diagnostics) == before:
                check_dumps(database, diagnostics)
    counts = []
    if database is not None:
        project = Project(database, search=search, ignore=ignored_codes(config, database, diagnostics))
        counts = [*_entries(database), *_separate(project, diagnostics)]
    found = [finding for finding in distinct(diagnostics) if _matters(finding, strict=arguments.strict)]
    print_findings(
        found,
        sys.stdout,
        format=arguments.format,
        color=arguments.color,
        suppressed=diagnostics.suppressed,
        database=database,
    )
    if not diagnostics.failed and database is not None and arguments.format in TEXTS:
        put(f"specs {database.version}: {', '.join(counts)}\n", sys.stdout)
    put(f"{counted(1 + len(folders), 'folder')}, {summary(found)}\n", sys.stderr)
    code = exit_code(found, strict=arguments.strict, exit_zero=arguments.exit_zero)
    return 1 if code and not arguments.exit_zero else 0  # an unreadable spec is what this command looks for


def _matters(finding: Diagnostic, *, strict: bool) -> bool:
    """Notes say what a policy's author has to know of a CPU, and nothing of the specs."""
    return finding.severity is not Severity.NOTE or (strict and finding.code in codes.UNDETERMINED)


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


def _separate(project: Project, diagnostics: Diagnostics) -> list[str]:
    """Read every CPU and state and compile every policy of the folders, also where a later one hides it."""
    database = project.database
    cpus = [path for folder in database.folders for path in sorted((folder / "cpus").glob("*.yaml"))]
    policies = [path for folder in database.folders for path in sorted((folder / "policies").glob("*.vmcs"))]
    for path in cpus:
        read_cpu(str(path), database, diagnostics)
    states = [path for folder in database.folders for path in sorted((folder / "states").glob("*.yaml"))]
    for path in states:
        read_document(path, diagnostics)
    for name in known_states(database):
        read_state(name, database, diagnostics)
    for path in policies:
        result = project.compile(path)
        diagnostics.extend(result.diagnostics)
        diagnostics.suppressed += result.suppressed
    return [counted(len(cpus), "CPU"), counted(len(states), "state"), counted(len(policies), "policy")]


def parser() -> Parser:
    parser = Parser(
        "specs",
        "Validate the shipped specs and folders of further ones, with their CPUs, states and policies: against\n"
        "their schemas, against each other, and each policy against the CPUs that it names. Notes are left\n"
        "out, but for those that --strict counts.",
        "vmcsc specs our-specs/",
        FINDINGS,
        SETTINGS,
    )
    help = "a folder of specs that adds to the shipped ones (default: those of the settings)"
    parser.add_argument("folders", nargs="*", metavar="DIR", help=help)
    add_format(parser, FORMATS, "full", "how findings are printed")
    add_color(parser)
    add_strictness(parser)
    return parser
