"""Findings as workflow commands, which GitHub Actions turns into annotations of the changed lines.

GitHub shows the first ten of each kind in a step, so the worst come first.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vmcsc.diagnostic import Diagnostic, Severity
from vmcsc.report.cells import visible
from vmcsc.report.paths import relative_path
from vmcsc.report.remarks import remarks, sentence
from vmcsc.source import Span

_KINDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}

_IN_TEXT = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTIES = {**_IN_TEXT, ":": "%3A", ",": "%2C"}


def render(diagnostics: Iterable[Diagnostic], suppressed: int, root: Path | None) -> str:
    """One `::error file=...::...` line for each finding; paths are relative to `root`."""
    worst_first = sorted(diagnostics, key=lambda diagnostic: diagnostic.severity.rank)
    lines = [_command(diagnostic, root) for diagnostic in worst_first]
    if suppressed:
        lines.append(f"::warning title=vmcsc::further findings that are not shown: {suppressed}")
    return "".join(f"{line}\n" for line in lines)


def _command(diagnostic: Diagnostic, root: Path | None) -> str:
    properties = {} if diagnostic.span is None else _place(diagnostic.span, root)
    properties["title"] = f"vmcsc ({diagnostic.code})"
    listed = ",".join(f"{name}={_escaped(value, _IN_PROPERTIES)}" for name, value in properties.items())
    # The log shows nothing but the text, so that has the place too.
    place = "" if diagnostic.span is None else f"{diagnostic.span}: "
    text = [f"{place}{sentence(diagnostic)}", *(f"{kind}: {remark}" for kind, remark in remarks(diagnostic))]
    shown = "\n".join(visible(line) for line in "\n".join(text).split("\n"))
    return f"::{_KINDS[diagnostic.severity]} {listed}::{_escaped(shown, _IN_TEXT)}"


def _place(span: Span, root: Path | None) -> dict[str, str]:
    """File and lines; columns only within one line, as GitHub refuses them elsewhere."""
    place = {
        "file": visible(relative_path(span.source, root) or span.source.name),
        "line": str(span.first.line),
        "endLine": str(span.last.line),
    }
    if span.first.line == span.last.line:
        place |= {"col": str(span.first.column), "endColumn": str(span.last.column)}
    return place


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text)
