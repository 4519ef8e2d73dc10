"""One header, generated without a CPU, on all shipped CPUs: the C functions, the library, and the SDM agree.

Three computations are compared: the generated C, compiled and fed with the MSRs; the library; and `witness.py`, which
has its own numbers, its own rules and, in `reading.py`, its own reader of the policies.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from tests.backends import witness
from tests.backends.driver import (
    CONFLICT,
    MASKS,
    OK,
    REFUSED,
    VIOLATED,
    Answer,
    Job,
    Program,
    Subject,
    build,
    subject,
)
from tests.backends.reading import Reading, read
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.expression import value
from vmcsc.pipeline import compile
from vmcsc.vmcs import Vmcs

POLICIES = ("introspection", "kvm_6_1", "kvm_7_3", "kvm_classic", "kvm_story", "minimal")

RANDOM = 6


def fills(index: int) -> list[int]:
    """Values for an MSR that nobody read: nothing, everything, everything optional, and random ones."""
    chosen = [random.Random(f"{seed} {index}").getrandbits(64) for seed in range(RANDOM)]
    return [0, (1 << 64) - 1, 0xFFFFFFFF << 32, *chosen]


PARAMETERS = {"tsc_offset": 0xFFFFFFFFFFFFF000, "vpid": 0xBEEF, "cr0_read_shadow": 0x60000010, "cr4_read_shadow": 0x668}
PAGES = {"io_bitmap_a": 0x1234000, "io_bitmap_b": 0xFFFFF000, "msr_bitmap": 0x7FFFFFFFFF000}

REFUSALS = {"VMX3001", "VMX3002", "VMX3008"}
"""Codes for: required but not available, forbidden but forced, required in a word that is not in force."""


@dataclass(frozen=True)
class Machine:
    """A CPU with a value for each MSR that it has; `chosen` of them were never read."""

    cpu: Cpu
    msrs: Mapping[int, int]
    chosen: int


@dataclass(frozen=True)
class Case:
    policy: str
    machine: Machine
    given: Mapping[str, int]
    vmcs: Vmcs
    errors: tuple[Diagnostic, ...]
    answer: Answer

    def __str__(self) -> str:
        return f"{self.policy} on {self.machine.cpu.name} given {sorted(self.given)}"


def machines(database: Database) -> Iterator[Machine]:
    """The shipped CPUs, several times each where MSRs were not read: all sides get the same values for them."""
    for name in shipped_cpus(database):
        cpu = read_cpu(name, database, Diagnostics())
        assert cpu is not None
        known = {database.msrs[msr].index: v.bits for msr, v in cpu.msrs.items()}
        seen: list[Mapping[int, int]] = []
        for number in range(len(fills(0))):
            msrs = witness.completed(known, lambda index, n=number: fills(index)[n])  # type: ignore[misc]
            if msrs in seen:
                continue
            seen.append(msrs)
            values = {database.msr_by_index[index].name: value.known(64, bits) for index, bits in msrs.items()}
            yield Machine(replace(cpu, name=f"{name}/{number}", msrs=values), msrs, len(msrs) - len(known))


def headers(database: Database) -> list[Subject]:
    found = []
    for policy in POLICIES:
        vmcs = compile(policy, Cpu("none", "no processor"), database).vmcs
        assert vmcs is not None
        found.append(subject(vmcs))
    return found


@pytest.fixture(scope="module")
def program(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Program:
    options = ("-std=c11", "-O2", "-fsanitize=undefined", "-fno-sanitize-recover=all")
    return build(headers(database), tmp_path_factory.mktemp("agrees"), *options)


@pytest.fixture(scope="module")
def cases(database: Database, program: Program) -> list[Case]:
    """Every shipped policy on every shipped CPU, with every way to complete its MSRs, with and without parameters."""
    asked: list[tuple[str, Machine, Mapping[str, int], Vmcs, tuple[Diagnostic, ...]]] = []
    all_machines = list(machines(database))
    for policy in POLICIES:
        for full in (False, True):
            parameters = compile(policy, [], database).policy.parameters  # type: ignore[union-attr]
            given = {name: v for name, v in PARAMETERS.items() if full and name in parameters}
            result = compile(policy, [m.cpu for m in all_machines], database, params=given)
            errors = [d for d in result.diagnostics if d.severity.value == "error"]
            for machine in all_machines:
                own = tuple(d for d in errors if machine.cpu.name in d.cpus)
                asked.append((policy, machine, given, result.by_cpu[machine.cpu.name], own))
    jobs = [Job(policy, m.msrs, parameters=given, pages=PAGES) for policy, m, given, _, _ in asked]
    return [Case(*one, answer) for one, answer in zip(asked, program.run(jobs), strict=True)]


@pytest.fixture(scope="module")
def readings(database: Database) -> Mapping[str, Reading]:
    return {policy: read(policy, database.folders[0] / "policies") for policy in POLICIES}


def test_all_13_cpus_and_every_shipped_policy_take_part(cases: list[Case], database: Database) -> None:
    assert len({case.machine.cpu.name.partition("/")[0] for case in cases}) == 13
    assert {case.policy for case in cases} == set(database.files("policies", ".vmcs"))
    assert {OK, REFUSED} <= {case.answer.outcome for case in cases}


def test_where_nobody_read_an_msr_several_values_of_it_are_tried(cases: list[Case]) -> None:
    tried: dict[str, set[tuple[int, ...]]] = {}
    for case in cases:
        if case.machine.chosen:
            tried.setdefault(case.machine.cpu.name.partition("/")[0], set()).add(tuple(case.machine.msrs.values()))
    assert len(tried) >= 3
    assert all(len(values) >= 3 + RANDOM for values in tried.values())


def test_the_words_the_refusals_and_the_rest_equal_the_librarys(cases: list[Case], program: Program) -> None:
    for case in cases:
        words = [case.vmcs.words[name] for name in witness.WORDS]
        answer = case.answer
        assert all(word.value.is_known for word in words), case
        assert answer.value == [w.value.bits for w in words], case
        assert answer.refused == [w.refused & (w.required | w.forbidden) | w.inactive & w.required for w in words], case
        assert answer.given_up == [w.preferred & ~w.required & ~w.value.bits for w in words], case
        assert answer.raised == [w.avoided & ~w.forbidden & w.value.bits for w in words], case
        assert answer.runtime == [w.allowed for w in words], case
        broken = [rule for n, rule in enumerate(program.rules) if answer.violated >> n & 1]
        assert broken == list(case.vmcs.violated), case


def test_the_sequence_of_vmwrites_equals_the_librarys(cases: list[Case]) -> None:
    for case in cases:
        written = case.vmcs.writes(PAGES)
        assert all(v.is_known for _, v in written), case
        assert case.answer.writes == [(field.encoding, v.bits) for field, v in written], case


def test_the_functions_fail_where_the_library_reports_errors_and_refuse_what_it_names(cases: list[Case]) -> None:
    for case in cases:
        refused = {name for name, _ in named(case)}
        told = {d.span.text for d in case.errors if d.code in REFUSALS and d.span is not None}
        said = {stance.control.name for stance in case.vmcs.policy.stances if not stance.implied}
        assert told == refused & said, case
        rules = {rule.code for rule in case.vmcs.database.rules if rule.id in case.vmcs.violated}
        others = {d.code for d in case.errors} - REFUSALS
        assert bool(others & (rules | {"VMX4902"})) == bool(case.answer.violated), case
        assert ("VMX3010" in others) == (any(case.answer.conflicting) or case.answer.field_conflicts), case
        assert others <= rules | {"VMX4902", "VMX3010"}, case
        assert case.answer.outcome == expected_outcome(case.answer), case
        assert (case.answer.outcome == OK) == (not case.errors), case


def named(case: Case) -> Iterator[tuple[str, str]]:
    """The controls that the functions refuse, with their words."""
    for word, mask in zip(witness.WORDS, case.answer.refused, strict=True):
        controls = case.vmcs.database.words[word].by_bit
        yield from ((controls[bit].name, word) for bit in range(64) if mask >> bit & 1)


def expected_outcome(answer: Answer) -> int:
    if any(answer.refused):
        return REFUSED
    if any(answer.conflicting) or answer.field_conflicts:
        return CONFLICT
    return VIOLATED if answer.violated else OK


def test_both_equal_an_independent_computation_from_the_raw_msrs(
    cases: list[Case], readings: Mapping[str, Reading]
) -> None:
    for case in cases:
        capabilities = witness.Capabilities(case.machine.msrs)
        reading = readings[case.policy]
        settled = witness.settle(reading.wishes(capabilities), capabilities)
        for name in (*MASKS, "violated"):
            assert getattr(case.answer, name) == getattr(settled, name), f"{case}: {name}"
        values = reading.values(capabilities, {**case.given, **PAGES})
        assert case.answer.writes == witness.writes(settled, values, capabilities), case


def test_an_msr_that_the_processor_lacks_is_not_read(program: Program, cases: list[Case]) -> None:
    """The program would notice: without one of the MSRs that exist, it fails."""
    with pytest.raises(AssertionError, match="MSR 485 was read"):
        msrs = {index: bits for index, bits in cases[0].machine.msrs.items() if index != 0x485}
        program.run([Job(cases[0].policy, msrs, pages=PAGES)])


def test_reserved_default1_bits_stay_1_on_a_processor_never_seen(program: Program) -> None:
    """A later processor may allow 0 for all of them: they are 1 all the same, and 0 only where 1 is not allowed."""
    msrs = dict.fromkeys(range(0x480, 0x494), 0xFFFFFFFF << 32) | {0x480: 1 << 55}
    (answer,) = program.run([Job("minimal", msrs)])
    assert answer.value[:4] == [0x16, 0x04006172, 0x00036FFB, 0x000013FB]
    msrs[0x48E] &= ~(1 << 33)
    (answer,) = program.run([Job("minimal", msrs)])
    assert answer.value[1] == 0x04006170
