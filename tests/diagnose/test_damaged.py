"""Dumps as people paste them: cut off, wrapped, between other lines. No value is wrong, and no line lost silently."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Iterator

import pytest

from tests.diagnose.dumper import Dumper
from tests.diagnose.given import log_of, only_dump, wholly
from tests.diagnose.patterns import LISTS, OPTIONAL, distinct, with_controls
from vmcsc.architecture.database import Database
from vmcsc.diagnose.dump import Dump

SHORT = {
    "guest_rflags": 0xFFFFFFFF, "tpr_threshold": 0xFF, "posted_interrupt_notification_vector": 0xFF,
    "guest_ia32_sysenter_cs": 0xFFFF, "host_ia32_sysenter_cs": 0xFFFF,
    **{f"guest_{segment}_access_rights": 0xFFFFF for segment in ("cs", "ss", "ds", "es", "fs", "gs", "ldtr", "tr")},
}  # fmt: skip
"""Fields that the kernel prints with fewer digits than they have; where a line is cut, more digits would be missed."""

TWICE = {"guest_interrupt_status"}
"""Fields of which two lines tell."""

OTHERS = [
    "audit: type=1400 audit(1700000000.123:45): apparmor=\"STATUS\" operation=\"profile_load\" pid=1234",
    "usb 1-1: new high-speed USB device number 5 using xhci_hcd",
    "RIP: 0010:vmx_vcpu_run+0x3f1/0x8d0 [kvm_intel]",
    "Code: 48 8b 44 24 08 65 48 2b 04 25 28 00 00 00 0f 85 f2 03 00 00 48 83 c4 10",
    "CR2: 00007f1234567000 CR3: 0000000104a0a003 CR4: 0000000000372ee0",
    "CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033",
    "RAX: 0000000000000000 RBX: ffff888104a0a000 RCX: 0000000000000000",
    "kvm [3412]: vcpu0, guest rIP: 0xfffff8019c8d6103 unhandled rdmsr: 0x611",
    "eth0: Link is Up - 1Gbps/Full - flow control rx/tx",
    "show_signal_msg: 12 callbacks suppressed; State = 0x3 reason=unknown",
    "the guest's MSR list: msr=what value=none",
    "*** BUG ***",
    "",
    "\x00\x01\x02 binary \xff\xfe",
    "x" * 5000,
]  # fmt: skip


@pytest.fixture(scope="module")
def text(dumper: Dumper, database: Database) -> str:
    """A dump with every line that there is, and the lists of MSRs."""
    values = with_controls(distinct(database), dict.fromkeys(OPTIONAL, True)) | dict.fromkeys(LISTS.values(), 1)
    values |= {name: values[name] & mask for name, mask in SHORT.items()}
    dump, _ = dumper.dump(wholly(values, database), msrs={name: [(0x10, 0x20), (0x174, 5)] for name in LISTS})
    return dump


@pytest.fixture(scope="module")
def whole(text: str, database: Database) -> Dump:
    return only_dump(text, database)


def agrees(found: Dump, whole: Dump) -> bool:
    """Whether everything that was found is as in the whole dump."""
    return all(value == whole.fields[name] for name, value in found.fields.items())


def fields_after(whole: Dump, first: int) -> set[str]:
    """The fields that lines from `first` on tell."""
    return {name for name, span in whole.spans.items() if span.first.line >= first} - TWICE


def test_a_dump_that_is_cut_off_after_any_line_tells_what_is_there(text: str, whole: Dump, database: Database) -> None:
    lines = text.splitlines(keepends=True)
    for count in range(3, len(lines)):
        found = only_dump("".join(lines[:count]), database)
        assert agrees(found, whole)
        assert found.fields.keys() - TWICE == whole.fields.keys() - TWICE - fields_after(whole, count + 1), count
        assert found.strange == []


def test_a_dump_whose_beginning_is_cut_off_tells_what_is_there(text: str, whole: Dump, database: Database) -> None:
    lines = text.splitlines(keepends=True)
    for first in range(len(lines) - 1):  # the last line tells of no field
        found = only_dump("".join(lines[first:]), database)
        assert agrees(found, whole)
        assert found.fields.keys() - TWICE == fields_after(whole, first + 1), first
        assert found.strange == []


def test_a_dump_that_is_cut_off_at_any_character_tells_nothing_wrong(
    text: str, whole: Dump, database: Database
) -> None:
    chance = random.Random(1)
    places = sorted(chance.sample(range(60, len(text)), 400))
    for place in places:
        for part in (text[:place], text[place:]):
            for found in log_of(part, database).dumps:
                wrong = {name for name, value in found.fields.items() if value != whole.fields[name]}
                assert not wrong, (place, part[-80:], wrong)


def mixed(lines: list[str], chance: random.Random, density: float) -> Iterator[str]:
    for line in lines:
        while chance.random() < density:
            yield f"[   {chance.randrange(99)}.{chance.randrange(10**6):06}] {chance.choice(OTHERS)}"
        yield line


@pytest.mark.parametrize("prefix", ["", "[   12.345678] kvm_intel: "])
@pytest.mark.parametrize("seed", range(20))
def test_other_lines_between_do_not_matter_and_are_listed(
    seed: int, prefix: str, text: str, whole: Dump, database: Database
) -> None:
    chance = random.Random(seed)
    lines = list(mixed([prefix + line for line in text.splitlines()], chance, 0.1 + 0.02 * seed))
    found = only_dump("\n".join(lines), database)
    assert found.fields == whole.fields
    own = [number for number, line in enumerate(lines, 1) if line.removeprefix(prefix) in text.splitlines()]
    between = [line for line in lines[own[0] : own[-1]] if line.removeprefix(prefix) not in text.splitlines()]
    assert found.strangers == len([line for line in between if line.strip()])


@pytest.mark.parametrize("quote", ["", "> ", "> > "])
@pytest.mark.parametrize("columns", [60, 72, 76, 80])
def test_lines_that_a_mail_wraps_are_put_together(
    columns: int, quote: str, text: str, whole: Dump, database: Database
) -> None:
    wrapped = [
        quote + part
        for line in text.splitlines()
        for part in textwrap.wrap(line, columns, break_long_words=False, break_on_hyphens=False) or [""]
    ]
    found = only_dump("\n".join(wrapped), database)
    assert found.fields == whole.fields
    assert found.strange == []


@pytest.mark.parametrize("columns", [40, 57, 64, 80])
@pytest.mark.parametrize("prefix", ["", "[   12.345678] kvm_intel: ", "Nov 27 08:01:02 pve kernel: "])
def test_lines_that_a_terminal_breaks_are_put_together(
    prefix: str, columns: int, text: str, whole: Dump, database: Database
) -> None:
    broken = []
    for line in text.splitlines():
        full = prefix + line
        broken += [full[start : start + columns] for start in range(0, len(full), columns)]
    found = only_dump("\n".join(broken), database)
    assert agrees(found, whole)
    assert found.fields.keys() == whole.fields.keys()


def test_two_dumps_of_tasks_that_print_at_once_are_told_apart(text: str, whole: Dump, database: Database) -> None:
    """Where the kernel says who prints."""
    chance = random.Random(4)
    other = text.replace("0x", "0x").replace("1", "2")
    queues = [[f"[   12.345678][ T{n}] {line}" for line in one.splitlines()] for n, one in ((100, text), (200, other))]
    lines = []
    while any(queues):
        lines.append(chance.choice([queue for queue in queues if queue]).pop(0))
    log = log_of("\n".join(lines), database)
    assert len(log.dumps) == 2
    assert whole.fields in [dump.fields for dump in log.dumps]
    assert all(dump.strange == [] for dump in log.dumps)


def test_several_dumps_of_a_log_are_told_apart(text: str, whole: Dump, database: Database) -> None:
    log = log_of(f"noise\n{text}more noise\n{text}{text}end\n", database)
    assert [dump.fields for dump in log.dumps] == [whole.fields] * 3
    count = len(text.splitlines())
    assert [dump.first_line for dump in log.dumps] == [2, count + 3, 2 * count + 3]


def test_half_a_message_within_a_dump_is_no_part_of_it(database: Database) -> None:
    lines = ["*** Guest State ***", "CR3 = 0x0000000000001000", "error: failed to set MSR 0x48b to"]
    found = only_dump("\n".join(lines), database)
    assert found.fields.keys() == {"guest_cr3"}


def test_what_is_told_twice_and_differently_is_unknown(database: Database) -> None:
    lines = ["*** Guest State ***", "CR3 = 0x0000000000001000", "CR3 = 0x0000000000002000", "CR3 = 0x0000000000001000"]
    found = only_dump("\n".join(lines), database)
    assert not found.fields["guest_cr3"].known
    assert list(found.disputed) == ["guest_cr3"]
