"""Bochs through the harness: VM entries a second, with the boots in them, on one core."""

from __future__ import annotations

import resource
from statistics import median

from measure import Row

from vmcsc.architecture.emulator import emulator_of
from vmcsc.bochs.entries import Base, Case, run_cases
from vmcsc.bochs.processor import read_model
from vmcsc.bochs.tools import find_tools
from vmcsc.errors import VmcscError
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.scenario.test import prepare

CASES, ROUNDS = 20_000, 3
PAGES = 0x200000
VMCALL = bytes.fromhex("0f01c1")
WHAT = "VM entries a second and core on Bochs, boot included"
CHANGED = ("guest_rflags", "guest_cr4", "guest_tr_access_rights", "vm_entry_controls", "host_cs_selector", "guest_cr0")
"""Fields of which each case changes one or two, in one bit each."""


def rows(rounds: int) -> list[Row]:
    try:
        tools = find_tools()
    except VmcscError:
        return [Row(WHAT, None, "k", at_least=6)]
    database = load()
    emulator = emulator_of(database)
    model = read_model(emulator.usual, database, tools)
    policy = compile("minimal", model.cpu, database).policy
    assert policy is not None
    start = prepare({}, {}, {}, policy, database, model.cpu, PAGES)
    host = {name: model.host[which] for name, which in emulator.hosts[64].fields.items()}
    fields = {**start.fields, **host}
    base = Base(fields, {fields["guest_rip"]: int.from_bytes(VMCALL, "little")}, start.pages)
    cases = [_case(base, number) for number in range(CASES)]
    rates = []
    for _ in range(min(rounds, ROUNDS)):
        before = _computed_by_children()
        seen = list(run_cases(base, cases, model, database, tools))
        rates.append(len(seen) / (_computed_by_children() - before))
    return [Row(WHAT, median(rates) / 1000, "k", at_least=6)]


def _case(base: Base, number: int) -> Case:
    first, second = CHANGED[number % len(CHANGED)], CHANGED[number // 7 % len(CHANGED)]
    fields = {first: base.fields[first] ^ 1 << number % 16}
    if number % 3 == 0:
        fields[second] = base.fields[second] ^ 1 << number // 5 % 16
    return Case(fields)


def _computed_by_children() -> float:
    """Seconds, of the emulator among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
