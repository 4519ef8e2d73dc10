"""`vmcsc cpu common`: what CPUs have in common, as a CPU file."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from vmcsc import codes
from vmcsc.capabilities.common import common_cpu, conflicts
from vmcsc.capabilities.write import cpu_text
from vmcsc.cli.cpus import read_cpus
from vmcsc.cli.findings import exit_code, print_findings
from vmcsc.cli.output import write_or_report
from vmcsc.cli.terminal import put
from vmcsc.diagnostic import Diagnostics
from vmcsc.report.cells import visible

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def run(arguments: argparse.Namespace) -> int:
    name = arguments.name or _name_of(arguments.output)
    if not _NAME.fullmatch(name):
        message = f"`{visible(name)}` cannot be the name of a CPU: lower-case letters, digits and `_` can"
        put(f"vmcsc cpu common: error: {message}\n", sys.stderr)
        return 2
    found = read_cpus(arguments, arguments.cpus)
    if found is None:
        return 2
    database, cpus = found
    common = common_cpu(database, cpus, name)
    diagnostics = Diagnostics()
    for message in conflicts(database, cpus):
        diagnostics.report(codes.CPU_INCONSISTENT, message)
    if not diagnostics.failed:
        _write(cpu_text(common.cpu, database, common.remarks), arguments.output, diagnostics)
    print_findings(diagnostics.found, sys.stderr, color=arguments.color, database=database)
    return exit_code(diagnostics)


def _name_of(output: str | None) -> str:
    """The name of a CPU after the file that it is written to, as far as it can be one."""
    stem = "" if output in (None, "-") else Path(output or "").name.partition(".")[0]
    name = stem.lower().replace("-", "_")
    return name if _NAME.fullmatch(name) else "common"


def _write(text: str, output: str | None, diagnostics: Diagnostics) -> None:
    if output in (None, "-"):
        put(text, sys.stdout)
        return
    write_or_report(Path(output or ""), text.encode(), diagnostics)
