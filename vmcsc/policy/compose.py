"""How the statements of a policy and of those it extends come together.

Strengthening (`prefer` to `require`) is free; the opposite polarity needs `override`, which takes the place of
everything inherited about that control or field. Under a condition it takes that place where the condition holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.expression.nodes import Constant, Invert, Node, Operation
from vmcsc.policy.model import NEGATIVE, POSITIVE, STRONG, Assignment, Painting, Stance

_NEVER = Constant(1, 0)


def compose_stances(stances: Sequence[Stance], database: Database, diagnostics: Diagnostics) -> tuple[Stance, ...]:
    """The stances that remain after overriding, with those implied, or findings where they contradict each other."""
    remaining: list[Stance] = []
    for stance in stances:
        if stance.override:
            inherited = [s for s in remaining if s.control is stance.control and s.origin != stance.origin]
            if not inherited:
                message = f"nothing about `{stance.control.name}` is inherited, so there is nothing to override"
                diagnostics.report(codes.NOTHING_TO_OVERRIDE, message, stance.span, help="leave `override` out")
            remaining = [_overridden(s, stance) if s in inherited else s for s in remaining]
        remaining.append(stance)
    remaining = [stance for stance in remaining if stance.condition is not _NEVER]
    for index, stance in enumerate(remaining):
        _compare_with_earlier(stance, remaining[:index], diagnostics)
    return (*remaining, *_implied(remaining, database))


def _overridden(inherited: Stance, by: Stance) -> Stance:
    return replace(inherited, condition=_except_where(inherited.condition, by.condition))


def _except_where(condition: Node | None, exception: Node | None) -> Node:
    """`condition` but not where `exception` holds."""
    if exception is None:
        return _NEVER
    outside = Invert(1, exception)
    return outside if condition is None else Operation(1, "&", condition, outside)


def _compare_with_earlier(stance: Stance, earlier: Iterable[Stance], diagnostics: Diagnostics) -> None:
    """Report what contradicts, repeats or weakens an earlier stance on the same control, at most once."""
    for other in earlier:
        if other.control is not stance.control or other.condition is not None or stance.condition is not None:
            continue  # under conditions only resolution knows whether both hold
        label = Label(other.span, f"`{other.verb}` here" + ("" if other.origin == stance.origin else f" in `{other.origin}`"))
        name = stance.control.name
        if stance.opposes(other):
            inherited = other.origin != stance.origin
            code = codes.NEEDS_OVERRIDE if inherited else codes.CONFLICTING_STANCES
            message = f"`{stance.verb} {name}` contradicts `{other.verb} {name}`"
            if inherited:
                message += f", inherited from `{other.origin}`"
            help = f"write `override {stance.verb} {name}`" if inherited else "keep one of them"
            diagnostics.report(code, message, stance.span, labels=[label], help=help)
            return
        if stance.verb == other.verb and stance.origin == other.origin:
            diagnostics.report(codes.REPEATED, f"`{stance.verb} {name}` is said twice", stance.span, labels=[label])
            return
        if _weaker(stance, other) and stance.origin != other.origin:
            message = f"`{stance.verb} {name}` has no effect: `{other.verb}` is inherited from `{other.origin}`"
            help = f"write `override {stance.verb} {name}` to weaken it"
            diagnostics.report(codes.WEAKER, message, stance.span, labels=[label], help=help)
            return


def _weaker(stance: Stance, other: Stance) -> bool:
    same = {stance.verb, other.verb} <= POSITIVE or {stance.verb, other.verb} <= NEGATIVE
    return same and other.verb in STRONG and stance.verb not in STRONG


def _implied(stances: Sequence[Stance], database: Database) -> list[Stance]:
    """Asking for a control asks for the ones that activate its word, unless the policy speaks of those itself."""
    spoken_of = {stance.control.path for stance in stances}
    implied: list[Stance] = []
    for stance in stances:
        if stance.verb in POSITIVE:
            implied.extend(
                replace(stance, control=activator, override=False, implied=True)
                for activator in database.activators(database.words[stance.control.word])
                if activator.path not in spoken_of
            )
    return implied


def compose_assignments(
    assignments: Sequence[Assignment], paintings: Sequence[Painting], diagnostics: Diagnostics
) -> tuple[Assignment, ...]:
    """The assignments that remain after overriding, or findings where a field gets two values."""
    painted = {name: p.span for p in paintings for name in _fields_of(p)}
    remaining: list[Assignment] = []
    for assignment in assignments:
        if assignment.override:
            remaining = _override_assignment(assignment, remaining, diagnostics)
        twin = next((a for a in remaining if a.field is assignment.field and _clash(a, assignment)), None)
        if twin is not None:
            _report_twice(assignment, twin, diagnostics)
        elif assignment.field.name in painted:
            diagnostics.report(
                codes.ASSIGNED_TWICE,
                f"`{assignment.field.name}` gets its value from a block",
                assignment.span,
                labels=[Label(painted[assignment.field.name], "intercepted or passed here")],
                help="remove the assignment, or the block",
            )
        remaining.append(assignment)
    return tuple(assignment for assignment in remaining if assignment.condition is not _NEVER)


def _fields_of(painting: Painting) -> tuple[str, ...]:
    qualified = painting.bitmap.qualified
    return painting.bitmap.fields + (() if qualified is None else (qualified.mask, qualified.match))


def _override_assignment(
    assignment: Assignment, remaining: list[Assignment], diagnostics: Diagnostics
) -> list[Assignment]:
    inherited = [a for a in remaining if a.field is assignment.field and a.origin != assignment.origin]
    if not inherited:
        message = f"nothing about `{assignment.field.name}` is inherited, so there is nothing to override"
        diagnostics.report(codes.NOTHING_TO_OVERRIDE, message, assignment.span, help="leave `override` out")
    return [
        replace(a, condition=_except_where(a.condition, assignment.condition)) if a in inherited else a
        for a in remaining
    ]


def _clash(earlier: Assignment, later: Assignment) -> bool:
    """Whether both always hold; under conditions only resolution knows."""
    return earlier.condition is None and later.condition is None


def _report_twice(assignment: Assignment, twin: Assignment, diagnostics: Diagnostics) -> None:
    name = assignment.field.name
    inherited = twin.origin != assignment.origin
    message = f"`{name}` already has a value" + (f", inherited from `{twin.origin}`" if inherited else "")
    diagnostics.report(
        codes.NEEDS_OVERRIDE if inherited else codes.ASSIGNED_TWICE,
        message,
        assignment.span,
        labels=[Label(twin.span, "assigned here first")],
        help=f"write `override {name} = ...`" if inherited else "keep one of them",
    )
