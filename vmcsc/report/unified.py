"""Two versions of a text to a unified diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from vmcsc.report.cells import visible, visible_lines
from vmcsc.report.style import paint

MAX_LINES = 4_000
"""Texts with more lines than this together are replaced as a whole: difflib may take minutes to compare them."""

_ROLES = {"---": "strong", "+++": "strong", "@@ ": "frame"}
_LINE_ROLES = {"-": "error", "+": "help"}


def unified(before: str, after: str, name: str) -> str:
    """How `before` becomes `after`, in the form that `patch` takes. Empty if they are the same."""
    return "".join(_lines(before, after, visible(name)))


def painted(diff: str) -> str:
    """A diff in colour, with what could command a terminal escaped."""
    heads = 2
    shown = []
    for index, line in enumerate(visible_lines(diff).split("\n")):
        role = _ROLES.get(line[:3]) if index < heads or line.startswith("@@ ") else _LINE_ROLES.get(line[:1])
        shown.append(line if role is None else paint(role, line, True))
    return "\n".join(shown)


def _lines(before: str, after: str, name: str) -> Iterator[str]:
    old, new = _split(before), _split(after)
    compare = _replaced if len(old) + len(new) > MAX_LINES else difflib.unified_diff
    for line in compare(old, new, name, name):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _replaced(old: Sequence[str], new: Sequence[str], old_name: str, new_name: str) -> Iterator[str]:
    """One hunk that takes away every line and adds every new one."""
    if old == new:
        return
    yield from (f"--- {old_name}\n", f"+++ {new_name}\n")
    yield f"@@ -{_range(old)} +{_range(new)} @@\n"
    yield from (f"-{line}" for line in old)
    yield from (f"+{line}" for line in new)


def _range(lines: Sequence[str]) -> str:
    return f"{min(1, len(lines))},{len(lines)}"


def _split(text: str) -> list[str]:
    """The lines with their ends; only a newline ends one."""
    *lines, last = text.split("\n")
    return [f"{line}\n" for line in lines] + ([last] if last else [])
