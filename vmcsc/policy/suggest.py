"""Which name was meant: the one that the SDM or Linux has for the same thing, or the one of which this is a slip."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from vmcsc.architecture.lookup import plain
from vmcsc.architecture.model import Entry
from vmcsc.diagnostic import Diagnostics

MAX_LENGTH = 100
"""Longer words are no slips of the pen."""


def meant(written: str, entries: Mapping[str, Entry]) -> str | None:
    """The key of the entry that `written` is likely to mean, or None."""
    if len(written) > MAX_LENGTH:
        return None
    word = plain(written)
    for key, entry in entries.items():
        if any(plain(name) == word for name in entry.names):
            return key
    near = get_close_matches(written.lower(), entries, n=1)
    return near[0] if near else None


def did_you_mean(written: str, entries: Mapping[str, Entry], diagnostics: Diagnostics) -> str | None:
    """The sentence that asks so, or None; also None where `diagnostics` takes no more, since looking takes time."""
    name = None if diagnostics.full else meant(written, entries)
    return None if name is None else f"did you mean `{name}`?"
