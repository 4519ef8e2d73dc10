"""A piece of text against a line: the numbers in it, as far as they are there."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vmcsc.architecture.dumps import Piece, Slot
from vmcsc.records import dataclass

_HEX = re.compile(r"[ \t]*(?:0[xX])?([0-9a-fA-F]{1,16})(?![0-9a-fA-F])")
_DECIMAL = re.compile(r"[ \t]*([0-9]{1,10})(?![0-9])")
_BLANKS = re.compile(r"[ \t]*")
_RUN = re.compile(r"[ \t]*(\S{0,200})")
_UNFINISHED = re.compile(r"[ \t]*(?:0[xX]?)?[0-9a-fA-F]{0,16}[ \t]*\Z")


@dataclass(frozen=True, slots=True)
class Found:
    """A number or text in a line: its slot, and where it stands."""

    slot: Slot
    text: str
    start: int
    end: int

    @property
    def number(self) -> int:
        """Raises `ValueError` for a text."""
        return int(self.text, 10 if self.slot.digits == 0 else 16)


@dataclass(frozen=True, slots=True)
class Match:
    """How far a piece fits a line: what was `found`, the `end`, and whether that is all of the piece (`complete`).

    `cut`: the line ends in the middle of the piece, which may go on in the next one.
    """

    piece: Piece
    found: tuple[Found, ...]
    end: int
    complete: bool
    cut: bool = False


def match(piece: Piece, text: str, start: int) -> Match | None:
    """Fit `piece` to `text` from `start` on; None where not even its beginning is there."""
    found: list[Found] = []
    position = start
    for number, (literal, slot) in enumerate(piece.parts):
        after = _literal(literal, text, position)
        if after is None:
            cut = _ends_within(literal, text, position)
            return Match(piece, tuple(found), position, False, cut) if found or cut else None
        position = after
        if slot is None:
            break
        taken = _slot(slot, text, position, piece.parts[number + 1][0])
        if taken is None:
            cut = _UNFINISHED.match(text, position) is not None
            return Match(piece, tuple(found), position, False, cut) if found or cut else None
        found.append(taken)
        position = taken.end
    return Match(piece, tuple(found), position, True)


def first_match(pieces: Sequence[Piece], text: str, start: int) -> Match | None:
    """The first of `pieces` that fits wholly, else the one of which most is there before the line ends, if any."""
    best = None
    for piece in pieces:
        fits = match(piece, text, start)
        if fits is None:
            continue
        if fits.complete:
            return fits
        if fits.cut and (best is None or len(fits.found) > len(best.found)):
            best = fits
    return best


def _literal(literal: str, text: str, position: int) -> int | None:
    """Where `literal` ends that begins at `position`, blanks aside."""
    for character in literal:
        while position < len(text) and text[position] in " \t":
            position += 1
        if position >= len(text) or text[position] != character:
            return None
        position += 1
    return position


def _ends_within(literal: str, text: str, position: int) -> bool:
    """Whether the text ends before `literal` does, and is alike so far."""
    rest = "".join(text[position : position + 200].split())
    return len(rest) < len(literal) and literal.startswith(rest) and len(text) - position <= 200


def _slot(slot: Slot, text: str, position: int, following: str) -> Found | None:
    if slot.digits < 0:
        return _run(slot, text, position, following)
    number = (_DECIMAL if slot.digits == 0 else _HEX).match(text, position)
    if number is None or len(number[1]) < slot.digits:
        return None
    if slot.high is not None and len(number[1]) > max(slot.digits, (slot.high - slot.low) // 4 + 1):
        return None
    behind = text[number.end() : number.end() + 1]
    if not following and (behind.isalnum() or behind == "_"):
        return None
    return Found(slot, number[1], number.start(1), number.end())


def _run(slot: Slot, text: str, position: int, following: str) -> Found | None:
    """Any text without blanks, up to what follows; None where there is none."""
    run = _RUN.match(text, position)
    assert run is not None
    length = run[1].find(following[0]) if following else -1
    end = run.end() if length < 0 else run.start(1) + length
    if end == run.start(1):
        return None
    return Found(slot, text[run.start(1) : end], run.start(1), end)


def blanks(text: str, position: int) -> int:
    """Where the blanks from `position` on end."""
    found = _BLANKS.match(text, position)
    assert found is not None
    return found.end()
