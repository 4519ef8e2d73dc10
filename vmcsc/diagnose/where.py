"""Where in a dump one is, and which pieces of text may stand there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from vmcsc.architecture.dumps import WORD, Dumps, Form, Piece, Section
from vmcsc.diagnose.match import Match, first_match
from vmcsc.records import dataclass, field

MARK = "***"
"""What headings begin and end with."""


@dataclass(frozen=True)
class Where:
    """In a dump of `form` (None: in none), in its `section` (None: that is not known), in text of an `era`."""

    dumps: Dumps
    form: Form | None = None
    section: Section | None = None
    era: str = ""
    _others: dict[tuple[str, int, str], Where] = field(default_factory=dict, repr=False, compare=False)

    def at(self, form: Form, section: Section | None = None, era: str = "") -> Where:
        """Another place, always the same object for the same place."""
        key = (form.name, -1 if section is None else section.number, era)
        if key not in self._others:
            self._others[key] = Where(self.dumps, form, section, era, self._others)
        return self._others[key]

    def fits(self, text: str, start: int, word: str | None = None) -> Match | None:
        """The piece that the text has at `start`, where the `word` stands: by the section, or else what it can be at
        all. One that is there in part counts where none is there wholly."""
        if word is None:
            first = WORD.match(text, start)
            word = "" if first is None else first[0]
        pieces = self.pieces.get(word)
        return None if pieces is None else first_match(pieces, text, start)

    @cached_property
    def pieces(self) -> dict[str, list[Piece]]:
        """The pieces that may stand here by the word that they begin with, the likelier ones first."""
        found: dict[str, list[Piece]] = {}
        for word, pieces in self._candidates():
            found.setdefault(word, []).extend(piece for piece in pieces if piece.era in ("", self.era))
        return found

    def homes(self, found: Match, text: str, start: int) -> list[tuple[Form, Section]]:
        """The sections that have a piece for what was found; those of this form if it has any."""
        word = found.piece.first
        if self.form is not None and self.section is not None and found.piece in self.section.pieces.get(word, ()):
            return [(self.form, self.section)]
        homes = []
        for form in self.dumps.forms:
            for section in form.sections:
                fits = first_match(section.pieces.get(word, ()), text, start)
                if fits is not None and fits.complete:
                    homes.append((form, section))
        own = [home for home in homes if home[0] is self.form]
        return own or homes

    def heading(self, text: str) -> tuple[Form, Section] | None:
        """The section whose heading the text has."""
        if MARK not in text:
            return None
        plain = "".join(text.split())
        return next((pair for pair in self._headed() if pair[1].heading in plain), None)

    def begin(self, piece: Piece) -> Form | None:
        """The form of which a dump begins with the piece."""
        return next((form for form in self.dumps.forms if piece in form.begins.get(piece.first, ())), None)

    def broken(self, text: str) -> int | None:
        """Where the text ends within a heading, or within the first word of a piece."""
        start = text.find(MARK)
        if start >= 0:
            plain = "".join(text[start:].split())
            return start if any(section.heading.startswith(plain) for _, section in self._headed()) else None
        last = max((word.start() for word in WORD.finditer(text)), default=0)
        return last if self.begins_like(text[last:]) else None

    def begins_like(self, rest: str) -> bool:
        """Whether a piece of the section may begin with the rest of a line."""
        return self.section is not None and any(first.startswith(rest) for first in self.section.pieces)

    def _headed(self) -> Iterator[tuple[Form, Section]]:
        return ((form, section) for form in self.dumps.forms for section in form.sections if section.heading)

    def _candidates(self) -> Iterator[tuple[str, Sequence[Piece]]]:
        if self.form is not None and self.section is not None:
            yield from self.section.pieces.items()
            ahead = self.form.sections[self.section.number :]
            for section in ahead[1:]:
                yield from _alone(section, ahead)
        elif self.form is not None:
            yield from (item for section in self.form.sections for item in section.pieces.items())
        yield from (item for form in self.dumps.forms for item in form.begins.items())
        yield from self.dumps.events.items()
        if self.form is None:
            sections = (section for form in self.dumps.forms for section in form.sections)
            yield from (item for section in sections for item in section.pieces.items())


def _alone(section: Section, ahead: Sequence[Section]) -> Iterator[tuple[str, Sequence[Piece]]]:
    """Pieces that no other section from here on has, so that they tell the section where its heading is missing."""
    for word, pieces in section.pieces.items():
        others = {one.parts[0][0] for other in ahead if other is not section
                  for one in other.pieces.get(word, ())}  # fmt: skip
        yield word, [piece for piece in pieces if piece.parts[0][0] not in others]
