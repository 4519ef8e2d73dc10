"""The output of QEMU's scripts/kvm/vmxcap. It names some bits of the controls, so that the others stay unknown.

Below a heading stands each control with what the plain and the TRUE capability MSR together say of it: `yes`, `no`,
`forced`, or `default` where only the plain one says that it must be 1. MSRs of single bits are printed in hex as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import plain
from vmcsc.architecture.model import Bits, Control, ControlWord, Msr
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readings import FIXED_0, FIXED_1, FREE, Ignored, Readings, lines, whole
from vmcsc.expression.value import Value
from vmcsc.records import dataclass
from vmcsc.source import Source, Span

MAX_LINE = 400

_ENTRY = re.compile(r"\s*(?P<label>\S.*\S)\s+(?P<state>yes|no|default|forced|\?|[0-9]{1,20})\s*(?:!!)?\s*")
_HEX = re.compile(r"\s*Hex:\s*0x(?P<digits>[0-9a-fA-F]{1,16})\s*")
_SETTINGS = {
    "yes": (FREE, FREE),
    "no": (FIXED_0, FIXED_0),
    "forced": (FIXED_1, FIXED_1),
    "default": (FIXED_1, FREE),
}
"""What the plain and the TRUE MSR say of a control."""


@dataclass(frozen=True)
class _Section:
    """What stands below a heading: the controls of a word, or the bits of an MSR, by their labels."""

    word: ControlWord | None
    msr: Msr | None
    controls: Mapping[str, Control]
    bits: Mapping[str, Bits]


def is_vmxcap(source: Source, database: Database) -> bool:
    """Whether a line is one of vmxcap's headings and one is an entry below it."""
    known = _sections(database)
    headed = False
    for span in lines(source):
        headed = headed or plain(span.text[:MAX_LINE]) in known
        if headed and (_HEX.fullmatch(span.text[:MAX_LINE]) or _ENTRY.fullmatch(span.text[:MAX_LINE])):
            return True
    return False


def read_vmxcap(source: Source, name: str, readings: Readings) -> Cpu | None:
    """The processor that vmxcap looked at."""
    known = _sections(readings.database)
    ignored = Ignored("line")
    section: _Section | None = None
    for span in lines(source):
        line = span.text
        entry = _ENTRY.fullmatch(line) if len(line) <= MAX_LINE else None
        digits = _HEX.fullmatch(line) if len(line) <= MAX_LINE else None
        if digits is not None and section is not None and section.msr is not None:
            readings.take_bits(section.msr, whole(int(digits["digits"], 16)), span)
        elif entry is not None and section is not None:
            if not _take(section, entry["label"], entry["state"], span, readings):
                ignored.spans.append(span)
        elif line.strip():
            section = known.get(plain(line[:MAX_LINE]))
            if section is None:
                ignored.spans.append(span)
            elif section.word is not None:
                readings.take_default1(section.word, span)
    ignored.report(readings.diagnostics)
    if not any(value.bits for value in readings.msrs.values()):
        message = "vmxcap could read no MSR there: every bit is 0"
        help = "run it as root, with the msr module loaded (`modprobe msr`), on a processor with VMX"
        readings.diagnostics.report(codes.CPU_WITHOUT_VMX, message, source.span(0, 0), help=help)
        return None
    readings.drop_absent()
    return readings.cpu(name, name)


def _take(section: _Section, label: str, state: str, span: Span, readings: Readings) -> bool:
    """Take one entry; False where it means nothing here."""
    key = plain(label)
    if key in section.controls and state in _SETTINGS:
        control = section.controls[key]
        word = readings.database.words[control.word]
        if state == "default" and word.true_msr is None:
            return False
        plain_setting, true_setting = _SETTINGS[state]
        readings.take_setting(word, control.mask, plain_setting, true_setting, span)
        return True
    if key in section.bits and section.msr is not None:
        bits = section.bits[key]
        number = {"yes": 1, "no": 0}.get(state) if bits.width == 1 else int(state) if state.isdigit() else None
        if number is not None and not number >> bits.width:
            readings.take_bits(section.msr, Value(64, number << bits.low, bits.mask), span)
            return True
    return False


def _sections(database: Database) -> Mapping[str, _Section]:
    """The headings, each without what is not a letter or a digit."""
    found: dict[str, _Section] = {}
    for word in database.words.values():
        if word.vmxcap is not None:
            found[plain(word.vmxcap)] = _Section(word, None, _labelled(word), {})
    for msr in database.msrs.values():
        if msr.vmxcap is not None:
            words = [word for word in database.words.values() if word.msr == msr.name]
            controls = {label: control for word in words for label, control in _labelled(word).items()}
            bits = {plain(label): b for b in msr.bits for label in (b.sdm, b.vmxcap) if label is not None}
            found[plain(msr.vmxcap)] = _Section(None, msr, controls, bits)
    return found


def _labelled(word: ControlWord) -> Mapping[str, Control]:
    return {plain(label): c for c in word.controls for label in (c.sdm, c.vmxcap) if label is not None}
