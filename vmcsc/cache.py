"""What was computed before, kept as JSON in a private folder of the user. Nothing that happens to it is an error.

A cache is only ever asked for what would be computed otherwise: whatever is missing, corrupt, written by somebody else
or made by another version of the program counts as not there, and what cannot be written is not kept.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from vmcsc import __version__

MAX_BYTES = 1 << 25
"""Largest entry that is read or written."""

MAX_ENTRIES = 1000
"""Entries that are kept; of more the oldest are removed."""

SETTLED = 2.0
"""Seconds after which a file that changes again gets another time of modification on every file system."""

_SUFFIXES = (".py", ".lark", ".yaml", ".json", ".vmcs", ".h")
_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_BESIDE = ("backends", "schemas", "specs")
"""What lies beside the package in a checkout, and within it where it is installed."""


def digest(*texts: str) -> str:
    """A name for these texts that no others have."""
    try:
        from _blake2 import blake2b  # hashlib loads all of OpenSSL, which takes as long as the rest of a cached run
    except ImportError:
        from hashlib import blake2b
    state = blake2b(digest_size=20)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()


class Cache:
    """Values by kind and key in `folder`, which is made when something is first written."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._program: Fingerprint | None = None

    def get(self, kind: str, key: str) -> Any:
        """What was put there, or None."""
        try:
            content = self._read(self._path(kind, key))
            first, _, rest = content.partition("\n")
            return json.loads(rest) if first == digest(kind, key, rest) else None
        except (OSError, ValueError, RecursionError):
            return None

    def put(self, kind: str, key: str, value: Any) -> None:
        """Keep `value`, which JSON can tell, if that is possible."""
        with suppress(OSError, ValueError, TypeError, RecursionError):
            text = json.dumps(value, separators=(",", ":"))
            if len(text) < MAX_BYTES and self._shipped.settled and self._is_private(make=True):
                self._write(self._path(kind, key), f"{digest(kind, key, text)}\n{text}")
                self._clear()

    @property
    def _shipped(self) -> Fingerprint:
        """The program with its data: a checkout changes without a change of its version."""
        if self._program is None:
            checkout = [os.path.join(os.path.dirname(_PACKAGE), name) for name in _BESIDE]
            inside = os.path.isdir(os.path.join(_PACKAGE, _BESIDE[-1]))
            self._program = Fingerprint([_PACKAGE, *(() if inside else checkout)])
        return self._program

    def _path(self, kind: str, key: str) -> str:
        version = ".".join(map(str, sys.version_info))
        return os.path.join(self._folder, f"{kind}-{digest(__version__, version, self._shipped.key, kind, key)}.json")

    def _is_private(self, *, make: bool = False) -> bool:
        """Whether the folder is ours and nobody else's to write to."""
        if make and not os.path.isdir(self._folder):
            os.makedirs(os.path.dirname(self._folder), exist_ok=True)
            os.mkdir(self._folder, 0o700)
        found = os.lstat(self._folder)
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022

    def _read(self, path: str) -> str:
        if not self._is_private():
            raise OSError("not our folder")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, encoding="utf-8") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_size > MAX_BYTES:
                raise OSError("not our file")
            return stream.read()

    def _write(self, path: str, content: str) -> None:
        """All of it or nothing, also where several runs write at once."""
        temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.write(content)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _clear(self) -> None:
        """Remove the oldest half where there are too many entries."""
        names = [entry for entry in os.scandir(self._folder) if entry.is_file(follow_symlinks=False)]
        if len(names) > MAX_ENTRIES:
            for entry in sorted(names, key=lambda entry: entry.stat().st_mtime)[: len(names) // 2]:
                os.unlink(entry.path)


class Fingerprint:
    """The names, sizes and times of the files in some folders, which tell cheaply that none of them changed."""

    def __init__(self, folders: Iterable[str]) -> None:
        told: list[str] = []
        newest = 0
        for folder in folders:
            told.append(os.path.abspath(folder))
            for path, size, changed in sorted(_files(folder, "")):
                told.append(f"{path} {size} {changed}")
                newest = max(newest, changed)
        self.key = digest(*told)
        self.settled = newest / 1e9 < time.time() - SETTLED
        """Whether a later change would show."""


def _files(folder: str, above: str) -> Iterator[tuple[str, int, int]]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _files(entry.path, f"{name}/")
            elif entry.name.endswith(_SUFFIXES):
                found = entry.stat()
                yield name, found.st_size, found.st_mtime_ns
