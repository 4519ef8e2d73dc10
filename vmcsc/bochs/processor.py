"""What a CPU model of Bochs is: its capability MSRs and facts as the emulator tells them, and the fields it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.architecture.emulator import emulator_of
from vmcsc.architecture.model import Fact
from vmcsc.bochs.emulator import boot
from vmcsc.bochs.image import Witness
from vmcsc.bochs.orders import HOST, HOST_WORDS, Orders, Replies
from vmcsc.bochs.tools import Tools
from vmcsc.capabilities.cpu import Cpu
from vmcsc.errors import VmcscError
from vmcsc.expression.value import Value, known
from vmcsc.records import dataclass

SECONDS = 30
"""Time for a boot that only asks."""

_REGISTERS = ("eax", "ebx", "ecx", "edx")
_ORIGIN = "Bochs itself"


@dataclass(frozen=True)
class Model:
    """A CPU model. `fields` are the names of those that VMWRITE takes; `host` are values of the harness by name, which
    has the `witness` built in."""

    name: str
    cpu: Cpu
    fields: frozenset[str]
    host: Mapping[str, int]
    witness: Witness | None = None


def vmx_on(orders: Orders, database: Database, *, in_operation: bool = True) -> None:
    """The order that makes the harness a hypervisor."""
    emulator = emulator_of(database)
    fixed = [database.msrs[name].index for name in emulator.fixed]
    orders.vmx_on(database.msrs[emulator.revision].index, fixed, in_operation=in_operation)


@lru_cache(maxsize=32)
def read_model(name: str, database: Database, tools: Tools, witness: Witness | None = None) -> Model:
    """Ask the model. Raises `VmcscError` where Bochs does not know it or it has no VMX."""
    if name not in emulator_of(database).models:
        raise VmcscError(f"Bochs has no model `{name}` with VMX; it has {', '.join(emulator_of(database).models)}")
    leaves = _leaves(database)
    msrs = database.capability_msrs
    probed = {fact.name: database.msrs[fact.bits_of].index for fact in database.facts.values() if fact.bits_of}
    encodings = {field.name: field.encoding for field in database.fields.values()}
    orders = Orders()
    orders.read_msrs([msr.index for msr in msrs])
    orders.read_cpuid(leaves)
    orders.probe_msrs(list(probed.values()))
    vmx_on(orders, database)
    orders.probe_fields(list(encodings.values()))
    booted = boot(tools, name, orders.content(), orders.replies, SECONDS, witness=witness)
    replies = Replies(booted.words, 0)
    if not booted.ended or replies.left != orders.replies:
        raise VmcscError(f"Bochs did not run the harness on `{name}`: {booted.said[-500:].strip()}")
    read = [replies.take(2) for _ in msrs]
    values = {msr.name: known(64, value) for msr, (there, value) in zip(msrs, read, strict=True) if there}
    cpuid = {leaf: replies.take(4) for leaf in leaves}
    facts = _facts(database, cpuid)
    for fact in probed:
        facts[fact] = known(database.facts[fact].width, replies.take(1)[0])
    failed, *host = replies.take(HOST_WORDS)
    if failed:
        raise VmcscError(f"VMXON failed on `{name}`")
    there = replies.take(len(encodings))
    fields = frozenset(field for field, one in zip(encodings, there, strict=True) if one)
    origins = dict.fromkeys([*values, *facts], _ORIGIN)
    cpu = Cpu(f"bochs_{name}", f"{name} of Bochs", values, facts, origins)
    return Model(name, cpu, fields, dict(zip(HOST, host, strict=True)), witness)


def _leaves(database: Database) -> list[tuple[int, int]]:
    """What has to be asked, first how far basic and extended leaves go."""
    asked = {(c.leaf, c.subleaf or 0): None for fact in database.facts.values() if (c := fact.cpuid) is not None}
    return list(dict.fromkeys([*((leaf & 1 << 31, 0) for leaf, _ in asked), *asked]))


def _facts(database: Database, cpuid: Mapping[tuple[int, int], Sequence[int]]) -> dict[str, Value]:
    return {
        fact.name: known(fact.width, _answer(fact, cpuid)) for fact in database.facts.values() if fact.cpuid is not None
    }


def _answer(fact: Fact, cpuid: Mapping[tuple[int, int], Sequence[int]]) -> int:
    """The bits of a fact; 0 where the processor does not have the leaf."""
    place = fact.cpuid
    assert place is not None
    if place.leaf > cpuid[place.leaf & 1 << 31, 0][0]:
        return 0
    register = cpuid[place.leaf, place.subleaf or 0][_REGISTERS.index(place.register)]
    return register >> place.low & (1 << place.high - place.low + 1) - 1
