"""Pieces of C text: comments that nothing breaks out of, macro names, tables, wrapped lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

WIDTH = 110


def comment_text(text: str) -> str:
    """`text` on one line, without anything that would end a comment or splice a line."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?").replace("\\", "/")


def comment(lines: Iterable[str]) -> str:
    """A block comment of lines that `comment_text` made safe, wrapped."""
    body = []
    for line in lines:
        wrapped = textwrap.wrap(line, WIDTH - 4, break_long_words=False, break_on_hyphens=False) or [""]
        body.extend(f" * {piece}".rstrip() for piece in wrapped)
    return "\n".join(["/*", *body, " */\n"])


def heading(text: str) -> str:
    return f"/* --- {comment_text(text)} --- */\n"


def macro(name: str) -> str:
    """A name as part of a macro's."""
    return "".join(character if character.isalnum() and character.isascii() else "_" for character in name).upper()


def hex_constant(value: int, width: int) -> str:
    """A constant of a type that holds `width` bits."""
    digits = max(1, (width + 3) // 4)
    return f"0x{value:0{digits}x}{'ull' if width > 32 else 'u'}"


def defines(rows: Iterable[tuple[str, str]]) -> str:
    """One `#define` a row, the values aligned."""
    listed = list(rows)
    longest = max((len(name) for name, _ in listed), default=0)
    return "".join(f"#define {name:<{longest}} {value}\n" for name, value in listed)


def page_rows(page: bytes) -> str:
    """The initializer of an array of bytes, 16 a line."""
    rows = []
    for start in range(0, len(page), 16):
        rows.append("    " + ", ".join(f"0x{byte:02x}" for byte in page[start : start + 16]))
    return ",\n".join(rows)
