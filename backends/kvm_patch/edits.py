"""A list of controls with some gone and others added, in the kernel's style and with as few changed lines as can be."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from vmcsc.kvm.lists import MACRO, ItemList

TAB, BACKSLASH_COLUMN = 8, 72


@dataclass(frozen=True)
class _Line:
    """A line of the new list: names to write, or a text to keep. `was` is the old text with what it was: the first
    line of names, the last one."""

    items: tuple[str, ...] = ()
    text: str = ""
    was: tuple[str, bool, bool] | None = None

    @property
    def depth(self) -> int:
        """What the line does to the depth of conditions."""
        word = self.text.strip()[:3]
        return 1 if word == "#if" else -1 if word == "#en" else 0


def edited(old: ItemList, drop: Collection[str], add: Sequence[str]) -> str:
    """The text in place of the list's lines; nothing, where a statement that adds to a list has nothing left to add."""
    kept = [name for name in old.items if name not in drop]
    if kept == [*old.items] and not add:
        return old.file.text[old.start : old.end]
    if old.adds and not kept and not add:
        return ""
    if old.kind == MACRO and len(old.rows) == 1 and old.items and (kept or add):
        return f"{_opening(old)}{' | '.join([*kept, *add])}{')' if '(' in _opening(old) else ''}\n"
    lines = _changed(old, drop, add)
    if not any(line.items for line in lines):
        return _empty(old)
    if any(line.depth for line in lines):
        if sum(_always(lines)) < 2:
            return _split(old, lines)
        lines = _unconditional_at_the_ends(lines)
    return "".join(f"{line}\n" for line in _written(old, lines))


def _changed(old: ItemList, drop: Collection[str], add: Sequence[str]) -> list[_Line]:
    rows = list(old.rows)
    with_items = [place for place, row in enumerate(rows) if row.items]
    lines = []
    for place, row in enumerate(rows):
        if not row.items:
            lines.append(_Line(text=row.text))
            continue
        items = tuple(name for name in row.items if name not in drop)
        was = (row.text, place == with_items[0], place == with_items[-1]) if items == row.items else None
        if items:
            lines.append(_Line(items, was=was))
    if not with_items:  # the list was `0`
        head = [] if old.kind != MACRO else [_Line(text=re.split(r"\s0\b|\s\(0\)", rows[0].text)[0])]
        return [*head, *(_Line((name,)) for name in add)]
    new = [_Line((name,)) for name in add]
    last = max((place for place, line in enumerate(lines) if line.items), default=len(lines))
    first = min((place for place, line in enumerate(lines) if line.items), default=len(lines))
    at = last if last > first else last + 1  # before the last one, so that only lines are added
    return _without_empty_conditions([*lines[:at], *new, *lines[at:]])


def _unconditional_at_the_ends(lines: list[_Line]) -> list[_Line]:
    """What begins and ends the expression must be compiled always; there are two such lines, or no conditions."""
    for first in (True, False):
        always = [place for place, whether in enumerate(_always(lines)) if whether]
        named = [place for place, line in enumerate(lines) if line.items]
        end, other = (named[0], named[-1]) if first else (named[-1], named[0])
        if end not in always:
            movable = [place for place in always if place != other]
            moved = replace(lines.pop(movable[0 if first else -1]), was=None)
            directives = [place for place, line in enumerate(lines) if line.depth]
            lines.insert(directives[0] if first else directives[-1] + 1, moved)
    return lines


def _split(old: ItemList, lines: Sequence[_Line]) -> str:
    """What is compiled always as one statement, and what is conditional as statements that add to it."""
    always = [item for line, whether in zip(lines, _always(lines), strict=True) if whether for item in line.items]
    text = f"{_opening(old)}{f' |{chr(10)}{_further(old)}'.join(always) or '0'};\n"
    indentation = old.rows[0].text[: len(old.rows[0].text) - len(old.rows[0].text.lstrip())]
    for line, whether in zip(lines, _always(lines), strict=True):
        if not whether:
            added = f"{indentation}{old.name} |= {' | '.join(line.items)};"
            text += f"{added if line.items else line.text}\n"
    return text


def _always(lines: Sequence[_Line]) -> list[bool]:
    """Which lines have names that are compiled always."""
    depths = accumulate(line.depth for line in lines)
    return [bool(line.items) and depth == 0 for line, depth in zip(lines, depths, strict=True)]


def _without_empty_conditions(lines: list[_Line]) -> list[_Line]:
    for place, (line, following) in enumerate(pairwise(lines)):
        if line.depth > 0 and following.depth < 0:
            return _without_empty_conditions([*lines[:place], *lines[place + 2 :]])
    return lines


def _empty(old: ItemList) -> str:
    if old.kind == MACRO:
        head = re.split(r"\s*\\$|\s*\(", old.rows[0].text)[0]
        return f"{head} 0\n"
    return f"{_opening(old)}0;\n"


def _opening(old: ItemList) -> str:
    """What stands before the first name."""
    row = next((row for row in old.rows if row.items), None)
    if row is not None:
        return row.text[: re.search(rf"\b{row.items[0]}\b", row.text).start()]  # type: ignore[union-attr]
    if old.kind == MACRO:
        return "\t("
    return old.rows[0].text.split("=")[0] + "= "


def _further(old: ItemList) -> str:
    """What stands before the others."""
    rows = [row for row in old.rows if row.items]
    if len(rows) > 1:
        return rows[1].text[: len(rows[1].text) - len(rows[1].text.lstrip())]
    opening = _opening(old)
    if old.kind == MACRO:
        return "\t " if "define" in opening else opening.replace("(", " ")
    width = len(opening.expandtabs(TAB))
    return "\t" * (width // TAB) + " " * (width % TAB)


def _written(old: ItemList, lines: Sequence[_Line]) -> list[str]:
    named = [place for place, line in enumerate(lines) if line.items]
    opening, further = _opening(old), _further(old)
    written = []
    for place, line in enumerate(lines):
        first, last = place == named[0], place == named[-1]
        if not line.items:
            written.append(_continued(line.text) if old.kind == MACRO and "\\" not in line.text else line.text)
        elif line.was is not None and line.was[1:] == (first, last):
            written.append(line.was[0])
        else:
            text = (opening if first else further) + " | ".join(line.items)
            written.append(text + _tail(old, last=last))
            if old.kind == MACRO and not last:
                written[-1] = _continued(written[-1])
    return written


def _tail(old: ItemList, *, last: bool) -> str:
    if not last:
        return " |"
    return ")" if old.kind == MACRO else ";"


def _continued(text: str) -> str:
    """With a backslash in its column, by tabs."""
    width = len(text.expandtabs(TAB))
    tabs = max(1, -(-(BACKSLASH_COLUMN - width) // TAB))
    return text + "\t" * tabs + "\\"
