"""Files of a kernel tree: read with care, and as what the compiler sees for x86-64."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics
from vmcsc.records import dataclass, field
from vmcsc.source import Source, UnreadableText, read_source

_COMMENT_OR_STRING = re.compile(r'/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
_DIRECTIVE = re.compile(r"[ \t]*#[ \t]*(ifdef|ifndef|if|elif|else|endif)\b(.*)")
_DEFINE = re.compile(r"(?m)^[ \t]*#[ \t]*define[ \t]+(\w+)(\([\w \t,]*\))?")
_FUNCTION = re.compile(r"(?m)^[A-Za-z_][\w \t*]*?\b(\w+)\s*\([^;{}()]*\)\s*\{")
_64_BITS = "CONFIG_X86_64"


@dataclass(frozen=True, slots=True)
class Macro:
    """A definition: its value, which begins at `at`, and where its first line begins and its last one ends."""

    parameters: tuple[str, ...]
    text: str
    start: int
    at: int
    end: int


@dataclass(frozen=True, eq=False)
class KernelFile:
    """One file: `path` within the tree, `source` as it is. `code` has blanks in place of comments, of contents of
    strings, and of what is not compiled for x86-64; places in it are those of the source."""

    path: str
    source: Source

    @property
    def text(self) -> str:
        return self.source.text

    @cached_property
    def code(self) -> str:
        return _compiled(_COMMENT_OR_STRING.sub(lambda match: _blank(match.group()), self.text))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file's bytes."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def macros(self) -> Mapping[str, list[Macro]]:
        """The macros by name, each with all its definitions."""
        found: dict[str, list[Macro]] = {}
        for match in _DEFINE.finditer(self.code):
            end = self.code.find("\n", match.end())
            while end > 0 and self.code[end - 1] == "\\":
                end = self.code.find("\n", end + 1)
            end = len(self.code) if end < 0 else end
            name, parameters = match.groups()
            names = tuple(part.strip() for part in parameters[1:-1].split(",")) if parameters else ()
            text = self.code[match.end() : end]
            found.setdefault(name, []).append(Macro(names, text.strip(), match.start(), match.end(), end))
        return found

    @cached_property
    def _bodies(self) -> Mapping[str, tuple[int, int]]:
        """Where the bodies of functions lie, from behind the opening brace to the closing one."""
        found: dict[str, tuple[int, int]] = {}
        ends = [match.start() for match in re.finditer(r"(?m)^\}", self.code)]
        for match in _FUNCTION.finditer(self.code):
            place = bisect_left(ends, match.end())
            end = ends[place] if place < len(ends) else len(self.code)
            found.setdefault(match.group(1), (match.end(), end))
        return found

    def body(self, function: str) -> tuple[int, int] | None:
        """Where the body of a function lies in the code."""
        return self._bodies.get(function)

    def around(self, place: int) -> str | None:
        """The name of the function that a place in the code belongs to."""
        return next((name for name, (start, end) in self._bodies.items() if start <= place < end), None)

    def body_text(self, function: str) -> str | None:
        place = self.body(function)
        return None if place is None else self.code[slice(*place)]


def _blank(text: str) -> str:
    return "".join(character if character == "\n" else " " for character in text)


def _compiled(code: str) -> str:
    """Without what `#ifdef` leaves out. Of other conditions than that for 64 bits nobody knows, so both arms stay."""
    lines = []
    stack: list[tuple[bool, str]] = []  # for each condition whether its arm is compiled, and which about 64 bits it is
    active = True
    for line in code.split("\n"):
        match = _DIRECTIVE.match(line)
        if match is None:
            lines.append(line if active else " " * len(line))
            continue
        word, condition = match.group(1), match.group(2).strip()
        if word in ("ifdef", "ifndef", "if"):
            about = word if condition == _64_BITS and word != "if" else ""
            stack.append((active, about))
            active = active and about != "ifndef"
        elif word == "else" and stack:
            active = stack[-1][0] and stack[-1][1] != "ifdef"
        elif word == "endif" and stack:
            active = stack.pop()[0]
        lines.append(line)
    return _without_directives("\n".join(lines))


def _without_directives(code: str) -> str:
    return "\n".join(" " * len(line) if _DIRECTIVE.match(line) else line for line in code.split("\n"))


@dataclass
class KernelSources:
    """The files of a tree, each read once and only within it; what is wrong with one is reported."""

    root: Path
    diagnostics: Diagnostics
    _read: dict[str, KernelFile | None] = field(default_factory=dict)

    def first(self, paths: Iterable[str]) -> KernelFile | None:
        """The first of these files that there is."""
        return next(self.all(paths), None)

    def all(self, paths: Iterable[str]) -> Iterator[KernelFile]:
        for path in paths:
            found = self.file(path)
            if found is not None:
                yield found

    def file(self, path: str) -> KernelFile | None:
        if path not in self._read:
            self._read[path] = self._open(path)
        return self._read[path]

    @property
    def files(self) -> list[KernelFile]:
        """What was read so far."""
        return [file for file in self._read.values() if file is not None]

    def _open(self, path: str) -> KernelFile | None:
        place = self.root / path
        try:
            if not place.exists():
                return None
            if not place.resolve().is_relative_to(self.root.resolve()):
                self._refuse(path, "it is a link that leads out of the tree")
                return None
            source = read_source(place, str(place))
        except UnreadableText as error:
            self._refuse(path, error.reason)
            return None
        except OSError as error:
            self._refuse(path, error.strerror or "it cannot be read")
            return None
        if "\r" in source.text:
            self._refuse(path, "its lines end in CR LF, and no patch would apply", "check it out with LF line ends")
            return None
        return KernelFile(path, source)

    def _refuse(self, path: str, reason: str, help: str | None = None) -> None:
        self.diagnostics.report(codes.KERNEL_TREE, f"{path} of the kernel tree cannot be used: {reason}", help=help)
