"""Which step of an instruction holds, and what comes of it: the steps of the specs as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import Step
from vmcsc.machine.code import Code, Widths, unpacked
from vmcsc.machine.memory import PhysicalMemory
from vmcsc.machine.outcome import Fault, Outcome, VmExit, VmFail
from vmcsc.machine.processor import Processor

Decide = Callable[[Processor, Sequence[int], Callable[[int, int], int], Sequence[int]], int]
"""The number of the step that holds, given processor, fields, memory and operand values."""

Describe = Callable[..., tuple[int, int, int, tuple[int, ...]]]
"""Error code, qualification, instruction information and further fields, given the same."""


class Decision:
    """The steps of one instruction or event by priority. `root` and `non_root` decide, each in its operation."""

    def __init__(self, name: str, steps: Sequence[Step], operands: Widths, database: Database, code: Code) -> None:
        self.name = name.replace("-", "_")
        self.steps = tuple(steps)
        self._operands = operands
        self._database = database
        self._code = code
        self._outcomes: dict[int, Describe] = {}

    @cached_property
    def root(self) -> Decide:
        return self._decide("root")

    @cached_property
    def non_root(self) -> Decide:
        return self._decide("non_root")

    def _decide(self, operation: str) -> Decide:
        lines = unpacked(self._operands)
        for index, step in enumerate(self.steps):
            if step.only not in (None, operation):
                continue
            if step.when is None:
                lines.append(f"return {index}")
                break
            condition = self._code.text(self._code.condition(step.when, self._operands))
            if condition != "0":
                lines.append(f"if {condition}: return {index}")
        else:
            lines.append("return -1")
        return self._code.compile(f"decide_{self.name}_{operation}", "p, f, m, o", lines)

    def outcome(self, index: int, p: Processor, f: Sequence[int], memory: PhysicalMemory, o: Sequence[int]) -> Outcome:
        """What step `index`, which is no `do`, comes to, as the exception to raise."""
        step = self.steps[index]
        if step.action == "fail":
            return VmFail(None if step.target == "invalid" else step.target)
        if index not in self._outcomes:
            self._outcomes[index] = self._describe(step)
        error_code, qualification, information, further = self._outcomes[index](p, f, memory.read, o)
        if step.action == "fault":
            return Fault(
                step.target,
                error_code if step.error_code is not None else None,
                qualification=qualification,
                type=step.type,
            )
        fields = dict(zip(step.also or (), further, strict=True))
        return VmExit(
            step.target, qualification, fields, information=information, trap=step.trap,
            step=step, widths=self._operands, values=o,
        )  # fmt: skip

    def _describe(self, step: Step) -> Describe:
        """The function that gives error code, qualification, instruction information and further fields of a step."""
        code = "0" if step.error_code is None else self._number(step.error_code, 32)
        qualification = "0" if step.qualification is None else self._parts(step.qualification, self._layout(step), 64)
        information = "0" if step.information is None else self._parts(step.information[1], step.information[0], 32)
        fields = self._database.fields
        further = "".join(f"{self._number(text, fields[name].width)}, " for name, text in (step.also or {}).items())
        lines = [*unpacked(self._operands), f"return {code}, {qualification}, {information}, ({further})"]
        return self._code.compile(f"describe_{self.name}", "p, f, m, o", lines)

    def _layout(self, step: Step) -> str | None:
        return self._database.exit_reasons[step.target].qualification if step.action == "exit" else None

    def _number(self, text: str, width: int) -> str:
        return self._code.text(self._code.number(text, width, self._operands))

    def _parts(self, parts: Mapping[str, str], layout: str | None, width: int) -> str:
        """The parts of a layout put together; the one named "" is the whole."""
        if "" in parts:
            return self._number(parts[""], width)
        bits = self._database.layouts[layout].by_name if layout is not None else {}
        texts = []
        for name, text in parts.items():
            part = bits[name]
            value = str(part.values[text]) if text in part.values else self._number(text, part.width)
            texts.append(f"({value} << {part.low})")
        return f"({' | '.join(texts)})" if texts else "0"
