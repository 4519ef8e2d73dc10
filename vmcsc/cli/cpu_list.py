"""`vmcsc cpu list`: the CPUs that are known by name."""

from __future__ import annotations

import argparse
import json
import sys

from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.cli.findings import exit_code, print_findings
from vmcsc.cli.project import open_project
from vmcsc.cli.table import table
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.diagnostic import Diagnostics


def run(arguments: argparse.Namespace) -> int:
    database = open_project(arguments).database
    diagnostics = Diagnostics()
    read = [read_cpu(name, database, diagnostics) for name in shipped_cpus(database)]
    cpus = [cpu for cpu in read if cpu is not None]
    if arguments.format == "json":
        put(json.dumps({"version": 1, "cpus": [_as_json(cpu) for cpu in cpus]}, indent=2) + "\n", sys.stdout)
    else:
        rows = [(cpu.name, str(len(cpu.msrs)), str(len(cpu.facts)), cpu.title) for cpu in cpus]
        color = use_color(arguments.color, sys.stdout)
        text = table(("name", "MSRs", "facts", "processor"), rows, width=columns(sys.stdout), color=color)
        put(text, sys.stdout)
    print_findings(diagnostics.found, sys.stderr, color=arguments.color, database=database)
    return exit_code(diagnostics)


def _as_json(cpu: Cpu) -> dict[str, object]:
    return {
        "name": cpu.name,
        "title": cpu.title,
        "msrs": {name: f"{value.bits:#018x}" for name, value in cpu.msrs.items()},
        "facts": {name: value.bits for name, value in cpu.facts.items()},
    }
