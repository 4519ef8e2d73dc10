"""The values of all spec files, kept from an earlier run so that this one parses no YAML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from vmcsc.architecture.reader import SpecDocument
from vmcsc.cache import Cache, Fingerprint
from vmcsc.source import Source, Span, UnreadableText, read_source
from vmcsc.yamlnodes import YamlDocument, YamlError, read_yaml

Place = tuple[SpecDocument, tuple[str | int, ...]]
"""A document and the path of a value in it."""


class Origins(Mapping[tuple[str, str], Span]):
    """Where each entry is written, by kind and name; looked up in the texts only when somebody asks."""

    def __init__(self, places: Mapping[tuple[str, str], Place]) -> None:
        self._places = places

    def __getitem__(self, key: tuple[str, str]) -> Span:
        document, path = self._places[key]
        return document.span(*path)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class KeptSpecs:
    """The documents of some folders in a cache, as long as no file in the folders changes."""

    def __init__(self, cache: Cache, folders: Sequence[Path]) -> None:
        self._cache = cache
        self._files = Fingerprint([str(folder) for folder in folders])

    @property
    def key(self) -> str:
        """A name for the content of the folders."""
        return self._files.key

    @property
    def settled(self) -> bool:
        """Whether what is made of the files may be kept: a later change of a file that is very new might not show."""
        return self._files.settled

    def read(self) -> list[SpecDocument] | None:
        kept = self._cache.get("specs", self.key)
        return None if kept is None else [_document(path, kind, value) for path, kind, value in kept]

    def write(self, documents: Iterable[tuple[Path, SpecDocument]]) -> None:
        """Keep documents that are in order."""
        if self.settled:
            self._cache.put("specs", self.key, [(str(path), one.kind, one.value) for path, one in documents])


def _document(path: str, kind: str, value: dict[str, object]) -> SpecDocument:
    return SpecDocument(kind, value, lambda: _read_again(Path(path)))


def _read_again(path: Path) -> YamlDocument:
    """The file for its places; of one that is gone meanwhile they are all at its beginning."""
    try:
        return read_yaml(read_source(path))
    except (UnreadableText, YamlError):
        gone = YamlDocument(Source(str(path), ""))
        gone.spans, gone.keys = {}, {}
        return gone
