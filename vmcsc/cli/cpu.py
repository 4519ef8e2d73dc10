"""`vmcsc cpu`: the CPUs that are known by name, what one allows, how several differ, what they have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from vmcsc.cli.parser import Parser, add_color, add_format, add_specs

_CPU_HELP = "a name that `vmcsc cpu list` prints, a file with capability MSRs, `live` or `kvm`"


def run(argv: Sequence[str]) -> int:
    action, *rest = argv or [""]
    if action not in _ACTIONS:
        parser().parse_args(argv)  # which exits: with the help, or with what is wrong
        return 2
    arguments = _own_parser(action).parse_intermixed_args(rest)
    result: int = import_module(f"vmcsc.cli.cpu_{action}").run(arguments)
    return result


def parser() -> Parser:
    """The parser of `vmcsc cpu`, with one below it for each action."""
    parser = Parser(
        "cpu",
        "List the CPUs that are known by name, draw what one of them allows, compare several, or write down\n"
        "what they have in common.",
        "vmcsc cpu show ice_lake_i7_1065g7",
    )
    actions = parser.add_subparsers(
        dest="action",
        required=True,
        metavar="ACTION",
        parser_class=_ActionParser,
    )
    for name, (summary, description, example, add) in _ACTIONS.items():
        add(actions.add_parser(name, help=summary, description=description, example=example))
    return parser


class _ActionParser(Parser):
    def __init__(self, prog: str, description: str, example: str, **_: object) -> None:
        super().__init__(prog.partition(" ")[2], description, example)


def _own_parser(action: str) -> Parser:
    _, description, example, add = _ACTIONS[action]
    parser = Parser(f"cpu {action}", description, example)
    add(parser)
    return parser


def _add_list(parser: argparse.ArgumentParser) -> None:
    add_specs(parser)
    add_format(parser, ("text", "json"), "text", "how the list is printed")
    add_color(parser)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cpu", metavar="NAME|FILE", help=_CPU_HELP)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="SECTION",
        help="only this control word, register or MSR, or `processor`; may be repeated",
    )
    add_specs(parser)
    add_format(parser, ("text", "json"), "text", "how it is printed")
    add_color(parser)


def _add_diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="NAME|FILE", help=_CPU_HELP)
    parser.add_argument("others", nargs="+", metavar="NAME|FILE", help="what it is compared with")
    add_specs(parser)
    add_format(parser, ("text", "json"), "text", "how differences are printed")
    add_color(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cpus", nargs="+", metavar="NAME|FILE", help=_CPU_HELP)
    parser.add_argument("-o", "--output", metavar="FILE", help="write here instead of to standard output")
    parser.add_argument(
        "--name", metavar="NAME", help="the name of the new CPU (default: that of the file, else `common`)"
    )
    add_specs(parser)
    add_color(parser)


_ACTIONS: dict[str, tuple[str, str, str, Callable[[Any], None]]] = {
    "list": (
        "list the CPUs that are known by name",
        "List the CPUs that are known by name, with how many of their MSRs and other facts are known.",
        "vmcsc cpu list --format json",
        _add_list,
    ),
    "show": (
        "draw what a CPU allows, bit by bit",
        "Draw what a CPU allows: each control word and the fixed bits of CR0 and CR4 bit by bit (forced 1,\n"
        "forced 0, free, unknown), the other capability MSRs by the names of their bits, and what else is\n"
        "known of the processor, with its source.",
        "vmcsc cpu show ice_lake_i7_1065g7 --only secondary --only processor",
        _add_show,
    ),
    "diff": (
        "show what differs between CPUs",
        "Show only what differs between CPUs: control by control, by the bits of the other capability MSRs,\n"
        "and by what else is known of the processors. What is unknown differs from what is known.\n"
        "Exit code 0 if nothing differs, 1 if something does, 2 on wrong use or unreadable input.",
        "vmcsc cpu diff ivy_bridge_i7_3820qm ice_lake_i7_1065g7",
        _add_diff,
    ),
    "common": (
        "write a CPU file of what CPUs have in common",
        "Write a CPU file of what several CPUs have in common: what it allows, each of them allows. A policy\n"
        "that compiles for it runs on all of them. Bits of which nothing in common can be said are unknown\n"
        "in it, and comments say where numbers differ. Exit code 1 where nothing satisfies all CPUs.",
        "vmcsc cpu common ivy_bridge_i7_3820qm ice_lake_i7_1065g7 -o pool.yaml",
        _add_common,
    ),
}
"""For each action: a line for the list of them, the description, an example, and what adds its arguments."""
