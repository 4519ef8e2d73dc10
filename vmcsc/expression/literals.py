"""Numbers that have not met a width yet, the types that have a name, and widths in words."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.expression import nodes
from vmcsc.records import dataclass
from vmcsc.source import Span

WIDTHS: Mapping[str, int] = {"u1": 1, "u8": 8, "u16": 16, "u32": 32, "u64": 64}
"""The types of parameters, and the functions that convert to them."""


@dataclass(frozen=True, slots=True)
class Literal:
    """An exact integer that has not met a width yet."""

    value: int


Bound = nodes.Node | Literal | None
"""What binding an expression gives; None after a mistake was reported."""


def number_text(value: int, span: Span) -> str:
    """A number as the user wrote it, or in hex where it was computed."""
    if span.text.removeprefix("-").isalnum() and len(span.text) <= 24:
        return f"`{span.text}`"
    return hex(value) if abs(value).bit_length() <= 80 else "this number"


def bits_text(width: int) -> str:
    return "1 bit" if width == 1 else f"{width} bits"
