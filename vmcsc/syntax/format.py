"""The formatter: any policy or fragment without syntax errors in the one canonical layout.

Two blanks a level, one statement a line, one blank line at most; the author chooses which blocks stand on one line,
where blank lines and comments are, and which comments share a column. Numbers, strings and comments stay as written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vmcsc.diagnostic import Diagnostics
from vmcsc.source import Source
from vmcsc.syntax.comments import render
from vmcsc.syntax.layout import lay_out
from vmcsc.syntax.outline import outline_of
from vmcsc.syntax.parser import parse_policy_file
from vmcsc.syntax.shape import Chunk, shape_of
from vmcsc.syntax.spacing import words_of


def format_source(source: Source, diagnostics: Diagnostics) -> str | None:
    """The text of `source` in canonical layout, or None after reporting why it cannot be parsed."""
    found = Diagnostics()
    parse_policy_file(source, found)
    diagnostics.extend(found)
    diagnostics.suppressed += found.suppressed
    diagnostics.suppressed_errors += found.suppressed_errors
    if found.failed:
        return None
    shape = shape_of(source, Diagnostics())
    formatted = render(lay_out(source, outline_of(source, shape)))
    if _content(source) != _content(Source(source.name, formatted)):
        raise RuntimeError("the formatted text would not mean the same, so it is not used")
    return formatted


def _content(source: Source) -> tuple[Any, list[str]]:
    """All that layout must not change: the words of each statement and block, and the comments in their order."""
    shape = shape_of(source, Diagnostics())
    comments = [words_of(source.text, span.start, span.end)[0].text for span in shape.comments]
    return _statements(source.text, shape.chunks), comments


def _statements(text: str, chunks: Sequence[Chunk]) -> list[Any]:
    return [
        (
            [word.text for word in words_of(text, chunk.start, chunk.end) if not word.is_comment],
            None if chunk.children is None else _statements(text, chunk.children),
        )
        for chunk in chunks
    ]
