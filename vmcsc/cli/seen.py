"""What `vmcsc check` said before, said again as long as nothing that it depends on has changed.

An entry is found by the command line and by what the environment says of settings and colours. It lists every file that
was read, by its content, and every place where a file could appear that would be read instead.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmcsc.cache import MAX_BYTES, SETTLED, Fingerprint, digest
from vmcsc.cli.kept import user_cache

if TYPE_CHECKING:
    import argparse

    from vmcsc.cli.project import Project
    from vmcsc.result import Result

_KIND = "check"
_VARIABLES = ("FORCE_COLOR", "NO_COLOR", "TERM", "VMCSC_CONFIG", "VMCSC_FORMAT")
_SUFFIX = ".vmcs"


def replay(argv: Sequence[str]) -> int | None:
    """Print what an earlier run with these arguments printed and return its exit code; None if that does not hold."""
    cache = user_cache()
    kept = None if cache is None or not _keeps(argv) else cache.get(_KIND, _key(argv))
    if kept is None or any(_state(path, how) != state for path, how, state in kept["depends"]):
        return None
    from vmcsc.cli.terminal import put

    put(kept["output"], sys.stdout)
    put(kept["summary"], sys.stderr)
    code: int = kept["code"]
    return code


def remember(
    argv: Sequence[str],
    arguments: argparse.Namespace,
    project: Project,
    results: Sequence[Result | None],
    said: tuple[str, str, int],
    started: float,
) -> None:
    """Keep what was printed and the exit code, if it is known what they depend on."""
    cache = project.database.cache
    depends = None if cache is None or not _keeps(argv) else _depends(arguments, project, results, started)
    if cache is not None and depends is not None:
        output, summary, code = said
        states = [(path, how, _state(path, how)) for path, how in depends]
        cache.put(_KIND, _key(argv), {"output": output, "summary": summary, "code": code, "depends": states})


def _keeps(argv: Sequence[str]) -> bool:
    """Standard input is not there again, and bare states are not kept."""
    return "-" not in argv and not any(argument.startswith("--state") for argument in argv)


def _key(argv: Sequence[str]) -> str:
    told = [f"{name}={os.environ.get(name)}" for name in _VARIABLES]
    terminal = sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty()
    return digest(os.getcwd(), str(terminal), *told, *argv)


# --- what an entry depends on ---

_Dependency = tuple[str, str]
"""A path, and what of it counts: its `content`, whether it `exists`, the policies `in` it, or all `specs` below it."""


def _state(path: str, how: str) -> str:
    """What counts of the path, as it is now."""
    try:
        if how == "specs":
            return Fingerprint([path]).key
        if how == "in":
            return digest(*sorted(_listed(path)))
        if how == "exists":
            os.stat(path)
            return "there"
        return digest(_content(path).decode("utf-8", "surrogateescape"))
    except (OSError, ValueError):
        return "not there"


def _content(path: str) -> bytes:
    """The bytes of a regular file that is not large; anything else might never end."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            raise OSError("no file that anything was made of")
        return stream.read(MAX_BYTES)


def _listed(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        found = ((entry.name, entry.stat(follow_symlinks=False)) for entry in entries if entry.name.endswith(_SUFFIX))
        return [f"{name} {told.st_mode} {told.st_size} {told.st_mtime_ns}" for name, told in found]


def _depends(
    arguments: argparse.Namespace, project: Project, results: Sequence[Result | None], started: float
) -> list[_Dependency] | None:
    """What the output depends on; None where that cannot be told, or may have changed while the command ran."""
    from pathlib import Path

    from vmcsc.cli.config import OWN, SHARED, VARIABLE, upwards

    found: dict[_Dependency, None] = {}
    for name in arguments.policies:
        found[name, "exists"] = None  # a file is preferred to the shipped policy of that name
    for folder in upwards(Path.cwd()):
        found[str(folder / ".git"), "exists"] = None
        found.update(dict.fromkeys((str(folder / name), "content") for name in (OWN, SHARED)))
    if os.environ.get(VARIABLE):
        found[os.environ[VARIABLE], "content"] = None
    found.update(dict.fromkeys((str(folder), "specs") for folder in project.database.folders[1:]))
    found.update(dict.fromkeys((str(folder), "exists") for folder in project.search))
    shipped = project.database.files("cpus", ".yaml")
    cpus = [*arguments.cpu, *project.cpu_names, *(n.text for r in results if r and r.policy for n in r.policy.cpus)]
    if "live" in cpus or "kvm" in cpus:
        return None
    found.update(dict.fromkeys((name, "content") for name in cpus if name not in shipped))
    if not all(_is_settled(path, how, started) for path, how in found):
        return None
    return [*found, *sources] if (sources := _sources(project, results)) is not None else None


def _is_settled(path: str, how: str, started: float) -> bool:
    """Whether the file surely was the same all the while."""
    try:
        return how != "content" or os.stat(path).st_mtime < started - SETTLED
    except (OSError, ValueError):
        return True


def _sources(project: Project, results: Sequence[Result | None]) -> list[_Dependency] | None:
    """The texts of the policies, and the folders in which `extends` looks."""
    found: dict[_Dependency, None] = {}
    for result in results:
        if result is None or result.policy is None:
            return None
        for source in result.policy.sources:
            path = source.path
            if path is None or "include" in source.text or not _is_still(str(path), source.text):
                return None
            found[str(path), "content"] = None
            if "extends" in source.text:
                folders = (path.parent, *project.search)
                found.update(dict.fromkeys((str(folder), "in") for folder in folders))
    return list(found)


def _is_still(path: str, text: str) -> bool:
    try:
        return _content(path).decode("utf-8-sig") == text
    except (OSError, ValueError):
        return False
