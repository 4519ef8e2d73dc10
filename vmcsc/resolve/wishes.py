"""What the policy wants of each control on one processor: the statements whose conditions hold, weighed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.expression.evaluate import Reader, evaluate
from vmcsc.expression.nodes import Node
from vmcsc.policy.model import POSITIVE, Stance
from vmcsc.records import dataclass, field

_MASKS = {"require": "required", "prefer": "preferred", "forbid": "forbidden", "avoid": "avoided", "allow": "allowed"}


@dataclass(slots=True)
class WordWishes:
    """Masks of one control word.

    `maybe` has the masks of statements of which nobody knows whether they hold; `unsettled` are bits that such a
    statement could turn to 1.
    """

    required: int = 0
    preferred: int = 0
    forbidden: int = 0
    avoided: int = 0
    allowed: int = 0
    unsettled: int = 0
    maybe: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_MASKS, 0))
    stances: dict[int, Stance] = field(default_factory=dict)

    def set(self, stance: Stance) -> None:
        """Take up a stance on a control; the strongest of several is kept for messages."""
        name = _MASKS[stance.verb]
        setattr(self, name, getattr(self, name) | stance.control.mask)
        known = self.stances.get(stance.control.bit)
        order = ("require", "forbid", "prefer", "avoid", "allow")
        if known is None or order.index(stance.verb) < order.index(known.verb):
            self.stances[stance.control.bit] = stance


def holds(condition: Node | None, read: Reader) -> bool | None:
    return True if condition is None else evaluate(condition, read).bit(0)


def weigh(
    stances: Iterable[Stance], words: Iterable[str], read: Reader, diagnostics: Diagnostics
) -> Mapping[str, WordWishes]:
    """The wishes for each word; reports statements that both hold here and disagree."""
    wishes = {word: WordWishes() for word in words}
    grouped: dict[str, list[Stance]] = {}
    for stance in stances:
        grouped.setdefault(stance.control.path, []).append(stance)
    for about in grouped.values():
        if len(about) == 1 and about[0].condition is None:  # most of them, and there may be many processors
            wishes[about[0].control.word].set(about[0])
            continue
        held = [(stance, holds(stance.condition, read)) for stance in about]
        certain = [stance for stance, whether in held if whether]
        possible = [stance for stance, whether in held if whether is None]
        control = about[0].control
        _report_disagreement(certain, diagnostics)
        into = wishes[control.word]
        for stance in certain:
            into.set(stance)
        for stance in possible:
            into.maybe[stance.verb] |= control.mask
        if _wants_1(possible) and not _wants_1(certain):
            into.unsettled |= control.mask
    return wishes


def _wants_1(stances: Iterable[Stance]) -> bool:
    """Whether the bit is wanted; without a wish it is 0, as where one asks for 0."""
    return any(stance.verb in POSITIVE for stance in stances)


def _report_disagreement(certain: Iterable[Stance], diagnostics: Diagnostics) -> None:
    """Statements without conditions were compared when the policy was bound; here those with conditions are."""
    earlier: dict[tuple[str, bool], Stance] = {}  # the first of each kind speaks for all of it
    for stance in certain:
        for other in earlier.values():
            if stance.opposes(other) and not (stance.condition is None and other.condition is None):
                name = stance.control.name
                inherited = stance.origin != other.origin
                diagnostics.report(
                    codes.CONDITIONS_DISAGREE,
                    f"`{stance.verb} {name}` and `{other.verb} {name}` both hold here",
                    stance.span,
                    labels=[Label(other.span, "the other one")],
                    help=f"write `override {stance.verb} {name}`"
                    if inherited
                    else "make their conditions exclude each other",
                )
                return
        earlier.setdefault((stance.verb, stance.condition is None), stance)
