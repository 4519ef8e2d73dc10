"""The bundled machine: guest instructions that do not exit, round trips, and what the number of VMCSs costs."""

from __future__ import annotations

from measure import Row, computing

from vmcsc.assembly.choose import instruction_of
from vmcsc.loading import load
from vmcsc.machine.execute import Executable
from vmcsc.machine.machine import Machine
from vmcsc.machine.step import step
from vmcsc.pipeline import compile
from vmcsc.scenario.names import VMCS_REGIONS
from vmcsc.scenario.test import prepare, usual_cpu
from vmcsc.scenario.world import World

INSTRUCTIONS, TRIPS = 20_000, 2_000


def rows(rounds: int) -> list[Row]:
    guest = _Guest()
    nop, rdtsc = guest.executable("nop"), guest.executable("rdtsc")
    plain = INSTRUCTIONS / computing(lambda: guest.execute([nop, rdtsc], INSTRUCTIONS // 2), rounds)
    trips = TRIPS / computing(guest.trips, rounds)
    long = computing(lambda: guest.execute([nop] * INSTRUCTIONS, 1), rounds)
    short = computing(lambda: guest.execute([nop], INSTRUCTIONS), rounds)
    guest.make_vmcss()
    many = TRIPS / computing(guest.trips, rounds)
    return [
        Row("guest instructions a second, no exit", plain / 1000, "k", at_least=200),
        Row("exits and entries a second", trips / 1000, "k", at_least=10),
        Row("the same with 64 more VMCSs, against that", trips / many, "x", 1.2),
        Row("instruction of a long program, against a short one", long / short, "x", 1.2),
    ]


class _Guest:
    """`kvm-classic` on the usual processor, entered."""

    def __init__(self) -> None:
        database = load()
        cpu = usual_cpu(database)
        policy = compile("kvm-classic", cpu, database).policy
        assert policy is not None
        start = prepare({}, {}, {}, policy, database, cpu)
        self.world = World(Machine(database, cpu), start.fields, start.pages)
        self.machine = self.world.machine
        self.processor = self.machine.processors[0]
        self.world.set_up(self.processor)
        self.world.enter(self.processor)
        assert self.processor.non_root
        self.exit, self.enter = self.executable("cpuid"), self.executable("vmresume")

    def executable(self, mnemonic: str) -> Executable:
        entry = self.machine.operation.by_mnemonic[mnemonic][0]
        return Executable(self.machine, instruction_of(entry, entry.forms[0], ()))

    def execute(self, program: list[Executable], times: int) -> None:
        machine, processor = self.machine, self.processor
        for _ in range(times):
            for one in program:
                step(machine, processor, one)
        assert processor.non_root

    def trips(self) -> None:
        machine, processor, exit, enter = self.machine, self.processor, self.exit, self.enter
        for _ in range(TRIPS):
            step(machine, processor, exit)
            step(machine, processor, enter)
        assert processor.non_root

    def make_vmcss(self) -> None:
        """64 VMCSs more are active on the processor, and the first one is current again."""
        step(self.machine, self.processor, self.exit)
        for number in range(1, 65):
            address = VMCS_REGIONS + 0x100000 + 0x1000 * number
            self.machine.memory.write(address, 32, self.machine.memory.read(VMCS_REGIONS, 32))
            self.world.with_pointer(self.processor, "vmptrld", address)
            self.world.configure(self.processor)
        self.world.with_pointer(self.processor, "vmptrld", VMCS_REGIONS)
        step(self.machine, self.processor, self.enter)
        assert self.processor.non_root and len(self.processor.active) > 64
