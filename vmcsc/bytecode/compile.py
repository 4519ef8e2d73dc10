"""The scenarios of a policy on a processor, as a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmcsc.architecture.database import Database
from vmcsc.bytecode.program import Entry, Operand, Program
from vmcsc.cache import digest
from vmcsc.capabilities.cpu import Cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.policy.model import Policy
from vmcsc.scenario import model
from vmcsc.scenario.bind import bind_scenarios
from vmcsc.scenario.names import VMCS_REGIONS, VMXON_REGIONS
from vmcsc.scenario.test import Prepared, prepare

OWN = 0xFF
"""Stands for the processor that runs the guest."""


def program_of(policy: Policy, database: Database, cpu: Cpu) -> Program:
    """Everything that `vmcsc test` would run of `policy` on `cpu`."""
    writer = _Writer(database)
    base = prepare({}, {}, {}, policy, database, cpu)
    entries = {
        "capabilities": tuple(_capabilities(cpu)),
        "memory": tuple(_memory(address, content) for address, content in sorted(base.pages.items())),
        "host": tuple(writer.host(base)),
    }
    scenarios = bind_scenarios(policy, database, Diagnostics())
    steps = [entry for scenario in scenarios for entry in writer.scenario(scenario, base, policy, cpu)]
    entries |= {"guest": tuple(Entry("code", (code,)) for code in writer.codes), "scenarios": tuple(steps)}
    return Program(policy.name, bytes.fromhex(specs_digest(database)), entries)


def specs_digest(database: Database) -> str:
    """A name for the content of the spec files, by which a program tells what it was made with."""
    paths = [path for folder in database.folders for path in sorted(folder.rglob("*.yaml"))]
    return digest(*(path.read_text(encoding="utf-8", errors="replace") for path in paths))


def _memory(address: int, content: bytes) -> Entry:
    """A page; one whose bytes are all the same is told by one of them."""
    if content and content == content[:1] * len(content):
        return Entry("fill", (address, len(content), content[0]))
    return Entry("bytes", (address, content))


def _capabilities(cpu: Cpu) -> Iterator[Entry]:
    yield Entry("cpu", (cpu.name, cpu.title))
    for name, value in cpu.msrs.items():
        yield Entry("msr", (name, value.bits, value.known))
    for name, value in cpu.facts.items():
        yield Entry("fact", (name, value.width, value.bits, value.known))


class _Writer:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.codes: dict[bytes, int] = {}

    def host(self, base: Prepared) -> Iterator[Entry]:
        yield Entry("vmxon", (VMXON_REGIONS,))
        yield Entry("vmclear", (VMCS_REGIONS,))
        yield Entry("vmptrld", (VMCS_REGIONS,))
        for name, value in base.fields.items():
            yield Entry("vmwrite", (self._encoding(name), value))

    def scenario(self, scenario: model.Scenario, base: Prepared, policy: Policy, cpu: Cpu) -> Iterator[Entry]:
        own = prepare(scenario.parameters, scenario.fields, scenario.controls, policy, self._database, cpu)
        yield Entry("scenario", (scenario.title, int(scenario.manual), scenario.processors))
        for name, value in own.fields.items():
            if base.fields.get(name) != value:
                yield Entry("write", (self._encoding(name), value))
        for name, value in scenario.registers.items():
            yield Entry("register", (name, value))
        for address, content in own.pages.items():
            if base.pages.get(address) != content:
                yield Entry("page", (address, content))
        yield from self._steps(scenario.steps)

    def _encoding(self, name: str) -> int:
        return self._database.fields[name].encoding

    def _code(self, code: bytes) -> int:
        return self.codes.setdefault(code, len(self.codes))

    def _steps(self, steps: tuple[model.Step, ...]) -> Iterator[Entry]:
        for step in steps:
            yield from self._step(step, " ".join(step.span.text.split()))

    def _step(self, step: model.Step, text: str) -> Iterator[Entry]:
        match step:
            case model.Guest():
                yield Entry("guest", (text, self._code(step.instruction.code)))
            case model.Root():
                yield Entry("root", (text, step.processor, self._code(step.instruction.code)))
            case model.SetRegister():
                yield Entry("set", (text, _place(step.processor), step.register, step.value))
            case model.WriteField():
                yield Entry("field", (text, _place(step.processor), self._encoding(step.field), step.value))
            case model.Configure():
                yield Entry("configure", (text, step.processor))
            case model.MemoryWrite():
                yield Entry("memory", (text, step.address, step.content))
            case model.Arrive():
                given = step.number is not None
                yield Entry("event", (text, step.event, int(given), step.number or 0))
            case model.Resume():
                yield Entry("resume", (text,))
            case model.OnExit():
                yield Entry("on_exit", (f"on exit {step.reason}", self._reason(step.reason)))
                yield from self._steps(step.steps)
                yield Entry("end", ())
            case model.Expect():
                yield Entry("expect", (text,))
                yield from map(self._expectation, step.expectations)
                yield Entry("end", ())

    def _reason(self, name: str) -> int:
        return self._database.exit_reasons[name].number

    def _expectation(self, one: model.Expectation) -> Entry:
        text = " ".join(one.span.text.split())
        if one.no_exit:
            return Entry("no_exit", (text,))
        if one.reason is not None:
            condition = text.partition(" where ")[2]
            operands: tuple[Operand, ...] = (text, self._reason(one.reason), condition)
            return Entry("exit", operands)
        return Entry("condition", (text, text))


def _place(processor: int | None) -> int:
    return OWN if processor is None else processor


def fields_of(entries: tuple[Entry, ...]) -> Mapping[int, int]:
    """The values that VMWRITEs of the host program give, by encoding."""
    return {int(e.operands[0]): int(e.operands[1]) for e in entries if e.kind == "vmwrite"}
