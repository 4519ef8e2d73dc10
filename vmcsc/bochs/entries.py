"""VM entries in batches: thousands of cases that differ from a base in a few fields, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from vmcsc.architecture.database import Database
from vmcsc.architecture.emulator import emulator_of
from vmcsc.architecture.operation import operation_of
from vmcsc.assembly.encode import encode
from vmcsc.bochs.emulator import MAX_ORDERS, boot
from vmcsc.bochs.orders import CARRY, COMPLETED, FAULTED, FLUSHED, HOST_WORDS, INIT, NMI, Ending, Orders, Replies
from vmcsc.bochs.processor import Model, vmx_on
from vmcsc.bochs.tools import Tools
from vmcsc.errors import VmcscError
from vmcsc.records import dataclass, field, replace

FAILED_ENTRY = 1 << 31
"""The bit of an exit reason that says that the entry failed."""

SECONDS, CASES_A_SECOND = 10, 500
"""Time that a boot may take, and how many cases it must at least do in a further second."""

MAX_PAGES, MAX_WORDS, MAX_CODES = 64, 64, 16
"""What the harness has room for."""

_BATCH_SIZE = MAX_ORDERS // 2


@dataclass(frozen=True, eq=False)
class Base:
    """What cases differ from: fields by name (those that the model lacks are left out), and 8-byte words of memory.
    `host_bits` says whether they are entered from a 64-bit or from a 32-bit host.

    Memory is as before after each case: what is given here, and 0 elsewhere in the first 128 KiB. `pages` have 4 KiB.
    `told` is for the witness, if there is one.
    """

    fields: Mapping[str, int]
    memory: Mapping[int, int] = field(default_factory=dict)
    pages: Mapping[int, bytes] = field(default_factory=dict)
    host_bits: int = 64
    told: Sequence[int] = ()


@dataclass(frozen=True)
class Case:
    """Fields and memory that are different from those of the base; `code` is what enters, VMLAUNCH unless given.

    `blocks`: the guest blocks NMIs, so it is woken by INIT if it does not come back by itself. Of such guests and all
    behind them it is only told that they ran, so they come last. A 32-bit host cannot have such guests.
    """

    fields: Mapping[str, int]
    memory: Mapping[int, int] = field(default_factory=dict)
    code: bytes | None = None
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of an entry: `parts` are as in a permitted outcome of `vmcsc.check`, none where the guest ran.

    `exit` has the fields of the emulator's report after an exit. `lost`: the emulator did not come back from it.
    `said` is what the witness said of it before.
    """

    parts: tuple[tuple[str, int | str], ...]
    exit: Mapping[str, int] = field(default_factory=dict)
    lost: bool = False
    said: tuple[int, ...] = ()

    @property
    def entered(self) -> bool:
        return not self.parts and not self.lost


Entry = tuple[Base, Case]


@dataclass(frozen=True)
class _On:
    """Where entries are run."""

    model: Model
    database: Database
    tools: Tools


def run_cases(
    base: Base, cases: Sequence[Case], model: Model, database: Database, tools: Tools
) -> Iterator[Seen]:  # fmt: skip
    """What becomes of each case on a model, in their order."""
    return run_entries([(base, case) for case in cases], model, database, tools)


def run_entries(entries: Sequence[Entry], model: Model, database: Database, tools: Tools) -> Iterator[Seen]:
    """The same for cases of several bases. A batch that hangs is taken apart until the case is found."""
    on = _On(model, database, tools)
    order = sorted(range(len(entries)), key=lambda place: entries[place][1].blocks)
    found: list[Seen | None] = [None] * len(entries)
    done = (one for batch in _batches([entries[place] for place in order]) for one in _run(batch, on))
    for place, one in zip(order, done, strict=True):
        found[place] = one
    return (one for one in found if one is not None)


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    start = size = 0
    base: Base | None = None
    for number, (own, case) in enumerate(entries):
        added = 160 + 16 * (len(case.fields) + len(case.memory))
        if own is not base:
            added += 4200 * len(own.pages) + 16 * (len(own.fields) + len(own.memory))
        base, size = own, size + added
        if size > _BATCH_SIZE and number > start:
            yield entries[start:number]
            start, size = number, added
    if start < len(entries):
        yield entries[start:]


def _run(entries: Sequence[Entry], on: _On) -> list[Seen]:
    seen: list[Seen] = []
    while len(seen) < len(entries):
        seen += _boot(entries[len(seen) :], on)
        if len(seen) < len(entries):  # among the next ones is the one that it did not come back from
            seen += _boot(entries[len(seen) : len(seen) + FLUSHED], on, flush=1)
        if len(seen) < len(entries):
            seen += _boot(entries[len(seen) : len(seen) + 1], on) or [Seen((), lost=True)]
    return seen


def _boot(entries: Sequence[Entry], on: _On, flush: int = FLUSHED) -> list[Seen]:
    """As many entries as one boot comes to."""
    orders, report = Orders(), emulator_of(on.database).report
    orders.flush(flush)
    vmx_on(orders, on.database)
    for base, group in groupby(entries, key=lambda entry: entry[0]):
        if on.model.witness is not None:
            orders.tell(base.told, on.model.witness.words)
        _order(orders, base, [case for _, case in group], on.model, on.database)
    seconds = SECONDS + len(entries) / CASES_A_SECOND
    booted = boot(on.tools, on.model.name, orders.content(), orders.replies, seconds, witness=on.model.witness)
    replies = Replies(booted.words, len(report))
    replies.take(HOST_WORDS)
    return list(_seen(replies, tuple(report), on))


def _order(orders: Orders, base: Base, cases: Sequence[Case], model: Model, database: Database) -> None:
    """The orders for the cases of one base."""
    emulator = emulator_of(database)
    names = [name for name in base.fields if name in model.fields]
    places = {name: number for number, name in enumerate(names)}
    encodings = {name: database.fields[name].encoding for name in (*names, emulator.error, *emulator.report.values())}
    launch = encode(operation_of(database).by_mnemonic["vmlaunch"][0].forms[0], ())
    used = dict.fromkeys(case.code or launch for case in cases)
    codes = {code: number for number, code in enumerate(used)}
    if len(codes) > MAX_CODES or len(base.pages) > MAX_PAGES:
        raise VmcscError(f"a base has at most {MAX_PAGES} pages, and its cases at most {MAX_CODES} codes")
    if any(len(words) > MAX_WORDS for words in (base.memory, *(case.memory for case in cases))):
        raise VmcscError(f"a base and a case have at most {MAX_WORDS} words of memory each")
    orders.reset(leave=False)
    orders.host(base.host_bits)
    orders.report(encodings[emulator.error], [encodings[name] for name in emulator.report.values()])
    for code, number in codes.items():
        orders.code(number, code)
    for address, content in base.pages.items():
        orders.page(address, content)
    orders.base(((encodings[name], base.fields[name]) for name in names), base.memory)
    for case in cases:
        changed = [(places[name], value) for name, value in case.fields.items() if name in places]
        orders.case(codes[case.code or launch], changed, case.memory, wake=INIT if case.blocks else NMI)


def _seen(replies: Replies, report: Sequence[str], on: _On) -> Iterator[Seen]:
    vectors = on.database.exceptions.items()
    faults = {vector.vector: (vector.mnemonic or name).lstrip("#").lower() for name, vector in vectors}
    words = 0 if on.model.witness is None else on.model.witness.words
    while (ending := replies.ending()) is not None and replies.left >= words:
        seen = _outcome(ending, report, faults)
        yield replace(seen, said=replies.take(words)) if words else seen


def _outcome(ending: Ending, report: Iterable[str], faults: Mapping[int, str]) -> Seen:
    if ending.how == FAULTED:
        return Seen((("fault", faults.get(ending.value, str(ending.value))),))
    if ending.how == COMPLETED:
        if ending.value & CARRY:
            return Seen((("vmfail_invalid", True),))
        return Seen((("instruction_error", ending.code),))
    exit = dict(zip(report, ending.report, strict=True))
    if not exit["reason"] & FAILED_ENTRY:
        return Seen((), exit)
    parts = (("exit_reason", exit["reason"] & ~FAILED_ENTRY), ("qualification", exit["qualification"]))
    return Seen(parts, exit)
