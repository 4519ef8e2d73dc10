"""How the statements of a policy and of those it extends come together.

Strengthening (`prefer` to `require`) is free; the opposite polarity needs `override`, which takes the place of
everything inherited about that control or field. Under a condition it takes that place where the condition holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TypeVar

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.expression.nodes import Constant, Invert, Node, Operation
from vmcsc.policy.model import NEGATIVE, POSITIVE, STRONG, Assignment, Painting, Stance, TakenState
from vmcsc.records import dataclass, replace
from vmcsc.source import Span

_NEVER = Constant(1, 0)
_Said = TypeVar("_Said", Stance, Assignment, Painting, TakenState)


@dataclass(frozen=True, slots=True)
class Override:
    """Where `condition` holds, the policy `origin` replaces what it inherits about `thing`."""

    thing: str
    origin: str
    condition: Node | None
    span: Span


def compose_stances(
    stances: Sequence[Stance], origins: Sequence[str], database: Database, diagnostics: Diagnostics
) -> tuple[Stance, ...]:
    """The stances that remain after overriding, with those implied, or findings where they contradict each other.

    `origins` are the policies in the order in which they take effect.
    """
    overrides = [Override(s.control.path, s.origin, s.condition, s.span) for s in stances if s.override]
    remaining = survivors(stances, lambda stance: stance.control.path, overrides, origins, diagnostics)
    earlier: dict[str, dict[tuple[str, str], Stance]] = {}
    for stance in remaining:
        if stance.condition is None:  # under conditions only resolution knows whether both hold
            about = earlier.setdefault(stance.control.path, {})
            _compare_with_earlier(stance, about.values(), diagnostics)
            about.setdefault((stance.verb, stance.origin), stance)  # which speaks for all that say the same
    return (*remaining, *_implied(remaining, database))


def compose_paintings(
    paintings: Sequence[Painting], overrides: Sequence[Override], origins: Sequence[str], diagnostics: Diagnostics
) -> tuple[Painting, ...]:
    """The paintings that remain after overriding whole blocks."""
    return tuple(survivors(paintings, lambda painting: painting.bitmap.name, overrides, origins, diagnostics))


def survivors(
    said: Sequence[_Said],
    thing: Callable[[_Said], str],
    overrides: Sequence[Override],
    origins: Sequence[str],
    diagnostics: Diagnostics,
) -> list[_Said]:
    """What remains of `said`, each under the condition that nothing which inherits it overrides it."""
    rank = {origin: number for number, origin in enumerate(origins)}
    earliest: dict[str, int] = {}
    for item in said:
        earliest[thing(item)] = min(rank[item.origin], earliest.get(thing(item), len(rank)))
    by_thing: dict[str, list[Override]] = {}
    for override in overrides:
        by_thing.setdefault(override.thing, []).append(override)
        if earliest.get(override.thing, len(rank)) >= rank[override.origin]:
            name = override.thing.rpartition(".")[2]
            message = f"nothing about `{name}` is inherited, so there is nothing to override"
            diagnostics.report(codes.NOTHING_TO_OVERRIDE, message, override.span, help="leave `override` out")

    @cache
    def outside(name: str, own: int) -> Node | None:
        """The condition under which nobody behind policy number `own` overrides what it says of `name`."""
        conditions = [o.condition for o in by_thing.get(name, ()) if rank[o.origin] > own]
        known = [condition for condition in conditions if condition is not None]
        if len(known) < len(conditions):
            return _NEVER
        return Invert(1, any_of(known)) if known else None

    remaining = []
    for item in said:
        allowed = outside(thing(item), rank[item.origin])
        if allowed is None:
            remaining.append(item)
        elif allowed is not _NEVER:
            both = allowed if item.condition is None else Operation(1, "&", item.condition, allowed)
            remaining.append(replace(item, condition=both))
    return remaining


def any_of(conditions: Sequence[Node]) -> Node:
    """Whether one of them holds; a balanced tree, since there may be many."""
    if len(conditions) == 1:
        return conditions[0]
    middle = len(conditions) // 2
    return Operation(1, "|", any_of(conditions[:middle]), any_of(conditions[middle:]))


def _compare_with_earlier(stance: Stance, earlier: Iterable[Stance], diagnostics: Diagnostics) -> None:
    """Report what contradicts, repeats or weakens an earlier stance on the same control, at most once."""
    for other in earlier:
        label = Label(
            other.span, f"`{other.verb}` here" + ("" if other.origin == stance.origin else f" in `{other.origin}`")
        )
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
    assignments: Sequence[Assignment],
    paintings: Sequence[Painting],
    origins: Sequence[str],
    diagnostics: Diagnostics,
) -> tuple[Assignment, ...]:
    """The assignments that remain after overriding, or findings where a field gets two values."""
    painted = _painted_fields(paintings)
    overrides = [Override(a.field.name, a.origin, a.condition, a.span) for a in assignments if a.override]
    remaining = survivors(assignments, lambda assignment: assignment.field.name, overrides, origins, diagnostics)
    unconditional: dict[str, Assignment] = {}
    for assignment in remaining:
        name = assignment.field.name
        twin = unconditional.get(name)
        if twin is not None and assignment.condition is None:
            _report_twice(assignment, twin, diagnostics)
        elif name in painted:
            diagnostics.report(
                codes.ASSIGNED_TWICE,
                f"`{name}` gets its value from a block",
                assignment.span,
                labels=[Label(painted[name], "intercepted or passed here")],
                help="remove the assignment, or the block",
            )
        if assignment.condition is None:
            unconditional.setdefault(name, assignment)
    return tuple(remaining)


def _painted_fields(paintings: Sequence[Painting]) -> Mapping[str, Span]:
    """The fields that bitmaps give a value, and where one does."""
    painted: dict[str, Span] = {}
    for painting in paintings:
        qualified = painting.bitmap.qualified
        for name in painting.bitmap.fields + (() if qualified is None else (qualified.mask, qualified.match)):
            painted[name] = painting.span
    return painted


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
