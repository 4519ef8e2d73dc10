"""What the specs tell the harness that runs entries and scenarios on an emulator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.architecture.operation import last_of_kind
from vmcsc.records import dataclass


@dataclass(frozen=True, slots=True)
class Host:
    """A host that the harness can be. `state` is its host state, `fields` says which of the harness's values a field of
    it holds, `needed` are the fields that bring an exit back to it."""

    state: str
    fields: Mapping[str, str]
    needed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Emulator:
    """Names of the specs, by what they are for.

    `models` are the CPU models that have VMX, `usual` is one of them. `revision` and `fixed` are MSRs: that of the
    revision identifier, and those of the bits of CR0 and CR4 that are fixed. `hosts` are what the harness can be,
    by their width in bits. `error` and `report` are fields that tell how an entry ended.

    Of scenarios: `marker` and `woken` are exit reasons, that of the instruction behind each of the guest's, and that of
    a guest that does nothing. `activity` is the field of its activity state, `registers` are registers and the guest's
    fields for them. `runs` is the condition under which a guest runs the code, `scaled` one under which its time is
    scaled; `clock` and `unforeseen` are instructions that read the time or what a model has. `events` can be brought
    about there; `opens` are instructions that may unmask interrupts.
    """

    models: tuple[str, ...]
    usual: str
    revision: str
    fixed: tuple[str, ...]
    hosts: Mapping[int, Host]
    error: str
    report: Mapping[str, str]
    marker: str
    woken: str
    activity: str
    registers: Mapping[str, str]
    runs: str
    clock: frozenset[str]
    scaled: str
    unforeseen: frozenset[str]
    events: frozenset[str]
    opens: frozenset[str]


@lru_cache(maxsize=8)
def emulator_of(database: Database) -> Emulator:
    """What the specs state of the emulator. Raises `ValueError` where no file does."""
    raw = last_of_kind(database, "emulator")
    return Emulator(
        models=tuple(raw["models"]),
        usual=raw["usual"],
        revision=raw["revision"],
        fixed=tuple(raw["fixed"]),
        hosts={
            host["bits"]: Host(host["state"], dict(host["fields"]), frozenset(host["needed"])) for host in raw["hosts"]
        },
        error=raw["error"],
        report=dict(raw["report"]),
        marker=raw["marker"],
        woken=raw["woken"],
        activity=raw["activity"],
        registers=dict(raw["registers"]),
        runs=raw["runs"],
        clock=frozenset(raw["clock"]),
        scaled=raw["scaled"],
        unforeseen=frozenset(raw["unforeseen"]),
        events=frozenset(raw["events"]),
        opens=frozenset(raw["opens"]),
    )
