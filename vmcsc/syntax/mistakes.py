"""Lark's exceptions in a user's words: what stands there, what could stand there, what was probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics
from vmcsc.source import Source, Span
from vmcsc.syntax import tree
from vmcsc.syntax.shape import STARTERS, Chunk

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

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
_BLOCK_WORDS = frozenset({"policy", "state", "when", "scenario", "on"})
_SCENARIO_WORDS = frozenset({"set", "guest", "expect", "event", "memory", "resume"})
_FOREIGN_BLOCKS = frozenset({"if", "else", "elif"})
_INSTEAD = {
    "if": "write `when CONDITION {`",
    "else": "write a second block, `when not (CONDITION) {`",
    "elif": "write a second block, `when not (CONDITION) and ... {`",
    "import": "did you mean `include`?",
    "inherits": "did you mean `extends`?",
    "enable": "did you mean `require`?",
    "disable": "did you mean `forbid`?",
    "optional": "did you mean `prefer`?",
    "let": "did you mean `param`?",
    "trap": "did you mean `intercept`?",
}
"""What other languages call a statement, and what to write here."""


MAX_EXPECTED = 4
"""How many things that could stand somewhere are worth listing."""


def shown(text: str, limit: int = 40) -> str:
    """A user's text as it may stand in a message: one line, printable, not too long."""
    printable = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return printable if len(printable) <= limit else printable[: limit - 3] + "..."


def report(error: UnexpectedInput, rule: str, chunk: Chunk, source: Source, diagnostics: Diagnostics) -> None:
    """Report the mistake that stopped the parse of `chunk`."""
    words = source.text[chunk.start : chunk.end].split()
    first = words[0] if words else ""
    found = _found(error, chunk, source)
    whole = Span(source, chunk.start, chunk.end)
    if rule == "statement" and first in _BLOCK_WORDS:
        diagnostics.report(codes.MISSING_BLOCK, f"`{first}` needs a block", whole, help="write `{ ... }` behind it")
        return
    if rule == "statement" and first in _SCENARIO_WORDS:
        help = "it belongs in a `scenario` block"
        diagnostics.report(codes.MISPLACED, f"`{first}` cannot stand here", whole, help=help)
        return
    if rule == "statement" and len(words) == 1 and found is None and first.isidentifier() and first not in STARTERS:
        help = f"write `{shown(first)} {{ ... }}` if it is a block, `{shown(first)} = ...` if it is a field"
        diagnostics.report(codes.INCOMPLETE, f"`{shown(first)}` alone says nothing", whole, help=help)
        return
    if _reports_unknown_statement(rule, first, found, chunk, source, diagnostics):
        return
    expected = _expected(error, rule)
    if found is None:
        end = Span(source, max(chunk.start, chunk.end - 1), chunk.end)
        what = "what stands before this `{`" if rule == "header" else "the statement"
        hint = "write `state AREA NAME {`" if rule == "header" and first == "state" else None
        diagnostics.report(codes.INCOMPLETE, f"{what} ends too early; expected {_listed(expected)}", end, help=hint)
        return
    message = f"unexpected `{shown(found.text)}`"
    if len(expected) <= MAX_EXPECTED:
        message += f"; expected {_listed(expected)}"
    diagnostics.report(codes.UNEXPECTED, message, found, help=_hint(found, expected))


def refuse_foreign_block(name: tree.Name, diagnostics: Diagnostics) -> bool:
    """Whether a block has the name of another language's statement (`else`); reports it then."""
    if name.text not in _FOREIGN_BLOCKS:
        return False
    message = f"no block begins with `{name.text}`"
    diagnostics.report(codes.UNKNOWN_STATEMENT, message, name.span, help=_INSTEAD[name.text])
    return True


def _found(error: UnexpectedInput, chunk: Chunk, source: Source) -> Span | None:
    """The text that did not fit, or None where the statement ended too early."""
    from lark import Token
    from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

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
    help = _INSTEAD.get(first) or (f"did you mean `{near[0]}`?" if near else None)
    what = "block" if rule == "header" else "statement"
    diagnostics.report(
        codes.UNKNOWN_STATEMENT,
        f"no {what} begins with `{shown(first)}`",
        Span(source, chunk.start, behind),
        help=help,
    )
    return True


def _expected(error: UnexpectedInput, rule: str) -> list[str]:
    """What could stand at the mistake, the many beginnings of a value or a statement said in one word."""
    from lark.exceptions import UnexpectedCharacters

    names: set[str] = set(getattr(error, "accepts", None) or getattr(error, "expected", None) or ())
    if isinstance(error, UnexpectedCharacters):
        names = set(error.allowed or ())
    for group, words in _GROUPS.items():
        if names >= group:
            names = (names - group - _OPERATORS) | {words}
    if names & _OPERATORS == {"IN"} and "NAME" in names:  # the instruction of that name
        names.remove("IN")
    described = sorted({_described(name, rule) for name in names})
    return ["a statement"] if "a statement" in described or not described else described


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _described(terminal: str, rule: str) -> str:
    if terminal == "$END" and rule == "header":
        return "`{`"
    if terminal in _KINDS:
        return _KINDS[terminal]
    if terminal in _OPERATORS or terminal.startswith("__ANON"):
        return _SYMBOLS["__ANON"]
    if terminal in _GROUPS.values():
        return terminal
    return _SYMBOLS.get(terminal, f"`{terminal.lower()}`")


def _hint(found: Span, expected: list[str]) -> str | None:
    """What to write instead of a word or sign that other languages have there, or None."""
    before = found.source.text[max(0, found.start - 2) : found.start]
    words = found.source.text[max(0, found.start - 40) : found.start].split()
    previous = words[-1] if words else ""
    if previous == "override":
        return "`override` stands before the verb, as in `override require ...`"
    if previous in STARTERS and "`,`" in expected:
        return f"`{previous}` is read as a name here: each verb has a statement of its own"
    if found.text.startswith('"') and "a name" in expected:
        return "names stand without quotes"
    if _KINDS["STRING"] in expected and found.text.isidentifier():
        return 'write it in double quotes: "..."'
    if found.text == ":":
        return "a value is given with `=`, a block stands in `{ ... }`" if "`=`" in expected else "leave the `:` out"
    if found.text == "." and before == "..":
        return "a range has two dots, as in `1..4`"
    if found.text == "." and "`,`" in expected:
        return "write only the last part of the name: the block around it says to what it belongs"
    if found.text == "-" and "`,`" in expected:
        digits = before[-1:].isdigit() or "an operator" in expected
        return "a range is written with two dots, as in `1..4`" if digits else "names have `_` where others have `-`"
    hints = {
        "&&": "write `and`",
        "||": "write `or`",
        "!": "write `not`",
        "=": "a comparison is written `==`",
        **dict.fromkeys("'\u2018\u2019\u201c\u201d", 'texts stand in double quotes: "..."'),
        "/": "comments begin with `#`; there is no division",
        "%": "there is no remainder; test bits with `&`",
        "read": "accesses stand before what is accessed, as in `pass read 0x10`",
        "write": "accesses stand before what is accessed, as in `pass write 0x10`",
        "when": "only what is named may depend on a condition, a number may not",
    }
    rest = found.source.text[found.start : found.start + 2]
    hint = hints.get(rest) or hints.get(found.text) or hints.get(found.text[:1])
    if found.text in ("==", "!=", "<", "<=", ">", ">="):
        return "compare only once, and join comparisons with `and`"
    return hint
