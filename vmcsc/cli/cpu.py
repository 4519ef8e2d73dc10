"""`vmcsc cpu list`: the CPUs that are known by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.cli.findings import exit_code, print_findings
from vmcsc.cli.parser import Parser, add_color, add_format, add_specs
from vmcsc.cli.table import table
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.diagnostic import Diagnostics
from vmcsc.pipeline import load


def run(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    database = load(*arguments.specs)
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


def _parser() -> Parser:
    parser = Parser(
        "cpu",
        "List the CPUs that are known by name, with how many of their MSRs and other facts are known.",
        "vmcsc cpu list --format json",
    )
    parser.add_argument("action", choices=("list",), help="what to do")
    add_specs(parser)
    add_format(parser, ("text", "json"), "text", "how the list is printed")
    add_color(parser)
    return parser
