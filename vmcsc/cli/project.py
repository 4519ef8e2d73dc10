"""What a command works with: the specs, and the settings of the project around the current directory."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.cli.config import Config, read_config
from vmcsc.cli.kept import user_cache
from vmcsc.cli.standard_input import NAME
from vmcsc.cli.standard_input import read_cpu as read_cpu_or_input
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.ignore import known_codes, why_not_ignored
from vmcsc.loading import load
from vmcsc.records import dataclass
from vmcsc.source import Source, Span

if TYPE_CHECKING:
    from vmcsc.inputs import CpuLike
    from vmcsc.result import Result


@dataclass(frozen=True)
class Project:
    """The specs, and what the configuration says of compiling: default CPUs, search folders, ignored codes.

    `findings` are what there is to say of the default CPUs, `cpu_names` what they were read by.
    """

    database: Database
    cpus: Sequence[Cpu] = ()
    search: Sequence[Path] = ()
    ignore: frozenset[str] = frozenset()
    findings: Sequence[Diagnostic] = ()
    cpu_names: Sequence[str] = ()

    def compile(self, source: str | Path | Source, cpus: Sequence[CpuLike] = (), *, strict: bool = False) -> Result:
        """As `vmcsc.compile`, for the CPUs of the command line if there are any."""
        from vmcsc.pipeline import compile  # most commands compile nothing

        return compile(
            source,
            cpus or None,
            self.database,
            search=self.search,
            default_cpus=self.cpus,
            ignore=self.ignore,
            strict=strict,
        )


def open_project(arguments: argparse.Namespace, *, with_cpus: bool = False) -> Project:
    """Read the settings and load the specs: those of `--specs`, or else of the configuration.

    Raises `VmcscError` with findings where settings or specs are not in order.
    """
    diagnostics = Diagnostics()
    config = read_config(diagnostics)
    folders = [Path(folder) for folder in arguments.specs] or folders_of(config, "specs", diagnostics)
    search = folders_of(config, "search", diagnostics)
    refuse(diagnostics)
    database = load(*folders, cache=user_cache())
    names = _cpu_names(config, database) if with_cpus else {}
    cpus = [read_cpu(name, database, diagnostics, span) for name, span in names.items()]
    ignore = ignored_codes(config, database, diagnostics)
    refuse(diagnostics)
    _take_input(arguments, database)
    kept = tuple(finding for finding in diagnostics if finding.code not in ignore)
    return Project(database, [cpu for cpu in cpus if cpu is not None], search, ignore, kept, tuple(names))


def _take_input(arguments: argparse.Namespace, database: Database) -> None:
    """Put the CPU on standard input in the place of the `-` that stands for it among several names."""
    named = getattr(arguments, "cpu", None)
    if not isinstance(named, list) or NAME not in named:
        return
    diagnostics = Diagnostics()
    given = read_cpu_or_input(NAME, database, diagnostics)
    if given is None:
        raise VmcscError("the CPU on standard input cannot be used", tuple(diagnostics))
    arguments.cpu = [given if name == NAME else name for name in named]


def refuse(diagnostics: Diagnostics) -> None:
    """Raise `VmcscError` with the findings about the configuration, if there are any."""
    if diagnostics.failed:
        raise VmcscError("the configuration is not in order", tuple(diagnostics))


def folders_of(config: Config, key: str, diagnostics: Diagnostics) -> list[Path]:
    """The folders that the setting `key` lists, after reporting those that there are not."""
    found = []
    for setting in config.get(key):
        folder = config.path(setting)
        if os.path.isdir(folder):  # noqa: PTH112 (`Path.is_dir` raises where a name is too long)
            found.append(folder)
        else:
            diagnostics.report(codes.CONFIG_VALUE, f"there is no folder {folder}", setting.span)
    return found


def _cpu_names(config: Config, database: Database) -> dict[str, Span]:
    """The default CPUs, names and paths as seen from here, and where each is written."""
    shipped = shipped_cpus(database)
    found: dict[str, Span] = {}
    for setting in config.get("cpus"):
        is_path = setting.text not in shipped and ("/" in setting.text or "." in setting.text)
        found.setdefault(str(config.path(setting)) if is_path else setting.text, setting.span)
    return found


def ignored_codes(config: Config, database: Database, diagnostics: Diagnostics) -> frozenset[str]:
    """The codes that the setting `ignore` lists, after reporting those that cannot be ignored."""
    known = known_codes(database)
    for setting in config.get("ignore"):
        reason = why_not_ignored(setting.text, known)
        if reason is not None:
            diagnostics.report(codes.CONFIG_VALUE, reason[0], setting.span, help=reason[1])
    return frozenset(setting.text for setting in config.get("ignore"))
