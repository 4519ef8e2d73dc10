"""What the policy wants of each control on one processor: the statements whose conditions hold, weighed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.expression.evaluate import Reader, evaluate
from vmcsc.expression.nodes import Node
from vmcsc.policy.model import POSITIVE, Stance


@dataclass(slots=True)
class WordWishes:
    """Masks of one control word. `unsettled` are bits that hang on a condition whose value is unknown."""

    required: int = 0
    preferred: int = 0
    forbidden: int = 0
    avoided: int = 0
    allowed: int = 0
    unsettled: int = 0
    stances: dict[int, Stance] = field(default_factory=dict)

    def set(self, stance: Stance) -> None:
        """Take up a stance on a control; the strongest of several is kept for messages."""
        masks = {
            "require": "required",
            "prefer": "preferred",
            "forbid": "forbidden",
            "avoid": "avoided",
            "allow": "allowed",
        }
        name = masks[stance.verb]
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
        held = [(stance, holds(stance.condition, read)) for stance in about]
        certain = [stance for stance, whether in held if whether]
        possible = [stance for stance, whether in held if whether is None]
        control = about[0].control
        _report_disagreement(certain, diagnostics)
        into = wishes[control.word]
        for stance in certain:
            into.set(stance)
        if any(_polarity([*certain, stance]) != _polarity(certain) for stance in possible):
            into.unsettled |= control.mask
    return wishes


def _polarity(stances: Sequence[Stance]) -> int:
    """1 where the bit is wanted, 0 where it is not (which is also what it is by default)."""
    return int(any(stance.verb in POSITIVE for stance in stances))


def _report_disagreement(certain: Sequence[Stance], diagnostics: Diagnostics) -> None:
    """Statements without conditions were compared when the policy was bound; here those with conditions are."""
    for index, stance in enumerate(certain):
        for other in certain[:index]:
            if stance.opposes(other) and not (stance.condition is None and other.condition is None):
                name = stance.control.name
                inherited = stance.origin != other.origin
                diagnostics.report(
                    codes.CONDITIONS_DISAGREE,
                    f"`{stance.verb} {name}` and `{other.verb} {name}` both hold here",
                    stance.span,
                    labels=[Label(other.span, "the other one")],
                    help=f"write `override {stance.verb} {name}`" if inherited else "make their conditions exclude each other",
                )
                return
