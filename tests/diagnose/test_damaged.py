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
    assert found.strange == []


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


def test_more_tasks_than_are_told_apart_end_the_oldest_dump(
    text: str, whole: Dump, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines without a caller belong to the last line that has one, and end nobody's dump."""
    monkeypatch.setattr("vmcsc.diagnose.log.MAX_CALLERS", 3)
    begun = "".join(f"[ 1.0][ T{number}] *** Guest State ***\n" for number in range(100, 106))
    own = "".join(f"[ 1.0][ T999] {line}\n{NOISE}\n" for line in text.splitlines())
    dumps = log_of(begun + own, database).dumps
    assert whole.fields in [dump.fields for dump in dumps]


def test_several_dumps_of_a_log_are_told_apart(text: str, whole: Dump, database: Database) -> None:
    log = log_of(f"noise\n{text}more noise\n{text}{text}end\n", database)
    assert [dump.fields for dump in log.dumps] == [whole.fields] * 3
    count = len(text.splitlines())
    assert [dump.first_line for dump in log.dumps] == [2, count + 3, 2 * count + 3]


CR0 = "CR0: actual=0x0000000000000021, shadow=0x0000000000000001,"
MASK = "gh_mask=fffffffffffffff7"
NOISE = "usb 1-1: new high-speed USB device"


def test_a_heading_that_is_missing_is_told_by_what_only_its_section_has(database: Database) -> None:
    """Sections come in one order, so that a line may mean another thing than before."""
    lines = [
        "*** Guest State ***",
        "CR3 = 0x0000000000001000",
        "FSBase=0000000000000001 GSBase=0000000000000002",
        "CR0=0000000080050033 CR3=0000000000002000",
        "TSC Offset = 0x0000000000000003",
        "PLE Gap=00000004 Window=00000005",
    ]
    found = only_dump("\n".join(lines), database)
    told = {name: value.bits for name, value in found.fields.items()}
    assert (told["guest_cr3"], told["host_cr3"], told["host_gs_base"]) == (0x1000, 0x2000, 2)
    assert (told["tsc_offset"], told["ple_gap"]) == (3, 4)
    assert found.strange == []


def test_a_line_waits_for_its_other_half_only_so_long(database: Database) -> None:
    soon = only_dump("\n".join(["*** Guest State ***", CR0, *[NOISE] * 3, MASK]), database)
    assert soon.fields["cr0_guest_host_mask"].bits == 0xFFFFFFFFFFFFFFF7
    late = only_dump("\n".join(["*** Guest State ***", CR0, *[NOISE] * 9, MASK, "CR3 = 0x0000000000001000"]), database)
    assert "cr0_guest_host_mask" not in late.fields
    assert late.fields["guest_cr0"].bits == 0x21
    assert CR0 in [span.text for span in late.strange]


def test_a_dump_is_over_where_nothing_more_comes(database: Database) -> None:
    lines = ["*** Guest State ***", "CR3 = 0x0000000000001000", *[NOISE] * 100, "RFLAGS=0x00000002"]
    found = only_dump("\n".join(lines), database)
    assert found.fields.keys() == {"guest_cr3"}
    assert (found.strange, found.last_line) == ([], 2)


def test_the_same_heading_begins_another_dump(database: Database) -> None:
    lines = ["*** Guest State ***", "CR3 = 0x0000000000001000", "*** Guest State ***", "CR3 = 0x0000000000002000"]
    assert [dump.fields["guest_cr3"].bits for dump in log_of("\n".join(lines), database).dumps] == [0x1000, 0x2000]


@pytest.mark.parametrize(
    "line",
    [
        "CR3 = 0x0000000000001000xyz",
        "CR3 = 0x000000000001000",
        "CR3 = 0x00000000000000010000",
        "Interruptibility = 100000001",
        "CR3 = ",
        "CR3",
    ],
)
def test_a_number_that_is_none_of_the_field_is_listed(line: str, database: Database) -> None:
    found = only_dump(f"*** Guest State ***\n{line}\nRFLAGS=0x00000002\n", database)
    assert found.fields.keys() == {"guest_rflags"}
    assert found.strangers == 1


def test_a_few_words_that_look_like_a_dump_are_none_beside_one(database: Database) -> None:
    real = ["*** Guest State ***", "CR3 = 0x0000000000001000"]
    log = log_of("\n".join(["RFLAGS=0x00000246", *[NOISE] * 100, *real]), database)
    assert [dump.first_line for dump in log.dumps] == [102]
    assert log.fragments == (1,)
    assert only_dump("RFLAGS=0x00000246\n", database).fields.keys() == {"guest_rflags"}


def test_a_line_without_a_caller_goes_on_with_the_last(database: Database) -> None:
    found = only_dump(f"[ 1.0][ T12] *** Guest State ***\n[ 1.0][ T12] {CR0}\n{MASK}\n", database)
    assert found.fields.keys() == {"guest_cr0", "cr0_read_shadow", "cr0_guest_host_mask"}


def test_a_message_belongs_to_the_dump_that_is_nearest(database: Database) -> None:
    one = ["*** Guest State ***", "CR3 = 0x0000000000001000"]
    lines = [*one, *[NOISE] * 80, "KVM: entry failed, hardware error 0x7", *one, *[NOISE] * 80]
    first, second = log_of("\n".join([*lines, "KVM: entry failed, hardware error 0x8"]), database).dumps
    assert [len(dump.events) for dump in (first, second)] == [0, 2]


def test_half_a_message_within_a_dump_is_no_part_of_it(database: Database) -> None:
    lines = ["*** Guest State ***", "CR3 = 0x0000000000001000", "error: failed to set MSR 0x48b to"]
    found = only_dump("\n".join(lines), database)
    assert found.fields.keys() == {"guest_cr3"}


def test_what_is_told_twice_and_differently_is_unknown(database: Database) -> None:
    lines = ["*** Guest State ***", "CR3 = 0x0000000000001000", "CR3 = 0x0000000000002000", "CR3 = 0x0000000000001000"]
    found = only_dump("\n".join(lines), database)
    assert not found.fields["guest_cr3"].known
    assert list(found.disputed) == ["guest_cr3"]
