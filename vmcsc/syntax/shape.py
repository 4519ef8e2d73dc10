"""The shape of a policy file: where statements and blocks begin and end, whatever they say.

A statement ends at a newline, `;` or `}`. A newline inside parentheses or after a comma does not end it, unless the
next line begins with a word that begins statements or with an assignment: so a broken statement does not swallow the
next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.records import dataclass, field
from vmcsc.source import Source, Span

MAX_DEPTH = 16
MAX_PARENTHESES = 64
MAX_WORDS = 50_000
MAX_STATEMENTS = 5_000
MAX_LINES = 100_000
"""How much one text may hold: far more than anybody writes, and little enough to be parsed in a second or two."""

STARTERS = frozenset(
    {"policy", "state", "when", "scenario", "override", "on"}
    | {"summary", "for", "extends", "include", "param", "require", "forbid", "prefer", "avoid", "allow"}
    | {"intercept", "pass", "set", "guest", "expect", "event", "memory", "resume"}
)
"""The words that begin a statement or a block."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][\w.]*[ \t]*=(?!=)")
_BLOCK = re.compile(r"[A-Za-z_]\w*[ \t]*\{")

_OPERATOR = re.compile(r"\W")

_PIECE = re.compile(
    r'(?P<string>"(?:[^"\\\n]++|\\.)*+")|(?P<open>"[^\n]*)|(?P<comment>#[^\n]*)|(?P<newline>\n)'
    r"|(?P<mark>[;{}()\[\],])|(?P<space>[ \t\r]+)|(?P<text>[^\s\"#;{}()\[\],]+|.)",
    re.DOTALL,
)


@dataclass(slots=True)
class Chunk:
    """The text `start`..`end` of a statement or of a block's header; `children` is None for a statement.

    Of a block, `close` is the place behind its `}`, and `indent` how far the line of its `{` is indented.
    """

    start: int
    end: int
    children: list[Chunk] | None = None
    close: int = 0
    indent: int = 0
    broken: bool = False


@dataclass(slots=True)
class Shape:
    chunks: list[Chunk] = field(default_factory=list)
    comments: list[Span] = field(default_factory=list)


def shape_of(source: Source, diagnostics: Diagnostics) -> Shape:
    """Split `source`. Reports unclosed and surplus braces and strings without an end."""
    splitter = _Splitter(source, diagnostics)
    words = lines = 0
    for kind, piece in _pieces(source.text):
        if kind == "text":
            words += 1 + 2 * len(_OPERATOR.findall(piece.group()))  # `a.b.c` and `1+2+3` are one piece each
        elif kind not in ("space", "newline"):
            words += 1
        lines += kind == "newline"
        if words > MAX_WORDS or lines > MAX_LINES or splitter.statements > MAX_STATEMENTS:
            _report_too_long(source, piece.start(), diagnostics)
            return Shape()
        splitter.take(kind, piece)
    return splitter.finish()


def _report_too_long(source: Source, offset: int, diagnostics: Diagnostics) -> None:
    message = (
        f"the text is too long: it holds more than {MAX_WORDS} words, {MAX_STATEMENTS} statements or {MAX_LINES} lines"
    )
    help = "divide it with `extends` or `include`"
    diagnostics.report(codes.TOO_LONG, message, Span(source, offset, offset + 1), help=help)


def _pieces(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    for match in _PIECE.finditer(text):
        yield match.lastgroup or "text", match


class _Splitter:
    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        self._source = source
        self._diagnostics = diagnostics
        self.statements = 0
        self._shape = Shape()
        self._bodies: list[list[Chunk]] = [self._shape.chunks]
        self._open: list[Chunk] = []
        self._suspect: Chunk | None = None
        self._at_line_start = True
        self._indent = 0
        self._statement: Chunk | None = None
        self._parentheses = 0
        self._continues = False
        self._pending_newline = False

    def take(self, kind: str, piece: re.Match[str]) -> None:
        if kind == "newline":
            self._at_line_start = True
        elif self._at_line_start:
            self._at_line_start = False
            self._indent = len(piece.group()) if kind == "space" else 0
        if kind == "comment":
            self._shape.comments.append(Span(self._source, piece.start(), piece.end()))
        elif kind == "newline":
            self._newline()
        elif kind == "mark" and piece.group() in ";{}":
            self._pending_newline = False
            self._mark(piece)
        elif kind != "space":
            self._content(kind, piece)

    def finish(self) -> Shape:
        self._end_statement()
        if self._open:
            self._report_unclosed(self._open[-1], self._open[-2] if len(self._open) > 1 else None)
        for chunk in self._open:
            chunk.close = len(self._source.text)
        return self._shape

    def _report_unclosed(self, block: Chunk, around: Chunk | None) -> None:
        labels = []
        if around is not None:
            labels.append(Label(Span(self._source, around.start, around.end), "so is the block around it"))
        if self._suspect is not None:
            text = "or is it this one? The `}` that closes it stands further left"
            labels.append(Label(Span(self._source, self._suspect.start, self._suspect.end), text))
        self._diagnostics.report(
            codes.UNCLOSED_BLOCK,
            "this block is never closed",
            Span(self._source, block.start, block.end),
            labels=labels,
            help="write a `}` where it ends",
        )

    def _newline(self) -> None:
        if self._statement is None:
            return
        if self._parentheses or self._continues:
            self._pending_newline = True  # the next word decides
        else:
            self._end_statement()

    def _mark(self, piece: re.Match[str]) -> None:
        if piece.group() == "{":
            self._open_block(piece)
        elif piece.group() == "}":
            self._end_statement()
            self._close_block(piece)
        else:
            self._end_statement()

    def _content(self, kind: str, piece: re.Match[str]) -> None:
        if self._pending_newline and self._begins_anew(piece):
            self._end_statement()
        self._pending_newline = False
        if self._statement is None:
            self._statement = Chunk(piece.start(), piece.end())
        self._statement.end = piece.end()
        self._continues = piece.group() == ","
        if kind == "mark" and piece.group() in "([":
            self._parentheses += 1
            if self._parentheses > MAX_PARENTHESES and not self._statement.broken:
                self._statement.broken = True
                message = f"parentheses are nested more than {MAX_PARENTHESES} deep"
                self._diagnostics.report(codes.TOO_DEEP, message, Span(self._source, piece.start(), piece.end()))
        elif kind == "mark" and piece.group() in ")]":
            self._parentheses = max(0, self._parentheses - 1)
        elif kind == "open":
            self._statement.broken = True
            self._diagnostics.report(
                codes.UNTERMINATED_STRING,
                "this string has no end on its line",
                Span(self._source, piece.start(), piece.end()),
                help='close it with `"`; a quote inside is written \\"',
            )

    def _begins_anew(self, piece: re.Match[str]) -> bool:
        """Whether a line that could continue a statement begins another one. No block stands in parentheses."""
        text, start = self._source.text, piece.start()
        if piece.group() in STARTERS or _ASSIGNMENT.match(text, start):
            return True
        return self._parentheses > 0 and _BLOCK.match(text, start) is not None

    def _end_statement(self) -> None:
        if self._statement is not None:
            self.statements += 1
            self._bodies[-1].append(self._statement)
        self._statement = None
        self._parentheses = 0
        self._continues = self._pending_newline = False

    def _open_block(self, piece: re.Match[str]) -> None:
        header = self._statement or Chunk(piece.start(), piece.end(), broken=True)
        if self._statement is None:
            self._diagnostics.report(
                codes.UNEXPECTED_BRACE,
                "this block has no name",
                Span(self._source, piece.start(), piece.end()),
                help="write what the block is about before its `{`, as in `primary { ... }`",
            )
        header.children, header.indent = [], self._indent
        self._statement = header
        self._end_statement()
        self._open.append(header)
        self._bodies.append(header.children)
        if len(self._open) == MAX_DEPTH + 1:
            span = Span(self._source, piece.start(), piece.end())
            self._diagnostics.report(codes.TOO_DEEP, f"blocks are nested more than {MAX_DEPTH} deep", span)
        if len(self._open) > MAX_DEPTH:
            header.broken = True

    def _close_block(self, piece: re.Match[str]) -> None:
        if self._open:
            closed = self._open.pop()
            closed.close = piece.end()
            self._bodies.pop()
            if self._suspect is None and self._indent < closed.indent:
                self._suspect = closed
            return
        last = self._bodies[0][-1] if self._bodies[0] else None
        end = 0 if last is None else last.close
        labels = [Label(Span(self._source, end - 1, end), "the block before ends here")] if end else []
        self._diagnostics.report(
            codes.UNEXPECTED_BRACE,
            "this `}` closes nothing",
            Span(self._source, piece.start(), piece.end()),
            labels=labels,
            help="remove it, or the one that ends too much",
        )
