"""What entries on Bochs begin with: valid states on a CPU model, with the harness as their host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from tests.check.changes import Key
from tests.check.states import BASES, REVISION, base
from vmcsc import compile
from vmcsc.architecture.database import Database
from vmcsc.architecture.emulator import emulator_of
from vmcsc.bochs.processor import Model
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.check.memory import Memory
from vmcsc.check.state import State
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import value
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.value import Value
from vmcsc.policy.states import State as StateSpec
from vmcsc.policy.states import known_states, read_state
from vmcsc.scenario.test import prepare

VMCALL = bytes.fromhex("0f01c1")
PAGES = 0x200000
"""Where the pages of a completed state lie, below the harness."""

RAM = 0x20000
"""The harness clears memory up to here after a guest ran; what is above it, and not given, is not known to be 0."""

IA_32E_GUEST_OF_32_BITS = "VMX4024"

PROCESSOR = {"vmx_operation": 1, "vmx_root": 1, "protected_mode": 1, "wrmsr_accepts_others": None}


class LowMemory(Memory):
    """Memory that is 0 below `RAM` where nothing else is said."""

    def read(self, address: int, width: int) -> Value:
        found = super().read(address, width)
        if found.is_known or address + width // 8 > RAM:
            return found
        return value.known(width, found.bits)


@dataclass(frozen=True)
class Subject:
    """A state that enters on a model, from a host of that width: all fields, words and pages of memory."""

    name: str
    model: Model
    fields: Mapping[str, int]
    memory: Mapping[int, int] = field(default_factory=dict)
    pages: Mapping[int, bytes] = field(default_factory=dict)
    host_bits: int = 64

    def state(self, database: Database, fields: Mapping[str, int], memory: Mapping[int, int]) -> State:
        """The state with other values of some fields, and other words of memory, as the rules see it."""
        known = dict(_known(database, tuple(self.fields.items())))
        known.update((name, value.known(database.fields[name].width, bits)) for name, bits in fields.items())
        words = {**self.memory, **memory}
        pieces = {**self.pages, **{address: word.to_bytes(8, "little") for address, word in words.items()}}
        return State(
            database, known, self.model.cpu, LowMemory(pieces), processor_state(database, self.model, self.host_bits)
        )


@lru_cache(maxsize=64)
def _known(database: Database, fields: tuple[tuple[str, int], ...]) -> Mapping[str, Value]:
    values = dict(fields)
    return {name: value.known(f.width, values.get(name, 0)) for name, f in database.fields.items()}


def processor_state(database: Database, model: Model, host_bits: int = 64) -> dict[str, Value]:
    """The processor when the harness executes VMLAUNCH."""
    known: dict[str, int | None] = dict.fromkeys(database.state, 0)
    known |= PROCESSOR | {"ia_32e_mode": int(host_bits == 64)}
    known |= {"current_vmcs": model.host["vmcs"], "vmxon_pointer": model.host["vmcs"] - 0x1000}
    return {name: value.known(database.state[name].width, n) for name, n in known.items() if n is not None}


def host_fields(database: Database, model: Model, host_bits: int = 64) -> dict[str, int]:
    """The host state that the harness is."""
    host = emulator_of(database).hosts[host_bits]
    state = read_state(host.state, database, Diagnostics())
    assert state is not None
    read = Capabilities(database, model.cpu).read
    values = {name: evaluate(node, read).bits for name, node in state.values.items() if name in model.fields}
    return values | {name: model.host[which] for name, which in host.fields.items()}


# --- the contexts of the rule tables ---


def from_tables(database: Database, model: Model) -> Iterator[tuple[str, Subject | str]]:
    """Each context of the tables as the model can have it, or why it cannot."""
    for name in BASES:
        keys = base(name)
        bits = 64 if keys["processor.ia_32e_mode"] else 32
        if keys.get("processor.smm"):
            yield name, "Bochs has no VMX in SMM"
        else:
            yield name, Subject(name, model, adapted(database, model, keys, bits), words(keys, model), host_bits=bits)


def words(keys: Mapping[Key, int], model: Model) -> dict[int, int]:
    """What is in memory; where the tables have their revision identifier, that of the model."""
    own = model.cpu.msrs["ia32_vmx_basic"].bits & 0x7FFFFFFF
    found = {key: bits for key, bits in keys.items() if isinstance(key, int)}
    return {key: bits ^ REVISION ^ own if bits & 0x7FFFFFFF == REVISION else bits for key, bits in found.items()}


def adapted(database: Database, model: Model, keys: Mapping[Key, int], host_bits: int) -> dict[str, int]:
    """The fields of a context, with controls as the model allows them and the harness as its host."""
    fields = {key: bits for key, bits in keys.items() if isinstance(key, str) and key in database.fields}
    capabilities = Capabilities(database, model.cpu)
    for word in database.words.values():
        allowed = capabilities.allowed(word)
        fields[word.field] = (fields.get(word.field, 0) | allowed.must_be_1.bits) & allowed.may_be_1.bits
    fixed = {name: capabilities.msr(database.msrs[name]).bits for name in emulator_of(database).fixed}
    cr0_1, cr0_may, cr4_1, cr4_may = fixed.values()
    unrestricted = keys.get("secondary_vm_execution_controls", 0) >> 7 & 1
    fields["guest_cr0"] = fields["guest_cr0"] | cr0_1 & ~(0x80000001 if unrestricted else 0)
    fields["guest_cr4"] = (fields["guest_cr4"] | cr4_1) & cr4_may
    assert cr0_may
    return fields | host_fields(database, model, host_bits)


# --- the shipped states ---


def shipped(database: Database, model: Model) -> Iterator[tuple[str, Subject | str]]:
    """Each shipped guest state completed so that it runs, on each host, or why the model cannot have it."""
    for name in known_states(database):
        state = read_state(name, database, Diagnostics())
        assert state is not None
        if state.area == "guest_state":
            for bits in emulator_of(database).hosts:
                yield name, _shipped(state, bits, database, model)


def _shipped(state: StateSpec, host_bits: int, database: Database, model: Model) -> Subject | str:
    if any(not evaluate(need, Capabilities(database, model.cpu).read).is_true for need in state.needs):
        return "the model lacks what the state needs"
    host = {64: "require", 32: "forbid"}[host_bits]
    text = f"policy p {{ vm_exit {{ {host} host_address_space_size }} state guest {state.name} {{ }} }}"
    result = compile(text, model.cpu, database)
    if IA_32E_GUEST_OF_32_BITS in {diagnostic.code for diagnostic in result.diagnostics}:
        return "a 32-bit host has no IA-32e mode guest"
    assert result.vmcs is not None, [d.message for d in result.diagnostics]
    done = prepare({}, {}, {}, result.vmcs.policy, database, model.cpu, PAGES)
    fields = {**done.fields, **host_fields(database, model, host_bits)}
    if fields["guest_cs_limit"] < fields["guest_rip"]:  # segments of 64 KiB; after reset CS is where the firmware is
        fields |= {"guest_rip": 0x1000, "guest_rsp": 0x2000}
    if fields["guest_cs_base"] > RAM:
        fields |= {"guest_cs_selector": 0, "guest_cs_base": 0}
    at = fields["guest_rip"] + fields["guest_cs_base"]
    words = {at: int.from_bytes(VMCALL, "little")}
    on = "" if host_bits == 64 else f" on a {host_bits}-bit host"
    return Subject(f"state {state.name}{on}", model, fields, words, done.pages, host_bits)
