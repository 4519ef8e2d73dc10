"""Text as a terminal shows it: what each character becomes, and how many columns it takes."""

from __future__ import annotations

import re
import unicodedata

TAB = 4
"""Columns between tab stops."""


def visible(text: str) -> str:
    """`text` with every unprintable character escaped, so that it can never command a terminal."""
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def visible_lines(text: str) -> str:
    """`text` as `visible` makes it, with its tabs and line ends."""
    return re.sub(r"[^\t\n]+", lambda match: visible(match.group()), text)


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def width(shown: str) -> int:
    """Columns that printable text takes: two for a wide East Asian character, none for a combining mark."""
    if shown.isascii():
        return len(shown)
    return sum(map(_width, shown))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cells(line: str) -> list[str]:
    """What each character of `line` is shown as; a tab becomes the blanks up to the next tab stop."""
    shown: list[str] = []
    column = 0
    for character in line:
        cell = " " * (TAB - column % TAB) if character == "\t" else _visible(character)
        shown.append(cell)
        column += width(cell)
    return shown
