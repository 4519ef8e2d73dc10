"""Findings to text in one of a few formats. Returns strings; whoever calls prints them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vmcsc.diagnostic import Diagnostic

FORMATS = ("full", "concise", "json")


def render(
    diagnostics: Iterable[Diagnostic],
    format: str = "full",
    color: bool = False,
    *,
    suppressed: int = 0,
    names: Mapping[str, str] | None = None,
) -> str:
    """`diagnostics` in `format`, one of `FORMATS`; empty where a text format has nothing to say.

    `suppressed` counts findings beyond those given; `names` are those of codes not in the register (the
    codes of rules).
    """
    if format == "json":
        from vmcsc.report import json

        return json.render(diagnostics, suppressed, names or {})
    from vmcsc.report import text

    if format == "full":
        return text.full(diagnostics, color, suppressed)
    if format == "concise":
        return text.concise(diagnostics, color, suppressed)
    raise ValueError(f"no format is named {format!r}; known: {', '.join(FORMATS)}")
