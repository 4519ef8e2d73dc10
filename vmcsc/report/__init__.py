"""Findings to text in one of a few formats. Returns strings; whoever calls prints them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from vmcsc.architecture.model import CodeText
from vmcsc.diagnostic import Diagnostic

TEXTS = ("full", "concise")
"""The formats for people."""

FORMATS = (*TEXTS, "json", "sarif", "github")


def render(
    diagnostics: Iterable[Diagnostic],
    format: str = "full",
    color: bool = False,
    *,
    suppressed: int = 0,
    texts: Mapping[str, CodeText] | None = None,
    root: Path | None = None,
) -> str:
    """`diagnostics` in `format`, one of `FORMATS`; empty where a text format has nothing to say.

    `suppressed` counts findings beyond those given; `texts` say what codes mean, those of rules included. `sarif` and
    `github` name files relative to the folder `root`.
    """
    if format in TEXTS:
        from vmcsc.report import text

        write = text.full if format == "full" else text.concise
        return write(diagnostics, color, suppressed)
    if format == "json":
        from vmcsc.report import json

        return json.render(diagnostics, suppressed, texts or {})
    if format == "sarif":
        from vmcsc.report import sarif

        return sarif.render(diagnostics, suppressed, texts or {}, root)
    if format == "github":
        from vmcsc.report import github

        return github.render(diagnostics, suppressed, root)
    raise ValueError(f"no format is named {format!r}; known: {', '.join(FORMATS)}")
