"""The arguments of the commands: how one is described, and the options that several of them share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from vmcsc.report.cells import visible

_UNRECOGNIZED = "unrecognized arguments: "


class Parser(argparse.ArgumentParser):
    """The parser of one command, with one example in its help. Wrong use exits with 2."""

    def __init__(self, command: str, description: str, example: str, *, add_help: bool = True) -> None:
        super().__init__(
            prog=f"vmcsc {command}",
            description=description,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=add_help,
        )

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, with the option that may have been meant, and exit."""
        hint = self._meant(message.removeprefix(_UNRECOGNIZED)) if message.startswith(_UNRECOGNIZED) else ""
        self.exit(2, f"{self.format_usage()}{self.prog}: error: {visible(message)}{hint}\n")

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
        help="a CPU to compile for: a name that `vmcsc cpu list` prints, or a file with its capability MSRs"
        " in YAML or JSON; may be repeated, and replaces the CPUs that the policy names",
    )


def add_specs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--specs",
        action="append",
        default=[],
        metavar="DIR",
        help="a folder of further specs, CPUs and policies; may be repeated",
    )


def add_format(parser: argparse.ArgumentParser, choices: Sequence[str], default: str, help: str) -> None:
    parser.add_argument("--format", choices=choices, default=default, help=f"{help} (default: {default})")


def add_color(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="whether to use colours (default: auto: on a terminal, unless NO_COLOR or FORCE_COLOR is set)",
    )
