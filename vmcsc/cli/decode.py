"""`vmcsc decode`: what a value of a field, a control word or an MSR says, bit by bit; or every value of a dump."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vmcsc.architecture import model
from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import KINDS, Meaning, look_up, number_of
from vmcsc.cli.parser import SETTINGS, Parser, add_color, add_format, add_specs
from vmcsc.cli.project import open_project
from vmcsc.cli.standard_input import NAME
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.diagnose.value import Decoded, decode_field, decode_layout, decode_msr, decode_word
from vmcsc.report.cells import visible

_GROUPS = {"controls": "word", "control": "word"}
"""Words before a name that say of which kind it is, besides the kinds themselves."""

_DECODABLE = (model.Field, model.ControlWord, model.Msr, model.Layout)


def run(argv: Sequence[str]) -> int:
    own = parser()
    arguments = own.parse_intermixed_args(argv)
    if len(arguments.words) < 2:
        if arguments.words and not _is_log(arguments.words[0]):
            own.error("a name and a number are needed, as in `vmcsc decode exit-reason 0x80000021`, or a log")
        from vmcsc.cli.decode_dump import decode_dumps

        return decode_dumps(arguments)
    *words, text = arguments.words
    value = number_of(text)
    if value is None:
        own.error("a name and a number are needed, as in `vmcsc decode exit-reason 0x80000021`, or a log")
    database = open_project(arguments).database
    reason = _reason(arguments.reason, database)
    if arguments.reason is not None and reason is None:
        own.error(f"{visible(arguments.reason)} is no exit reason")
    found, rules = list(_decoded(words, value, reason, database)), _rules(words, value, database)
    if not found and not rules:
        name = visible(" ".join(words))
        put(f"vmcsc decode: error: no field, control word, MSR or layout is named `{name}`\n", sys.stderr)
        return 2
    if arguments.format == "json":
        document = {"version": 1, "values": [_json(one) for one in found], "rules": rules}
        put(json.dumps(document, indent=2) + "\n", sys.stdout)
    else:
        put("\n".join([*(_text(one, arguments.color) for one in found), *_rules_text(rules)]), sys.stdout)
    return 0


def _is_log(name: str) -> bool:
    """Whether the word is standard input or a file rather than a name without its value."""
    return name == NAME or Path(name).exists() or os.sep in name or "." in name


def _reason(given: str | None, database: Database) -> model.ExitReason | None:
    if given is None:
        return None
    meanings = look_up(database, given, "exit-reason")
    entry = meanings[0].entry if meanings else None
    return entry if isinstance(entry, model.ExitReason) else None


def _decoded(
    words: Sequence[str], value: int, reason: model.ExitReason | None, database: Database
) -> Iterator[Decoded]:
    """The value as each thing that the name means; a field goes before the layout that it has."""
    kind = _GROUPS.get(words[0], words[0]) if len(words) > 1 else None
    known = kind if kind in KINDS else None
    name = " ".join(words[1:] if known else words)
    meanings = [one for one in look_up(database, name, known) if isinstance(one.entry, _DECODABLE)]
    seen = set()
    for meaning in meanings:
        entry = meaning.entry
        layout = entry if isinstance(entry, model.Layout) else _layout_of(meaning, database)
        if layout is None or layout.name not in seen:
            yield _one(meaning, value, reason, database)
        seen |= {layout.name} if layout is not None else set()


def _layout_of(meaning: Meaning, database: Database) -> model.Layout | None:
    entry = meaning.entry
    return database.layout_of(entry) if isinstance(entry, model.Field | model.Msr) else None


def _one(meaning: Meaning, value: int, reason: model.ExitReason | None, database: Database) -> Decoded:
    match meaning.entry:
        case model.Field() as field:
            words = [word for word in database.words.values() if word.field == field.name]
            if words:
                return decode_word(words[0], value, database)
            layout = database.layouts[reason.qualification] if reason is not None and reason.qualification else None
            return decode_field(field, value, database, None if database.layout_of(field) else layout)
        case model.ControlWord() as word:
            return decode_word(word, value, database)
        case model.Msr() as msr:
            return decode_msr(msr, value, database)
        case model.Layout() as layout:
            return decode_layout(layout, value, database)
        case _:
            raise TypeError(meaning.kind)


def _rules(words: Sequence[str], value: int, database: Database) -> list[dict[str, Any]]:
    """Of a VM-instruction error the rules that it stands for."""
    kind = "-".join(words).replace("_", "-").lower()
    numbered = "instruction-error"
    if not kind.endswith(numbered) or not look_up(database, str(value), numbered):
        return []
    key = numbered.replace("-", "_")
    error = look_up(database, str(value), numbered)[0].entry
    rules = [rule for rule in database.rules if rule.outcome.get(key) == value]
    listed = [{"rule": rule.id, "code": rule.code, "section": rule.section, "why": rule.why} for rule in rules]
    return listed or [{"rule": "", "code": "", "section": "", "why": getattr(error, "summary", "")}]


def _rules_text(rules: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Those of each section together, below its title."""
    for section in dict.fromkeys(rule["section"] for rule in rules):
        own = [rule for rule in rules if rule["section"] == section]
        lines = [f"  {rule['code']} {rule['rule']}: {rule['why']}\n" if section else f"{rule['why']}\n" for rule in own]
        yield "".join([f"{section}\n" if section else "", *lines])


def _text(one: Decoded, color: str) -> str:
    from vmcsc.cli.table import table  # rich takes 40 ms

    rows = [(part.place, part.name, _number(part.value), part.meaning) for part in one.parts]
    width, colored = columns(sys.stdout), use_color(color, sys.stdout)
    body = table(("bits", "name", "value", "meaning"), rows, width=width, color=colored) if rows else ""
    wrong = "".join(f"wrong: {sentence}\n" for sentence in one.wrong)
    return f"{one.kind} {one.name} ({one.sdm}) = {one.value:#x}\n{body}{wrong}"


def _number(value: int) -> str:
    return str(value) if value <= 9 else f"{value:#x}"


def _json(one: Decoded) -> dict[str, Any]:
    parts = [
        {"bits": part.place, "name": part.name, "value": part.value, "meaning": part.meaning} for part in one.parts
    ]
    head = {"kind": one.kind, "name": one.name, "sdm": one.sdm, "value": one.value}
    return {**head, "parts": parts, "wrong": list(one.wrong)}


def parser() -> Parser:
    parser = Parser(
        "decode",
        "Take a value apart: of a field, a control word (`controls primary`), an MSR (`msr 0x48b`) or a layout of\n"
        "bits such as access-rights. Of a VM-instruction error it lists the rules of VM entry that it stands for.\n"
        "With a file, or nothing (standard input), print every field that the dumps of a log tell, with each bit that\n"
        "is set by name; `vmcsc diagnose` says what is wrong with them.",
        "vmcsc decode exit-reason 0x80000021",
        SETTINGS,
    )
    help = "what the value is of, and the value; or one log"
    parser.add_argument("words", nargs="*", metavar="NAME VALUE|FILE", help=help)
    parser.add_argument("--reason", metavar="REASON", help="the exit reason that a qualification belongs to")
    add_specs(parser)
    add_format(parser, ("table", "json"), "table", "how it is printed")
    add_color(parser)
    return parser
