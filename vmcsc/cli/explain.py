"""`vmcsc explain`: what a name, a number or a diagnostic code means."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence

from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import KINDS, Meaning, look_up, similar
from vmcsc.cli.meaning import Description, describe
from vmcsc.cli.parser import Parser, add_color, add_format, add_specs
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.pipeline import load
from vmcsc.report.cells import visible
from vmcsc.report.style import paint

_MAX_WIDTH = 100


def run(argv: Sequence[str]) -> int:
    arguments = _parser().parse_intermixed_args(argv)
    database = load(*arguments.specs)
    found, unknown = _meanings(arguments.words, arguments.kind, database)
    described = [describe(meaning, database) for meaning in found]
    if arguments.format == "json":
        listed = [description.as_json() for description in described]
        put(json.dumps({"version": 1, "meanings": listed}, indent=2) + "\n", sys.stdout)
    else:
        color, width = use_color(arguments.color, sys.stdout), columns(sys.stdout)
        put("\n".join(_text(description, width, color) for description in described), sys.stdout)
    for word in unknown:
        put(_nothing(word, arguments.kind, database), sys.stderr)
    return 2 if unknown else 0


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
    wide = max((len(label) for label, _ in description.facts), default=0)
    indent = " " * (wide + 4)
    for label, value in description.facts:
        values = [value] if isinstance(value, str) else value
        for index, one in enumerate(values):
            first = f"  {'' if index else label:{wide}}  "
            head, *rest = _filled(visible(one), first, indent, width)
            yield from (paint("label", head[: len(first)], color) + head[len(first) :], *rest)


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
    text = table(("bits", "name", "meaning"), description.bits, width=inner, color=color)
    return textwrap.indent(text, "  ")


def _parser() -> Parser:
    parser = Parser(
        "explain",
        "Say what a name, a number or a diagnostic code means: controls, fields (also by encoding), MSRs\n"
        "(also by index), exit reasons, instruction errors, exceptions, layouts, processor facts, rules.\n"
        "A number may have several meanings; all are given. Upper and lower case, blanks and punctuation\n"
        "do not matter.\n"
        "Exit code 2 if a word means nothing.",
        "vmcsc explain enable_ept 0x4002 33 VMX3001",
    )
    parser.add_argument("words", nargs="+", metavar="NAME|NUMBER", help="such as enable_ept, 0x4002, 4002H or 16386")
    parser.add_argument("--kind", choices=KINDS, help="only meanings of this kind")
    add_specs(parser)
    add_format(parser, ("text", "json"), "text", "how meanings are printed")
    add_color(parser)
    return parser
