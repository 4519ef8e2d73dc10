"""What a whole state of guest or host is, for `vmcsc explain`."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import plain
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.cli.meaning import Description, Labelled
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.emit_text import emit_text
from vmcsc.policy.states import AREAS, State, known_states, read_state
from vmcsc.resolve.states import unmet_needs

KIND = "state"


def describe_states(word: str, database: Database, cpus: list[Cpu]) -> list[Description]:
    """The states of this name, one at most; upper and lower case and punctuation do not matter."""
    names = [name for name in known_states(database) if plain(name) == plain(word)]
    states = [read_state(name, database, Diagnostics()) for name in names]
    return [_described(state, database, cpus) for state in states if state is not None]


def _described(state: State, database: Database, cpus: list[Cpu]) -> Description:
    area = next(name for name, type in AREAS.items() if type == state.area)
    facts: list[Labelled] = [
        ("title", state.title),
        ("taken by", f"state {area} {state.name} {{ }}"),
        ("needs", [emit_text(node) for node in state.needs]),
        ("controls", [f"{path} = {int(setting)}" for path, setting in state.controls.items()]),
    ]
    fields = [("", name, emit_text(node)) for name, node in state.values.items()]
    described = [(label, value) for label, value in facts if value]
    return Description(KIND, state.name, described, [state.summary], fields, tuple(_on(state, database, cpus)))


def _on(state: State, database: Database, cpus: list[Cpu]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Which processors can have the state, which cannot, and of which nobody knows."""
    found: dict[str, list[str]] = {"possible": [], "not possible": [], "unknown": []}
    for cpu in cpus:
        unmet = [met for _, met in unmet_needs(state.needs, Capabilities(database, cpu))]
        found["not possible" if False in unmet else "unknown" if unmet else "possible"].append(cpu.name)
    return ((what, tuple(names)) for what, names in found.items() if names)
