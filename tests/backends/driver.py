"""A C program around generated headers: fed with processors, it prints what the headers' functions make of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import skip_or_fail
from vmcsc.backend import emit
from vmcsc.expression import nodes
from vmcsc.vmcs import Vmcs

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wconversion")


def compiler(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        skip_or_fail(f"there is no {name} (apt-get install {name.replace('gcc', 'gcc libc6-dev')})")
    return found


@dataclass(frozen=True)
class Subject:
    """A header and what its functions must be told, in the order in which the program reads it."""

    prefix: str
    text: str
    facts: tuple[str, ...]
    parameters: tuple[str, ...]
    derived: frozenset[str]
    pages: tuple[str, ...]

    @property
    def rules(self) -> list[str]:
        """The ids of the rules between controls by their numbers, as the header names them."""
        names = self.text.partition("vmcsc_rule_name(unsigned rule)")[2].partition("}")[0]
        return re.findall(r'"VMX\d+ ([\w-]+)"', names)


def subject(vmcs: Vmcs, prefix: str = "", **options: bool) -> Subject:
    """The header of a policy. It is generated without a CPU: `vmcs` must be of none."""
    assert not vmcs.cpu.msrs
    prefix = prefix or vmcs.policy.name
    (artifact,) = emit(vmcs, "c-header", prefix=prefix, **options)
    assert isinstance(artifact.content, str)
    text = artifact.content
    arguments = text.partition(f"struct {prefix}_arguments {{")[2].partition("}")[0]
    members = [line.split()[1].rstrip(";") for line in arguments.splitlines() if line.strip()]
    return Subject(
        prefix,
        text,
        tuple(name.removeprefix("cpu_") for name in members if name.startswith("cpu_")),
        tuple(name.removeprefix("param_") for name in members if name.startswith("param_")),
        frozenset(
            name
            for name, p in vmcs.policy.parameters.items()
            if p.default is not None and any(True for _ in nodes.leaves(p.default))
        ),
        tuple(name.removeprefix("page_") for name in members if name.startswith("page_")),
    )


@dataclass(frozen=True)
class Job:
    """One processor for one policy: MSRs by index, facts, parameters (the others have defaults), page addresses."""

    prefix: str
    msrs: Mapping[int, int]
    facts: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    pages: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What the functions made of a job. Lists have one mask for each control word, in the order of the header."""

    outcome: int
    field_conflicts: bool
    value: list[int]
    refused: list[int]
    given_up: list[int]
    raised: list[int]
    runtime: list[int]
    conflicting: list[int]
    violated: int
    writes: list[tuple[int, int]]


OK, REFUSED, CONFLICT, VIOLATED, WRITE_FAILED, UNMET = range(6)
MASKS = ("value", "refused", "given_up", "raised", "runtime", "conflicting")


class Program:
    """The compiled program."""

    def __init__(self, path: Path, subjects: Iterable[Subject]) -> None:
        self._path = path
        self._subjects = {subject.prefix: subject for subject in subjects}
        self.rules = next(iter(self._subjects.values())).rules

    def run(self, jobs: Sequence[Job]) -> list[Answer]:
        """One answer for each job. Fails where an MSR was read that the job does not have."""
        text = "".join(self._line(job) for job in jobs)
        done = subprocess.run([self._path], input=text, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout[-300:] + done.stderr[-3000:]
        answers = [self._answer(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(jobs)
        return answers

    def _line(self, job: Job) -> str:
        about = self._subjects[job.prefix]
        unknown = {*job.facts} - {*about.facts} | {*job.parameters} - {*about.parameters}
        assert not unknown, f"{job.prefix} asks for none of {unknown}"
        numbers = [list(self._subjects).index(job.prefix), len(job.msrs)]
        numbers += [number for pair in job.msrs.items() for number in pair]
        numbers += [job.facts[name] for name in about.facts]
        for name in about.parameters:
            numbers += [1, job.parameters[name]] if name in job.parameters else [0]
        numbers += [job.pages.get(name, 0) for name in about.pages]
        return " ".join(f"{number:x}" for number in numbers) + "\n"

    @staticmethod
    def _answer(line: str) -> Answer:
        parts = [[int(number, 16) for number in part.split()] for part in line.split("|")]
        (outcome, conflicts), (violated,), *masks, writes = parts
        pairs = list(zip(writes[::2], writes[1::2], strict=True))
        return Answer(outcome, bool(conflicts), **dict(zip(MASKS, masks, strict=True)), violated=violated, writes=pairs)


def build(subjects: Sequence[Subject], folder: Path, *options: str, name: str = "driver") -> Program:
    """Compile a program for these headers."""
    return Program(finish(start(subjects, folder, *options, name=name)), subjects)


Building = tuple[Path, "subprocess.Popen[str]"]


def start(
    subjects: Sequence[Subject], folder: Path, *options: str, name: str = "driver", compiler_name: str = "gcc"
) -> Building:
    """Begin to compile, so that several programs are compiled at once."""
    for about in subjects:
        (folder / f"{about.prefix}.h").write_text(about.text, encoding="utf-8")
    source = folder / f"{name}.c"
    source.write_text(program_text(subjects))
    language = ["-x", "c++"] if "++" in compiler_name else []
    command = [
        compiler(compiler_name),
        *language,
        *(options or ("-std=c99", *STRICT)),
        "-o",
        str(folder / name),
        str(source),
    ]
    return folder / name, subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def finish(building: Building) -> Path:
    path, process = building
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[:4000]
    return path


def program_text(subjects: Sequence[Subject]) -> str:
    includes = "".join(f'#include "{about.prefix}.h"\n' for about in subjects)
    functions = "".join(_function(about) for about in subjects)
    cases = "".join(f"        case {n}: run_{about.prefix}(); break;\n" for n, about in enumerate(subjects))
    return (
        f"#include <inttypes.h>\n#include <stdio.h>\n#include <stdlib.h>\n{includes}{_COMMON}{functions}{_MAIN % cases}"
    )


_COMMON = r"""
struct machine { unsigned count; uint32_t index[64]; uint64_t value[64]; };
static struct machine machine;

static uint64_t number(void)
{
    uint64_t read;
    if (scanf("%" SCNx64, &read) != 1) { puts("the input ends early"); exit(2); }
    return read;
}

static uint64_t read_msr(void *context, uint32_t index)
{
    const struct machine *m = (const struct machine *)context;
    unsigned i;
    for (i = 0; i < m->count; i++)
        if (m->index[i] == index)
            return m->value[i];
    printf("MSR %x was read, which this processor does not have\n", (unsigned)index);
    exit(3);
}

static int write_field(void *context, uint32_t encoding, uint64_t value)
{
    (void)context;
    printf(" %" PRIx32 " %" PRIx64, encoding, value);
    return 0;
}

static void show(const uint64_t *masks)
{
    unsigned word;
    for (word = 0; word < VMCSC_WORDS; word++)
        printf(" %" PRIx64, masks[word]);
    printf("|");
}

static void show_result(int outcome, const struct vmcsc_result *r)
{
    printf("%d %d|%" PRIx64 "|", outcome, r->field_conflicts, r->violated[0]);
    show(r->value);
    show(r->refused);
    show(r->given_up);
    show(r->raised);
    show(r->runtime);
    show(r->conflicting);
}
"""

_MAIN = r"""
int main(void)
{
    uint64_t policy;
    while (scanf("%%" SCNx64, &policy) == 1) {
        unsigned i;
        machine.count = (unsigned)number();
        for (i = 0; i < machine.count; i++) {
            machine.index[i] = (uint32_t)number();
            machine.value[i] = number();
        }
        switch (policy) {
%s        default: return 2;
        }
        printf("\n");
    }
    return 0;
}
"""


def _function(about: Subject) -> str:
    p = about.prefix
    lines = [f"a.cpu_{name} = (__typeof__(a.cpu_{name}))number();" for name in about.facts]
    for name in about.parameters:
        lines.append(f"if (number())\n        a.param_{name} = (__typeof__(a.param_{name}))number();")
        if name in about.derived:
            lines.append(f"else\n        a.param_{name} = {p}_default_{name}(&c, &a);")
    lines += [f"a.page_{name} = number();" for name in about.pages]
    body = "".join(f"    {line}\n" for line in lines)
    return (
        f"\nstatic void run_{p}(void)\n{{\n    struct vmcsc_capabilities c;\n    struct {p}_arguments a;\n"
        f"    struct {p}_vmcs v;\n    int outcome;\n    vmcsc_read_capabilities(&c, read_msr, &machine);\n"
        f"    {p}_defaults(&a);\n{body}    outcome = {p}_resolve(&c, &a, &v);\n    show_result(outcome, &v.result);\n"
        f"    if ({p}_write(&c, &v, write_field, 0) != VMCSC_OK)\n        exit(4);\n}}\n"
    )
