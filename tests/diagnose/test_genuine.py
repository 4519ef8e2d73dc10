"""Dumps that the kernel's own code prints: every field that it read is read back, with each line there and not there.

The code is taken from the sources of Linux 6.1 and 6.12; `python tests/diagnose/run.py 5.10 7.3` does the same for
others, whose tarballs of Debian's packages lie in VMCSC_LINUX_SOURCES.
"""

from __future__ import annotations

import pytest

from tests.diagnose.dumper import Dumper
from tests.diagnose.genuine import wrong_with
from tests.diagnose.given import only_dump, wholly
from tests.diagnose.patterns import OPTIONAL, combinations, distinct, with_controls
from tests.kvm.run import VERSIONS
from vmcsc.architecture.database import Database

PREFIXES = [
    "kvm_intel: ",
    "[  673.850218] kvm_intel: ",
    "[  673.850218][ T1234] kvm_intel: ",
    "[1234567.000001] ",
    "<3>[   12.345678] ",
    "Sep  8 22:52:20 xubuntu2004 kernel: [10639.238026] ",
    "Nov 27 08:01:02 pve kernel: kvm_intel: ",
    "2026-11-27T08:01:02.123456+00:00 host-1.example kernel: ",
    "kern  :err   : [Fri Nov 27 08:01:02 2026] kvm_intel: ",
    "> ",
    "> > [   12.345678] ",
    "| [   12.345678] ",
    "&gt; ",
    "\t\t",
    "host kernel: \x1b[31m[   12.345678]\x1b[0m ",
    "(XEN) ",
    "(XEN) [2026-11-27 08:01:02.123] ",
]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_that_is_printed_is_read_back(version: str, dumpers: dict[str, Dumper], database: Database) -> None:
    for title, values, has, lists in combinations(database):
        assert wrong_with(dumpers[version], values, has, lists, database) == [], title


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_precedes_a_line_does_not_matter(prefix: str, dumper: Dumper, database: Database) -> None:
    values = wholly(with_controls(distinct(database), dict.fromkeys(OPTIONAL, True)), database)
    plain = only_dump(dumper.dump(values)[0], database)
    found = only_dump(dumper.dump(values, prefix=prefix)[0], database)
    assert found.fields == plain.fields
    assert found.strange == []


@pytest.mark.parametrize("prefix", ["", "[   12.345678] kvm_intel: "])
def test_line_ends_and_colours_do_not_matter(prefix: str, dumper: Dumper, database: Database) -> None:
    values = wholly(with_controls(distinct(database), dict.fromkeys(OPTIONAL, True)), database)
    text, _ = dumper.dump(values, prefix=prefix)
    plain = only_dump(text, database)
    changed = (
        text.replace("\n", "\r\n"),
        text.replace("\n", "\x1b[0m\n\x1b[1;31m"),
        text.replace(": ", ":\x1b[32m "),
        text.replace("  ", "\u00a0 "),
        "\ufeff" + text,
        text.rstrip("\n"),
        text.replace("\n", "\n\n"),
    )
    for one in changed:
        found = only_dump(one, database)
        assert found.fields == plain.fields
        assert found.strange == []
    assert only_dump(text.encode("utf-16"), database).fields == plain.fields
