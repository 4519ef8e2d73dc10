"""The states that a policy takes: which of them remain, and what they give the fields of which it says nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.expression.nodes import Constant, Invert, Node, Operation
from vmcsc.policy.compose import Override, any_of, survivors
from vmcsc.policy.model import Assignment, Stance, TakenState
from vmcsc.records import replace

_ALWAYS = Constant(1, 1)


def compose_states(
    states: Sequence[TakenState], origins: Sequence[str], diagnostics: Diagnostics
) -> tuple[TakenState, ...]:
    """The states that remain after overriding, or findings where an area has two.

    `origins` are the policies in the order in which they take effect.
    """
    overrides = [Override(s.state.area, s.origin, s.condition, s.span) for s in states if s.override]
    remaining = survivors(states, lambda taken: taken.state.area, overrides, origins, diagnostics)
    always: dict[str, TakenState] = {}
    kept = []
    for taken in remaining:
        twin = always.get(taken.state.area)
        if twin is not None and taken.condition is None:
            if taken.state is not twin.state or taken.origin == twin.origin:
                _report_second(taken, twin, diagnostics)
            continue
        if taken.condition is None:
            always[taken.state.area] = taken
        kept.append(taken)
    return tuple(kept)


def _report_second(taken: TakenState, twin: TakenState, diagnostics: Diagnostics) -> None:
    inherited = taken.origin != twin.origin
    message = f"the {taken.state.area.replace('_', ' ')} is already `{twin.state.name}`"
    if inherited:
        message += f", inherited from `{twin.origin}`"
    diagnostics.report(
        codes.NEEDS_OVERRIDE if inherited else codes.ASSIGNED_TWICE,
        message,
        taken.span,
        labels=[Label(twin.span, "taken here first")],
        help=f"write `override {taken.span.text}`" if inherited else "keep one of them",
    )


def state_assignments(
    states: Sequence[TakenState], said: Sequence[Assignment], database: Database
) -> Iterator[Assignment]:
    """The values that states give to fields, each where the policy itself (`said`) gives none."""
    own: dict[str, list[Node]] = {}
    for assignment in said:
        own.setdefault(assignment.field.name, []).append(assignment.condition or _ALWAYS)
    for taken in states:
        for name, value in taken.state.values.items():
            conditions = own.get(name, [])
            if _ALWAYS in conditions:
                continue
            condition = taken.condition
            if conditions:
                condition = _both(condition, Invert(1, any_of(conditions)))
            yield Assignment(database.fields[name], value, condition, taken.span, taken.origin, state=taken.state.name)


def implied_by_states(states: Sequence[TakenState], spoken_of: set[str], database: Database) -> Iterator[Stance]:
    """A state asks for the settings of controls that it needs, unless the policy speaks of those itself."""
    for taken in states:
        for path, setting in taken.state.controls.items():
            if path in spoken_of:
                continue
            control = database.controls[path]
            verb = "require" if setting else "forbid"
            stance = Stance(verb, control, taken.condition, taken.span, taken.origin, implied=True)
            yield stance
            activators = database.activators(database.words[control.word]) if setting else ()
            yield from (replace(stance, control=one) for one in activators if one.path not in spoken_of)


def _both(first: Node | None, second: Node) -> Node:
    return second if first is None else Operation(1, "&", first, second)
