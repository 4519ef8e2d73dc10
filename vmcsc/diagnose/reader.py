"""Lines to dumps: where a dump and its sections begin and end, and what was not understood.

Labels repeat, so that the section decides what a number is. Where the beginning of a dump is cut off, the first line
that only one section can have tells the section of those before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmcsc.architecture.database import Database
from vmcsc.architecture.dumps import WORD, Form, Section
from vmcsc.diagnose.dump import Dump, Event
from vmcsc.diagnose.match import Match, blanks
from vmcsc.diagnose.take import event_of, take
from vmcsc.diagnose.where import MARK, Where
from vmcsc.records import dataclass
from vmcsc.source import Source, Span

MAX_GAP = 60
"""Lines in a row of which none is understood after which a dump is over."""

MAX_WAIT = 4
"""Lines that a line waits for its other half."""

MAX_PENDING = 100
"""Lines whose section is not known yet."""

_Place = tuple[Source, int, int]


@dataclass(slots=True)
class _Half:
    """The end of a line that may go on in the next one. `span`: what of it is not understood unless it does; None where
    that is noted already."""

    source: Source
    text: str
    span: Span | None
    waited: int = 0


class Reader:
    """Reads the lines of one stream of messages. `finished` are the dumps that are over, `events` the messages.

    `nowhere` is the place outside of all dumps, which readers of one log share.
    """

    def __init__(self, database: Database, nowhere: Where) -> None:
        self.finished: list[Dump] = []
        self.events: list[Event] = []
        self._db = database
        self._nowhere = self._where = nowhere
        self._dump: Dump | None = None
        self._list = ""
        self._gap = 0
        self._doubtful: list[Span] = []
        self._pending: list[_Place] = []
        self._half: _Half | None = None

    @property
    def reading(self) -> bool:
        """Whether a dump is not over yet."""
        return self._dump is not None

    def line(self, source: Source) -> None:
        """Take the next line."""
        if self._half is not None and self._joined(self._half, source.text):
            return
        if self._heading(source.text, source) or self._pieces(source.text, source):
            self._gap = 0
            return
        self._gap += 1
        if self._dump is not None:
            self._doubtful.append(source.span(0, len(source.text)))
            broken = self._where.broken(source.text)
            if broken is not None:
                self._half = _Half(source, source.text[broken:], None)
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
        self._where, self._list, self._gap = self._nowhere, "", 0
        self._doubtful, self._pending = [], []

    # --- where a dump and its sections begin ---

    def _heading(self, text: str, source: Source) -> bool:
        """Enter the section whose heading the text is; whether it is one."""
        found = self._where.heading(text)
        if found is None:
            return False
        form, section = found
        here, dump = self._where, self._dump
        if here.section is None and here.form is form and section.number:
            self._settle(form.sections[section.number - 1])
            here = self._where
        fresh = dump is not None and not dump.fields and here.section is None
        if dump is None or (not fresh and (here.section is None or section.number <= here.section.number)):
            dump = self._begin(form, source)
        self._understood(source)
        self._where = self._where.at(form, section, self._where.era)
        dump.headed = True
        return True

    def _begin(self, form: Form, source: Source) -> Dump:
        self.end()
        self._dump = Dump(form, source.first_line)
        self._where = self._nowhere.at(form)
        return self._dump

    def _settle(self, section: Section) -> None:
        """The section of the lines so far is known now."""
        pending, self._pending = self._pending, []
        assert self._where.form is not None
        self._where = self._where.at(self._where.form, section, self._where.era)
        for place in pending:
            found = self._where.fits(place[0].text, place[1])
            if found is not None and found.complete:
                self._take(found, place)

    # --- pieces ---

    def _pieces(self, text: str, source: Source) -> bool:
        """Take all pieces of the line from the first that there is on; whether there is one."""
        known = self._where.pieces
        for word in WORD.finditer(text):
            if word[0] not in known:
                continue
            found = self._where.fits(text, word.start(), word[0])
            if found is None:
                continue
            if found.complete:
                self._take(found, (source, word.start(), found.end))
                self._rest(text, found.end, source)
            elif self._dump is not None or found.found:
                self._understood(source)
                self._half = _Half(source, text[word.start() :], source.span(0, len(text)))
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
            found = None if word is None else self._where.fits(text, position, word[0])
            if found is None or not found.complete:
                break
            self._take(found, (source, position, found.end))
            position = found.end
        rest = text[position:]
        if found is not None or (rest and self._where.begins_like(rest)):
            self._half = _Half(source, rest, source.span(position, len(text)))
        elif any(character.isalnum() for character in rest) and self._dump is not None:
            self._dump.find_strange(source.span(position, len(text)))

    # --- a line that goes on in the next one ---

    def _joined(self, half: _Half, text: str) -> bool:
        """Whether the text is the other half of a line before it."""
        onward = text.lstrip()
        for joined in (f"{half.text} {onward}", f"{half.text}{onward}"):
            whole = Source(half.source.name, joined, first_line=half.source.first_line)
            headed = joined.startswith(MARK)
            found = None if headed else self._where.fits(joined, 0)
            if not (self._where.heading(joined) if headed else found is not None and (found.complete or found.cut)):
                continue
            self._half, self._gap = None, 0
            self._doubtful = [span for span in self._doubtful if span.source is not half.source]
            if found is None:
                self._heading(joined, whole)
            elif found.complete:
                self._take(found, (whole, 0, found.end))
                self._rest(joined, found.end, whole)
            else:
                self._half = _Half(whole, joined, whole.span(0, len(joined)))
            return True
        half.waited += 1
        if half.waited > MAX_WAIT:
            self._give_up_half()
        return False

    def _give_up_half(self) -> None:
        """The other half did not come: what is there of the line counts, and what is missing is said."""
        half, self._half = self._half, None
        if half is None or half.span is None or self._dump is None:
            return
        found = self._where.fits(half.text, 0)
        if found is not None and found.found and self._where.section is not None and not found.piece.means:
            take(self._dump, found, half.source, self._db, self._list)
        self._dump.find_strange(half.span)

    # --- taking what a piece tells ---

    def _take(self, found: Match, place: _Place) -> None:
        source, start, _ = place
        piece = found.piece
        form = self._where.begin(piece)
        if piece.means:
            self.events.append(event_of(piece.means, piece.says, found, source, self._where.dumps))
        elif form is None:
            self._place(found, place, self._where.homes(found, source.text, start))
        else:
            self._begin(form, source)
            self._understood(source)
            if len(form.sections) == 1:
                self._where = self._where.at(form, form.sections[0])

    def _place(self, found: Match, place: _Place, homes: Sequence[tuple[Form, Section]]) -> None:
        """Take a piece that sections have, in the one that is read or becomes known by it."""
        source = place[0]
        dump = self._dump or self._begin(homes[0][0], source)
        own = [section for form, section in homes if form is dump.form]
        if self._where.section not in own:
            if len(own) != 1:
                if len(self._pending) < MAX_PENDING:
                    self._pending.append(place)
                return
            self._settle(own[0])
        self._understood(source)
        if found.piece.tells:
            self._where = self._where.at(dump.form, self._where.section, found.piece.tells)
        if found.piece.list:
            self._list = found.piece.list
        take(dump, found, source, self._db, self._list)

    def _understood(self, source: Source) -> None:
        """What was not understood since the line before belongs to the dump too."""
        self._give_up_half()
        if self._dump is not None:
            for span in self._doubtful:
                self._dump.find_strange(span)
            self._dump.last_line = max(self._dump.last_line, source.first_line)
        self._doubtful = []
