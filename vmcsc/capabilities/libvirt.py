"""The `<feature>` elements of libvirt's XML: of a domain, of domain capabilities, of a CPU model in its cpu_map."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.parsers import expat

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.source import Source, Span

if TYPE_CHECKING:
    from vmcsc.capabilities.features import Features

MAX_DEPTH = 100

_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,200}\?>")
_POLICIES = {"force": True, "require": True, "disable": False, "forbid": False}
_FEATURE, _BLOCKERS, _DEFINITIONS = "feature", "blockers", frozenset({"cpuid", "msr"})
_ROOT = b"<all>"
"""Around the text, which may be several elements. No document type can follow a start tag, so no entity is defined."""


def read_elements(source: Source, features: Features, diagnostics: Diagnostics) -> bool:
    """Hand every feature that the XML states to `features`; False after reporting why that is impossible."""
    reader = _Reader(source, features, diagnostics)
    return reader.read()


class _Refused(Exception):
    """The XML is no description of one CPU; it is reported."""


class _Reader:
    def __init__(self, source: Source, features: Features, diagnostics: Diagnostics) -> None:
        self._source = source
        self._features = features
        self._diagnostics = diagnostics
        declaration = _DECLARATION.match(source.text)
        skipped = 0 if declaration is None else declaration.end()
        self._bytes = (" " * skipped + source.text[skipped:]).encode("utf-8", errors="replace")
        self._open: list[tuple[str, int]] = []
        self._owner: tuple[int, Span] | None = None
        self._at = (0, 0)
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def read(self) -> bool:
        try:
            self._parser.Parse(_ROOT, False)
            self._parser.Parse(self._bytes, False)
            self._parser.Parse(b"</all>", True)
        except expat.ExpatError as error:
            offset = self._offset(self._parser.ErrorByteIndex - len(_ROOT))
            message = f"this is not well-formed XML: {expat.errors.messages.get(error.code, 'it ends too early')}"
            self._diagnostics.report(codes.CPU_UNREADABLE, message, self._source.span(offset, offset + 1))
            return False
        except _Refused:
            return False
        return True

    def _offset(self, index: int) -> int:
        """The offset in the text of a byte; the bytes asked for ascend, so that each is looked at once."""
        byte, offset = self._at
        index = max(byte, min(index, len(self._bytes)))
        offset += len(self._bytes[byte:index].decode("utf-8", errors="ignore"))
        self._at = (index, offset)
        return offset

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        start = self._offset(self._parser.CurrentByteIndex - len(_ROOT))
        self._open.append((tag, start))
        if len(self._open) > MAX_DEPTH:
            self._refuse(f"elements are nested more than {MAX_DEPTH} deep", start)
        if tag in _DEFINITIONS and len(self._open) > 1 and self._open[-2][0] == _FEATURE:
            self._refuse("this XML defines what feature names mean; it describes no CPU", start)
        if tag != _FEATURE or any(name == _BLOCKERS for name, _ in self._open):
            return  # blockers are what keeps a CPU model from being used
        span = self._source.span(start, max(start + 1, self._source.text.find(">", start) + 1))
        self._take(attributes, span)

    def _take(self, attributes: dict[str, str], span: Span) -> None:
        name = attributes.get("name", "")
        policy = attributes.get("policy", "forbid" if attributes.get("removed") == "yes" else "require")
        if name != "vmx" and not name.startswith("vmx-"):
            self._features.ignored.spans.append(span)
            return
        owner = self._open[-2][1] if len(self._open) > 2 else -1
        if self._owner is None:
            self._owner = (owner, span)
        elif self._owner[0] != owner:
            message = "the XML holds features of more than one CPU"
            labels = [Label(self._owner[1], "those of another begin here")]
            help = "keep the `<cpu>` or `<mode>` that is meant, and remove the others"
            self._diagnostics.report(codes.CPU_UNREADABLE, message, span, labels=labels, help=help)
            raise _Refused
        if policy in _POLICIES:
            self._features.take(name, _POLICIES[policy], span)
        else:
            message = f"`{name}` may be there or not by the policy `{policy}`, and stays unknown"
            self._diagnostics.report(codes.NOT_READ, message, span)

    def _end(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            self._open.pop()

    def _refuse(self, message: str, offset: int) -> None:
        self._diagnostics.report(codes.CPU_UNREADABLE, message, self._source.span(offset, offset + 1))
        raise _Refused
