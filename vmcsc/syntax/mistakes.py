"""Lark's exceptions in a user's words: what stands there, what could stand there, what was probably meant."""

from __future__ import annotations

from difflib import get_close_matches

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics
from vmcsc.source import Source, Span
from vmcsc.syntax.shape import STARTERS, Chunk

_KINDS = {"NAME": "a name", "NUMBER": "a number", "STRING": 'a "text"', "$END": "the end of the statement"}
_SYMBOLS = {
    "__ANON": "an operator",
    "EQUAL": "`=`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "DOT": "`.`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "MINUS": "`-`",
    "TILDE": "`~`",
}
_OPERATORS = {"PLUS", "STAR", "VBAR", "CIRCUMFLEX", "AMPERSAND", "LESSTHAN", "MORETHAN", "AND", "OR", "IN", "NOT"}
_GROUPS = {
    frozenset({"LPAR", "MINUS", "TILDE", "NAME", "NUMBER"}): "a value",
    frozenset({"REQUIRE", "SUMMARY", "INTERCEPT", "NAME"}): "a statement",
}
_BLOCK_WORDS = frozenset({"policy", "when", "scenario", "on"})


def shown(text: str, limit: int = 40) -> str:
    """A user's text as it may stand in a message: one line, printable, not too long."""
    printable = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return printable if len(printable) <= limit else printable[: limit - 3] + "..."


def report(error: UnexpectedInput, rule: str, chunk: Chunk, source: Source, diagnostics: Diagnostics) -> None:
    """Report the mistake that stopped the parse of `chunk`."""
    words = source.text[chunk.start : chunk.end].split()
    first = words[0] if words else ""
    found = _found(error, chunk, source)
    if rule == "statement" and first in _BLOCK_WORDS:
        span = Span(source, chunk.start, chunk.end)
        diagnostics.report(codes.MISSING_BLOCK, f"`{first}` needs a block", span, help="write `{ ... }` behind it")
        return
    if _reports_unknown_statement(rule, first, found, chunk, source, diagnostics):
        return
    expected = _expected(error)
    if found is None:
        end = Span(source, max(chunk.start, chunk.end - 1), chunk.end)
        diagnostics.report(codes.INCOMPLETE, f"the statement ends too early; expected {expected}", end)
        return
    message = f"unexpected `{shown(found.text)}`; expected {expected}"
    diagnostics.report(codes.UNEXPECTED, message, found, help=_hint(found))


def _found(error: UnexpectedInput, chunk: Chunk, source: Source) -> Span | None:
    """The text that did not fit, or None where the statement ended too early."""
    if isinstance(error, UnexpectedCharacters):
        start = error.pos_in_stream or chunk.start
        return Span(source, start, start + 1)
    token = error.token if isinstance(error, UnexpectedToken) else None
    if isinstance(error, UnexpectedEOF) or not isinstance(token, Token) or token.type == "$END":
        return None
    start = token.start_pos if token.start_pos is not None else chunk.start
    if source.text[start - 1 : start + 1] in ("&&", "||"):  # two operators to the grammar, one to the writer
        return Span(source, start - 1, start + 1)
    return Span(source, start, start + len(token))


def _reports_unknown_statement(
    rule: str, first: str, found: Span | None, chunk: Chunk, source: Source, diagnostics: Diagnostics
) -> bool:
    """A first word that is not a statement's, followed by something that no assignment or block has."""
    if rule == "expression" or not first.isidentifier() or first in STARTERS or "=" in (found.text if found else ""):
        return False
    behind = chunk.start + len(first)
    if found is not None and found.start < behind:
        return False
    if "=" in source.text[behind : chunk.end] or rule == "scenario_statement":
        return False
    near = get_close_matches(first, STARTERS, n=1)
    what = "block" if rule == "header" else "statement"
    diagnostics.report(
        codes.UNKNOWN_STATEMENT,
        f"no {what} begins with `{shown(first)}`",
        Span(source, chunk.start, behind),
        help=f"did you mean `{near[0]}`?" if near else None,
    )
    return True


def _expected(error: UnexpectedInput) -> str:
    """What could stand at the mistake, the many beginnings of a value or a statement said in one word."""
    names: set[str] = set(getattr(error, "accepts", None) or getattr(error, "expected", None) or ())
    if isinstance(error, UnexpectedCharacters):
        names = set(error.allowed or ())
    for group, words in _GROUPS.items():
        if names >= group:
            names = (names - group - _OPERATORS) | {words}
    described = sorted({_described(name) for name in names})
    if "a statement" in described or not described:
        return "a statement"
    return described[0] if len(described) == 1 else f"{', '.join(described[:-1])} or {described[-1]}"


def _described(terminal: str) -> str:
    if terminal in _KINDS:
        return _KINDS[terminal]
    if terminal in _OPERATORS or terminal.startswith("__ANON"):
        return _SYMBOLS["__ANON"]
    if terminal in _GROUPS.values():
        return terminal
    return _SYMBOLS.get(terminal, f"`{terminal.lower()}`")


def _hint(found: Span) -> str | None:
    hints = {
        "&&": "write `and`",
        "||": "write `or`",
        "!": "write `not`",
        "=": "a comparison is written `==`",
        "'": 'texts stand in double quotes: "..."',
        "/": "comments begin with `#`; there is no division",
        "%": "there is no remainder; test bits with `&`",
    }
    rest = found.source.text[found.start : found.start + 2]
    hint = hints.get(rest) or hints.get(found.text[:1])
    if found.text in ("==", "!=", "<", "<=", ">", ">="):
        return "compare only once, and join comparisons with `and`"
    return hint
