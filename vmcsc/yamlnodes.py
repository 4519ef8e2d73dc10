"""YAML with positions: plain values, and for each of them where it stands.

A strict subset of YAML 1.2's core schema: no anchors, aliases, tags or merge keys, no second document, no duplicate
keys. PyYAML on its own reads YAML 1.1, where `31:0` is the number 1860, `010` is 8 and `no` is false.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vmcsc.records import dataclass
from vmcsc.source import Source, Span

if TYPE_CHECKING:
    import yaml

MAX_DEPTH = 64
MAX_NODES = 100_000

_Path = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]{1,40}|0x[0-9a-fA-F]{1,40}|0o[0-7]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class YamlError(Exception):
    """What the reader refuses, as a sentence part, and where."""

    def __init__(self, reason: str, span: Span) -> None:
        super().__init__(reason)
        self.reason = reason
        self.span = span


@dataclass
class YamlDocument:
    """The value of a document, and the spans of its values and keys by path (`("fields", 3, "name")`).

    A value that was kept from an earlier run has no spans yet; the text is read for them where they are needed.
    """

    source: Source
    value: Any = None

    @cached_property
    def spans(self) -> dict[_Path, Span]:
        return read_yaml(self.source).spans

    @cached_property
    def keys(self) -> dict[_Path, Span]:
        return read_yaml(self.source).keys

    def span(self, *path: str | int) -> Span:
        """The span of the value at `path`, or of the nearest value around it."""
        for length in range(len(path), -1, -1):
            found = self.spans.get(path[:length])
            if found is not None:
                return found
        return Span(self.source, 0, 0)

    def key_span(self, *path: str | int) -> Span:
        """The span of the key whose value stands at `path`."""
        return self.keys.get(path) or self.span(*path)


def read_yaml(source: Source) -> YamlDocument:
    """Read the only document of `source`. Raises `YamlError` at the first thing that is not well-formed."""
    import yaml  # 15 ms, which a run that has the values from an earlier one can do without

    builder = _Builder(source, yaml)
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast
    try:
        for event in yaml.parse(source.text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        offset = 0 if mark is None else mark.index
        raise YamlError(error.problem or "it is not YAML", Span(source, offset, offset + 1)) from error
    except yaml.YAMLError as error:
        raise YamlError("it holds a character that YAML does not allow", Span(source, 0, 1)) from error
    return builder.document


class _Builder:
    """Turns libyaml's events into values with an explicit stack, so that depth is bounded by us."""

    def __init__(self, source: Source, yaml: Any) -> None:
        self.document = YamlDocument(source)
        self.document.spans, self.document.keys = {}, {}
        self._source = source
        self._yaml = yaml
        self._open: list[_Collection] = []
        self._nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        yaml = self._yaml
        start, end = event.start_mark, event.end_mark
        span = Span(self._source, 0 if start is None else start.index, 0 if end is None else end.index)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise YamlError("a second document begins here; one is allowed", span)
        elif isinstance(event, yaml.AliasEvent):
            raise YamlError("aliases are not allowed; write the value out", span)
        elif isinstance(event, yaml.NodeEvent):
            self._start(event, span)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(span)

    def _start(self, event: yaml.NodeEvent, span: Span) -> None:
        self._nodes += 1
        if event.anchor is not None:
            raise YamlError("anchors are not allowed", span)
        if getattr(event, "tag", None) not in (None, "!"):
            raise YamlError("tags are not allowed", span)
        if self._nodes > MAX_NODES:
            raise YamlError(f"the document has more than {MAX_NODES} values", span)
        if isinstance(event, self._yaml.ScalarEvent):
            self._place(_scalar(event, span), span, is_scalar=True)
            return
        if len(self._open) >= MAX_DEPTH:
            raise YamlError(f"values are nested more than {MAX_DEPTH} deep", span)
        value: Any = {} if isinstance(event, self._yaml.MappingStartEvent) else []
        path = self._place(value, span, is_scalar=False)
        self._open.append(_Collection(value, path, span))

    def _end(self, span: Span) -> None:
        closed = self._open.pop()
        self.document.spans[closed.path] = closed.span.to(span)

    def _place(self, value: Any, span: Span, *, is_scalar: bool) -> _Path:
        """Put `value` where it belongs and return its path (a mapping's key has none)."""
        if not self._open:
            self.document.value = value
            self.document.spans[()] = span
            return ()
        parent = self._open[-1]
        if isinstance(parent.value, list):
            path = (*parent.path, len(parent.value))
            parent.value.append(value)
        elif parent.key is None:
            self._take_key(parent, value, span, is_scalar)
            return ()
        else:
            path = (*parent.path, parent.key)
            parent.value[parent.key] = value
            parent.key = None
        self.document.spans[path] = span
        return path

    def _take_key(self, parent: _Collection, key: Any, span: Span, is_scalar: bool) -> None:
        if not is_scalar or isinstance(key, float) or key is None:
            raise YamlError("a key must be a name or a number", span)
        if span.text == "<<":
            raise YamlError("merge keys are not allowed", span)
        # Keys stay as they are written, so that 0x480 and 1152 are both seen by whoever reads the mapping.
        name = span.text.strip("\"'") if not isinstance(key, str) else key
        if name in parent.value:
            raise YamlError(f"the key {name!r} stands here twice", span)
        parent.key = name
        self.document.keys[(*parent.path, name)] = span


@dataclass(slots=True)
class _Collection:
    """A mapping or list that is being filled; `key` waits for its value."""

    value: Any
    path: _Path
    span: Span
    key: str | None = None


def _scalar(event: yaml.ScalarEvent, span: Span) -> Any:
    text: str = event.value
    if event.style in ("'", '"', "|", ">"):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    digits = text.lstrip("+-")
    if digits[:1].isdigit() and len(digits) > 40 and digits.isalnum():
        raise YamlError("a number of more than 40 digits is not read", span)
    return float(text) if _FLOAT.fullmatch(text) else text
