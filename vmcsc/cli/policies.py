"""Policies as they are named on the command line: a path, a shipped name, or `-`."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.cli.standard_input import read_standard_input
from vmcsc.diagnostic import Diagnostics
from vmcsc.source import Source, UnreadableText

SUFFIX = ".vmcs"
POLICY_HELP = "a policy: a file, the name of a shipped policy, or - for standard input"


class NamedPolicies:
    """Turns arguments into what `compile` takes. Standard input can be read once."""

    def __init__(self, database: Database) -> None:
        self._shipped = {path.name.removesuffix(SUFFIX): path for path in database.files("policies", SUFFIX).values()}
        self._input: Source | None = None

    def find(self, name: str, diagnostics: Diagnostics) -> Path | Source | None:
        """The policy that `name` means, or None after reporting why there is none."""
        if name == "-":
            return self._standard_input(diagnostics)
        if "/" in name or _is_file_name(name):
            return Path(name)
        found = next((path for own, path in self._shipped.items() if _plain(own) == _plain(name)), None)
        if found is None:
            near = get_close_matches(name, self._shipped, n=1)
            help = f"did you mean `{near[0]}`?" if near else f"shipped are {', '.join(self._shipped)}"
            message = f"there is no file and no shipped policy `{name}`"
            diagnostics.report(codes.POLICY_NOT_FOUND, message, help=help)
        return found

    def _standard_input(self, diagnostics: Diagnostics) -> Source | None:
        if self._input is None:
            try:
                self._input = read_standard_input()
            except UnreadableText as error:
                message = f"standard input cannot be read: {error.reason}"
                diagnostics.report(codes.UNREADABLE, message, error.span)
        return self._input


def _is_file_name(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # longer than a name may be, or with a NUL
        return False


def _plain(name: str) -> str:
    """Policies are called `kvm_6_1` in the language, and their files `kvm-6.1`."""
    return name.replace("-", "_").replace(".", "_")
