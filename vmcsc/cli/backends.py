"""`vmcsc backends`: list what a policy can be turned into."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from vmcsc.backend import backends, get
from vmcsc.cli.parser import Parser, add_color, add_format
from vmcsc.cli.table import table
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.errors import VmcscError
from vmcsc.report.cells import visible


def run(argv: Sequence[str]) -> int:
    arguments = parser().parse_args(argv)
    found: list[tuple[str, str]] = []
    for name in backends():
        try:
            found.append((name, get(name).summary))
        except VmcscError as error:  # one that does not load does not hide the others
            put(f"vmcsc: warning: {visible(str(error))}\n", sys.stderr)
    if arguments.format == "json":
        listed = [{"name": name, "summary": summary} for name, summary in found]
        put(json.dumps({"version": 1, "backends": listed}, indent=2) + "\n", sys.stdout)
        return 0
    color = use_color(arguments.color, sys.stdout)
    put(table(("name", "what it makes"), found, width=columns(sys.stdout), color=color), sys.stdout)
    return 0


def parser() -> Parser:
    parser = Parser(
        "backends",
        "List what a policy can be turned into. `vmcsc emit BACKEND --help` shows the options of one.",
        "vmcsc backends --format json",
    )
    add_format(parser, ("text", "json"), "text", "how the list is printed")
    add_color(parser)
    return parser
