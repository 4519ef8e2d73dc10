"""Feature names of QEMU and libvirt: `-cpu host,+vmx-ept`, a list of `vmx-...`, libvirt's XML, the answer of QEMU's
query-cpu-model-expansion.

A feature that is on stands for a control that may be 1 and need not be, or for a bit that is 1. One that is off
stands for a control that is fixed: to 1 in the default1 class, else to 0. What is not named is unknown, unless the
text says that it is complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bits, Control, Msr
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readings import FIXED_0, FIXED_1, FREE, Ignored, Readings, lines
from vmcsc.expression.value import Value
from vmcsc.records import dataclass, field
from vmcsc.source import Source, Span
from vmcsc.yamlnodes import YamlDocument

COMPLETE = "vmcsc: complete"
"""In a comment: every feature that is not named is off."""

_FEATURE = re.compile(r"(?<![\w-])vmx-[a-z0-9]")
_OPTION = re.compile(r"(?<!\S)-cpu(?:\s+|=)(?P<model>'[^'\n]*'|\"[^\"\n]*\"|\S+)")
_NAMED = re.compile(r"(?P<sign>[+-]?)(?P<name>[a-z0-9][a-z0-9_.-]{0,79})(?:=(?P<state>on|off|yes|no|true|false))?")
_STATED = re.compile(r"vmx-[a-z0-9-]+[\"']?\s*:")
_NAMES_OF_QEMU = "Recognized CPUID flags"
_TOKEN = re.compile(r"[^\s,'\"]+")
_ON = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}


@dataclass
class _Feature:
    """What a name stands for. QEMU has names that stand for several bits."""

    controls: list[Control] = field(default_factory=list)
    bits: list[tuple[Msr, Bits]] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    @property
    def is_single(self) -> bool:
        return len(self.controls) + len(self.bits) + len(self.facts) == 1


class Features:
    """The features that a text names, until `finish` makes a processor of them."""

    def __init__(self, readings: Readings, *, libvirt: bool = False) -> None:
        self._readings = readings
        self._libvirt = libvirt
        self._known = _features(readings.database, libvirt)
        self._taken: set[tuple[str, bool]] = set()
        self.ignored = Ignored("name")

    def take(self, name: str, on: bool, span: Span) -> None:
        """One feature that is on or off."""
        feature = self._known.get(name)
        if feature is not None:
            if (name, on) not in self._taken:
                self._taken.add((name, on))
                self._apply(feature, on, span)
        elif name.startswith("vmx-"):
            message = f"`{name}` names no feature of VMX that is known here"
            help = self._readings.did_you_mean(name, self._known)
            self._readings.diagnostics.report(codes.UNKNOWN_FEATURE, message, span, help=help)
        else:
            self.ignored.spans.append(span)

    def _apply(self, feature: _Feature, on: bool, span: Span) -> None:
        readings = self._readings
        if not on and not feature.is_single:
            return  # one of its bits is 0, and nobody says which
        for control in feature.controls:
            word = readings.database.words[control.word]
            if on:
                readings.take_setting(word, control.mask, FIXED_1 if control.default1 else FREE, FREE, span)
            else:
                fixed = FIXED_1 if control.default1 else FIXED_0
                readings.take_setting(word, control.mask, fixed, fixed, span)
            readings.take_default1(word, span)
        for msr, bits in feature.bits:
            readings.take_bits(msr, Value(64, bits.mask if on else 0, bits.mask), span)
        for fact in feature.facts:
            if fact not in readings.facts:
                readings.take_fact(fact, int(on), span)

    def _take_unnamed(self, span: Span) -> None:
        """In a complete text a feature without its name is off, if QEMU has a name for it."""
        seen = {name for name, _ in self._taken}
        for name, feature in self._known.items():
            named_by_qemu = feature.controls or any(self._libvirt or bits.qemu == name for _, bits in feature.bits)
            if name not in seen and named_by_qemu and all(bits.qemu for _, bits in feature.bits):
                self._apply(feature, False, span)

    def finish(self, source: Source, name: str, *, complete: bool) -> Cpu | None:
        readings = self._readings
        if complete:
            self._take_unnamed(source.span(0, 0))
        self.ignored.report(readings.diagnostics)
        if not self._taken:
            message = "the text names no feature of VMX"
            help = "features of VMX are called `vmx-...`; QEMU and libvirt list them where nested VMX is on"
            readings.diagnostics.report(codes.CPU_UNREADABLE, message, source.span(0, 0), help=help)
            return None
        readings.drop_absent()
        return readings.cpu(name, name)


def _features(database: Database, libvirt: bool) -> Mapping[str, _Feature]:
    """The names: those of libvirt, which has one for each bit, or all of them, as QEMU takes them."""
    known: dict[str, _Feature] = {}
    for control in database.controls.values():
        if control.qemu is not None:
            known.setdefault(control.qemu, _Feature()).controls.append(control)
    for msr in database.capability_msrs:
        for bits in msr.bits:
            names = (bits.libvirt or bits.qemu,) if libvirt else (bits.qemu, bits.libvirt)
            for name in names:
                if name is not None:
                    known.setdefault(name, _Feature()).bits.append((msr, bits))
    for fact in database.facts.values():
        if fact.qemu is not None:
            known.setdefault(fact.qemu, _Feature()).facts.append(fact.name)
    return known


def is_features(source: Source) -> bool:
    """Whether the text names a feature of VMX, or is a command line of QEMU. `vmx-ept: false` is no list of names."""
    return bool(_OPTION.search(source.text) or (_FEATURE.search(source.text) and not _STATED.search(source.text)))


def read_features(source: Source, name: str, readings: Readings) -> Cpu | None:
    """The processor of a QEMU command line (only its `-cpu` is looked at), or of a list of names."""
    known_only = source.text.find(_NAMES_OF_QEMU)
    if known_only >= 0:
        message = "this is the help of QEMU: the features that it knows, not those of a CPU"
        span = source.span(known_only, known_only + len(_NAMES_OF_QEMU))
        help = "write the `-cpu` of a guest, or ask a running QEMU with query-cpu-model-expansion"
        readings.diagnostics.report(codes.CPU_UNREADABLE, message, span, help=help)
        return None
    features = Features(readings)
    others = Ignored("line")
    options = list(_OPTION.finditer(source.text))
    tokens = _option_tokens(source, options) if options else _list_tokens(source, others)
    for span in tokens:
        match = _NAMED.fullmatch(span.text)
        if match is None:
            features.ignored.spans.append(span)
        else:
            on = _ON[match["state"] or "on"] and match["sign"] != "-"
            features.take(match["name"], on, span)
    others.report(readings.diagnostics)
    return features.finish(source, name, complete=not options and COMPLETE in source.text)


def _option_tokens(source: Source, options: Iterable[re.Match[str]]) -> Iterator[Span]:
    """The properties of `-cpu MODEL,property,...`, without the model."""
    for option in options:
        tokens = list(_TOKEN.finditer(source.text, *option.span("model")))
        for token in tokens[1:]:
            yield source.span(*token.span())


def _list_tokens(source: Source, others: Ignored) -> Iterator[Span]:
    """The names of the lines that are lists; the others are sentences about features, which may say the contrary."""
    for line in lines(source):
        text = line.text.partition("#")[0]
        if not text.strip():
            continue
        if not _is_list(text):
            others.spans.append(line)
            continue
        for token in _TOKEN.finditer(source.text, line.start, line.start + len(text)):
            yield source.span(*token.span())


def _is_list(line: str) -> bool:
    """Names with commas between them, one name alone, or words that cannot be anything but features."""
    if all(len(item.split()) <= 1 for item in line.split(",")):
        return True
    matches = [_NAMED.fullmatch(word) for word in _TOKEN.findall(line)]
    return all(m is not None and (m["sign"] or m["state"] or m["name"].startswith("vmx")) for m in matches)


def _properties(document: YamlDocument) -> Iterator[tuple[tuple[str | int, ...], str, bool]]:
    """Every key with a truth value, however deep, and the path of its mapping."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document.value)]
    while waiting:
        path, value = waiting.pop()
        items: Iterable[tuple[str | int, Any]] = ()
        if isinstance(value, dict):
            items = value.items()
        elif isinstance(value, list):
            items = enumerate(value)
        for key, below in items:
            if isinstance(below, bool) and isinstance(key, str):
                yield path, key, below
            elif isinstance(below, dict | list):
                waiting.append(((*path, key), below))


def has_properties(document: YamlDocument) -> bool:
    """Whether a mapping says of a feature of VMX whether it is on, as QEMU's query-cpu-model-expansion answers."""
    return any(key.startswith("vmx-") for _, key, _ in _properties(document))


def read_properties(document: YamlDocument, name: str, readings: Readings) -> Cpu | None:
    """The processor of QEMU's answer. What it says besides of the guest's CPU is not looked at."""
    features = Features(readings)
    for path, key, on in _properties(document):
        if key == "vmx" or key.startswith("vmx-"):
            features.take(key, on, document.key_span(*path, key))
    return features.finish(document.source, name, complete=False)


def read_xml(source: Source, name: str, readings: Readings) -> Cpu | None:
    """The processor of libvirt's XML: a domain, its capabilities, a CPU model."""
    from vmcsc.capabilities.libvirt import read_elements  # expat, for XML only

    features = Features(readings, libvirt=True)
    if not read_elements(source, features, readings.diagnostics):
        return None
    return features.finish(source, name, complete=COMPLETE in source.text)
