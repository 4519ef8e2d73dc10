"""`vmcsc cpu diff`: what differs between CPUs."""

from __future__ import annotations

import argparse
import json
import sys

from vmcsc.capabilities.compare import compare_cpus
from vmcsc.cli.cpus import read_cpus
from vmcsc.cli.sides import differences_json, differences_text
from vmcsc.cli.terminal import columns, put, use_color


def run(arguments: argparse.Namespace) -> int:
    found = read_cpus(arguments, [arguments.first, *arguments.others])
    if found is None:
        return 2
    database, cpus = found
    differences = compare_cpus(database, cpus)
    sides = [(cpu.name, cpu.title) for cpu in cpus]
    if arguments.format == "json":
        text = json.dumps(differences_json(differences, sides), indent=2) + "\n"
    else:
        text = differences_text(differences, sides, columns(sys.stdout), use_color(arguments.color, sys.stdout))
    put(text, sys.stdout)
    return 1 if differences else 0
