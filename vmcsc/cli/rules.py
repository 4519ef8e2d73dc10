"""`vmcsc rules`: the rules of VM entry, with the section that they stand in and what a violation causes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Rule
from vmcsc.check.words import outcomes_of
from vmcsc.cli.findings import counted
from vmcsc.cli.parser import SETTINGS, Parser, add_color, add_format, add_specs
from vmcsc.cli.project import open_project
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.report.cells import visible


def run(argv: Sequence[str]) -> int:
    arguments = parser().parse_args(argv)
    database = open_project(arguments).database
    sections = list(dict.fromkeys(rule.section for rule in database.rules))
    chosen: set[str] = set()
    for wanted in arguments.section:
        found = _sections(wanted, sections)
        if not found:
            near = get_close_matches(wanted, sections, n=1, cutoff=0.4)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            put(f"vmcsc rules: error: no rule stands in a section like `{visible(wanted)}`{hint}\n", sys.stderr)
            return 2
        chosen |= set(found)
    rules = [rule for rule in database.rules if not arguments.section or rule.section in chosen]
    if arguments.format == "json":
        listed = [_as_json(rule, database) for rule in rules]
        put(json.dumps({"version": 1, "rules": listed}, indent=2) + "\n", sys.stdout)
        return 0
    from vmcsc.cli.table import table  # rich takes 40 ms

    rows = [(rule.id, rule.code, outcomes_of(rule), rule.section) for rule in rules]
    headers = ("rule", "code", "violation", "section")
    width, color = columns(sys.stdout), use_color(arguments.color, sys.stdout)
    put(table(headers, rows, width=width, color=color), sys.stdout)
    put(f"{counted(len(rules), 'rule')}\n", sys.stderr)
    return 0


def _sections(wanted: str, sections: Sequence[str]) -> list[str]:
    """The section of this title, else those whose title has these words in it."""
    exact = [section for section in sections if section.casefold() == wanted.casefold()]
    return exact or [section for section in sections if wanted.casefold() in section.casefold()]


def _as_json(rule: Rule, database: Database) -> dict[str, Any]:
    caused = set(rule.outcome.items())
    return {
        "id": rule.id,
        "code": rule.code,
        "entry": rule.entry,
        "section": rule.section,
        "each": None if rule.each is None else f"{rule.each[0]} of {rule.each[1]}",
        "when": rule.when,
        "require": rule.require,
        "outcome": dict(rule.outcome),
        "other_outcomes": [dict(outcome) for outcome in rule.other_outcomes],
        "stage": next((stage.name for stage in database.stages if caused & set(stage.outcomes)), None),
        "why": rule.why,
        "hint": rule.hint,
    }


def parser() -> Parser:
    parser = Parser(
        "rules",
        "List the rules of VM entry: the id, the code of its findings, what a violation causes and the section of\n"
        "the SDM. `vmcsc explain ID` says more of one.",
        "vmcsc rules --section MSRs --format json",
        "exit status:\n  0  the rules are listed\n  2  no section is meant, or wrong use\n",
        SETTINGS,
    )
    parser.add_argument(
        "--section",
        action="append",
        default=[],
        metavar="TITLE",
        help="only the rules of this section, or of those whose titles hold these words; may be repeated",
    )
    add_specs(parser)
    add_format(parser, ("text", "json"), "text", "how the list is printed")
    add_color(parser)
    return parser
