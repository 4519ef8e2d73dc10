"""Standard input as a policy or as the capabilities of a CPU."""

from __future__ import annotations

import sys

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.source import MAX_BYTES, Source, UnreadableText, refuse_deceptive, source_of_bytes

NAME = "-"
"""How standard input is called on the command line."""


def read_standard_input(name: str = "<stdin>") -> Source:
    """Standard input as a source called `name`. Raises `UnreadableText`."""
    if sys.stdin is None:
        raise UnreadableText("it is closed")
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:  # a test or a program has put a text there
        return refuse_deceptive(Source(name, sys.stdin.read(MAX_BYTES + 1)))
    try:
        return source_of_bytes(stream.read(MAX_BYTES + 1), name)
    except OSError as error:
        raise UnreadableText(error.strerror or "it cannot be read") from error


def read_cpu(name: str, database: Database, diagnostics: Diagnostics) -> Cpu | None:
    """The CPU that `name` means, `-` for standard input, or None after reporting why there is none."""
    from vmcsc.capabilities import readers

    if name != NAME:
        return readers.read_cpu(name, database, diagnostics)
    try:
        source = read_standard_input()
    except UnreadableText as error:
        message = f"standard input cannot be read: {error.reason}"
        diagnostics.report(codes.CPU_UNREADABLE, message, error.span)
        return None
    return readers.parse_cpu(source, "stdin", database, diagnostics)
