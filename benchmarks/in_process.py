"""What one warm process needs: many processors for one policy, and the rules over a whole state."""

from __future__ import annotations

import random

from conditions import COUNT, violations
from measure import Row, computing

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.check.check import check_fields
from vmcsc.check.evaluate import Status, rules_of
from vmcsc.check.resolved import fields_of
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import Value, known
from vmcsc.loading import load
from vmcsc.pipeline import compile

CPUS = 1000
WHOLE = """policy whole {
  for cpus ice_lake_i7_1065g7
  state guest long_mode { rip = 0x401000 }
  state host host_64 { }
  pin_based { require external_interrupt_exiting, nmi_exiting }
  primary   { require activate_secondary_controls }
  secondary { require enable_ept, enable_vpid, unrestricted_guest }
  virtual_processor_id = 1
  ept_pointer = 0x301e
}
"""
PROCESSOR = {"vmx_operation": 1, "vmx_root": 1, "protected_mode": 1, "ia_32e_mode": 1, "current_vmcs": 0x8000}


def rows(rounds: int) -> list[Row]:
    database = load()
    return [_many_cpus(database, min(rounds, 5)), *_whole_state(database, rounds * 20)]


def _many_cpus(database: Database, rounds: int) -> Row:
    """`kvm-classic` for CPUs no two of which are alike; the time is that of all stages but reading the CPUs."""
    fleet = _fleet(database)
    seconds = computing(lambda: compile("kvm-classic", fleet, database), rounds)
    return Row(f"one policy, {CPUS} CPUs, each", seconds * 1000 / CPUS, "ms", 1)


def _fleet(database: Database) -> list[Cpu]:
    """The shipped CPUs, each of them many times with a few of its optional features taken away."""
    chance = random.Random(1)
    read = [read_cpu(name, database, Diagnostics()) for name in shipped_cpus(database)]
    shipped = [cpu for cpu in read if cpu is not None]
    optional = [word.msr for word in database.words.values() if word.msr.endswith("2")]
    fleet: dict[tuple[object, ...], Cpu] = {}
    while len(fleet) < CPUS:
        cpu = chance.choice(shipped)
        lost = {name: 1 << 32 + chance.randrange(1, 28) for name in optional * 3}
        msrs = {
            name: Value(value.width, value.bits & ~lost.get(name, 0), value.known) for name, value in cpu.msrs.items()
        }
        misc = msrs["ia32_vmx_misc"]
        msrs["ia32_vmx_misc"] = Value(64, misc.bits ^ len(fleet) << 32, misc.known)  # the MSEG revision: no two alike
        alike = (cpu.name, *((name, value.bits) for name, value in msrs.items()))
        fleet[alike] = Cpu(f"host{len(fleet)}", cpu.title, msrs, cpu.facts)
    return list(fleet.values())


def _whole_state(database: Database, times: int) -> list[Row]:
    vmcs = compile(WHOLE, database=database).vmcs
    assert vmcs is not None
    given = {name: value for name, value in fields_of(vmcs).items() if value.is_known}
    fields = {name: known(field.width, 0) for name, field in database.fields.items()} | given
    processor = {name: known(bits.width, PROCESSOR.get(name, 0)) for name, bits in database.state.items()}
    checked = check_fields(fields, vmcs.cpu, database, None, processor)
    assert checked.verdict.enters and not checked.of(Status.UNDETERMINED), "the state is not whole, or does not enter"
    rules = len(rules_of(database))
    plain = {name: value.bits for name, value in fields.items()}
    assert not violations(plain)

    def by_hand() -> None:
        for _ in range(rules // COUNT + 1):
            violations(plain)

    def by_rules() -> None:
        assert check_fields(fields, vmcs.cpu, database, None, processor).verdict.enters

    return [
        Row(f"whole state, {rules} rules", computing(by_rules, times) * 1000, "ms", 0.3),
        Row("as many conditions written by hand", computing(by_hand, times) * 1000, "ms", note="for comparison"),
    ]
