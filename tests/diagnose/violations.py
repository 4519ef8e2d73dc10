"""Shipped guest and host states in which just one rule is violated, for every rule and state that this can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from tests.check.all_rows import ROWS
from tests.check.changes import Key
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.check.check import Checked, check_fields
from vmcsc.check.evaluate import Status
from vmcsc.check.memory import Memory
from vmcsc.check.resolved import fields_of
from vmcsc.check.state import State
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import Value, known
from vmcsc.pipeline import compile
from vmcsc.policy.states import known_states, read_state

AT_ENTRY = {"vmx_operation": 1, "vmx_root": 1, "protected_mode": 1, "current_vmcs": 0x8000, "wrmsr_accepts_others": 1}
LOADED = """
    primary { prefer use_tpr_shadow }
    secondary { prefer enable_ept, enable_vpid }
    vm_entry { prefer load_debug_controls, load_ia32_perf_global_ctrl, load_ia32_pat, load_ia32_efer, load_cet_state }
    vm_exit { prefer load_ia32_perf_global_ctrl, load_ia32_pat, load_ia32_efer, load_cet_state }
"""
"""As much as a dump prints is loaded."""


@dataclass(frozen=True)
class Case:
    """A state on a processor, and the rules that are violated in it: one or none."""

    guest: str
    host: str
    cpu: Cpu
    violated: frozenset[str]
    checked: Checked

    @property
    def state(self) -> State:
        return self.checked.state

    @property
    def name(self) -> str:
        return f"{self.guest} under {self.host} on {self.cpu.name}: {', '.join(self.violated) or 'valid'}"


def cases(cpu: Cpu, database: Database, tries: int = 1000) -> Iterator[Case]:
    """For each pair of states the valid one, and then each rule once, if one of so many changes violates it alone."""
    names = known_states(database)
    states = [state for name in names if (state := read_state(name, database, Diagnostics())) is not None]
    guests = [state.name for state in states if state.area == "guest_state"]
    hosts = [state.name for state in states if state.area == "host_state"]
    for guest, host in product(guests, hosts):
        fields = _fields(guest, host, cpu.name, database)
        if fields is None:
            continue
        checked = _check(fields, host, cpu, database)
        if checked.findings:
            continue
        yield Case(guest, host, cpu, frozenset(), checked)
        found: set[str] = set()
        tried: Counter[str] = Counter()
        for rule, change in _changes():
            tried[rule] += 1
            if rule not in found and tried[rule] <= tries:
                changed = _check(_changed(fields, change), host, cpu, database)
                violated = frozenset(result.rule.id for result in changed.of(Status.VIOLATED))
                if violated == {rule}:
                    found.add(rule)
                    yield Case(guest, host, cpu, violated, changed)


def processor(name: str, database: Database) -> Cpu:
    """A shipped processor with 0 for what is not known of it."""
    cpu = read_cpu(name, database, Diagnostics())
    assert cpu is not None
    facts = {one: known(fact.width, 0) for one, fact in database.facts.items()}
    there = (msr for msr in database.capability_msrs if Capabilities(database, cpu).exists(msr))
    return Cpu(cpu.name, cpu.title, {**{msr.name: known(64, 0) for msr in there}, **cpu.msrs}, {**facts, **cpu.facts})


@cache
def _fields(guest: str, host: str, cpu: str, database: Database) -> Mapping[str, Value] | None:
    policy = f"policy p {{ state guest {guest} {{ }}\n state host {host} {{ }}\n{LOADED} }}"
    result = compile(policy, processor(cpu, database), database)
    if result.vmcs is None or not result.ok:
        return None
    fields = {field.name: known(field.width, 0) for field in database.fields.values()}
    fields |= {"ept_pointer": known(64, 0x1000_001E), "virtual_processor_id": known(16, 1)}
    fields |= {"virtual_apic_address": known(64, 0x5000)}
    return {**fields, **{name: value for name, value in fields_of(result.vmcs).items() if value.is_known}}


@cache
def _changes() -> tuple[tuple[str, tuple[tuple[Key, int, int], ...]], ...]:
    """The rule and the edits of fields of each row that violates one, those of few edits first."""
    found: dict[tuple[str, tuple[tuple[Key, int, int], ...]], None] = {}
    for row in ROWS:
        edits = tuple(edit for edit in row.change.edits if isinstance(edit[0], str) and "." not in edit[0])
        if row.status is Status.VIOLATED and edits:
            found[row.check.rule, edits] = None
    return tuple(sorted(found, key=lambda one: len(one[1])))


def _changed(fields: Mapping[str, Value], edits: tuple[tuple[Key, int, int], ...]) -> dict[str, Value]:
    changed = dict(fields)
    for key, mask, bits in edits:
        value = changed.get(str(key))
        if value is not None:
            changed[str(key)] = known(value.width, value.bits & ~mask | bits & mask)
    return changed


def _check(fields: Mapping[str, Value], host: str, cpu: Cpu, database: Database) -> Checked:
    at_entry = AT_ENTRY | {"ia_32e_mode": int(host == "host_64")}
    processor = {name: known(bits.width, at_entry.get(name, 0)) for name, bits in database.state.items()}
    memory = Memory({address: bytes(4096) for address in (0, 0x5000)})
    return check_fields(fields, cpu, database, memory, processor)


def cpus_of(folder: Path) -> list[str]:
    """The names of the processors of a folder of specs."""
    return sorted(path.stem for path in (folder / "cpus").glob("*.yaml"))
