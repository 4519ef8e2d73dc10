"""What there is to say of each rule, as C: its name and section, and the fields that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vmcsc.architecture.database import Database
from vmcsc.check.reads import reads
from vmcsc.expression.rules import BoundRule

from ..c_header.text import listed, quoted, wrapped


def rule_tables(rules: Sequence[BoundRule], database: Database, *, strings: bool) -> str:
    """The functions that look a rule up: `vmcsc_check_name`, `vmcsc_check_section`, `vmcsc_check_fields`."""
    return "\n".join([_fields(rules, database), _strings(rules) if strings else _NO_STRINGS])


def _fields(rules: Sequence[BoundRule], database: Database) -> str:
    """All lists in a row, those of the same fields once, and where each begins and ends."""
    flat: list[int] = []
    begins: dict[tuple[int, ...], int] = {}
    places = []
    for bound in rules:
        names = {name for kind, name in reads(database, bound) if kind == "field"}
        own = tuple(sorted(database.fields[name].encoding for name in names))
        if own not in begins:
            begins[own] = len(flat)
            flat += own
        places.append(f"{{{begins[own]}u, {len(own)}u}}")
    return (
        "/* The encodings of the fields that rules read, and of which of them each rule reads how many. */\n"
        f"static const uint16_t vmcsc_fields_read[] = {{\n{_row(f'{one:#06x}u' for one in flat or [0])}\n}};\n\n"
        f"static const uint16_t vmcsc_fields_of[][2] = {{\n{_row(places or ['{0u, 0u}'])}\n}};\n\n"
        "static inline const uint16_t *vmcsc_check_fields(unsigned rule, unsigned *count)\n{\n"
        "    *count = rule < VMCSC_RULES ? vmcsc_fields_of[rule][1] : 0u;\n"
        "    return vmcsc_fields_read + (rule < VMCSC_RULES ? vmcsc_fields_of[rule][0] : 0u);\n}\n"
    )


def _row(items: Iterable[str]) -> str:
    return wrapped(", ".join(items), "    ", "    ")


def _strings(rules: Sequence[BoundRule]) -> str:
    sections = list(dict.fromkeys(bound.rule.section for bound in rules)) or [""]
    names = [f'"{bound.rule.code} {bound.rule.id}"' for bound in rules] or ['""']
    titles = [quoted(section) for section in sections]
    of = [f"{sections.index(bound.rule.section)}u" for bound in rules] or ["0u"]
    return f"""/* The code of a rule, which `vmcsc explain` explains, and its id. */
static inline const char *vmcsc_check_name(unsigned rule)
{{
    static const char *const names[] = {listed(names)};
    return rule < sizeof(names) / sizeof(names[0]) ? names[rule] : "none";
}}

/* The title of the section of the SDM that a rule stands in. */
static inline const char *vmcsc_check_section(unsigned rule)
{{
    static const char *const titles[] = {listed(titles)};
    static const uint8_t of[] = {{
{_row(of)}
    }};
    return rule < VMCSC_RULES ? titles[of[rule]] : "none";
}}
"""


_NO_STRINGS = """#define vmcsc_check_name(rule)    ((const char *)0)
#define vmcsc_check_section(rule) ((const char *)0)
"""
