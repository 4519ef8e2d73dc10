"""Every name and number by which a text may speak of fields, of MSRs and facts, and of the processor's state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import FieldPart, field_names, plain

from ...c_header.text import listed, quoted, wrapped


def name_tables(database: Database) -> str:
    """The tables, those that are looked into in order of what is looked for."""
    names = field_names(database)
    states = {plain(state.name): place for place, state in enumerate(database.state.values())}
    msr_places = {name: place for place, name in enumerate(database.msrs)}
    msrs = {name: msr_places[msr.name] for name, msr in database.msr_names.items()}
    longest = max(map(len, [*names, *states, *msrs, *database.fields, *database.state]))
    places = {name: place for place, name in enumerate(database.fields)}
    capabilities = {msr.name: place for place, msr in enumerate(database.capability_msrs)}
    return "\n".join(
        [
            f"#define FIELDS {len(database.fields)}u\n#define STATES {len(database.state)}u\n"
            f"#define LONGEST_NAME {longest}u\n\n{_STRUCTS}",
            _table("struct field fields", (f'{{"{f.name}", {f.width}u}}' for f in database.fields.values())),
            _table("struct named field_names", _named(names, places)),
            _table("struct numbered field_numbers", _numbers(database, places)),
            _table("struct field states", (f'{{"{s.name}", {s.width}u}}' for s in database.state.values())),
            _table("struct named state_names", (f'{{"{n}", {p}u, 0u}}' for n, p in sorted(states.items()))),
            _table("struct word state_words", _words(database)),
            _table(
                "struct msr msrs",
                (f"{{{quoted(msr.sdm)}, {capabilities.get(name, -1)}}}" for name, msr in database.msrs.items()),
            ),
            _table("struct named msr_names", (f'{{"{n}", {p}u, 0u}}' for n, p in sorted(msrs.items()))),
            _table(
                "struct numbered msr_numbers",
                (f"{{{i:#x}u, {msr_places[m.name]}u, 0u}}" for i, m in sorted(database.msr_by_index.items())),
            ),
            _table("struct fact facts", _facts(database, len(capabilities))),
        ]
    )


def _named(names: Mapping[str, FieldPart], places: Mapping[str, int]) -> Iterable[str]:
    return (f'{{"{n}", {places[part.field.name]}u, {int(part.high)}u}}' for n, part in sorted(names.items()))


def _numbers(database: Database, places: Mapping[str, int]) -> Iterable[str]:
    return (
        f"{{{number:#06x}u, {places[field.name]}u, {int(number != field.encoding)}u}}"
        for number, field in sorted(database.field_by_encoding.items())
    )


def _words(database: Database) -> Iterable[str]:
    for place, state in enumerate(database.state.values()):
        for word, value in state.values.items():
            yield f"{{{place}u, {quoted(word)}, {value}u}}"


def _facts(database: Database, behind: int) -> Iterable[str]:
    for place, fact in enumerate(database.facts.values(), behind):
        yield f'{{"{fact.name}", {quoted(fact.sdm or "")}, {fact.width}u, {place}u, {int(fact.needed)}}}'


def _table(head: str, rows: Iterable[str]) -> str:
    found = list(rows)
    if max(map(len, found), default=0) > 24:
        return f"static const {head}[] = {listed(found)};\n"
    return f"static const {head}[] = {{\n{wrapped(', '.join(found), '    ', '    ')}\n}};\n"


_STRUCTS = """struct field {
    const char *name;
    unsigned width;
};

/* A name or a number and what it means: a place in another table, and whether it is the high half of a field. */
struct named {
    const char *name;
    unsigned index, high;
};

struct numbered {
    uint32_t number;
    unsigned index, high;
};

/* A word for a value of the processor's state. */
struct word {
    unsigned state;
    const char *word;
    uint64_t value;
};

/* Where the value stands in struct vmcsc_cpu, -1 for an MSR that is not of VMX. */
struct msr {
    const char *name;
    int place;
};

struct fact {
    const char *name, *sdm;
    unsigned width, place;
    int needed;
};
"""
