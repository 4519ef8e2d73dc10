"""`vmcsc cpu show`: what one CPU allows, bit by bit."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import bits_of
from vmcsc.architecture.model import Msr
from vmcsc.capabilities.compare import FACTS, number_details
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.capabilities.settings import (
    Settings,
    capability_bits,
    fixed_registers,
    msr_parts,
    number_text,
    register_settings,
    word_settings,
)
from vmcsc.cli.cpus import read_cpus
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.expression.value import Value
from vmcsc.records import dataclass
from vmcsc.report.cells import visible
from vmcsc.report.style import paint

_LEGEND = "bits from the highest down: 1 forced to 1, 0 forced to 0, * free, ? unknown"
_COLORS = {"1": "help", "*": "note", "?": "warning"}


def run(arguments: argparse.Namespace) -> int:
    found = read_cpus(arguments, [arguments.cpu])
    if found is None:
        return 2
    database, (cpu,) = found
    known = _section_names(database)
    for name in arguments.only:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
            put(f"vmcsc cpu show: error: there is no section `{visible(name)}`; {hint}\n", sys.stderr)
            return 2
    sections = [one for one in _sections(database, cpu) if one.name in (arguments.only or known)]
    if arguments.format == "json":
        shown = {"version": 1, "name": cpu.name, "title": cpu.title, "sections": [one.as_json for one in sections]}
        put(json.dumps(shown, indent=2) + "\n", sys.stdout)
        return 0
    width, color = columns(sys.stdout), use_color(arguments.color, sys.stdout)
    parts = [f"{paint('strong', visible(cpu.title), color)} ({visible(cpu.name)})\n"]
    parts += [f"{_LEGEND}\n"] if any(one.drawing for one in sections) else []
    parts += ["\n" + _text(one, width, color) for one in sections]
    put("".join(parts), sys.stdout)
    return 0


@dataclass(frozen=True)
class _Section:
    """A part of what is known of a CPU: a heading, a drawing of bits, a table."""

    name: str
    headings: Sequence[str]
    drawing: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    as_json: dict[str, Any]
    remarks: Sequence[str] = ()


def _section_names(database: Database) -> list[str]:
    words = [word.name for word in database.active_order]
    registers = [register.name for register in fixed_registers(database)]
    return [*words, *registers, *(msr.name for msr in capability_bits(database)), FACTS]


def _sections(database: Database, cpu: Cpu) -> Iterator[_Section]:
    capabilities = Capabilities(database, cpu)
    for word in database.active_order:
        yield _settings(word_settings(capabilities, word), "control", cpu)
    for register in fixed_registers(database):
        yield _settings(register_settings(capabilities, register), "bit", cpu)
    for msr in capability_bits(database):
        yield _msr(database, msr, capabilities)
    yield _facts(database, cpu)


def _settings(settings: Settings, what: str, cpu: Cpu) -> _Section:
    known = settings.exists is not False and any(value.known for _, value in settings.msrs)
    rows = [
        (part.place, setting.value, part.name or "(reserved)")
        for part, setting in settings.rows()
        if part.name is not None or setting.symbol != "0"
    ]
    as_json = {
        "section": settings.name,
        "msrs": [_msr_json(msr, value, settings.exists, cpu) for msr, value in settings.msrs],
        "drawing": settings.drawing,
        "bits": [
            {"bits": part.place, "name": part.name, "setting": setting.value} for part, setting in settings.rows()
        ],
    }
    return _Section(
        settings.name,
        [_msr_text(msr, value, settings.exists) for msr, value in settings.msrs],
        settings.drawing if known else "",
        ("bits", "setting", what),
        rows if known else (),
        as_json,
    )


def _msr(database: Database, msr: Msr, capabilities: Capabilities) -> _Section:
    value, exists = capabilities.msr(msr), capabilities.exists(msr)
    named = {bits.name: bits for bits in bits_of(database, msr)}
    rows, listed = [], []
    for part in msr_parts(database, msr):
        number = value.slice(part.high, part.low)
        bits = None if part.name is None else named[part.name]
        listed.append({"bits": part.place, "name": part.name, **number_details(number)})
        if bits is not None or not number.is_false:
            meaning = "" if bits is None else bits.sdm
            rows.append((part.place, number_text(bits, number), part.name or "(reserved)", meaning))
    as_json = {
        "section": msr.name,
        "msrs": [_msr_json(msr, value, exists, capabilities.cpu)],
        "bits": listed,
    }
    known = exists is not False and value.known
    headers = ("bits", "value", "name", "SDM")
    return _Section(msr.name, [_msr_text(msr, value, exists)], "", headers, rows if known else (), as_json)


def _facts(database: Database, cpu: Cpu) -> _Section:
    known = [fact for fact in database.facts.values() if fact.name in cpu.facts]
    unknown = [fact.name for fact in database.facts.values() if fact.name not in cpu.facts]
    rows, listed = [], []
    for fact in known:
        number, source = cpu.facts[fact.name], cpu.origins.get(fact.name, "")
        rows.append((fact.name, number_text(fact, number), source))
        listed.append({"name": fact.name, **number_details(number), "source": source or None})
    remarks = [f"unknown: {', '.join(unknown)}"] if unknown else []
    as_json = {"section": FACTS, "facts": listed, "unknown": unknown}
    return _Section(FACTS, (), "", ("fact", "value", "source"), rows, as_json, remarks)


def _msr_text(msr: Msr, value: Value, exists: bool | None) -> str:
    if exists is False:
        return f"{msr.sdm} ({msr.index:#x}): this CPU does not have it"
    if not value.known:
        return f"{msr.sdm} ({msr.index:#x}): nobody read it"
    known = "" if value.is_known else f", known bits {value.known:#018x}"
    return f"{msr.sdm} ({msr.index:#x}) = {value.bits:#018x}{known}"


def _msr_json(msr: Msr, value: Value, exists: bool | None, cpu: Cpu) -> dict[str, Any]:
    return {
        "msr": msr.name,
        "index": f"{msr.index:#x}",
        "exists": exists,
        "value": f"{value.bits:#018x}" if value.known else None,
        "known": f"{value.known:#018x}",
        "source": cpu.origins.get(msr.name) or None,
    }


# --- text ---


def _text(section: _Section, width: int | None, color: bool) -> str:
    import textwrap

    from vmcsc.cli.table import table  # rich takes 40 ms

    inner = None if width is None else width - 2
    lines = [paint("note", section.name, color), *(f"  {visible(heading)}" for heading in section.headings)]
    if section.drawing:
        lines += ["", *_drawn(section.drawing, width, color), ""]
    if section.rows:
        text = table(section.headers, section.rows, width=inner, color=color)
        lines += (f"  {line}" for line in text.splitlines())
    for remark in section.remarks:
        wrapped = [remark] if inner is None else textwrap.wrap(remark, inner, subsequent_indent="  ")
        lines += (f"  {line}" for line in wrapped)
    return "".join(f"{line}\n" for line in lines)


def _drawn(drawing: str, width: int | None, color: bool) -> Iterator[str]:
    """The bits in groups of eight, under the numbers of the first and the last of each group."""
    groups = [drawing[at : at + 8] for at in range(0, len(drawing), 8)]
    numbers = [f"{high:<4}{high - 7:>4}" for high in range(len(drawing) - 1, 0, -8)]
    painted = ["".join(paint(_COLORS[one], one, color) if one in _COLORS else one for one in group) for group in groups]
    in_line = len(groups) if width is None or width >= 4 + 9 * len(groups) else 4
    for at in range(0, len(groups), in_line):
        yield "    " + " ".join(numbers[at : at + in_line])
        yield "    " + " ".join(painted[at : at + in_line])
