"""Findings for programs: one JSON object whose keys are stable within its `version`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from vmcsc import codes
from vmcsc.architecture.model import CodeText
from vmcsc.diagnostic import Diagnostic
from vmcsc.source import Position, Span

VERSION = 1


def render(diagnostics: Iterable[Diagnostic], suppressed: int, texts: Mapping[str, CodeText]) -> str:
    """`{"version", "findings", "suppressed"}`. Lines and columns count from 1; ends are exclusive."""
    findings = as_json(diagnostics, texts)
    return json.dumps({"version": VERSION, "findings": findings, "suppressed": suppressed}, indent=2) + "\n"


def as_json(diagnostics: Iterable[Diagnostic], texts: Mapping[str, CodeText]) -> list[dict[str, Any]]:
    """The findings as objects, for a report that holds more than them."""
    names = {**{text.code: text.name for text in texts.values()}, **{code.id: code.name for code in codes.ALL}}
    return [_finding(diagnostic, names.get(diagnostic.code)) for diagnostic in diagnostics]


def _finding(diagnostic: Diagnostic, name: str | None) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "name": name,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        **_place(diagnostic.span),
        "labels": [{**_place(label.span), "text": label.text} for label in diagnostic.labels],
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
        "cpus": list(diagnostic.cpus),
    }


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"path": None, "start": None, "end": None}
    return {"path": span.source.name, "start": _position(span.first), "end": _position(span.last)}


def _position(position: Position) -> dict[str, int]:
    return {"line": position.line, "column": position.column}
