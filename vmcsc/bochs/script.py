"""A scenario as orders for the harness: made while the bundled machine runs it, with what comes of each step there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.architecture.emulator import emulator_of
from vmcsc.assembly.encode import encode
from vmcsc.assembly.instruction import Instruction, MemoryOperand, RegisterOperand
from vmcsc.assembly.registers import REGISTERS
from vmcsc.bochs.orders import Orders
from vmcsc.bochs.processor import Model, vmx_on
from vmcsc.check.state import State
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind_condition
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.expression.value import known
from vmcsc.machine.execute import Executable
from vmcsc.machine.machine import Machine
from vmcsc.machine.outcome import Fault, Outcome, VmExit, VmFail
from vmcsc.machine.processor import Processor
from vmcsc.records import dataclass, field
from vmcsc.scenario.world import Watcher
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression

GENERAL = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{number}" for number in range(8, 16)))
"""The general-purpose registers by their numbers."""

_STACK = GENERAL.index("rsp")
PAGE = 4096
MEMORY = 1536
"""MiB that Bochs has for scenarios: as far as the machine's regions go."""

OWN = ((0x1000000, 0x1100000), (0x2000000, 0x8000000))
"""Where the harness lies."""

_SIZE = 16
"""Bytes of an operand in memory, at most."""

_IF = 1 << 9
_BLOCKING = 3
"""Bits of the interruptibility state: by STI and by MOV SS."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What came of a step on the bundled machine. `text` is what was done.

    `exit` are the fields of the emulator's report that the machine tells, None where there was no exit; `failed_entry`:
    it ended an entry. `fault` is an exception of the hypervisor's; `failure` is None, or for an instruction that failed
    its error, 0 without one. `rip` is where the guest is if there was no exit, `idle`: it does nothing more.
    `registers` are the values afterwards, where they can be foreseen; `clock`: RDX and RAX are a time, `ahead` of the
    host's. `written`: a VMWRITE of the host, of which nothing is told but whether it failed.
    """

    text: str
    exit: Mapping[str, int] | None = None
    failed_entry: bool = False
    fault: int | None = None
    failure: int | None = None
    guest: bool = False
    rip: int = 0
    idle: bool = False
    registers: Mapping[str, int] = field(default_factory=dict)
    ahead: int | None = None
    written: bool = False


class Unsupported(Exception):
    """Something that the harness cannot do."""


class Script(Watcher):
    """Collects orders and expectations. `missing` says why the scenario cannot be run there, None where it can."""

    def __init__(self, model: Model, fields: Mapping[str, int]) -> None:
        self.orders = Orders()
        self.expected: list[Expected] = []
        self.missing: str | None = None
        self.alone = False
        """It leaves something behind that no reset undoes."""
        self._model = model
        self._fields = fields
        self._before: Mapping[str, int] = {}
        self._first: Mapping[str, int] = {}
        self._non_root = False
        self._entry: bytes | None = None
        self._held = b""
        """Instructions after which events are blocked for one more: they are carried out along with the next one."""

    # --- what the watcher sees ---

    def begins(self, machine: Machine) -> None:
        self._machine = machine
        self._emulator = emulator_of(machine.database)
        self._host = self._emulator.hosts[64].fields
        database = machine.database
        self.orders.reset(leave=True)
        vmx_on(self.orders, database, in_operation=False)
        report = [database.fields[name].encoding for name in self._emulator.report.values()]
        self.orders.report(database.fields[self._emulator.error].encoding, report)
        for number, content in machine.memory.pages.items():
            self._note(self._page, number, bytes(content))

    def executes(self, p: Processor, executable: Executable) -> None:
        self._before = {name: getattr(p, name) for name in (*GENERAL, *self._emulator.registers)}
        self._non_root = p.non_root

    def executed(self, p: Processor, executable: Executable, outcome: Outcome | None) -> None:
        self._note(self._guest if self._non_root else self._root, p, executable, outcome)

    def arrived(self, p: Processor, event: str, number: int | None) -> None:
        self._note(self._event, p, event, number)

    def passed(self, p: Processor, exit: VmExit | None) -> None:
        if exit is not None:
            self._note(self._event_exit, p, exit)

    def set(self, p: Processor, register: str, value: int) -> None:
        if register not in GENERAL and register not in self._emulator.registers:
            self.missing = self.missing or f"the scenario sets {register}"

    def wrote(self, address: int, content: bytes) -> None:
        self._note(self._poke, address, content)

    def _note(self, do: Callable[..., None], *arguments: object) -> None:
        """Do it, unless something before could not be done."""
        if self.missing is None:
            try:
                do(*arguments)
            except Unsupported as unsupported:
                self.missing = str(unsupported)

    # --- memory ---

    def _page(self, number: int, content: bytes) -> None:
        self._free(number * PAGE, PAGE)
        self.orders.page(number * PAGE, content)

    def _poke(self, address: int, content: bytes) -> None:
        self._free(address, len(content))
        self.orders.poke(address, content)

    @staticmethod
    def _free(address: int, size: int) -> None:
        if any(low < address + size and address < high for low, high in OWN) or address + size > MEMORY << 20:
            raise Unsupported(f"the harness has no memory at {address:#x}")

    # --- the hypervisor ---

    def _root(self, p: Processor, executable: Executable, outcome: Outcome | None) -> None:
        instruction, mnemonic = executable.instruction, executable.instruction.entry.mnemonic
        self._only_first(p)
        if mnemonic in self._emulator.opens:
            raise Unsupported(f"`{mnemonic}` may let interrupts into the harness")
        if p.non_root:
            self._entry = self._held + instruction.code
            self._held = b""
            return
        if p.interruptibility_state & _BLOCKING:
            self._held += instruction.code
            return
        for operand in instruction.operands:
            if isinstance(operand, MemoryOperand) and operand.base is None and operand.index is None:
                self._poke(operand.displacement, self._machine.memory.read_bytes(operand.displacement, _SIZE))
        registers = {**self._before, **self._substituted(instruction)}
        if mnemonic == "vmwrite" and outcome is None and not self._held and self._by_host(instruction):
            self.orders.try_field(registers["r14"], registers["r15"])
            self.expected.append(Expected(mnemonic, written=True))
            return
        self._run(registers, self._held + instruction.code)
        self._held = b""
        failed = self._machine.last_exit if outcome is None else None
        exit = self._exit(failed, p) if failed is not None and failed.failed_entry else None
        self.expected.append(
            Expected(
                mnemonic,
                exit,
                exit is not None,
                self._vector(outcome),
                self._failure(outcome),
                registers={} if self._tells_other(instruction, outcome) else self._after(p),
            )
        )

    @staticmethod
    def _by_host(instruction: Instruction) -> bool:
        """Whether it is one of the machine's host's own, which has the field and the value in these registers."""
        return [getattr(operand, "written", "") for operand in instruction.operands] == ["r14", "r15"]

    def _only_first(self, p: Processor) -> None:
        if p.number:
            raise Unsupported("there is one processor")

    def _substituted(self, instruction: Instruction) -> Mapping[str, int]:
        """The value of a field that says where the host is, which the harness knows better."""
        name = self._field(instruction)
        if instruction.entry.mnemonic != "vmwrite" or name is None or name not in self._host:
            return {}
        if not self._by_host(instruction) or self._before["r15"] != self._fields.get(name):
            raise Unsupported(f"the scenario writes the host's {name}")
        return {"r15": self._model.host[self._host[name]]}

    def _field(self, instruction: Instruction) -> str | None:
        """The field that VMWRITE or VMREAD is about: its encoding is in the first or in the second operand."""
        place = {"vmwrite": 0, "vmread": 1}.get(instruction.entry.mnemonic)
        operand = None if place is None else instruction.operands[place]
        if not isinstance(operand, RegisterOperand):
            return None
        by_encoding = {one.encoding: name for name, one in self._machine.database.fields.items()}
        return by_encoding.get(self._before[operand.register])

    def _tells_other(self, instruction: Instruction, outcome: Outcome | None) -> bool:
        """Whether registers hold what is otherwise there: where the host is, or what the last exit was."""
        name = self._field(instruction)
        read_only = name is not None and self._machine.database.fields[name].type == "read_only_data"
        return isinstance(outcome, Fault) or name in self._host or read_only

    def _vector(self, outcome: Outcome | None) -> int | None:
        return self._machine.database.exceptions[outcome.name].vector if isinstance(outcome, Fault) else None

    def _failure(self, outcome: Outcome | None) -> int | None:
        if not isinstance(outcome, VmFail):
            return None
        return 0 if outcome.error is None else self._machine.database.instruction_errors[outcome.error].number

    # --- the guest ---

    def _guest(self, p: Processor, executable: Executable, outcome: Outcome | None) -> None:
        instruction, mnemonic = executable.instruction, executable.instruction.entry.mnemonic
        self._only_first(p)
        self._runs(p)
        exit = outcome if isinstance(outcome, VmExit) else None
        if exit is None and p.interruptibility_state & _BLOCKING and not p.activity_state:
            self._first = self._first if self._held else self._before
            self._held += instruction.code
            return
        code, before = self._held + instruction.code, self._first if self._held else self._before
        rip = before["rip"]
        self._code(before, code, rip + len(code) if exit else p.rip)
        ahead = None
        registers: Mapping[str, int] = self._after(p)
        if mnemonic in self._emulator.clock and exit is None and not self._holds(self._emulator.scaled, p):
            ahead = (p.rdx << 32 | p.rax) - self._machine.read_tsc & (1 << 64) - 1
        if exit is None and mnemonic in self._emulator.unforeseen | self._emulator.clock:
            registers = {}
        told = None if exit is None else self._exit(exit, p)
        idle = exit is None and bool(p.activity_state)
        self.alone = self.alone or idle  # what wakes it stays behind
        self.expected.append(
            Expected(mnemonic, told, guest=True, rip=p.rip, idle=idle, registers=registers, ahead=ahead)
        )

    def _event(self, p: Processor, event: str, number: int | None) -> None:
        self._only_first(p)
        if self._held:
            raise Unsupported("the event comes right behind an instruction that blocks it")
        if event not in self._emulator.events or number is None:
            raise Unsupported(f"the event {event} cannot be brought about")
        self.alone = True
        self.orders.interrupt(number)

    def _event_exit(self, p: Processor, exit: VmExit) -> None:
        """The exit of an event. Bochs 2.7 looks for interrupts when IF changes, not at an entry where it stays 0."""
        self._only_first(p)
        self._runs(p)
        vmcs = p.vmcs
        assert vmcs is not None
        if vmcs.fields[self._machine.slots.of[self._emulator.activity]]:
            raise Unsupported("the event comes to a guest that is not active")
        self._before = {
            **{name: getattr(p, name) for name in GENERAL},
            **{name: vmcs.fields[self._machine.slots.of[one]] for name, one in self._emulator.registers.items()},
        }
        rip, told = self._before["rip"], self._exit(exit, p)
        nudge = b"" if self._before["rflags"] & _IF else self._bytes_of("sti") + self._bytes_of("cli")
        if nudge:
            del told["rip"]
        self._code(self._before, nudge, rip + len(nudge))
        self.expected.append(Expected("event", told, guest=True, registers=self._after(p)))

    def _code(self, before: Mapping[str, int], code: bytes, marker: int) -> None:
        """Put an instruction and the marker into the guest, and enter it with registers as they were before."""
        rip, self._held = before["rip"], b""
        if self._entry is None:
            raise Unsupported("the guest was not entered by the hypervisor")
        mark = self._bytes_of(self._emulator.marker)
        if rip + len(code) > marker > rip - len(mark):
            raise Unsupported("the guest's code leaves no room")
        self._poke(marker, mark)
        self._poke(rip, code)
        for name, one in self._emulator.registers.items():
            self.orders.write_field(self._machine.database.fields[one].encoding, before[name])
        self._run(before, self._entry)
        self._entry = self._bytes_of("vmresume")

    def _runs(self, p: Processor) -> None:
        """The guest must run 64-bit code, since that is what scenarios are assembled to."""
        if not self._holds(self._emulator.runs, p):
            raise Unsupported("the guest does not run 64-bit code")

    def _holds(self, condition: str, p: Processor) -> bool:
        """Whether a condition over fields holds for the current VMCS."""
        assert p.vmcs is not None
        database, fields = self._machine.database, p.vmcs.fields
        values = {
            name: known(one.width, fields[slot])
            for slot, (name, one) in enumerate(database.fields.items())
        }  # fmt: skip
        state = State(database, values, self._model.cpu)
        return evaluate(_bound(condition, database), state.read).is_true

    def _bytes_of(self, mnemonic: str) -> bytes:
        return encode(self._machine.operation.by_mnemonic[mnemonic][0].forms[0], ())

    # --- both ---

    def _run(self, registers: Mapping[str, int], code: bytes) -> None:
        for number, name in enumerate(GENERAL):
            if number != _STACK:
                self.orders.register(number, registers[name])
        self.orders.code(0, code)
        self.orders.run(0)
        self.orders.registers()

    def _after(self, p: Processor) -> Mapping[str, int]:
        return {name: getattr(p, name) for number, name in enumerate(GENERAL) if number != _STACK}

    def _exit(self, exit: VmExit, p: Processor) -> dict[str, int]:
        """What the emulator's report would be; only what means something after this exit."""
        assert p.vmcs is not None
        told = {}
        for what, name in self._emulator.report.items():
            told[what] = p.vmcs.fields[self._machine.slots.of[name]]
        if exit.length is None:
            del told["length"]
        if not told["interruption"] >> 31:
            told["interruption"] = 0
            del told["error_code"]
        elif not told["interruption"] >> 11 & 1:
            del told["error_code"]
        return told


@lru_cache(maxsize=8)
def _bound(text: str, database: Database) -> nodes.Node:
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("<emulator>", text), diagnostics)
    scope = Scope(database, controls=True, state=True)
    bound = None if parsed is None else bind_condition(parsed, scope, diagnostics)
    if bound is None:
        raise ValueError(f"{text!r}: {diagnostics.found[0].message}")
    return bound


assert all(REGISTERS[name].number == number for number, name in enumerate(GENERAL))
