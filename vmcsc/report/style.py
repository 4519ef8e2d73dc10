"""Colours, as ANSI escape sequences, by what a piece of text is."""

from __future__ import annotations

_SEQUENCES = {
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "help": "1;32",
    "frame": "1;34",
    "label": "1;34",
    "strong": "1",
}


def paint(role: str, text: str, color: bool) -> str:
    """`text` in the colour of `role`, or as it is without `color`."""
    return f"\x1b[{_SEQUENCES[role]}m{text}\x1b[0m" if color and text else text
