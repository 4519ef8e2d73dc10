"""The statements of a scenario to steps: instructions assembled, names looked up, mistakes reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import product

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bits
from vmcsc.architecture.operation import Operation, operation_of
from vmcsc.assembly.choose import assemble
from vmcsc.assembly.instruction import ImmediateOperand, MemoryOperand, Operand
from vmcsc.assembly.registers import REGISTERS
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.bind import bind_condition
from vmcsc.policy.model import Policy
from vmcsc.scenario import model
from vmcsc.scenario.names import MAX_PROCESSORS, SCRATCH, names_of, number_of, regions_of
from vmcsc.scenario.operands import Operands
from vmcsc.scenario.scope import OPERANDS, ScenarioScope
from vmcsc.source import Span
from vmcsc.syntax import tree

CONFIGURE = "configure"
"""A word for the VMWRITEs of everything that the policy comes to."""

_SPARE = ("r14", "r15")
"""Registers that the machine's host uses for numbers which x86 wants in a register."""


def bind_scenarios(policy: Policy, database: Database, diagnostics: Diagnostics) -> list[model.Scenario]:
    """The scenarios of `policy`, after reporting what is wrong with those that mean nothing."""
    found = [bind_scenario(one, policy, database, diagnostics) for one in policy.scenarios]
    return [one for one in found if one is not None]


def bind_scenario(
    scenario: tree.Scenario, policy: Policy, database: Database, diagnostics: Diagnostics
) -> model.Scenario | None:
    """The scenario, or None after reporting what is wrong with it."""
    before = len(diagnostics)
    bound = _Binder(policy, database, diagnostics).scenario(scenario)
    return bound if len(diagnostics) == before else None


class _Binder:
    def __init__(self, policy: Policy, database: Database, diagnostics: Diagnostics) -> None:
        self._policy = policy
        self._database = database
        self._diagnostics = diagnostics
        self._operation: Operation = operation_of(database)
        self._set: dict[str, dict[str, int]] = {"parameters": {}, "fields": {}, "controls": {}, "registers": {}}
        self._processors = 1
        self._begun = False

    def scenario(self, scenario: tree.Scenario) -> model.Scenario:
        steps = tuple(step for statement in scenario.body for step in self._steps(statement, None))
        first = next((s for s in scenario.body if not isinstance(s, tree.SetParam | tree.MemoryWrite)), None)
        controls = {path: bool(number) for path, number in self._set["controls"].items()}
        return model.Scenario(
            scenario.title, scenario.span, self._set["parameters"], self._set["fields"], controls,
            self._set["registers"], steps, isinstance(first, tree.OnCpu), self._processors,
        )  # fmt: skip

    def _report(self, message: str, span: Span, help: str | None = None) -> None:
        self._diagnostics.report(codes.SCENARIO_STATEMENT, message, span, help=help)

    def _steps(
        self, statement: tree.Statement, processor: int | None, *, at_exit: bool = False
    ) -> Iterator[model.Step]:
        """The steps of one statement; `processor` executes what stands in an `on cpu` or `on exit` block."""
        match statement:
            case tree.SetParam() if self._begun or at_exit:
                yield from self._change(statement, processor)
            case tree.SetParam():
                self._setting(statement)
            case tree.MemoryWrite():
                yield from self._memory(statement)
            case tree.Execute(guest=True):
                yield from self._guest(statement)
            case tree.Execute():
                yield from self._root(statement, processor)
            case tree.Event():
                yield from self._event(statement)
            case tree.Expect():
                expectations = [self._expectation(one) for one in statement.expectations]
                yield model.Expect(statement.span, tuple(one for one in expectations if one is not None))
            case tree.OnCpu():
                yield from self._on_cpu(statement)
            case tree.OnExit():
                yield from self._on_exit(statement)
            case tree.Resume():
                yield model.Resume(statement.span)
            case _:
                self._report("this cannot stand here", statement.span)
        self._begun = self._begun or not isinstance(statement, tree.SetParam | tree.MemoryWrite | tree.OnExit)

    # --- what is set at the start ---

    def _setting(self, statement: tree.SetParam) -> None:
        name, span = statement.name.text, statement.name.span
        number = self._number(statement.value)
        register = REGISTERS.get(name)
        controls = self._database.controls_by_name.get(name, ())
        if number is None:
            return
        if name in self._policy.parameters:
            self._put("parameters", name, number, self._policy.parameters[name].width, statement.value.span)
        elif register is not None and register.low == 0:
            self._put("registers", register.register, number, register.width, statement.value.span)
        elif name in self._operation.registers:
            self._put("registers", name, number, self._operation.registers[name].width, statement.value.span)
        elif name in self._database.fields:
            self._put("fields", name, number, self._database.fields[name].width, statement.value.span)
        elif len(controls) == 1:
            self._put("controls", controls[0].path, number, 1, statement.value.span)
        else:
            known = [*self._policy.parameters, *self._operation.registers, *self._database.fields]
            near = get_close_matches(name[:100], known, n=1)
            help = f"did you mean `{near[0]}`?" if near else "a parameter, register, field or control can be set"
            self._report(f"nothing that could be set is named `{name[:100]}`", span, help)

    def _change(self, statement: tree.SetParam, processor: int | None) -> Iterator[model.Step]:
        """What is set while the scenario runs: a register, or a field, which the hypervisor then writes."""
        name, number = statement.name.text, self._number(statement.value, processor or 0)
        register = REGISTERS.get(name)
        if number is None:
            return
        if (register is not None and register.low == 0) or name in self._operation.registers:
            known = name if register is None else register.register
            width = self._operation.registers[known].width if register is None else register.width
            if self._fits(name, number, width, statement.value.span):
                yield model.SetRegister(statement.span, processor, known, number)
        elif name in self._database.fields:
            field = self._database.fields[name]
            if self._fits(name, number, field.width, statement.value.span):
                yield model.WriteField(statement.span, processor, name, number)
        else:
            help = "parameters and controls are set before the first instruction, event or expectation"
            self._report(f"`{name[:100]}` is no register and no field, so it cannot change here", statement.span, help)

    def _fits(self, name: str, number: int, width: int, span: Span) -> bool:
        if number >> width:
            self._report(f"`{name}` is {width} bits wide; {number:#x} does not fit", span)
        return not number >> width

    def _put(self, where: str, name: str, number: int, width: int, span: Span) -> None:
        if self._fits(name, number, width, span):
            self._set[where][name] = number

    def _number(self, expression: tree.Expression, processor: int = 0) -> int | None:
        return number_of(expression, self._names(processor), self._database, self._diagnostics)

    def _names(self, processor: int) -> Mapping[str, int]:
        return names_of(self._database, self._set["parameters"], processor)

    def _memory(self, statement: tree.MemoryWrite) -> Iterator[model.Step]:
        address = self._number(statement.address)
        values = [self._number(value) for value in statement.values]
        found = [value for value in values if value is not None]
        if address is None or len(found) < len(values):
            return
        if any(value > 0xFF for value in found) and len(found) > 1:
            self._report("several values are bytes, one value may have 8", statement.span)
            return
        size = 1 if found[0] <= 0xFF else 8
        yield model.MemoryWrite(statement.span, address, b"".join(value.to_bytes(size, "little") for value in found))

    # --- instructions ---

    def _guest(self, statement: tree.Execute) -> Iterator[model.Step]:
        instruction = statement.instruction
        operands = Operands(self._database, self._names(0), self._diagnostics).read(instruction.operands)
        if operands is not None:
            found = assemble(instruction.mnemonic, operands, self._operation, self._diagnostics, instruction.span)
            if found is not None:
                yield model.Guest(statement.span, found)

    def _root(self, statement: tree.Execute, processor: int | None) -> Iterator[model.Step]:
        at = processor or 0
        instruction = statement.instruction
        if instruction.mnemonic == CONFIGURE and not instruction.operands:
            yield model.Configure(statement.span, at)
            return
        operands = Operands(self._database, self._names(at), self._diagnostics).read(instruction.operands)
        if operands is None:
            return
        for chosen in self._spellings(operands):
            found = Diagnostics()
            assembled = assemble(
                instruction.mnemonic, tuple(one for one, _ in chosen), self._operation, found, instruction.span
            )
            if assembled is not None:
                for operand, number in chosen:
                    yield from self._prepared(statement.span, at, operand, number)
                yield model.Root(statement.span, at, assembled)
                return
        assemble(instruction.mnemonic, operands, self._operation, self._diagnostics, instruction.span)

    def _spellings(self, operands: tuple[Operand, ...]) -> Iterator[tuple[tuple[Operand, int | None], ...]]:
        """The operands as written, then with numbers in spare registers or in memory, each with its number."""
        choices: list[list[tuple[Operand, int | None]]] = []
        for position, operand in enumerate(operands):
            own: list[tuple[Operand, int | None]] = [(operand, None)]
            if isinstance(operand, ImmediateOperand) and position < len(_SPARE):
                own.append((REGISTERS[_SPARE[position]], operand.value))
                own.append((MemoryOperand(None, None, 1, SCRATCH + 8 * position, "ds"), operand.value))
            choices.append(own)
        yield from product(*choices)

    def _prepared(self, span: Span, processor: int, operand: Operand, number: int | None) -> Iterator[model.Step]:
        if number is None:
            return
        value = number & (1 << 64) - 1
        if isinstance(operand, MemoryOperand):
            yield model.MemoryWrite(span, operand.displacement, value.to_bytes(8, "little"))
        elif not isinstance(operand, ImmediateOperand):
            yield model.SetRegister(span, processor, operand.register, value)

    # --- events and blocks ---

    def _event(self, statement: tree.Event) -> Iterator[model.Step]:
        name = statement.name.text
        events = self._operation.arrivals
        if name not in events:
            near = get_close_matches(name[:100], events, n=1)
            help = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(events)}"
            self._report(f"no event is called `{name[:100]}`", statement.name.span, help)
            return
        number = None if statement.argument is None else self._number(statement.argument)
        largest = events[name].largest
        if statement.argument is not None and largest is None:
            self._report(f"`{name}` takes no number", statement.argument.span)
        elif statement.argument is None and largest is not None:
            self._report(f"`{name}` needs a number, as in `event {name} {min(largest, 0x30):#x}`", statement.span)
        elif number is not None and largest is not None and number > largest:
            span = statement.argument.span if statement.argument is not None else statement.span
            self._report(f"the number of `{name}` is {largest:#x} at most", span)
        else:
            yield model.Arrive(statement.span, name, number)

    def _on_cpu(self, statement: tree.OnCpu) -> Iterator[model.Step]:
        number = self._number(statement.number)
        if number is None:
            return
        if number >= MAX_PROCESSORS:
            self._report(f"the machine has at most {MAX_PROCESSORS} processors, from 0 on", statement.number.span)
            return
        self._processors = max(self._processors, number + 1)
        for inner in statement.body:
            yield from self._steps(inner, number)

    def _on_exit(self, statement: tree.OnExit) -> Iterator[model.Step]:
        reason = self._reason(statement.reason)
        steps = tuple(step for inner in statement.body for step in self._steps(inner, None, at_exit=True))
        if reason is not None:
            yield model.OnExit(statement.span, reason, steps)

    def _reason(self, name: tree.Name) -> str | None:
        if name.text in self._database.exit_reasons:
            return name.text
        near = get_close_matches(name.text[:100], self._database.exit_reasons, n=1)
        help = f"did you mean `{near[0]}`?" if near else "`vmcsc explain --kind exit-reason` knows them by number"
        self._report(f"no exit reason is called `{name.text[:100]}`", name.span, help)
        return None

    # --- expectations ---

    def _expectation(self, expectation: tree.Expectation) -> model.Expectation | None:
        if expectation.no_exit:
            return model.Expectation(expectation.span, no_exit=True)
        reason = None if expectation.reason is None else self._reason(expectation.reason)
        if expectation.reason is not None and reason is None:
            return None
        if expectation.condition is None:
            return model.Expectation(expectation.span, reason=reason)
        return bind_expectation(
            expectation.condition, expectation.span, reason, self._database, self._operation, self._diagnostics
        )  # fmt: skip


def bind_expectation(
    condition: tree.Expression, span: Span, reason: str | None, database: Database, operation: Operation,
    diagnostics: Diagnostics,
) -> model.Expectation | None:  # fmt: skip
    """What is expected where the condition holds, now or at an exit for `reason`; None after reporting."""
    operands: dict[str, tuple[int, Mapping[str, Bits]]] = {name: (width, {}) for name, width in OPERANDS.items()}
    scope = ScenarioScope(
        database, controls=True, state=True, operands=operands,
        parameters={}, registers=operation.registers, exit=reason, bound=regions_of(0),
    )  # fmt: skip
    bound = bind_condition(condition, scope, diagnostics)
    return None if bound is None else model.Expectation(span, reason=reason, condition=bound)
