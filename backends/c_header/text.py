"""Pieces of C text: comments that nothing breaks out of, macro names, tables, pages."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from itertools import groupby

WIDTH = 110


def comment_text(text: str) -> str:
    """`text` on one line, without anything that would end a comment, begin one or splice a line."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    for dangerous, harmless in _DANGEROUS:
        while dangerous in shown:
            shown = shown.replace(dangerous, harmless)
    return shown


_DANGEROUS = (("\\", "/"), ("??", "? ?"), ("*/", "* /"), ("/*", "/ *"))
"""Backslashes first, since what takes their place may make one of the others."""


def quoted(text: str) -> str:
    """`text` as a C string that nothing breaks out of."""
    return '"' + comment_text(text).replace('"', "'") + '"'


def comment(lines: Iterable[str]) -> str:
    """A block comment of lines that `comment_text` made safe, wrapped."""
    body: list[str] = []
    for line in lines:
        pieces = textwrap.wrap(line, WIDTH - 4, break_on_hyphens=False) or [""]
        body.extend(f" * {piece}".rstrip() for piece in pieces)
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


CAPABILITIES = "const struct vmcsc_capabilities *c"
"""The parameter by which functions get what the processor says."""


def function(type_: str, name: str, *parameters: str) -> str:
    """The head of a function, up to where its body begins."""
    return wrapped(f"static inline {type_} {name}({', '.join(parameters)})", "", "    ") + "\n"


def listed(items: Iterable[str]) -> str:
    """The initializer of an array, one item a line."""
    return "{\n" + ",\n".join(f"    {item}" for item in items) + "\n}"


def wrapped(text: str, indent: str = "    ", further: str | None = None) -> str:
    """C broken into lines behind commas and operators; `further` is the indent of the lines behind the first."""
    kept_together = re.sub(r"(?<![,&|+]) ", "\0", text)
    filled = textwrap.fill(
        kept_together,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if further is None else further,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace("\0", " ")


_RUNS = (4096, 1024, 256, 64, 16)
"""The lengths of runs for which there is a macro."""


def page_rows(page: bytes) -> str:
    """The initializer of a page, in rows of 16 bytes; equal ones as runs, aligned to their own length."""
    items = []
    position = 0
    for (row, uniform), group in groupby(_rows(page)):
        count = sum(1 for _ in group) * 16
        end = position + count
        while position < end:
            length = next(n for n in _RUNS if n == 16 or (uniform and position % n == 0 and position + n <= end))
            text = f"VMCSC_{length}(0x{row[0]:02x})" if uniform else ", ".join(f"0x{byte:02x}" for byte in row)
            items.append((position, text))
            position += length
    last = len(items) - 1
    return "\n".join(f"    /* {at:#05x} */ {text}{'' if n == last else ','}" for n, (at, text) in enumerate(items))


def _rows(page: bytes) -> Iterable[tuple[bytes, bool]]:
    """Each row, and whether it repeats one byte."""
    for start in range(0, len(page), 16):
        row = page[start : start + 16]
        yield row, len(set(row)) == 1
