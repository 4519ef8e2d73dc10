"""Findings for people: `full` with the source beside them, `concise` with one line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vmcsc.diagnostic import Diagnostic
from vmcsc.report.cells import visible
from vmcsc.report.excerpt import Mark, excerpt, fits
from vmcsc.report.remarks import remarks, sentence
from vmcsc.report.style import paint


def concise(diagnostics: Iterable[Diagnostic], color: bool, suppressed: int = 0) -> str:
    """One line for each finding: place, severity, code, message."""
    lines = [headline(diagnostic, color) for diagnostic in diagnostics]
    return "".join(f"{line}\n" for line in [*lines, *_rest(suppressed)])


def full(diagnostics: Iterable[Diagnostic], color: bool, suppressed: int = 0) -> str:
    """Each finding with its source line, marks, notes and help; a blank line between two of them."""
    findings = ["\n".join(_finding(diagnostic, color)) for diagnostic in diagnostics]
    return "\n".join(f"{finding}\n" for finding in [*findings, *_rest(suppressed)])


def headline(diagnostic: Diagnostic, color: bool) -> str:
    """`path:line:column: error[VMX2002]: message`, or `vmcsc: error[...]` for a finding without a place."""
    place = "vmcsc" if diagnostic.span is None else visible(str(diagnostic.span))
    severity = diagnostic.severity.value
    kind = paint(severity, f"{severity}[{diagnostic.code}]:", color)
    return f"{paint('strong', f'{place}:', color)} {kind} {visible(sentence(diagnostic))}"


def _rest(suppressed: int) -> list[str]:
    if not suppressed:
        return []
    more = "1 more finding is" if suppressed == 1 else f"{suppressed} more findings are"
    return [f"vmcsc: {more} not shown"]


def _finding(diagnostic: Diagnostic, color: bool) -> Iterator[str]:
    yield headline(diagnostic, color)
    blocks = _blocks(diagnostic)
    gutter = max((len(str(marks[0].line)) for marks in blocks), default=1)
    for index, marks in enumerate(blocks):
        if index or diagnostic.span is None:
            yield f"{'':{gutter}}{paint('frame', '-->', color)} {visible(str(marks[0].span))}"
        yield from excerpt(marks, gutter, color)
    for kind, text in remarks(diagnostic):
        yield from _remark(kind, text, gutter, color)


def _blocks(diagnostic: Diagnostic) -> list[list[Mark]]:
    """The marks of a finding, those together that are shown under one line; the primary one comes first."""
    blocks: list[list[Mark]] = []
    if diagnostic.span is not None:
        blocks.append([Mark(diagnostic.span, "^", diagnostic.severity.value)])
    for label in diagnostic.labels:
        mark = Mark(label.span, "-", "label", label.text)
        beside = next((block for block in blocks if _one_line(block[0], mark)), None)
        if beside is None:
            blocks.append([mark])
        else:
            beside.append(mark)
    return blocks


def _one_line(a: Mark, b: Mark) -> bool:
    return a.span.source is b.span.source and a.line == b.line and fits(a.span.source, a.line)


def _remark(kind: str, text: str, gutter: int, color: bool) -> Iterator[str]:
    """`= note: text`; further lines of the text stand below its first."""
    first, *further = text.split("\n")
    sign = paint("frame", f"{'':{gutter}} =", color)
    yield f"{sign} {paint(kind, f'{kind}:', color)} {visible(first)}".rstrip()
    for line in further:
        yield f"{'':{gutter + 3 + len(kind) + 2}}{visible(line)}".rstrip()
