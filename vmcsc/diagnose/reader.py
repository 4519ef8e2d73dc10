"""Lines to dumps: which section a line belongs to, where a dump begins and ends, and what was not understood.

Labels repeat, so that the section decides what a number is. Where the beginning of a dump is cut off, the first line
that only one section can have tells the section of those before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmcsc.architecture.database import Database
from vmcsc.architecture.dumps import WORD, Dumps, Form, Piece, Section, dumps_of
from vmcsc.diagnose.dump import Dump, Event
from vmcsc.diagnose.match import Match, blanks, first_match
from vmcsc.diagnose.take import event_of, take
from vmcsc.source import Source, Span

MAX_GAP = 60
"""Lines in a row of which none is understood after which a dump is over."""

MAX_WAIT = 4
"""Lines that a line waits for its other half."""

MAX_PENDING = 100
"""Lines whose section is not known yet."""

_Place = tuple[Source, int, int]


class Reader:
    """Reads the lines of one stream of messages. `finished` are the dumps that are over, `events` the messages."""

    def __init__(self, database: Database) -> None:
        self.finished: list[Dump] = []
        self.events: list[Event] = []
        self._db = database
        self._dumps: Dumps = dumps_of(database)
        self._dump: Dump | None = None
        self._section: Section | None = None
        self._era = ""
        self._list = ""
        self._gap = 0
        self._doubtful: list[Span] = []
        self._pending: list[_Place] = []
        self._half: tuple[Source, str, int] | None = None

    @property
    def reading(self) -> bool:
        """Whether a dump is not over yet."""
        return self._dump is not None

    def line(self, source: Source) -> None:
        """Take the next line."""
        text = source.text
        if self._joined(text):
            return
        if ("***" in text and self._heading(text, source)) or self._pieces(text, source):
            self._gap = 0
            return
        self._gap += 1
        if self._dump is not None:
            self._doubtful.append(source.span(0, len(text)))
            if self._gap > MAX_GAP:
                self.end()

    def end(self) -> None:
        """The text is over, or another dump begins."""
        self._give_up_half()
        dump, self._dump = self._dump, None
        if dump is not None:
            for source, start, end in self._pending:
                dump.find_strange(source.span(start, end))
            if dump.fields or dump.headed:
                self.finished.append(dump)
        self._section, self._era, self._list, self._gap = None, "", "", 0
        self._doubtful, self._pending = [], []

    # --- where a dump and its sections begin ---

    def _heading(self, text: str, source: Source) -> bool:
        plain = "".join(text.split())
        for form in self._dumps.forms:
            for section in form.sections:
                if section.heading and section.heading in plain:
                    before = self._section
                    if before is None and self._dump is not None and self._dump.form is form and section.number:
                        before = form.sections[section.number - 1]
                        self._settle(before)
                    fresh = self._dump is not None and not self._dump.fields and before is None
                    if not fresh and (before is None or self._dump is None or section.number <= before.number):
                        self._begin(form, source)
                    assert self._dump is not None
                    self._dump.headed = True
                    self._understood(source)
                    self._section = section
                    return True
        return False

    def _begin(self, form: Form, source: Source) -> None:
        self.end()
        self._dump = Dump(form, source.first_line)

    def _settle(self, section: Section) -> None:
        """The section of the lines so far is known now."""
        pending, self._pending, self._section = self._pending, [], section
        for place in pending:
            found = self._fits(place[0].text, place[1])
            if found is not None and found.complete:
                self._take(found, place)

    # --- pieces ---

    def _pieces(self, text: str, source: Source) -> bool:
        """Take all pieces of the line from the first that there is on; whether there is one."""
        for word in WORD.finditer(text):
            found = self._fits(text, word.start(), word[0])
            if found is None:
                continue
            if found.complete:
                self._take(found, (source, word.start(), found.end))
                self._rest(text, found.end, source)
            elif self._dump is not None or found.found:
                self._understood(source)
                self._wait(source, text[word.start() :])
            else:
                continue
            return True
        return False

    def _rest(self, text: str, position: int, source: Source) -> None:
        """What a line has behind a piece: further pieces, the first half of one, or something else."""
        while True:
            position = blanks(text, position)
            while text[position : position + 1] == ",":
                position = blanks(text, position + 1)
            word = WORD.match(text, position)
            found = None if word is None else self._fits(text, position, word[0])
            if found is None or not found.complete:
                break
            self._take(found, (source, position, found.end))
            position = found.end
        rest = text[position:]
        if found is not None or (rest and self._begins_like(rest)):
            self._wait(source, rest)
        elif any(character.isalnum() for character in rest) and self._dump is not None:
            self._dump.find_strange(source.span(position, len(text)))

    def _fits(self, text: str, start: int, word: str | None = None) -> Match | None:
        """The piece that the text has at `start`, by the section, or else by what it can be at all."""
        if word is None:
            found = WORD.match(text, start)
            word = "" if found is None else found[0]
        best: Match | None = None
        for pieces in self._candidates(word):
            fits = first_match([one for one in pieces if one.era in ("", self._era)], text, start)
            if fits is not None and (fits.complete or best is None):
                best = fits
                if fits.complete:
                    break
        return best

    def _candidates(self, word: str) -> Iterator[Sequence[Piece]]:
        """Pieces that begin with the word, the likelier ones first."""
        form = None if self._dump is None else self._dump.form
        if self._section is not None:
            yield self._section.pieces.get(word, ())
            assert form is not None
            for section in form.sections[self._section.number + 1 :]:
                yield self._only(section, form, word)
        elif form is not None:
            for section in form.sections:
                yield section.pieces.get(word, ())
        for one in self._dumps.forms:
            yield one.begins.get(word, ())
        yield self._dumps.events.get(word, ())
        if form is None:
            for one in self._dumps.forms:
                for section in one.sections:
                    yield section.pieces.get(word, ())

    def _only(self, section: Section, form: Form, word: str) -> Sequence[Piece]:
        """Pieces of a later section, whose heading may be missing, that no other section has."""
        others = {piece.parts[0][0] for other in form.sections if other is not section
                  for piece in other.pieces.get(word, ())}  # fmt: skip
        return [piece for piece in section.pieces.get(word, ()) if piece.parts[0][0] not in others]

    def _begins_like(self, rest: str) -> bool:
        """Whether a piece of the section may begin with the end of the line."""
        return self._section is not None and any(first.startswith(rest) for first in self._section.pieces)

    # --- a line that goes on in the next one ---

    def _wait(self, source: Source, half: str) -> None:
        """The line ends within a piece; the next one may go on with it."""
        self._give_up_half()
        self._half = (source, half, 0)

    def _joined(self, text: str) -> bool:
        """Whether the text is the other half of a line before it."""
        if self._half is None:
            return False
        source, half, waited = self._half
        onward = text.lstrip()
        for joined in (f"{half} {onward}", f"{half}{onward}"):
            word = WORD.match(joined)
            found = None if word is None else self._fits(joined, 0, word[0])
            if found is None or not (found.complete or found.cut):
                continue
            whole = Source(source.name, joined, first_line=source.first_line)
            self._half = None
            if found.complete:
                self._take(found, (whole, 0, found.end))
                self._rest(joined, found.end, whole)
            else:
                self._wait(whole, joined)
            self._gap = 0
            return True
        if waited >= MAX_WAIT:
            self._give_up_half()
        else:
            self._half = (source, half, waited + 1)
        return False

    def _give_up_half(self) -> None:
        """The other half did not come: what is there of the line counts, and what is missing is said."""
        if self._half is None:
            return
        source, half, _ = self._half
        self._half = None
        word = WORD.match(half)
        found = None if word is None else self._fits(half, 0, word[0])
        if self._dump is None:
            return
        if found is not None and found.found and self._section is not None:
            take(self._dump, found, source, self._db, self._list)
        self._dump.find_strange(source.span(0, len(source.text)))

    # --- taking what a piece tells ---

    def _take(self, found: Match, place: _Place) -> None:
        piece = found.piece
        source = place[0]
        if piece.means:
            self.events.append(event_of(piece.means, piece.says, found, source, self._dumps))
            return
        for form in self._dumps.forms:
            if any(piece is one for one in form.begins.get(piece.first, ())):
                self._begin(form, source)
                self._understood(source)
                if len(form.sections) == 1:
                    self._section = form.sections[0]
                return
        homes = list(self._homes(found.piece.first, place))
        self._place(found, place, homes)

    def _homes(self, word: str, place: _Place) -> Iterator[tuple[Form, Section]]:
        """The sections that have a piece for the text at the place."""
        source, start, _ = place
        for form in self._dumps.forms:
            for section in form.sections:
                found = first_match(section.pieces.get(word, ()), source.text, start)
                if found is not None and found.complete:
                    yield form, section

    def _place(self, found: Match, place: _Place, homes: Sequence[tuple[Form, Section]]) -> None:
        """Take a piece that sections have, in the one that is read or becomes known by it."""
        source = place[0]
        if self._dump is None:
            self._begin(homes[0][0], source)
        assert self._dump is not None
        own = [section for form, section in homes if form is self._dump.form]
        if self._section not in own:
            if len(own) != 1:
                if len(self._pending) < MAX_PENDING:
                    self._pending.append(place)
                return
            self._settle(own[0])
        self._understood(source)
        self._era = found.piece.tells or self._era
        if found.piece.list:
            self._list = found.piece.list
        take(self._dump, found, source, self._db, self._list)

    def _understood(self, source: Source) -> None:
        """What was not understood since the line before belongs to the dump too."""
        assert self._dump is not None or not self._doubtful
        if self._dump is not None:
            for span in self._doubtful:
                self._dump.find_strange(span)
            self._dump.last_line = max(self._dump.last_line, source.first_line)
        self._doubtful = []
