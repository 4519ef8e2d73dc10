"""What a finding says: its sentence, and below that its reasons, the processors, what helps."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.diagnostic import Diagnostic

MAX_MESSAGE = 1000
"""Characters of a sentence that are shown: a name in it may be as long as its file."""

MAX_CPUS = 6
"""How many processors a finding names before it only counts them."""


def sentence(diagnostic: Diagnostic) -> str:
    """The message, cut where it is too long to read."""
    message = diagnostic.message
    return message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."


def remarks(diagnostic: Diagnostic) -> Iterator[tuple[str, str]]:
    """Each remark as its kind (`note` or `help`) and its text."""
    for note in diagnostic.notes:
        yield "note", note
    if diagnostic.cpus:
        named = ", ".join(diagnostic.cpus[:MAX_CPUS])
        beyond = len(diagnostic.cpus) - MAX_CPUS
        yield "note", f"on: {named}" + (f" and {beyond} more" if beyond > 0 else "")
    if diagnostic.help is not None:
        yield "help", diagnostic.help
