"""Findings as SARIF 2.1.0, which code scanning services and editors read.

Whatever has a place is a result. What has none (a CPU on the command line that nobody knows) is a notification of the
run, since code scanning refuses results without a place.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vmcsc import __version__, codes
from vmcsc.architecture.model import CodeText
from vmcsc.diagnostic import Diagnostic, Severity
from vmcsc.report.paths import relative_path
from vmcsc.report.remarks import remarks, sentence
from vmcsc.source import Source, Span

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "primaryLocationLineHash"
"""The name under which code scanning follows a finding from one run to the next."""


def render(diagnostics: Iterable[Diagnostic], suppressed: int, texts: Mapping[str, CodeText], root: Path | None) -> str:
    """A SARIF log with one run. `texts` explain the codes; paths are relative to `root`."""
    found = list(diagnostics)
    placed = [diagnostic for diagnostic in found if diagnostic.span is not None]
    placeless = [diagnostic for diagnostic in found if diagnostic.span is None]
    order = {code: index for index, code in enumerate(sorted({diagnostic.code for diagnostic in found}))}
    severities = {diagnostic.code: diagnostic.severity for diagnostic in found}
    driver = {
        "name": "vmcsc",
        "semanticVersion": __version__,
        "rules": [_rule(code, severities[code], texts.get(code)) for code in order],
    }
    notifications = [_notification(diagnostic, order) for diagnostic in placeless]
    if suppressed:
        text = f"further findings that are not in this log: {suppressed}"
        notifications.append({"level": "warning", "message": {"text": text}})
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the project."}}},
        "invocations": [
            {
                "executionSuccessful": all(d.severity is not Severity.ERROR for d in placeless),
                "toolExecutionNotifications": notifications,
            }
        ],
        "results": list(_results(placed, order, root)),
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


# --- rules ---


def _rule(code: str, severity: Severity, text: CodeText | None) -> dict[str, Any]:
    """What a code means: its text, or at least its name where there is none."""
    names = {known.id: known.name for known in codes.ALL}
    name = text.name if text is not None else names.get(code, code)
    rule: dict[str, Any] = {
        "id": code,
        "name": name,
        "shortDescription": {"text": text.summary if text is not None else name.replace("-", " ")},
        "defaultConfiguration": {"level": text.severity if text is not None else severity.value},
    }
    if text is not None and text.explanation:
        rule["fullDescription"] = {"text": text.explanation}
        help = text.explanation if text.example is None else f"{text.explanation}\n\nExample:\n{text.example}"
        markdown = text.explanation if text.example is None else f"{text.explanation}\n\n```\n{text.example}\n```"
        rule["help"] = {"text": help, "markdown": markdown}
    return rule


# --- results ---


def _results(diagnostics: Iterable[Diagnostic], order: Mapping[str, int], root: Path | None) -> Iterator[Any]:
    seen: Counter[tuple[str, str, str]] = Counter()
    for diagnostic in diagnostics:
        span = diagnostic.span
        assert span is not None
        alike = (diagnostic.code, span.source.name, _line_hash(span))
        seen[alike] += 1
        result: dict[str, Any] = {
            "ruleId": diagnostic.code,
            "ruleIndex": order[diagnostic.code],
            "level": diagnostic.severity.value,
            "message": _message(diagnostic),
            "locations": [{"physicalLocation": _place(span, root)}],
            "partialFingerprints": {FINGERPRINT: f"{alike[-1]}:{seen[alike]}"},
        }
        if diagnostic.labels:
            result["relatedLocations"] = [
                {"id": number, "message": {"text": _plain(label.text)}, "physicalLocation": _place(label.span, root)}
                for number, label in enumerate(diagnostic.labels)
            ]
        if diagnostic.cpus:
            result["properties"] = {"cpus": list(diagnostic.cpus)}
        yield result


def _notification(diagnostic: Diagnostic, order: Mapping[str, int]) -> dict[str, Any]:
    return {
        "level": diagnostic.severity.value,
        "message": _message(diagnostic),
        "associatedRule": {"id": diagnostic.code, "index": order[diagnostic.code]},
    }


def _message(diagnostic: Diagnostic) -> dict[str, str]:
    lines = [sentence(diagnostic), *(f"{kind}: {text}" for kind, text in remarks(diagnostic))]
    return {"text": _plain("\n".join(lines))}


def _plain(text: str) -> str:
    """`text` without what SARIF reads as a link, `[shown](target)`."""
    return text.replace("](", "] (")


_HASHED = 1000
"""Characters of a line that tell it from others: a thousand findings may lie in one line of a million."""


def _line_hash(span: Span) -> str:
    """What stays the same while lines come and go above: the text that is marked, and its line without blanks."""
    text = "".join(span.source.line(span.first.line)[:_HASHED].split())
    return hashlib.sha256(f"{text}\0{span.text[:_HASHED]}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _place(span: Span, root: Path | None) -> dict[str, Any]:
    first, last = span.first, span.last
    return {
        "artifactLocation": _artifact(span.source, root),
        "region": {
            "startLine": first.line,
            "startColumn": first.column,
            "endLine": last.line,
            "endColumn": last.column,
        },
    }


def _artifact(source: Source, root: Path | None) -> dict[str, str]:
    """A URI below the root of the project; of a file elsewhere its own, and of a text that is no file its name."""
    path = relative_path(source, root)
    if path is not None:
        return {"uri": quote(os.fsencode(path)), "uriBaseId": ROOT}
    if source.path is not None:
        return {"uri": f"file://{quote(os.fsencode(os.path.abspath(source.path)))}"}  # noqa: PTH100 (links stay)
    return {"uri": quote(os.fsencode(source.name))}
