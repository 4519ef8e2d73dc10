"""A program to scenarios that run: names looked up, instructions decoded, conditions bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import operation_of
from vmcsc.assembly.decode import decode
from vmcsc.assembly.instruction import Instruction
from vmcsc.bytecode.binary import BrokenProgram
from vmcsc.bytecode.compile import OWN, fields_of
from vmcsc.bytecode.program import Entry, Program
from vmcsc.capabilities.cpu import Cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import Value
from vmcsc.machine.machine import Machine
from vmcsc.records import dataclass
from vmcsc.scenario import model
from vmcsc.scenario.bind import bind_expectation
from vmcsc.scenario.names import MAX_PROCESSORS
from vmcsc.scenario.result import ScenarioResult
from vmcsc.scenario.test import Prepared, run_prepared
from vmcsc.source import Source, Span
from vmcsc.syntax.parser import parse_expression

MAX_DEPTH = 8
"""Blocks within blocks."""


@dataclass(frozen=True)
class Loaded:
    """The processor model of a program, and each scenario with what it starts from."""

    policy: str
    cpu: Cpu
    scenarios: tuple[tuple[model.Scenario, Prepared], ...]

    def run(self, database: Database, match: str = "") -> Iterator[ScenarioResult]:
        """Run each scenario whose title contains `match`."""
        machine = Machine(database, self.cpu)
        for scenario, prepared in self.scenarios:
            if match in scenario.title:
                yield run_prepared(scenario, prepared, self.policy, machine)


def load_program(program: Program, path: str, database: Database) -> Loaded:
    """What the program means with these specs. Raises `BrokenProgram`."""
    return _Loader(program, path, database).loaded()


class _Loader:
    def __init__(self, program: Program, path: str, database: Database) -> None:
        self._program, self._path, self._database = program, path, database
        self._operation = operation_of(database)
        self._codes: list[Instruction] = [self._decoded(entry) for entry in program.entries["guest"]]
        self._reasons: Mapping[int, str] = {one.number: name for name, one in database.exit_reasons.items()}

    def loaded(self) -> Loaded:
        entries = self._program.entries
        pages = {int(e.operands[0]): _bytes(e) for e in entries["memory"]}
        base = Prepared(self._fields(fields_of(entries["host"])), pages, ())
        groups: list[list[Entry]] = []
        for entry in entries["scenarios"]:
            if entry.kind == "scenario":
                groups.append([entry])
            elif groups:
                groups[-1].append(entry)
            else:
                raise BrokenProgram(f"`{entry.kind}` stands before the first scenario")
        return Loaded(self._program.policy, self._cpu(), tuple(self._scenario(group, base) for group in groups))

    def _cpu(self) -> Cpu:
        name, title, msrs, facts = "program", "the processor of the program", {}, {}
        for entry in self._program.entries["capabilities"]:
            if entry.kind == "cpu":
                name, title = map(str, entry.operands)
            elif entry.kind == "msr":
                msr, bits, known = str(entry.operands[0]), int(entry.operands[1]), int(entry.operands[2])
                self._known(msr, self._database.msrs, "MSR")
                msrs[msr] = Value(64, bits & known, known)
            else:
                fact, width = str(entry.operands[0]), int(entry.operands[1])
                self._known(fact, self._database.facts, "fact of a processor")
                if width != self._database.facts[fact].width:
                    raise BrokenProgram(f"the fact {fact} has {self._database.facts[fact].width} bits, not {width}")
                mask = (1 << width) - 1
                known = int(entry.operands[3]) & mask
                facts[fact] = Value(width, int(entry.operands[2]) & known, known)
        return Cpu(name, title, msrs, facts)

    def _known(self, name: str, table: Mapping[str, object], what: str) -> None:
        if name not in table:
            raise BrokenProgram(f"the specs have no {what} {name[:80]!r}")

    def _fields(self, values: Mapping[int, int]) -> dict[str, int]:
        found = {}
        for encoding, value in values.items():
            field = self._database.field_by_encoding.get(encoding)
            if field is None or field.encoding != encoding:
                raise BrokenProgram(f"the specs have no field with the encoding {encoding:#x}")
            if value >> field.width:
                raise BrokenProgram(f"the field {field.name} has {field.width} bits; {value:#x} does not fit")
            found[field.name] = value
        return found

    def _decoded(self, entry: Entry) -> Instruction:
        code = entry.operands[0]
        assert isinstance(code, bytes)
        found = decode(code, self._operation)
        if found is None:
            raise BrokenProgram(f"the machine knows no instruction with the bytes {code[:15].hex(' ')}")
        return found

    # --- scenarios ---

    def _scenario(self, entries: list[Entry], base: Prepared) -> tuple[model.Scenario, Prepared]:
        title, manual, processors = entries[0].operands
        if not 1 <= int(processors) <= MAX_PROCESSORS or int(manual) > 1:
            raise BrokenProgram(f"a scenario runs on 1 to {MAX_PROCESSORS} processors, manual or not")
        writes: dict[int, int] = {}
        registers: dict[str, int] = {}
        pages: dict[int, bytes] = {}
        rest = iter(entries[1:])
        steps = []
        for entry in rest:
            match entry.kind:
                case "write":
                    writes[int(entry.operands[0])] = int(entry.operands[1])
                case "register":
                    registers[self._register(entry.operands[0])] = int(entry.operands[1])
                case "page":
                    pages[int(entry.operands[0])] = _bytes(entry)
                case _:
                    steps.append(self._step(entry, rest, int(processors), 0))
        span = self._span(str(title))
        scenario = model.Scenario(
            str(title), span, {}, {}, {}, registers, tuple(steps), bool(manual), int(processors)
        )  # fmt: skip
        return scenario, Prepared({**base.fields, **self._fields(writes)}, {**base.pages, **pages}, ())

    def _register(self, name: object) -> str:
        self._known(str(name), self._operation.registers, "register")
        return str(name)

    def _span(self, text: str) -> Span:
        return Span(Source(self._path, text), 0, len(text))

    def _step(self, entry: Entry, rest: Iterator[Entry], processors: int, depth: int) -> model.Step:
        if entry.kind in ("end", "no_exit", "exit", "condition", "write", "register", "page"):
            raise BrokenProgram(f"`{entry.kind}` stands where a step belongs")
        span, operands = self._span(str(entry.operands[0])), entry.operands
        match entry.kind:
            case "guest":
                return model.Guest(span, self._code(operands[1]))
            case "root":
                return model.Root(span, _processor(operands[1], processors), self._code(operands[2]))
            case "set":
                place = None if operands[1] == OWN else _processor(operands[1], processors)
                return model.SetRegister(span, place, self._register(operands[2]), int(operands[3]))
            case "field":
                place = None if operands[1] == OWN else _processor(operands[1], processors)
                ((name, value),) = self._fields({int(operands[2]): int(operands[3])}).items()
                return model.WriteField(span, place, name, value)
            case "configure":
                return model.Configure(span, _processor(operands[1], processors))
            case "memory":
                return model.MemoryWrite(span, int(operands[1]), _bytes(entry, 2))
            case "event":
                self._known(str(operands[1]), self._operation.arrivals, "event")
                return model.Arrive(span, str(operands[1]), int(operands[3]) if operands[2] else None)
            case "resume":
                return model.Resume(span)
            case "on_exit":
                body = self._body(rest, processors, depth + 1)
                return model.OnExit(span, self._reason(operands[1]), tuple(body))
            case _:
                return model.Expect(span, tuple(self._expectations(rest)))

    def _body(self, rest: Iterator[Entry], processors: int, depth: int) -> Iterator[model.Step]:
        if depth > MAX_DEPTH:
            raise BrokenProgram(f"blocks stand more than {MAX_DEPTH} deep in each other")
        for entry in rest:
            if entry.kind == "end":
                return
            yield self._step(entry, rest, processors, depth)
        raise BrokenProgram("a block has no end")

    def _code(self, number: object) -> Instruction:
        if not isinstance(number, int) or number >= len(self._codes):
            raise BrokenProgram(f"the program has no instruction {number}; there are {len(self._codes)}")
        return self._codes[number]

    def _reason(self, number: object) -> str:
        name = self._reasons.get(int(number)) if isinstance(number, int) else None
        if name is None:
            raise BrokenProgram(f"the specs have no exit reason {number}")
        return name

    def _expectations(self, rest: Iterator[Entry]) -> Iterator[model.Expectation]:
        for entry in rest:
            if entry.kind == "end":
                return
            if entry.kind not in ("no_exit", "exit", "condition"):
                raise BrokenProgram(f"`{entry.kind}` is nothing that could be expected")
            span = self._span(str(entry.operands[0]))
            if entry.kind == "no_exit":
                yield model.Expectation(span, no_exit=True)
                continue
            reason = self._reason(entry.operands[1]) if entry.kind == "exit" else None
            yield self._bound(span, reason, str(entry.operands[-1]))
        raise BrokenProgram("what is expected has no end")

    def _bound(self, span: Span, reason: str | None, text: str) -> model.Expectation:
        if reason is not None and not text:
            return model.Expectation(span, reason=reason)
        diagnostics = Diagnostics()
        parsed = parse_expression(Source(self._path, text), diagnostics)
        if parsed is not None:
            found = bind_expectation(parsed, span, reason, self._database, self._operation, diagnostics)
            if found is not None:
                return found
        raise BrokenProgram(f"the condition {text[:80]!r} means nothing: {diagnostics.found[0].message}")


def _bytes(entry: Entry, place: int = -1) -> bytes:
    """What a `bytes` entry, a `fill` or a step has for memory."""
    if entry.kind == "fill":
        size = int(entry.operands[1])
        if size > MAX_FILL:
            raise BrokenProgram(f"`fill` writes {size} bytes, and {MAX_FILL} are the most")
        return bytes([int(entry.operands[2])]) * size
    content = entry.operands[place]
    assert isinstance(content, bytes)
    return content


MAX_FILL = 1 << 22


def _processor(number: object, processors: int) -> int:
    if not isinstance(number, int) or number >= processors:
        raise BrokenProgram(f"the scenario has no processor {number}; there are {processors}")
    return number
