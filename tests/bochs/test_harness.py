"""The harness: entries in batches, and what becomes of a batch that the emulator does not come back from."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.bochs import dialect
from tests.bochs.compare import Trial, run
from tests.bochs.subjects import Subject
from tests.bochs.trials import subjects
from vmcsc.bochs import orders as orders_module
from vmcsc.bochs.emulator import MAX_ORDERS, boot
from vmcsc.bochs.entries import Base, Case, run_cases
from vmcsc.bochs.orders import Order, Orders
from vmcsc.bochs.processor import read_model
from vmcsc.bochs.tools import Tools
from vmcsc.errors import VmcscError

MODEL = "corei7_skylake_x"
STOPS = {"entry_interruption_info": 0x80000700}
"""What this emulator panics at."""


@pytest.fixture(scope="module")
def known(tools: Tools) -> dict[str, Subject]:
    return subjects(dialect.database(), read_model(MODEL, dialect.database(), tools), Counter())


def test_the_case_that_the_emulator_stops_at_is_found_and_the_others_are_as_alone(
    known: dict[str, Subject], tools: Tools
) -> None:
    subject = known["long"]
    bad_flags, bad_control = {"guest_rflags": 0}, {"pin_based_vm_execution_controls": 0}
    changes = [{}, bad_flags, STOPS, bad_control, *[bad_flags] * 70, STOPS, {}]
    seen = list(run([Trial(subject, fields) for fields in changes], tools))
    assert [one.lost for one in seen] == [fields is STOPS for fields in changes]
    assert [one.entered for one in seen] == [fields == {} for fields in changes]
    assert seen[1].parts == (("exit_reason", 33), ("qualification", 0))
    assert seen[3].parts == (("instruction_error", 7),)


def test_each_case_begins_from_the_base_whatever_came_before(known: dict[str, Subject], tools: Tools) -> None:
    subject = known["state long_mode"]
    changes = [{}, {"guest_rip": 0x123456}, {"guest_cr3": 0}, {"guest_rflags": 0}, {"host_cs_selector": 0}] * 3
    seen = list(run([Trial(subject, fields) for fields in changes], tools))
    assert [one.parts for one in seen] == [one.parts for one in seen[:5]] * 3
    assert [one.exit.get("reason") for one in seen] == [one.exit.get("reason") for one in seen[:5]] * 3
    assert seen[0].exit["reason"] == dialect.database().exit_reasons["vmcall"].number


def test_a_guest_that_does_nothing_is_woken(known: dict[str, Subject], tools: Tools) -> None:
    (seen,) = run([Trial(known["state hlt"], {})], tools)
    assert seen.entered
    assert seen.exit["reason"] == dialect.database().exit_reasons["triple_fault"].number  # it has no handler for NMIs
    state = {"guest_interruptibility_state": 8}
    (seen,) = run([Trial(known["state hlt"], state)], tools)
    assert seen.exit["reason"] == dialect.database().exit_reasons["init_signal"].number


def test_words_of_memory_are_those_of_the_case_alone(known: dict[str, Subject], tools: Tools) -> None:
    area = {"vm_entry_msr_load_address": 0xD000, "vm_entry_msr_load_count": 1}
    refused, taken = {0xD000: 0xC0000100}, {0xD000: 0x175}
    trials = [Trial(known["long"], area, words) for words in (refused, taken, refused, taken)]
    seen = list(run(trials, tools))
    assert [one.parts for one in seen] == [(("exit_reason", 34), ("qualification", 1)), ()] * 2


def test_other_code_may_enter(known: dict[str, Subject], tools: Tools) -> None:
    subject = known["long"]
    vmresume = Case({}, code=bytes.fromhex("0f01c3"))
    (seen,) = run_cases(Base(subject.fields), [vmresume], subject.model, dialect.database(), tools)
    assert seen.parts == (("instruction_error", 5),)


def test_too_many_orders_are_refused(tools: Tools) -> None:
    with pytest.raises(VmcscError, match="too many orders"):
        boot(tools, MODEL, bytes(MAX_ORDERS + 1), 0, 1)


def test_more_memory_than_the_harness_has_room_for_is_refused(known: dict[str, Subject], tools: Tools) -> None:
    subject = known["long"]
    words = {0x1000 + 8 * number: 1 for number in range(65)}
    with pytest.raises(VmcscError, match="at most 64 words"):
        next(run([Trial(subject, {}, words)], tools))


def test_a_boot_is_bounded_in_time(tools: Tools) -> None:
    orders = Orders()
    orders.code(0, bytes.fromhex("ebfe"))  # a jump to itself
    orders.run(0)
    booted = boot(tools, MODEL, orders.content(), orders.replies, 2)
    assert not booted.ended
    assert booted.words == ()


def test_orders_have_the_same_numbers_in_c_and_in_python() -> None:
    source = (Path(orders_module.__file__).parent / "harness.c").read_text()
    (names,) = re.findall(r"enum order \{(.*?)\};", source, re.DOTALL)
    assert [name.strip() for name in names.split(",")] == [order.name for order in Order]
    assert [order.value for order in Order] == list(range(len(Order)))
    (endings,) = re.findall(r"enum ending \{(.*?)\};", source)
    assert [getattr(orders_module, name.strip()) for name in endings.split(",")] == [0, 1, 2]
