"""The settings of a project: `vmcsc.toml`, or `[tool.vmcsc]` in `pyproject.toml`, the nearest file upwards."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics
from vmcsc.records import dataclass, field
from vmcsc.source import Source, Span, UnreadableText, read_source

VARIABLE = "VMCSC_CONFIG"
OWN, SHARED = "vmcsc.toml", "pyproject.toml"
MAX_CHARACTERS = 1 << 18
"""Characters of a file. The reader of TOML may take more than a hundred bytes of memory for each."""

MAX_PARTS = 64
"""Parts of a dotted key. The reader of TOML takes minutes and all memory for one of some thousands."""

MAX_VALUES = 1000
"""Values in a list."""

MAX_FINDINGS = 100
"""Mistakes after which no more keys are looked at."""

KEYS = ("cpus", "specs", "search", "ignore")


@dataclass(frozen=True, slots=True)
class Setting:
    """One string of a list, and where it stands."""

    text: str
    span: Span


@dataclass(frozen=True)
class Config:
    """What a configuration file says. Its paths are relative to `folder`, as seen from the current directory."""

    folder: Path = Path()
    lists: Mapping[str, tuple[Setting, ...]] = field(default_factory=dict)

    def get(self, key: str) -> tuple[Setting, ...]:
        return self.lists.get(key, ())

    def path(self, setting: Setting) -> Path:
        return self.folder / setting.text


def read_config(diagnostics: Diagnostics) -> Config:
    """The settings for the current directory; none where no file has any. What is wrong with them is reported."""
    named = os.environ.get(VARIABLE)
    if named:
        source = _read(Path(named), diagnostics, f"{VARIABLE} names settings that cannot be read")
        return Config() if source is None else _parsed(source, diagnostics) or Config()
    for folder in upwards(Path.cwd()):
        for name in (OWN, SHARED):
            path = folder / name
            if not os.path.isfile(path):  # noqa: PTH113 (`Path.is_file` raises where a folder may not be searched)
                continue
            source = _read(Path(os.path.relpath(path)), diagnostics)
            found = None if source is None else _parsed(source, diagnostics)
            if found is not None or diagnostics.failed:
                return found or Config()
    return Config()


def upwards(start: Path) -> Iterator[Path]:
    """`start` and the folders around it, up to the root of its repository."""
    for folder in (start, *start.parents):
        yield folder
        if os.path.exists(folder / ".git"):  # noqa: PTH110 (as above)
            return


def project_root() -> Path:
    """The root of the repository around the current directory, or that directory where it is in none."""
    *_, outermost = upwards(Path.cwd())
    return outermost if os.path.exists(outermost / ".git") else Path.cwd()  # noqa: PTH110 (as above)


def _read(path: Path, diagnostics: Diagnostics, problem: str = "settings cannot be read") -> Source | None:
    try:
        return read_source(path)
    except UnreadableText as error:
        diagnostics.report(codes.CONFIG_UNREADABLE, f"{problem}: {error.reason}: {path}", error.span)
        return None


def _parsed(source: Source, diagnostics: Diagnostics) -> Config | None:
    """The settings in a file, None where it has none."""
    assert source.path is not None
    shared = source.path.name == SHARED
    if shared and "vmcsc" not in source.text:  # most projects: spare them the reader of TOML
        return None
    document = _toml(source, diagnostics)
    if document is None:
        return None
    table: Any = document
    for name in ("tool", "vmcsc") if shared else ():
        table = table.get(name)
        if table is None:
            return None
        if not isinstance(table, dict):
            span = _Places(source, shared).key(name)
            diagnostics.report(codes.CONFIG_VALUE, f"`{name}` must be a table", span, help="write `[tool.vmcsc]`")
            return None
    return Config(source.path.parent, _lists(table, _Places(source, shared), diagnostics))


# --- TOML ---

_DOT = re.compile(r"[\w\"'-][ \t]*\.[ \t]*(?=[\w\"'-])")
_BETWEEN = re.compile(r"[^=\[\]{},#\n]+")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def _toml(source: Source, diagnostics: Diagnostics) -> dict[str, Any] | None:
    import tomllib  # only where there is something to read

    if len(source.text) > MAX_CHARACTERS:
        message = f"settings have more than {MAX_CHARACTERS} characters"
        diagnostics.report(codes.CONFIG_UNREADABLE, message, Span(source, 0, 0))
        return None
    for piece in _BETWEEN.finditer(source.text):
        if piece.group().count(".") >= MAX_PARTS and len(_DOT.findall(piece.group())) >= MAX_PARTS:
            message = f"a key has more than {MAX_PARTS} parts"
            diagnostics.report(codes.CONFIG_UNREADABLE, message, Span(source, piece.start(), piece.end()))
            return None
    try:
        return tomllib.loads(source.text)
    except RecursionError:
        diagnostics.report(codes.CONFIG_UNREADABLE, "values are nested too deeply", Span(source, 0, 0))
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        text = str(error)
        place = _PLACE.search(text)
        reason = text[: place.start()] if place else "a number has too many digits"
        diagnostics.report(codes.CONFIG_UNREADABLE, f"this is not TOML: {reason}", _toml_span(source, place))
    return None


def _toml_span(source: Source, place: re.Match[str] | None) -> Span:
    """Where TOML ends to be TOML. The reader counts lines and columns from 1, as this program does."""
    if place is None:
        return Span(source, 0, 0)
    if place[1] is None:
        return Span(source, len(source.text), len(source.text))
    starts = [0, *(match.end() for match in re.finditer("\n", source.text))]
    offset = min(starts[min(int(place[1]), len(starts)) - 1] + int(place[2]) - 1, len(source.text))
    return Span(source, offset, offset + 1)


# --- settings ---


def _lists(table: dict[str, Any], places: _Places, diagnostics: Diagnostics) -> dict[str, tuple[Setting, ...]]:
    """The values of the known keys. The others, and what is no list of strings, are reported."""
    found: dict[str, tuple[Setting, ...]] = {}
    for key, value in table.items():
        if len(diagnostics) >= MAX_FINDINGS:
            break
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1)
            help = f"did you mean `{near[0]}`?" if near else f"the keys are {', '.join(KEYS)}"
            diagnostics.report(codes.CONFIG_KEY, f"there is no setting `{key[:80]}`", places.key(key), help=help)
        elif not isinstance(value, list):
            help = f'write `{key} = ["..."]`'
            message = f"`{key}` must be a list of strings"
            diagnostics.report(codes.CONFIG_VALUE, message, places.key(key), help=help)
        elif len(value) > MAX_VALUES:
            message = f"`{key}` has more than {MAX_VALUES} values"
            diagnostics.report(codes.CONFIG_VALUE, message, places.key(key))
        else:
            found[key] = tuple(_settings(key, value, places, diagnostics))
    return found


def _settings(key: str, values: list[Any], places: _Places, diagnostics: Diagnostics) -> Iterator[Setting]:
    for value in values:
        if isinstance(value, str) and value and value.isprintable():
            yield Setting(value, places.value(key, value))
        else:
            what = "an empty string" if value == "" else "something that is no plain string"
            message = f"`{key}` must be a list of strings, and holds {what}"
            diagnostics.report(codes.CONFIG_VALUE, message, places.key(key))


class _Places:
    """Where keys and values stand. The reader of TOML does not say, so they are looked up in the text."""

    def __init__(self, source: Source, shared: bool) -> None:
        self._source = source
        self._start, self._end = 0, len(source.text)
        header = re.search(r"^[ \t]*\[[ \t]*tool[ \t]*\.[ \t]*vmcsc[ \t]*\]", source.text, re.MULTILINE)
        if shared and header is not None:
            self._start = header.end()
            following = re.compile(r"^[ \t]*\[", re.MULTILINE).search(source.text, header.end())
            self._end = self._end if following is None else following.start()

    def key(self, key: str) -> Span:
        """The key where a line begins with it, else where it stands first, else the top of the table."""
        name = re.escape(key)
        for pattern in (rf"^[ \t]*[\"']?({name})\b", rf"({name})"):
            match = re.compile(pattern, re.MULTILINE).search(self._source.text, self._start, self._end)
            if match is not None:
                return Span(self._source, match.start(1), match.end(1))
        return Span(self._source, self._start, self._start)

    def value(self, key: str, value: str) -> Span:
        """The first string of this value behind the key, else the key."""
        place = self.key(key)
        for quote in "\"'":
            offset = self._source.text.find(f"{quote}{value}{quote}", place.end, self._end)
            if offset >= 0:
                return Span(self._source, offset, offset + len(value) + 2)
        return place
