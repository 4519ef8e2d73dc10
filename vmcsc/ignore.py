"""`# vmcsc: ignore[CODE, CODE] reason`: findings that the author of a policy has seen and accepts.

Such a comment speaks of its own line or, on a line of its own, of the next line that is not a comment: of the whole
statements on that line and the whole blocks that begin there, so that it means the same in every layout. What leaves
nothing to compile cannot be ignored: errors of syntax, names, types, specs and CPU files.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostic, Diagnostics, Severity
from vmcsc.records import dataclass
from vmcsc.source import Source, Span
from vmcsc.syntax.shape import Chunk, shape_of

_DIRECTIVE = re.compile(r"#\s*vmcsc:\s*(?P<word>[\w-]{1,40})(?P<list>\s*\[(?P<codes>[^\]]*)(?P<close>\]?))?")
_LISTED = re.compile(r"[^\s,]+")
_EXAMPLE = "write `# vmcsc: ignore[VMX3003] reason`"

MAX_IGNORES = 1000
"""Codes that the comments of one file may ignore."""

_FATAL_STAGES = frozenset("1279")
"""First digits of codes whose errors stop before there is a VMCS, and whose warnings depend on no processor."""

_FATAL = frozenset(
    code.id
    for code in (
        codes.CPU_UNREADABLE,
        codes.CPU_INCONSISTENT,
        codes.CPU_WITHOUT_VMX,
        codes.SOURCE_UNAVAILABLE,
        codes.PROCESSORS_DIFFER,
    )
)


@dataclass(frozen=True, slots=True)
class Ignore:
    """One code of one comment, where it is written, and the lines whose findings it ignores (0: there are none)."""

    code: str
    span: Span
    first: int
    last: int


def known_codes(database: Database) -> dict[str, Severity]:
    """Every code there is, and how much its findings weigh."""
    found = {text.code: Severity(text.severity) for text in database.codes.values()}
    found |= {rule.code: Severity.ERROR for rule in database.rules}
    return found | {code.id: code.severity for code in codes.ALL}


def why_not_ignored(code: str, known: Mapping[str, Severity]) -> tuple[str, str | None] | None:
    """Why no finding of `code` can be ignored, and what may have been meant; None if one can."""
    if code not in known:
        near = get_close_matches(code.upper(), known, n=1)
        return f"no finding has the code `{code[:40]}`", f"did you mean `{near[0]}`?" if near else None
    if known[code] is Severity.ERROR and (code[3] in _FATAL_STAGES or code in _FATAL):
        return f"{code} cannot be ignored: what it finds leaves nothing to compile", None
    return None


def read_ignores(sources: Iterable[Source], database: Database, diagnostics: Diagnostics) -> list[Ignore]:
    """The ignores in the comments of `sources`; those that can ignore nothing are reported and left out."""
    found: list[Ignore] = []
    for source in dict.fromkeys(sources):
        if "vmcsc:" in source.text:  # few texts: the others are not split again
            found += _ignores_in(source, known_codes(database), diagnostics)
    return found


def _ignores_in(source: Source, known: Mapping[str, Severity], diagnostics: Diagnostics) -> list[Ignore]:
    shape = shape_of(source, Diagnostics())
    if not shape.comments:
        return []
    following, extents = _following_lines(source), _extents(shape.chunks, source)
    found: list[Ignore] = []
    listed = 0
    for comment in shape.comments:
        number, column = comment.first.line, comment.first.column
        line = number if source.line(number)[: column - 1].strip() else following[number]
        for code in _codes_in(comment, diagnostics):
            listed += 1
            if listed > MAX_IGNORES:
                diagnostics.report(codes.BAD_IGNORE, f"a file may ignore at most {MAX_IGNORES} findings", code)
                return found
            reason = why_not_ignored(code.text, known)
            if reason is None:
                found.append(Ignore(code.text, code, *extents.get(line, (line, line))))
            else:
                diagnostics.report(codes.BAD_IGNORE, reason[0], code, help=reason[1])
    return found


def _following_lines(source: Source) -> list[int]:
    """For each line number the next one whose line is neither blank nor a comment; 0 where there is none."""
    lines = source.text.split("\n")
    following = [0] * (len(lines) + 1)
    for number in range(len(lines) - 1, 0, -1):
        text = lines[number].strip()  # of the line behind it, since numbers count from 1
        following[number] = following[number + 1] if not text or text.startswith("#") else number + 1
    return following


def _extents(chunks: Iterable[Chunk], source: Source) -> dict[int, tuple[int, int]]:
    """For each line with a statement or the beginning of a block on it, the first and last line of all of them."""
    extents: dict[int, tuple[int, int]] = {}
    pending = list(chunks)
    while pending:
        chunk = pending.pop()
        pending.extend(chunk.children or ())
        first, last = source.position(chunk.start).line, source.position(chunk.end).line
        end = last if chunk.children is None else source.position(chunk.close).line
        for line in range(first, last + 1):
            known = extents.get(line, (first, end))
            extents[line] = (min(known[0], first), max(known[1], end))
    return extents


def _codes_in(comment: Span, diagnostics: Diagnostics) -> Iterator[Span]:
    """Where the codes are written that a comment ignores."""
    for directive in _DIRECTIVE.finditer(comment.text):
        span = _within(comment, directive.start(), directive.end())
        if not _in_order(directive, span, diagnostics):
            continue
        start, empty = directive.start("codes"), True
        for match in _LISTED.finditer(directive["codes"]):
            empty = False
            yield _within(comment, start + match.start(), start + match.end())
        if empty:
            diagnostics.report(codes.BAD_IGNORE, "this ignores no code", span, help=_EXAMPLE)


def _in_order(directive: re.Match[str], span: Span, diagnostics: Diagnostics) -> bool:
    """Whether a comment is a list of codes to ignore. What only looks like one is reported; prose is not."""
    word = directive["word"]
    if word != "ignore":
        if directive["list"] or get_close_matches(word, ["ignore"], cutoff=0.7):
            message = f"there is no `{word}` to say to vmcsc in a comment"
            diagnostics.report(codes.BAD_IGNORE, message, span, help=_EXAMPLE)
        return False
    if not directive["close"]:
        message = "the list of codes has no `]`" if directive["list"] else "this does not say which codes to ignore"
        diagnostics.report(codes.BAD_IGNORE, message, span, help=_EXAMPLE)
        return False
    return True


def _within(comment: Span, start: int, end: int) -> Span:
    return Span(comment.source, comment.start + start, comment.start + end)


def apply_ignores(
    found: Iterable[Diagnostic], ignores: Iterable[Ignore], everywhere: Collection[str]
) -> tuple[list[Diagnostic], list[Ignore]]:
    """The findings that nobody ignores, in a comment or `everywhere`, and the ignores that ignore nothing."""
    given = list(ignores)
    of_code: dict[tuple[Source, str], list[Ignore]] = {}
    for ignore in given:
        of_code.setdefault((ignore.span.source, ignore.code), []).append(ignore)
    kept: list[Diagnostic] = []
    used: set[Ignore] = set()
    for diagnostic in found:
        span = diagnostic.span
        candidates = () if span is None else of_code.get((span.source, diagnostic.code), ())
        # Of a block and a statement in it, the statement's ignore is the one that is meant.
        here = [one for one in candidates if span is not None and one.first <= span.first.line <= one.last]
        if here:
            used.add(min(here, key=lambda one: one.last - one.first))
        elif diagnostic.code not in everywhere:
            kept.append(diagnostic)
    return kept, [ignore for ignore in given if ignore not in used]


def errors_and_kept(
    found: Iterable[Diagnostic], ignores: Iterable[Ignore], everywhere: Collection[str]
) -> list[Diagnostic]:
    """Where errors left nothing to compile: all of them, and of the rest what nobody ignores."""
    given = list(found)
    kept, _ = apply_ignores((d for d in given if d.severity is not Severity.ERROR), ignores, everywhere)
    return [d for d in given if d.severity is Severity.ERROR] + kept


def judge_ignores(
    found: Iterable[Diagnostic],
    ignores: Iterable[Ignore],
    everywhere: Collection[str],
    source: Source,
    *,
    as_meant: bool,
) -> list[Diagnostic]:
    """The findings that nobody ignores, and one for each ignore in `source` that ignores nothing.

    What else a policy is made of has other users, for whom its ignores may be needed. Unless the policy was compiled
    `as_meant`, for the CPUs that are named for it, only ignores of what depends on no CPU are judged.
    """
    kept, unused = apply_ignores(found, ignores, everywhere)
    if codes.UNUSED_IGNORE.id in everywhere:
        return kept
    diagnostics = Diagnostics()
    for ignore in unused:
        if ignore.span.source is source and (as_meant or ignore.code[3] in _FATAL_STAGES):
            message = f"there is no {ignore.code} {_lines(ignore)} to ignore"
            diagnostics.report(codes.UNUSED_IGNORE, message, ignore.span, help="remove it")
    return [*kept, *diagnostics]


def _lines(ignore: Ignore) -> str:
    if ignore.first == 0:
        return "behind it"
    return f"on line {ignore.first}" if ignore.first == ignore.last else f"on lines {ignore.first} to {ignore.last}"
