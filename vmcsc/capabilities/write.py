"""A processor as a CPU file in YAML, which reads back as the same processor."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.expression.value import Value

_WIDTH = 110


def cpu_text(cpu: Cpu, database: Database, remarks: Mapping[str, Sequence[str]] | None = None) -> str:
    """The text of a CPU file; `remarks` are written as comments above the MSR or fact of their name."""
    return "".join(f"{line}\n" for line in _lines(cpu, database, remarks or {}))


def _lines(cpu: Cpu, database: Database, remarks: Mapping[str, Sequence[str]]) -> Iterator[str]:
    origins = list(dict.fromkeys(filter(None, (cpu.origins.get(name) for name in (*cpu.msrs, *cpu.facts)))))
    keys = {origin: "source" if len(origins) == 1 else f"source_{n}" for n, origin in enumerate(origins, start=1)}
    yield "kind: cpu"
    yield f"name: {cpu.name}"
    yield from _text("title", cpu.title or cpu.name, "")
    if keys:
        yield "sources:"
        for origin, key in keys.items():
            yield from _text(key, origin, "  ")
    yield ""
    yield "msrs:" if cpu.msrs else "msrs: []"
    for msr in database.capability_msrs:
        if msr.name in cpu.msrs:
            yield from _item("msr", msr.name, cpu.msrs[msr.name], keys.get(cpu.origins.get(msr.name, "")), remarks)
    if cpu.facts:
        yield ""
        yield "processor:"
        for fact in database.facts.values():
            if fact.name in cpu.facts:
                read = cpu.facts[fact.name]
                yield from _item("fact", fact.name, read, keys.get(cpu.origins.get(fact.name, "")), remarks)


def _item(kind: str, name: str, read: Value, key: str | None, remarks: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for remark in remarks.get(name, ()):
        yield from _wrapped(remark if remark.isprintable() else _quoted(remark), "  # ", "  #   ")
    known = "" if read.is_known else f", known: {_number(Value(read.width, read.known, -1))}"
    source = "" if key is None else f", source: {key}"
    yield f"  - {{{kind}: {name}, value: {_number(read)}{known}{source}}}"


def _text(key: str, text: str, indent: str) -> Iterator[str]:
    """A quoted text; YAML reads the end of a line within it as one blank."""
    whole = f"{indent}{key}: {_quoted(text)}"
    if "  " in text or text != text.strip():
        yield whole
    else:
        yield from _wrapped(whole, "", f"{indent}  ")


def _wrapped(text: str, first: str, further: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def _number(read: Value) -> str:
    """Masks in hex, counts and features in decimal."""
    return f"{read.bits:#0{2 + read.width // 4}x}" if read.width > 8 else str(read.bits)


def _quoted(text: str) -> str:
    """As JSON writes it, which YAML reads as the same text whatever is in it."""
    return json.dumps(text, ensure_ascii=not text.isprintable())
