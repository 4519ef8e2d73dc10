"""Generated code says of every state what the three-valued walk over the rules says."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.check.whole_state import fields_of, numbers, processor_of
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.check.check import check_fields
from vmcsc.check.compiled import WARM_UP, CompiledRules
from vmcsc.check.evaluate import MAX_ELEMENTS, RuleResult, Status, evaluate_rules, rules_of
from vmcsc.check.generate import generate, is_small
from vmcsc.check.memory import Memory
from vmcsc.check.resolved import fields_of as fields_of_vmcs
from vmcsc.check.state import State
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import Value, known
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.resources import SPECS

ALL = (1 << 64) - 1
GUESTS = sorted(path.stem for path in (SPECS / "states").glob("*.yaml") if not path.stem.startswith("host"))


@pytest.fixture(scope="module")
def compiled(database: Database) -> CompiledRules:
    return CompiledRules(database)


@pytest.fixture(scope="module")
def cpus(database: Database) -> list[Cpu]:
    read = [read_cpu(name, database, Diagnostics()) for name in shipped_cpus(database)]
    return [*(cpu for cpu in read if cpu is not None), UNKNOWN_CPU]


def cpu_named(name: str, database: Database) -> Cpu:
    cpu = read_cpu(name, database, Diagnostics())
    assert cpu is not None
    return cpu


def agreed(compiled: CompiledRules, state: State) -> tuple[RuleResult, ...]:
    """The results of both ways, which must be the same."""
    walked = tuple(evaluate_rules(rules_of(state.database), state))
    fast = compiled.results(state)
    differing = [
        (a.rule.id, a.status, b.status, a.element, b.element) for a, b in zip(fast, walked, strict=True) if a != b
    ]
    assert differing == []
    return fast


def ids(results: tuple[RuleResult, ...], status: Status) -> set[str]:
    return {result.rule.id for result in results if result.status is status}


class Randomly:
    """States near to one that enters, so that rules are met on both sides."""

    def __init__(self, seed: int, database: Database) -> None:
        self._chance = random.Random(seed)
        self._db = database

    def fields(self, unknown: float) -> dict[str, Value]:
        raw = numbers(self._db)
        for name in self._chance.sample(sorted(raw), self._chance.choice([0, 1, 3, 10, 100])):
            raw[name] = self._changed(raw[name], self._db.fields[name].width)
        return self._partly(fields_of(raw, self._db), unknown)

    def processor(self, unknown: float) -> dict[str, Value]:
        changed = {name: self._chance.getrandbits(item.width) for name, item in self._db.state.items()}
        few = self._chance.sample(sorted(changed), self._chance.choice([0, 2, len(changed)]))
        return self._partly(processor_of(self._db, **{name: changed[name] for name in few}), unknown)

    def memory(self, fields: Mapping[str, Value]) -> Memory | None:
        """None, or what lies where the fields point, with pieces missing."""
        if self._chance.random() < 0.3:
            return None
        memory = Memory()
        for name in ("guest_cr3", "vmcs_link_pointer", "virtual_apic_address", "vm_entry_msr_load_address"):
            for offset in range(0, 256, 8):
                if name in fields and self._chance.random() < 0.95:
                    number = self._chance.choice([0, 1, 6, 0x277, 0xC000_0100, self._chance.getrandbits(64)])
                    address = (fields[name].bits & ~0x1F if name == "guest_cr3" else fields[name].bits) + offset
                    memory.write(address, number.to_bytes(8, "little"))
        return memory

    def _changed(self, number: int, width: int) -> int:
        mask = (1 << width) - 1
        choices = [0, mask, 1, number ^ 1 << self._chance.randrange(width), self._chance.getrandbits(width), 4]
        return self._chance.choice(choices) & mask

    def _partly(self, values: dict[str, Value], unknown: float) -> dict[str, Value]:
        """Some left out, of some only a few bits known."""
        kept = {}
        for name, value in values.items():
            chance = self._chance.random()
            if chance < unknown / 2:
                kept[name] = Value(value.width, value.bits, self._chance.getrandbits(value.width))
            elif chance >= unknown:
                kept[name] = value
        return kept


@pytest.mark.parametrize("unknown", [0.0, 0.02, 0.3, 0.9])
@pytest.mark.parametrize("seed", range(25))
def test_random_states_come_out_alike_in_both_ways(
    seed: int, unknown: float, database: Database, compiled: CompiledRules, cpus: list[Cpu]
) -> None:
    randomly = Randomly(seed, database)
    fields = randomly.fields(unknown)
    for cpu in random.Random(seed).sample(cpus, 2):
        agreed(compiled, State(database, fields, cpu, randomly.memory(fields), randomly.processor(unknown)))


@pytest.mark.parametrize("unknown", [0.02, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_states_that_leave_the_same_unknown_are_judged_each_by_its_own_values(
    seed: int, unknown: float, database: Database, compiled: CompiledRules, cpus: list[Cpu]
) -> None:
    chance = random.Random(seed)
    first = Randomly(seed, database).fields(unknown)
    processor = Randomly(seed, database).processor(unknown)
    for _ in range(12):
        few = set(chance.sample(sorted(first), 5)) | set(database.word_of_field)
        fields = {
            name: Value(value.width, chance.getrandbits(64) if name in few else value.bits, value.known)
            for name, value in first.items()
        }
        agreed(compiled, State(database, fields, chance.choice(cpus), None, processor))


def test_random_states_meet_rules_that_pass_and_rules_that_are_violated(
    database: Database, compiled: CompiledRules
) -> None:
    """What the test above rests on: without violated rules it would show nothing of them."""
    cpu, seen = cpu_named("ice_lake_i7_1065g7", database), {status: set[str]() for status in Status}
    for seed in range(400):
        randomly = Randomly(seed, database)
        fields = randomly.fields(0.0)
        state = State(database, fields, cpu, randomly.memory(fields), randomly.processor(0.0))
        for result in compiled.results(state):
            seen[result.status].add(result.rule.id)
    every = len(rules_of(database))
    assert len(seen[Status.VIOLATED]) > every * 0.6
    assert len(seen[Status.PASSED]) > every * 0.7


def test_a_state_that_enters_violates_nothing(database: Database, compiled: CompiledRules) -> None:
    state = State(
        database,
        fields_of(numbers(database), database),
        cpu_named("ice_lake_i7_1065g7", database),
        processor=processor_of(database),
    )
    results = agreed(compiled, state)
    assert ids(results, Status.VIOLATED) | ids(results, Status.UNDETERMINED) == set()


def test_a_flipped_bit_and_an_unknown_bit_of_each_field_are_judged_alike(
    database: Database, compiled: CompiledRules
) -> None:
    cpu, processor = cpu_named("ice_lake_i7_1065g7", database), processor_of(database)
    whole = fields_of(numbers(database), database)
    for number, (name, value) in enumerate(whole.items()):
        bit = 1 << random.Random(name).randrange(value.width)
        changed = known(value.width, value.bits ^ bit) if number % 2 else Value(value.width, value.bits, ~bit)
        agreed(compiled, State(database, whole | {name: changed}, cpu, None, processor))


@pytest.mark.parametrize("guest", GUESTS)
@pytest.mark.parametrize("host", ["host_64", "host_32"])
def test_the_shipped_states_are_judged_alike(
    guest: str, host: str, database: Database, compiled: CompiledRules, cpus: list[Cpu]
) -> None:
    """As far as the states tell the fields, and with 0 in all others."""
    policy = f"policy p {{\n  state guest {guest} {{ }}\n  state host {host} {{ }}\n}}\n"
    result = compile(policy, cpus, database)
    assert len(result.by_cpu) == len(cpus)
    for vmcs in result.by_cpu.values():
        told = fields_of_vmcs(vmcs)
        zeros = fields_of(dict.fromkeys(database.fields, 0), database)
        for fields in (told, zeros | {name: value for name, value in told.items() if value.is_known}):
            agreed(compiled, State(database, fields, vmcs.cpu, None, processor_of(database)))


def test_a_value_wider_than_its_field_is_read_as_the_walk_reads_it(database: Database, compiled: CompiledRules) -> None:
    wide = {name: Value(80, value.bits | 3 << 70, -1) for name, value in fields_of(numbers(database), database).items()}
    agreed(compiled, State(database, wide, cpu_named("ice_lake_i7_1065g7", database)))


# --- memory ---


def pae_state(database: Database, memory: Memory | None, **changed: int) -> State:
    """A guest with PAE paging whose page-directory-pointer-table entries are in memory, since there is no EPT."""
    raw = numbers(database) | {"guest_ia32_efer": 0, "guest_cs_access_rights": 0xC09B}
    raw |= {"vm_entry_controls": 0xD1FF, "secondary_vm_execution_controls": 0x20} | changed
    cpu = cpu_named("ice_lake_i7_1065g7", database)
    return State(database, fields_of(raw, database), cpu, memory, processor_of(database))


def test_the_elements_of_an_area_are_judged_in_order(database: Database, compiled: CompiledRules) -> None:
    rule = "pdpte-memory-reserved"
    good, bad = (1).to_bytes(8, "little"), (3).to_bytes(8, "little")
    assert rule in ids(agreed(compiled, pae_state(database, Memory({0x4000: good * 4}))), Status.PASSED)
    results = agreed(compiled, pae_state(database, Memory({0x4000: good + bad + good + bad})))
    assert [result.element for result in results if result.rule.id == rule] == [2]
    missing = Memory({0x4000: good * 3})
    assert rule in ids(agreed(compiled, pae_state(database, missing)), Status.UNDETERMINED)
    violated_anyway = Memory({0x4000: good, 0x4018: bad})
    assert rule in ids(agreed(compiled, pae_state(database, violated_anyway)), Status.VIOLATED)
    assert rule in ids(agreed(compiled, pae_state(database, None)), Status.UNDETERMINED)


@pytest.mark.parametrize("count", [0, 1, 2, MAX_ELEMENTS + 1, 0xFFFF_FFFF])
@pytest.mark.parametrize("address", [0x9000, 0, ALL - 15, ALL])
def test_areas_of_any_size_and_place_are_judged_alike(
    count: int, address: int, database: Database, compiled: CompiledRules
) -> None:
    entry = (0x277 | 6 << 64).to_bytes(16, "little")
    changed = {"vm_entry_msr_load_count": count, "vm_entry_msr_load_address": address}
    for memory in (None, Memory(), Memory({address: entry}), Memory({address: entry + bytes(16)})):
        agreed(compiled, pae_state(database, memory, **changed))


def test_the_longest_area_that_is_looked_at_is_judged_alike(database: Database, compiled: CompiledRules) -> None:
    entries = Memory({0x9000: (0x277 | 6 << 64).to_bytes(16, "little") * MAX_ELEMENTS})
    changed = {"vm_entry_msr_load_count": MAX_ELEMENTS, "vm_entry_msr_load_address": 0x9000}
    assert "msrload-fs-base" in ids(agreed(compiled, pae_state(database, entries, **changed)), Status.PASSED)


def test_memory_at_an_address_that_is_partly_unknown_is_not_read(database: Database, compiled: CompiledRules) -> None:
    state = pae_state(database, Memory({0x4000: bytes(64)}))
    fields = dict(state.fields) | {
        "guest_cr3": Value(64, 0x4000, ~0x20),
        "vmcs_link_pointer": Value(64, 0x4000, ~0x1000),
    }
    agreed(compiled, State(database, fields, state.capabilities.cpu, state.memory, state.processor))


# --- the function ---


def test_findings_and_verdict_are_the_same_before_and_after_code_is_generated(database: Database) -> None:
    fresh = load()  # of which no state was evaluated yet
    cpu = cpu_named("ice_lake_i7_1065g7", fresh)
    fields = fields_of(numbers(fresh) | {"guest_rflags": 0, "host_cr3": 1 << 60}, fresh)
    first = check_fields(fields, cpu, fresh)
    for _ in range(WARM_UP + 2):
        again = check_fields(fields, cpu, fresh)
        assert (again.verdict, again.results, again.findings) == (first.verdict, first.results, first.findings)
    assert {finding.message.split(":")[0] for finding in first.findings} == {"guest-rflags-bit1", "host-cr3-width"}


def test_what_two_processors_answer_is_not_mixed_up(
    database: Database, compiled: CompiledRules, cpus: list[Cpu]
) -> None:
    fields = fields_of(numbers(database), database)
    for cpu in [*cpus, *reversed(cpus), *cpus]:
        agreed(compiled, State(database, fields, cpu))


def test_the_code_holds_nothing_but_numbers_and_made_up_names(database: Database) -> None:
    text, _ = generate(rules_of(database), database)
    words = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"0x[0-9a-f]+", "", text)))
    words -= {word for word in words if re.fullmatch(r"[fcsx]\d*", word)}
    python = {"def", "check", "if", "elif", "else", "for", "in", "range", "try", "except", "break", "return"}
    assert words <= python | {
        "and",
        "or",
        "not",
        "max",
        "min",
        "None",
        "Unknown",
        "late",
        "unknown",
        "a",
        "e",
        "i",
        "m",
        "n",
        "p",
        "r",
        "w",
    }
    assert not set(text) & set("'\"#\\;@")


RULES = """\
kind: checks
checks:
  - id: house-deep
    code: VMX6990
    section: House rules
    require: {deep}
    outcome: {{exit_reason: 33, qualification: 0}}
    why: It nests as deep as a rule may.
  - id: house-wide
    code: VMX6991
    section: House rules
    when: guest_cr3 != 0
    require: guest_cr3 in [{many}]
    outcome: {{exit_reason: 33, qualification: 0}}
    why: It lists more values than any rule should.
"""


def test_rules_that_are_too_much_for_generated_code_are_evaluated_all_the_same(tmp_path: Path) -> None:
    deep = "~(" * 45 + "guest_rip" + ")" * 45 + " != 5"
    many = ", ".join(str(number) for number in range(0, 6000, 2))
    (tmp_path / "rules.yaml").write_text(RULES.format(deep=deep, many=many), encoding="utf-8")
    database = load(tmp_path)
    large = [rule for rule in rules_of(database) if not is_small(rule)]
    assert {rule.rule.id for rule in large} == {"house-deep", "house-wide"}
    compiled, cpu = CompiledRules(database), cpu_named("ice_lake_i7_1065g7", database)
    for changed, violated in (
        ({}, set()),
        ({"guest_cr3": 4001}, {"house-wide"}),
        ({"guest_rip": ~5 & ALL}, {"house-deep"}),
    ):
        fields = fields_of(numbers(database) | {"guest_cr3": 4000} | changed, database)
        state = State(database, fields, cpu, None, processor_of(database))
        assert ids(agreed(compiled, state), Status.VIOLATED) & {"house-deep", "house-wide"} == violated
