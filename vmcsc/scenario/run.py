"""Runs a scenario on a machine, and judges what it expects."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc import codes
from vmcsc.check.explain import unmet_parts
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.machine.execute import Executable
from vmcsc.machine.machine import Machine
from vmcsc.machine.outcome import Fault, Outcome, Stopped, VmExit, VmFail
from vmcsc.machine.processor import Processor
from vmcsc.records import dataclass, replace
from vmcsc.scenario import model
from vmcsc.scenario.because import because, instead
from vmcsc.scenario.moment import NONE, Moment, moment_of
from vmcsc.scenario.result import ENTRY, EVENT, EXIT, GUEST, ROOT, Exited, Happening
from vmcsc.scenario.world import World

MAX_EXITS = 10_000
"""Exits that one statement may lead to before the scenario is given up."""

MAX_DEPTH = 50
"""Exits that come while what is done at another one is not done yet."""

MAX_HAPPENINGS = 100_000
"""Happenings that are kept for a trace."""


@dataclass(frozen=True, slots=True)
class _Exit:
    """An exit, the state right after it, and what made it happen, in words."""

    exit: VmExit
    moment: Moment
    because: tuple[str, ...]


class Runner:
    """Runs the steps of one scenario. `findings` fill up while it does."""

    def __init__(self, world: World, scenario: model.Scenario) -> None:
        self.findings: list[Diagnostic] = []
        self.happenings: list[Happening] = []
        self._world = world
        self._machine: Machine = world.machine
        self._scenario = scenario
        self._handlers: dict[str, tuple[model.Step, ...]] = {}
        self._guest = self._acting = 0
        self._last: Outcome | None = None
        self._exits: list[_Exit] = []
        self._instruction: tuple[Executable, Moment] | None = None
        self._skip = 0
        self._ran = False
        self._handling = 0

    def run(self) -> None:
        """Run the steps in their order, up to the first that cannot be carried out."""
        try:
            for name, value in self._scenario.registers.items():
                self._world.set(self._machine.processors[0], name, value)
            if not self._scenario.manual:
                self._world.set_up(self._machine.processors[0])
            for one in self._scenario.steps:
                if not self._step(one):
                    return
        except (Stopped, VmcscError) as error:
            self._fail(self._at, str(error))

    @property
    def _p(self) -> Processor:
        """The processor that runs the guest."""
        return self._machine.processors[self._guest]

    def _step(self, one: model.Step) -> bool:
        """Carry out one step; False where the scenario cannot go on."""
        self._at = one
        match one:
            case model.Guest():
                return self._execute(one)
            case model.Root():
                return self._root(one)
            case model.SetRegister():
                p = self._p if one.processor is None else self._machine.processors[one.processor]
                self._world.set(p, one.register, one.value)
            case model.WriteField():
                p = self._p if one.processor is None else self._machine.processors[one.processor]
                self._world.write_field(p, one.field, one.value)
            case model.Configure():
                self._acting = one.processor
                self._happened(ROOT, self._machine.processors[one.processor], one.span.text)
                self._world.configure(self._machine.processors[one.processor])
            case model.MemoryWrite():
                self._world.put(one.address, one.content)
            case model.OnExit():
                self._handlers[one.reason] = one.steps
            case model.Arrive():
                return self._arrive(one)
            case model.Resume():
                return self._resume(one)
            case model.Expect():
                for expectation in one.expectations:
                    self._judge(expectation)
        return True

    # --- what is done ---

    def _begin(self) -> None:
        """Forget the exits before, unless this is part of what is done at one of them."""
        if not self._handling:
            self._exits = []

    def _execute(self, one: model.Guest) -> bool:
        self._begin()
        if not self._p.non_root and not self._enter(one):
            return False
        if not self._p.non_root:  # an event came right after the entry
            return True
        self._acting = self._guest
        self._happened(GUEST, self._p, one.span.text)
        p, executable = self._p, Executable(self._machine, one.instruction)
        values = dict(zip(one.instruction.entry.values, (read(p) for read in executable.readers), strict=True))
        before = moment_of(self._machine, p, {**self._operands(p), **values})
        self._instruction = (executable, before)
        self._last = self._world.step(p, executable)
        if isinstance(self._last, VmExit):
            return self._left(self._last, before)
        return True

    def _root(self, one: model.Root) -> bool:
        p = self._machine.processors[one.processor]
        if p.non_root:
            self._fail(one, f"processor {p.number} is in the guest, so its hypervisor executes nothing")
            return False
        self._begin()
        self._acting = p.number
        self._happened(ROOT, p, one.span.text)
        self._last = self._world.step(p, Executable(self._machine, one.instruction))
        if p.non_root:
            self._guest = p.number
            self._entered(p)
        if isinstance(self._last, Fault):
            mnemonic = self._machine.database.exceptions[self._last.name].mnemonic
            self._fail(one, f"`{one.instruction.entry.mnemonic}` raises {mnemonic} in the hypervisor")
            return False
        if self._machine.last_exit is not None and self._machine.last_exit.failed_entry and p.vmx_root:
            exit, self._machine.last_exit = self._machine.last_exit, None
            return self._left(exit, moment_of(self._machine, p, self._operands(p)))
        return True

    def _arrive(self, one: model.Arrive) -> bool:
        self._begin()
        if not self._scenario.manual and not self._ran and not self._enter(one):
            return False
        p = self._p
        self._acting = p.number
        self._happened(EVENT, p, one.span.text)
        self._world.arrive(p, one.event, one.number)
        before = moment_of(self._machine, p, self._operands(p))
        self._last = self._world.boundary(p)
        if isinstance(self._last, VmExit):
            return self._left(self._last, before)
        return True

    def _resume(self, one: model.Step) -> bool:
        if self._p.non_root:
            self._fail(one, "the guest runs already")
            return False
        return self._enter(one)

    def _enter(self, one: model.Step) -> bool:
        """Enter the guest, behind the instruction that exited; then what waits there."""
        p = self._p
        if p.vmcs is not None and self._skip:
            slot = self._machine.slots.guest_rip
            p.vmcs.set(slot, p.vmcs.fields[slot] + self._skip & NONE)
        self._skip = 0
        self._machine.last_exit = None
        outcome = self._world.enter(p)
        if p.non_root:
            self._entered(p)
            before = moment_of(self._machine, p, self._operands(p))
            exit = self._world.boundary(p)
            return True if exit is None else self._left(exit, before)
        failed = self._machine.last_exit
        if failed is not None:
            return self._left(failed, moment_of(self._machine, p, self._operands(p)))
        self._fail(one, f"the guest cannot be entered: {self._failure(outcome)}", self._violated(p))
        return False

    def _left(self, exit: VmExit, before: Moment) -> bool:
        """Note an exit, and do what the scenario does at it."""
        if len(self._exits) >= MAX_EXITS:
            raise Stopped(f"there were more than {MAX_EXITS} exits")
        reasons = tuple(self._because(exit, before))
        p = self._p
        self._exits.append(_Exit(exit, moment_of(self._machine, p, self._operands(p)), reasons))
        self._skip = 0 if exit.trap or exit.failed_entry else exit.length or 0
        self._note(p, exit, reasons)
        if self._handling >= MAX_DEPTH:
            raise Stopped(f"more than {MAX_DEPTH} exits came each while the hypervisor was at the one before")
        self._handling += 1
        done = all(self._step(one) for one in self._handlers.get(exit.reason, ()))
        self._handling -= 1
        return done

    # --- what is told ---

    def _operands(self, p: Processor) -> Mapping[str, int]:
        return {
            "host_tsc": self._machine.read_tsc,
            "taken": p.taken[-1] if p.taken else NONE,
            "pending": p.interrupt_vector if p.interrupt_pending else NONE,
            "failed": int(isinstance(self._last, VmFail)),
            "failed_valid": int(isinstance(self._last, VmFail) and self._last.error is not None),
        }

    def _because(self, exit: VmExit, before: Moment) -> list[str]:
        if exit.failed_entry:
            return self._violated(self._p)[:3] or [
                f"entry {exit.qualification} of the MSRs to be loaded is not accepted"
            ]
        if exit.step is None:
            return []
        read = replace(before, operands={**before.operands, **dict(zip(exit.widths, exit.values, strict=True))}).read
        return because(exit.step, exit.widths, self._machine.code, read)

    def _entered(self, p: Processor) -> None:
        self._ran = True
        self._happened(ENTRY, p)

    def _happened(self, kind: str, p: Processor, text: str = "", exited: Exited | None = None) -> None:
        if len(self.happenings) < MAX_HAPPENINGS:
            self.happenings.append(Happening(kind, p.number, p.tsc, text, exited))

    def _note(self, p: Processor, exit: VmExit, reasons: tuple[str, ...]) -> None:
        reason = self._machine.database.exit_reasons[exit.reason]
        layout = None if reason.qualification is None else self._machine.database.layouts[reason.qualification]
        parts: dict[str, int | str] = {}
        for bits in layout.bits if layout is not None else ():
            number = exit.qualification >> bits.low & (1 << bits.width) - 1
            named = {value: name for name, value in bits.values.items()}
            if number or number in named:
                parts[bits.name] = named.get(number, number)
        exited = Exited(
            exit.reason, reason.number, reason.sdm, exit.qualification, parts, reasons, exit.failed_entry
        )  # fmt: skip
        self._happened(EXIT, p, exited=exited)

    def _failure(self, outcome: Outcome | None) -> str:
        if isinstance(outcome, VmFail):
            if outcome.error is None:
                return "VMfailInvalid"
            error = self._machine.database.instruction_errors[outcome.error]
            return f"VM-instruction error {error.number} ({error.sdm})"
        return "the instruction faults" if isinstance(outcome, Fault) else "it is not in VMX operation"

    def _violated(self, p: Processor) -> list[str]:
        """The rules of VM entry that keep the guest out."""
        if p.vmcs is None:
            return []
        results = self._machine.rules.results(p, p.vmcs.fields, self._machine.memory)
        found = [result.rule for result in results if result.status.value == "violated"]
        return [f"{rule.id}: {rule.why}" for rule in found][:10]

    def _fail(self, one: model.Step, message: str, notes: list[str] | None = None) -> None:
        diagnostics = Diagnostics()
        diagnostics.report(codes.SCENARIO_NOT_RUN, message, one.span, notes=notes or [])
        self.findings.extend(diagnostics)

    # --- what is expected ---

    def _judge(self, expectation: model.Expectation) -> None:
        if expectation.no_exit:
            if self._exits:
                self._unexpected(expectation, "no exit was expected")
        elif expectation.reason is not None:
            self._judge_exit(expectation, expectation.reason)
        elif expectation.condition is not None:
            p = self._machine.processors[self._acting]  # whoever did something last
            now = moment_of(self._machine, p, self._operands(p))
            parts = unmet_parts(expectation.condition, now.read)
            if parts:
                self._report(expectation, "what is expected did not come true", parts)

    def _judge_exit(self, expectation: model.Expectation, reason: str) -> None:
        of_reason = [one for one in self._exits if one.exit.reason == reason]
        if not of_reason:
            if self._exits:
                self._unexpected(expectation, f"an exit for `{reason}` was expected")
            else:
                self._missing(expectation, reason)
            return
        if expectation.condition is None:
            return
        missed = [unmet_parts(expectation.condition, one.moment.read) for one in of_reason]
        if all(missed):
            self._report(expectation, f"the exit for `{reason}` is not as expected", missed[0])

    def _unexpected(self, expectation: model.Expectation, wanted: str) -> None:
        last = self._exits[-1]
        reason = self._machine.database.exit_reasons[last.exit.reason]
        failed = "the VM entry failed with" if last.exit.failed_entry else "the guest exited for"
        verb = "fails" if last.exit.failed_entry else "exits"
        notes = [f"{verb} because {' and '.join(last.because)}"] if last.because else []
        self._report(expectation, f"{wanted}, but {failed} `{reason.name}` ({reason.number})", notes)

    def _missing(self, expectation: model.Expectation, reason: str) -> None:
        notes = []
        if self._instruction is not None:
            executable, before = self._instruction
            entry = executable.instruction.entry
            ways = instead(entry, reason, self._machine.code, before.read)
            notes = [f"`{entry.mnemonic}` did not exit because {way}" for way in ways]
            if not any(step.action == "exit" and step.target == reason for step in entry.steps):
                notes = [f"`{entry.mnemonic}` never exits for this reason"]
        self._report(expectation, f"an exit for `{reason}` was expected, but there was none", notes)

    def _report(self, expectation: model.Expectation, message: str, notes: list[str]) -> None:
        diagnostics = Diagnostics()
        diagnostics.report(codes.SCENARIO_FAILED, message, expectation.span, notes=notes)
        self.findings.extend(diagnostics)
