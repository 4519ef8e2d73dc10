"""Policies as they are named on the command line: a path, a shipped name, or `-`."""

from __future__ import annotations

import sys
from pathlib import Path

from vmcsc import codes
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.source import MAX_BYTES, Source, UnreadableText, refuse_deceptive, source_of_bytes

POLICY_HELP = "a policy: a file, the name of a shipped policy, or - for standard input"


class NamedPolicies:
    """Turns arguments into what `compile` takes. Standard input can be read once."""

    def __init__(self) -> None:
        self._input: Source | None = None

    def find(self, name: str) -> tuple[Path | Source | str | None, list[Diagnostic]]:
        """The policy that `name` means, or None and why it cannot be read."""
        if name == "-":
            return self._standard_input()
        if "/" not in name and "{" not in name and not Path(name).exists():
            return name, []  # perhaps a shipped one
        return Path(name), []

    def _standard_input(self) -> tuple[Source | None, list[Diagnostic]]:
        if self._input is None:
            try:
                self._input = _read_standard_input()
            except UnreadableText as error:
                diagnostics = Diagnostics()
                diagnostics.report(codes.UNREADABLE, f"standard input cannot be read: {error.reason}", error.span)
                return None, diagnostics.found
        return self._input, []


def _read_standard_input() -> Source:
    if sys.stdin is None:
        raise UnreadableText("it is closed")
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:  # a test or a program has put a text there
        return refuse_deceptive(Source("<stdin>", sys.stdin.read(MAX_BYTES + 1)))
    try:
        return source_of_bytes(stream.read(MAX_BYTES + 1), "<stdin>")
    except OSError as error:
        raise UnreadableText(error.strerror or "it cannot be read") from error
