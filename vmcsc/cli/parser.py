"""The arguments of the commands: how one is described, and the options that several of them share."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import groupby
from typing import Any, NoReturn

from vmcsc.cli.terminal import put
from vmcsc.report.cells import visible

FORMAT_VARIABLE = "VMCSC_FORMAT"
"""The environment variable that says how findings are printed, so that a pipeline need not say it in every command."""

_UNRECOGNIZED = "unrecognized arguments: "


FINDINGS = (
    "exit status:\n"
    "  0  nothing is wrong; notes and warnings are fine, unless --strict is given\n"
    "  1  there are errors\n"
    "  2  wrong use, or something that cannot be read or written\n"
)
"""What the commands that print findings exit with."""

SETTINGS = (
    "settings:\n"
    "  The nearest vmcsc.toml, or pyproject.toml with [tool.vmcsc], from here\n"
    "  upwards, or the file that the variable VMCSC_CONFIG names, may set cpus,\n"
    "  specs, search and ignore. The command line wins.\n"
)
"""Where the commands that load the specs have their settings from."""


class _Formatter(argparse.HelpFormatter):
    """Fills paragraphs to the width of the terminal; indented lines stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled: list[str] = []
        for raw, group in groupby(text.split("\n"), key=lambda line: not line or line.startswith("  ")):
            lines = list(group)
            filled += lines if raw else textwrap.wrap(" ".join(lines), width)
        return "\n".join(f"{indent}{line}" for line in filled)


class Parser(argparse.ArgumentParser):
    """The parser of one command, with `sections` and one example below its options. Wrong use exits with 2."""

    def __init__(self, command: str, description: str, example: str, *sections: str, add_help: bool = True) -> None:
        super().__init__(
            prog=f"vmcsc {command}",
            description=description,
            epilog="\n".join([*sections, f"example:\n  {example}"]),
            formatter_class=_Formatter,
            allow_abbrev=False,
            add_help=add_help,
        )

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, with the option that may have been meant, and exit."""
        hint = self._meant(message.removeprefix(_UNRECOGNIZED)) if message.startswith(_UNRECOGNIZED) else ""
        self.exit(2, f"{self.format_usage()}{self.prog}: error: {visible(message)}{hint}\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """As in argparse, which though takes a full disk for success."""
        put(message, file or sys.stderr)

    def _meant(self, unrecognized: str) -> str:
        given = unrecognized.strip().partition(" ")[0].partition("=")[0]
        near = get_close_matches(given, self._option_string_actions, n=1) if given.startswith("-") else []
        return f"; did you mean {near[0]}?" if near else ""


def add_cpus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cpu",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="a CPU to compile for: a name that `vmcsc cpu list` prints, a file with its capability MSRs (YAML, JSON,"
        " or the output of rdmsr, vmxcap, QEMU or libvirt), - for such a text on standard input,"
        " `live` for this machine, or `kvm` for what KVM on it offers"
        " to guests; may be repeated, and replaces the CPUs that the policy names",
    )


def add_specs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--specs",
        action="append",
        default=[],
        metavar="DIR",
        help="a folder of further specs, CPUs and policies; may be repeated, and replaces those of the settings",
    )


def add_format(parser: argparse.ArgumentParser, choices: Sequence[str], default: str, help: str) -> None:
    listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
    wished = os.environ.get(FORMAT_VARIABLE)
    parser.add_argument(
        "--format",
        choices=choices,
        default=wished if wished in choices else default,
        metavar="FORMAT",
        help=f"{help}: {listed} (default: {FORMAT_VARIABLE} where it is one of them, else {default})",
    )


def add_strictness(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--strict",
        action="store_true",
        help="let warnings, and notes that something cannot be decided, count as errors",
    )
    parser.add_argument("--exit-zero", action="store_true", help="exit with 0 where it would be 1")


def add_color(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        metavar="WHEN",
        help="whether to use colours: auto, always or never (default: auto, which goes by FORCE_COLOR, NO_COLOR and"
        " whether the output is a terminal)",
    )
