"""Random policies on random and real processors: the generated C, the library and `witness.py` agree in everything."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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
    finish,
    start,
    subject,
)
from tests.backends.expressions import FACTS, Environment
from tests.backends.policies import RandomPolicy, random_msrs, random_policy
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import value
from vmcsc.pipeline import compile
from vmcsc.policy.bind import bind_policy
from vmcsc.policy.model import Policy
from vmcsc.resolve import resolve
from vmcsc.source import read_source
from vmcsc.vmcs import Vmcs

POLICIES = 150
CPUS = 8
PAGES = {"io_bitmap_a": 0x1000, "io_bitmap_b": 0x2000, "msr_bitmap": 0x3000}


@dataclass(frozen=True)
class Case:
    policy: RandomPolicy
    environment: Environment
    given: Mapping[str, int]
    vmcs: Vmcs
    errors: frozenset[str]
    rules: list[str]
    answer: Answer

    def __str__(self) -> str:
        e = self.environment
        shown = {f"{index:x}": f"{bits:#x}" for index, bits in e.capabilities.msrs.items()}
        texts = "\n".join(self.policy.files.values())
        return f"{texts}\nMSRs {shown}\nfacts {dict(e.facts)}\nparameters {dict(e.parameters)} given {dict(self.given)}"


def machines(database: Database, rng: random.Random) -> list[Mapping[int, int]]:
    """Real processors, completed, and random ones."""
    found: list[Mapping[int, int]] = []
    for name in shipped_cpus(database):
        cpu = read_cpu(name, database, Diagnostics())
        assert cpu is not None
        known = {database.msrs[msr].index: v.bits for msr, v in cpu.msrs.items()}
        found.append(witness.completed(known, lambda _: rng.getrandbits(64)))
    for _ in range(200):
        msrs = random_msrs(rng, range(0x480, 0x494))
        every = {index: msrs[index] for index in range(0x480, 0x48B)}
        found.append(witness.completed(every, msrs.__getitem__))
    return found


def bound(policy: RandomPolicy, folder: Path, database: Database) -> Policy:
    for name, text in policy.files.items():
        (folder / f"{name}.vmcs").write_text(text)
    diagnostics = Diagnostics()
    found = bind_policy(read_source(folder / f"{policy.name}.vmcs"), database, diagnostics)
    shown = [f"{d.span}: {d.code} {d.message}" for d in diagnostics if d.severity.value == "error"]
    assert found is not None and not shown, "\n".join([*shown, *policy.files.values()])
    return found


def environments(
    policy: RandomPolicy, rng: random.Random, all_msrs: list[Mapping[int, int]]
) -> Iterator[tuple[Environment, Mapping[str, int]]]:
    """Processors, with values for all the parameters that have no default and for some that have one."""
    for msrs in rng.sample(all_msrs, CPUS):
        facts = {name: rng.getrandbits(width) for name, width in FACTS.items()}
        facts["maxphyaddr"] = rng.choice((36, 39, 46, 52, facts["maxphyaddr"]))
        given = {
            name: rng.choice((0, 1, (1 << width) - 1, rng.getrandbits(width)))
            for name, (width, default) in policy.parameters.items()
            if default is None or rng.random() < 0.4
        }
        bare = Environment(witness.Capabilities(msrs), facts, {})
        yield Environment(bare.capabilities, facts, policy.values_of_parameters(bare, given)), given


@pytest.fixture(scope="module")
def cases(database: Database, tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    folder = tmp_path_factory.mktemp("random")
    rng = random.Random(2024)
    policies = [random_policy(seed) for seed in range(POLICIES)]
    bounds = [bound(policy, folder, database) for policy in policies]
    none = Cpu("none", "no processor")
    subjects = [subject(resolve(policy, database, none, Diagnostics())) for policy in bounds]
    halves = (subjects[::2], subjects[1::2])
    building = [start(half, folder, "-std=c99", "-w", name=f"driver_{n}") for n, half in enumerate(halves)]

    all_msrs = machines(database, rng)
    asked = []
    for policy, policy_bound, about in zip(policies, bounds, subjects, strict=True):
        for environment, given in environments(policy, rng, all_msrs):
            diagnostics = Diagnostics()
            vmcs = resolve(policy_bound, database, machine(environment, database), diagnostics, given)
            errors = frozenset(d.code for d in diagnostics if d.severity.value == "error")
            asked.append((policy, environment, given, vmcs, errors, about))

    answers: dict[int, Answer] = {}
    for n, half in enumerate(halves):
        program = Program(finish(building[n]), half)
        mine = [number for number, one in enumerate(asked) if one[-1] in half]
        answers |= dict(zip(mine, program.run([job(*asked[number]) for number in mine]), strict=True))
    rules = subjects[0].rules
    return [Case(*one[:-1], rules, answers[number]) for number, one in enumerate(asked)]


def machine(environment: Environment, database: Database) -> Cpu:
    msrs = {database.msr_by_index[i].name: value.known(64, b) for i, b in environment.capabilities.msrs.items()}
    facts = {name: value.known(FACTS[name], bits) for name, bits in environment.facts.items()}
    return Cpu("random", "a random processor", msrs, facts)


def job(
    policy: RandomPolicy,
    environment: Environment,
    given: Mapping[str, int],
    vmcs: Vmcs,
    errors: frozenset[str],
    about: Subject,
) -> Job:
    facts = {name: environment.facts[name] for name in about.facts}
    return Job(policy.name, environment.capabilities.msrs, facts, given, PAGES)


def test_the_policies_reach_every_outcome_and_let_controls_give_way(cases: list[Case]) -> None:
    outcomes = {outcome: sum(case.answer.outcome == outcome for case in cases) for outcome in range(4)}
    assert all(outcomes[outcome] >= 20 for outcome in (OK, REFUSED, CONFLICT, VIOLATED)), outcomes
    words = [word for case in cases for word in case.vmcs.words.values()]
    assert sum(bool(word.dropped) for word in words) >= 50
    assert sum(bool(word.raised) for word in words) >= 10
    assert sum(bool(word.inactive) for word in words) >= 20
    assert sum(case.answer.field_conflicts for case in cases) >= 5
    assert len(cases) == POLICIES * CPUS


def test_the_c_functions_equal_the_library(cases: list[Case]) -> None:
    for case in cases:
        words = [case.vmcs.words[name] for name in witness.WORDS]
        answer = case.answer
        assert answer.value == [w.value.bits for w in words], case
        refused = [w.refused & (w.required | w.forbidden) | w.inactive & w.required for w in words]
        for ours, librarys, disputed in zip(answer.refused, refused, answer.conflicting, strict=True):
            assert ours & ~disputed == librarys & ~disputed, case  # what is both wanted and not is an error anyway
        assert answer.given_up == [w.preferred & ~w.required & ~w.value.bits for w in words], case
        assert answer.raised == [w.avoided & ~w.forbidden & w.value.bits for w in words], case
        assert answer.runtime == [w.allowed for w in words], case
        broken = [rule for n, rule in enumerate(case.rules) if answer.violated >> n & 1]
        assert broken == list(case.vmcs.violated), case
        assert answer.writes == [(field.encoding, v.bits) for field, v in case.vmcs.writes(PAGES)], case


def test_the_c_functions_fail_where_the_library_reports_errors(cases: list[Case]) -> None:
    for case in cases:
        assert (case.answer.outcome == OK) == (not case.errors), f"{case}\n{case.errors}"
        conflict = any(case.answer.conflicting) or case.answer.field_conflicts
        assert ("VMX3010" in case.errors) == conflict, f"{case}\n{case.errors}"
        told = bool(case.errors & {"VMX3001", "VMX3002", "VMX3008"})
        undisputed = [r & ~c for r, c in zip(case.answer.refused, case.answer.conflicting, strict=True)]
        assert any(undisputed) <= told <= any(case.answer.refused), case


def test_both_equal_the_independent_computation(cases: list[Case]) -> None:
    for case in cases:
        environment = case.environment
        settled = witness.settle(case.policy.wishes(environment), environment.capabilities)
        for name in (*MASKS, "violated"):
            assert getattr(case.answer, name) == getattr(settled, name), f"{case}\n{name}"
        fields, twice = case.policy.fields(environment, PAGES)
        assert case.answer.field_conflicts == bool(twice), case
        assert case.answer.writes == witness.writes(settled, fields, environment.capabilities), case


def test_the_headers_of_random_policies_compile_without_a_warning(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Conditions that are always true, comparisons with 0 and the like make compilers warn; these must not."""
    folder = tmp_path_factory.mktemp("warnings")
    subjects = []
    for seed in range(0, POLICIES, 5):
        policy = random_policy(seed)
        result = compile(read_source(_written(policy, folder)), Cpu("none", "no processor"), database)
        assert result.vmcs is not None
        subjects.append(subject(result.vmcs))
    strict = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wconversion", "-Wshadow")
    building = [
        start(subjects, folder, f"-std={std}", *strict, name=f"strict_{std}", compiler_name=name)
        for std, name in (("c99", "gcc"), ("c++17", "g++"))
    ]
    for one in building:
        finish(one)


def _written(policy: RandomPolicy, folder: Path) -> Path:
    for name, text in policy.files.items():
        (folder / f"{name}.vmcs").write_text(text)
    return folder / f"{policy.name}.vmcs"
