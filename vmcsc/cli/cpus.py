"""CPUs as they are named on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.cli.findings import print_findings
from vmcsc.cli.project import open_project
from vmcsc.cli.standard_input import read_cpu
from vmcsc.diagnostic import Diagnostics


def read_cpus(arguments: argparse.Namespace, names: Sequence[str]) -> tuple[Database, list[Cpu]] | None:
    """The specs and the CPUs called `names`, or None after printing why one of them cannot be had."""
    database = open_project(arguments).database
    diagnostics = Diagnostics()
    read = [read_cpu(name, database, diagnostics) for name in names]
    print_findings(diagnostics.found, sys.stderr, color=arguments.color, database=database)
    cpus = [cpu for cpu in read if cpu is not None]
    return None if len(cpus) < len(names) else (database, cpus)
