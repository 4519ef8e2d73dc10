"""CPUs whose texts were read without a finding before, kept by content so that they need not be read again."""

from __future__ import annotations

from vmcsc.architecture.database import Database
from vmcsc.cache import digest
from vmcsc.capabilities.cpu import Cpu
from vmcsc.expression.value import Value
from vmcsc.source import Source

_KIND = "cpu"


def kept_cpu(source: Source, name: str, database: Database) -> Cpu | None:
    """What this text came to in an earlier run with the same specs."""
    cache = database.cache
    kept = None if cache is None else cache.get(_KIND, _key(source, name, database))
    if kept is None:
        return None
    msrs, facts = ({key: Value(*value) for key, value in kept[part].items()} for part in ("msrs", "facts"))
    return Cpu(kept["name"], kept["title"], msrs, facts, kept["origins"])


def keep_cpu(cpu: Cpu, source: Source, name: str, database: Database) -> None:
    """Keep a CPU of which there was nothing to report."""
    if database.cache is None:
        return
    msrs, facts = (
        {key: (value.width, value.bits, value.known) for key, value in values.items()}
        for values in (cpu.msrs, cpu.facts)
    )
    plain = {"name": cpu.name, "title": cpu.title, "msrs": msrs, "facts": facts, "origins": dict(cpu.origins)}
    database.cache.put(_KIND, _key(source, name, database), plain)


def _key(source: Source, name: str, database: Database) -> str:
    return digest(database.key, source.name, name, source.text)
