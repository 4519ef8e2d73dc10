"""The words of the command line as a table, taken from the parsers of the commands: what completion goes by."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module

from vmcsc.capabilities.readers import KVM, LIVE
from vmcsc.cli import MODULES
from vmcsc.records import dataclass
from vmcsc.resources import SPECS


@dataclass(frozen=True, slots=True)
class Value:
    """What may stand at a place: some words, and `files`, `folders` or nothing else."""

    words: tuple[str, ...] = ()
    paths: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """`value` is None where the option takes none; `repeats` where it may be given again."""

    flags: tuple[str, ...]
    help: str
    value: Value | None = None
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or what becomes of it by its first operand: `path` is `("emit",)` or `("emit", "c-header")`.

    `operands` are counted behind the name of the command; the last one is repeated where `repeats`.
    """

    path: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    operands: tuple[Value, ...]
    repeats: bool

    @property
    def key(self) -> str:
        return " ".join(self.path)


def all_commands(summaries: Mapping[str, str]) -> list[Command]:
    """Every command, each before what becomes of it by its first operand."""
    found: list[Command] = []
    for name, summary in summaries.items():
        module = import_module(f"vmcsc.cli.{MODULES.get(name, name)}")
        parser: argparse.ArgumentParser = module.parser()
        variants: Mapping[str, argparse.ArgumentParser] = getattr(module, "variants", dict)()
        nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        found.append(_command((name,), summary, parser, tuple(variants)))
        found += [_command((name, word), summary, variant, tuple(variants)) for word, variant in variants.items()]
        for action in nested:
            choice = Value(tuple(action.choices))
            found += [
                _command((name, word), summary, one, (), leading=(choice,)) for word, one in action.choices.items()
            ]
    return found


def _command(
    path: tuple[str, ...],
    summary: str,
    parser: argparse.ArgumentParser,
    variants: tuple[str, ...],
    leading: tuple[Value, ...] = (),
) -> Command:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    options = tuple(_option(action) for action in shown if action.option_strings)
    positional = [action for action in shown if not action.option_strings]
    operands = (*leading, *(_value(action, variants) for action in positional))
    repeats = bool(positional) and positional[-1].nargs in ("+", "*")
    return Command(path, summary, options, operands, repeats)


def _option(action: argparse.Action) -> Option:
    help = " ".join((action.help or "").split()).replace("%%", "%")
    value = None if action.nargs == 0 else _value(action, ())
    return Option(tuple(action.option_strings), help, value, isinstance(action, argparse._AppendAction))


def _value(action: argparse.Action, variants: tuple[str, ...]) -> Value:
    """Choices are the words; else the name of the value says what it is."""
    if action.choices is not None:
        return Value(tuple(str(choice) for choice in action.choices))
    known = {
        "NAME|FILE": Value((*_names("cpus", ".yaml"), LIVE, KVM), "files"),
        "POLICY": Value(_names("policies", ".vmcs"), "files"),
        "BACKEND": Value(variants),
        "bochs[:MODEL]": Value(("bochs",)),
        "FILE": Value(paths="files"),
        "PATH": Value(paths="files"),
        "DIR": Value(paths="folders"),
    }
    return known.get(str(action.metavar), Value())


def _names(folder: str, suffix: str) -> tuple[str, ...]:
    """The names of shipped files."""
    return tuple(sorted(path.name.removesuffix(suffix) for path in (SPECS / folder).glob(f"*{suffix}")))


def value_flags(commands: Iterable[Command]) -> list[str]:
    """Every option that takes a value, in some command; none takes one in one command and none in another."""
    return sorted({flag for _, option in _options(commands) if option.value is not None for flag in option.flags})


def _options(commands: Iterable[Command]) -> Iterator[tuple[Command, Option]]:
    for command in commands:
        for option in command.options:
            yield command, option
