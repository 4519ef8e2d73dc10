"""`vmcsc explain`: what a name, a number or a diagnostic code means."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence

from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import KINDS, Meaning, look_up, plain, similar
from vmcsc.capabilities.census import varies
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.cli.meaning import Description, Labelled, describe
from vmcsc.cli.parser import SETTINGS, Parser, add_color, add_format, add_specs
from vmcsc.cli.project import open_project
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.diagnostic import Diagnostics
from vmcsc.report.cells import visible
from vmcsc.report.style import paint

_MAX_WIDTH = 100
STATE = "state"
"""The kind of what is no entry of the specs but a file of its own."""


def run(argv: Sequence[str]) -> int:
    arguments = parser().parse_intermixed_args(argv)
    database = open_project(arguments).database
    found, missing = _meanings(arguments.words, arguments.kind, database)
    states = _states(arguments.words, arguments.kind, database)
    unknown = [word for word in missing if word not in states]
    cpus = _shipped(database) if any(varies(meaning.entry, meaning.owner) for meaning in found) else []
    described = [describe(meaning, database, cpus) for meaning in found]
    described += [description for descriptions in states.values() for description in descriptions]
    if arguments.format == "json":
        listed = [description.as_json() for description in described]
        put(json.dumps({"version": 1, "meanings": listed}, indent=2) + "\n", sys.stdout)
    else:
        color, width = use_color(arguments.color, sys.stdout), columns(sys.stdout)
        put("\n".join(_text(description, width, color) for description in described), sys.stdout)
    for word in unknown:
        put(_nothing(word, arguments.kind, database), sys.stderr)
    return 2 if unknown else 0


def _states(words: Sequence[str], kind: str | None, database: Database) -> dict[str, list[Description]]:
    """The states that some of the words name, besides whatever else they mean."""
    names = {plain(name) for name in database.files("states", ".yaml")}
    asked = [word for word in words if kind in (None, STATE) and plain(word) in names]
    if not asked:
        return {}
    from vmcsc.cli.states import describe_states

    cpus = _shipped(database)
    return {word: describe_states(word, database, cpus) for word in asked}


def _shipped(database: Database) -> list[Cpu]:
    """The CPUs that are known by name; one that is wrong is left to `vmcsc specs`."""
    read = [read_cpu(name, database, Diagnostics()) for name in shipped_cpus(database)]
    return [cpu for cpu in read if cpu is not None]


def _meanings(words: Sequence[str], kind: str | None, database: Database) -> tuple[list[Meaning], list[str]]:
    """The meanings of `words`, as one name (`HLT exiting`) or each, and the words that mean nothing."""
    together = look_up(database, " ".join(words), kind) if len(words) > 1 else []
    if together:
        return together, []
    found: list[Meaning] = []
    unknown: list[str] = []
    for word in words:
        meanings = look_up(database, word, kind)
        found += [meaning for meaning in meanings if meaning not in found]
        if not meanings:
            unknown.append(word)
    return found, unknown


def _nothing(word: str, kind: str | None, database: Database) -> str:
    what = "nothing" if kind is None else f"no {kind}"
    near = similar(database, word, kind)
    hint = f"; did you mean {', '.join(f'`{name}`' for name in near)}?" if near else ""
    return f"vmcsc explain: {what} known here is called `{visible(word)}`{hint}\n"


def _text(description: Description, width: int | None, color: bool) -> str:
    """The description for people; `width` is that of the terminal, None where nothing is wrapped."""
    lines = [f"{paint('note', description.kind, color)} {paint('strong', visible(description.name), color)}"]
    lines += _facts(description, width, color)
    for paragraph in description.paragraphs:
        lines += ["", *_filled(visible(paragraph.strip().replace("\n", " ")), "  ", "  ", width)]
    text = "".join(f"{line}\n" for line in lines)
    return text + (f"\n{_bit_table(description, width, color)}" if description.bits else "")


def _facts(description: Description, width: int | None, color: bool) -> Iterator[str]:
    facts = [*description.facts, *_on_cpus(description)]
    wide = max((len(label) for label, _ in facts), default=0)
    indent = " " * (wide + 4)
    for label, value in facts:
        values = [value] if isinstance(value, str) else value
        for index, one in enumerate(values):
            first = f"  {'' if index else label:{wide}}  "
            head, *rest = _filled(visible(one), first, indent, width)
            yield from (paint("label", head[: len(first)], color) + head[len(first) :], *rest)


def _on_cpus(description: Description) -> Iterator[Labelled]:
    """What holds on which of the CPUs that are known by name."""
    if len(description.cpus) == 1:
        what, names = description.cpus[0]
        yield "CPUs", f"{what} on all {len(names)}"
    elif description.cpus:
        yield "CPUs", [f"{what} on {', '.join(names)}" for what, names in description.cpus]


def _filled(text: str, first: str, further: str, width: int | None) -> list[str]:
    if width is None:
        return [f"{first}{text}".rstrip()]
    return textwrap.wrap(
        text,
        min(width, _MAX_WIDTH),
        initial_indent=first,
        subsequent_indent=further,
        break_on_hyphens=False,
        drop_whitespace=True,
    ) or [first.rstrip()]


def _bit_table(description: Description, width: int | None, color: bool) -> str:
    from vmcsc.cli.table import table  # rich takes 40 ms, so only for a table

    inner = None if width is None else width - 2
    rows: Sequence[tuple[str, ...]] = description.bits
    headers: tuple[str, ...] = ("bits", "name", "meaning")
    if not any(place for place, _, _ in description.bits):  # a state has fields, and no bits
        headers, rows = ("field", "value"), [row[1:] for row in description.bits]
    text = table(headers, rows, width=inner, color=color)
    return textwrap.indent(text, "  ")


def parser() -> Parser:
    parser = Parser(
        "explain",
        "Say what a name, a number or a diagnostic code means: controls, fields (also by encoding), MSRs\n"
        "(also by index), exit reasons, instruction errors, exceptions, layouts, processor facts, rules,\n"
        "states of guest and host.\n"
        "A number may have several meanings; all are given. Upper and lower case, blanks and punctuation\n"
        "do not matter.",
        "vmcsc explain enable_ept 0x4002 33 VMX3001",
        "exit status:\n  0  everything has a meaning\n  2  a word means nothing, or wrong use\n",
        SETTINGS,
    )
    kinds = (*KINDS, STATE)
    parser.add_argument("words", nargs="+", metavar="NAME|NUMBER", help="such as enable_ept, 0x4002, 4002H or 16386")
    parser.add_argument("--kind", choices=kinds, metavar="KIND", help=f"only meanings of this kind: {', '.join(kinds)}")
    add_specs(parser)
    add_format(parser, ("text", "json"), "text", "how meanings are printed")
    add_color(parser)
    return parser
