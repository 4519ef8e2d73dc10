"""The program of `--main`: it reads states and prints of each what `vmcsc check --state --format concise` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.rules import BoundRule
from vmcsc.source import MAX_BYTES
from vmcsc.yamlnodes import MAX_NODES

from ...c_header.text import defines
from .hangs import hangs_on_processor
from .names import name_tables
from .outcomes import outcome_tables

_CODES = {
    "UNREADABLE": codes.UNREADABLE,
    "UNKNOWN_NAME": codes.UNKNOWN_NAME,
    "UNKNOWN_FIELD": codes.UNKNOWN_FIELD,
    "VALUE_TOO_WIDE": codes.VALUE_TOO_WIDE,
    "ASSIGNED_TWICE": codes.ASSIGNED_TWICE,
    "BAD_VALUE": codes.BAD_VALUE,
    "CPU_UNREADABLE": codes.CPU_UNREADABLE,
    "CPU_INCONSISTENT": codes.CPU_INCONSISTENT,
    "CPU_WITHOUT_VMX": codes.CPU_WITHOUT_VMX,
    "MSR_IGNORED": codes.MSR_IGNORED,
}


def program(rules: Sequence[BoundRule], database: Database, members: Mapping[tuple[str | int, ...], str]) -> str:
    """What stands behind the checker. `members`: the answer of the processor for what a rule asks of it."""
    return "\n".join(
        [
            _limits(),
            name_tables(database),
            outcome_tables(rules, database),
            hangs_on_processor(rules, database, members),
            *(
                (Path(__file__).parent / f"{part}.h").read_text(encoding="utf-8")
                for part in ("findings", "numbers", "form", "lines", "names", "take", "memory", "words", "main")
            ),
        ]
    )


def _limits() -> str:
    rows = [(f"CODE_{name}", f'"{code.id}"') for name, code in _CODES.items()]
    rows += [("MAX_BYTES", f"{MAX_BYTES}u"), ("MAX_BYTES_TEXT", f'"{MAX_BYTES}"'), ("MAX_NODES", f"{MAX_NODES}u")]
    rows += [("MAX_FINDINGS", f"{Diagnostics().limit}u"), ("COUNT(table)", "(sizeof(table) / sizeof((table)[0]))")]
    usage = "".join(f'\\\n    "{line}\\n"' for line in _USAGE.splitlines())
    return (
        "/* --- The program: what `vmcsc check --state FILE --format concise` prints --- */\n\n"
        f"{defines(rows)}#define USAGE {usage}\n"
    )


QUIET = """#ifdef __clang__
#pragma clang diagnostic ignored "-Wunused-function" /* of the checker it uses what it needs */
#endif
"""

_USAGE = """usage: vmcsc_check FILE...
Say of each state what VM entry makes of it, and which rules it violates.
A FILE has lines `NAME: VALUE`, with `fields:`, `memory:`, `processor:` and `cpu:` above them where there is more than
fields, or one object of JSON; a .jsonl has an object a line; - is standard input.
Exit code: 0 nothing is violated, 1 something is, or something in a file is wrong, 2 a file cannot be read."""
