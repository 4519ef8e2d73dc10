"""Lists of MSRs as tools print them: rdmsr, turbostat, AIDA64, WinDbg, or typed by hand. Numbers are hexadecimal.

A line is an MSR (its index or name) and its value, perhaps with the logical processor in front:
`0x480: da050000000013`, `MSR 480h = 00da0500_00000013`, `MSR 00000480: 00DA-0500-0000-0013`,
`cpu3: MSR_IA32_VMX_BASIC: 0x00da050000000013`; or bare values below the command `rdmsr -a 0x480`.
"""

from __future__ import annotations

import re

from vmcsc import codes
from vmcsc.architecture.model import Msr
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.differences import Reading, agreed
from vmcsc.capabilities.readings import Ignored, Readings, lines, whole
from vmcsc.records import dataclass, field
from vmcsc.source import Source, Span

MAX_LINE = 400
"""Longer lines are no readings of an MSR; looking for one in them would cost time only."""

_HEX = "[0-9a-fA-F]"
_PROCESSOR = r"\[?(?:cpu|core|processor)\s?\#?\s?(?P<cpu>[0-9]{1,6})\]?\s*[:,;]?\s*"
_LINE = re.compile(
    rf"\s*(?:{_PROCESSOR})?"
    rf"(?:(?:msr|rdmsr)\s?)?"
    rf"(?:(?P<name>(?:msr_)?(?:ia32_)?vmx_[a-z0-9_]+|(?:msr_)?ia32_[a-z0-9_]+)"
    rf"(?:\s?(?:msr)?\s?[\[(]\s?(?:msr\s?)?(?P<aside>(?:0x)?{_HEX}{{1,8}})h?\s?[\])])?"
    rf"|[\[(#]?\s?(?P<index>(?:0x)?{_HEX}{{1,8}})h?\s?[\])]?)"
    rf"(?P<sign>\s*(?::|=>|=|->)\s*|\s+)"
    rf"(?P<rest>\S.*)",
    re.IGNORECASE,
)
_VALUE = re.compile(
    rf"(?:0x)?(?P<digits>{_HEX}{{4}}(?:[-_.]{_HEX}{{4}}){{3}}|{_HEX}{{1,8}}[-_:`'\s]{_HEX}{{8}}|{_HEX}+)h?"
    rf"(?:\s*[\[(#;/].*)?\s*",
    re.IGNORECASE,
)
_BARE = re.compile(rf"\s*(?:{_PROCESSOR}|(?P<number>[0-9]{{1,6}})\s*:\s*)?(?P<rest>\S.*)", re.IGNORECASE)
_REFUSED = re.compile(r"<?\s*(?:failed|fail|error|#?\s?gp|n/?a|unreadable|cannot|could not|not )", re.IGNORECASE)
_COMMAND = re.compile(r"(?:^|.*[\s$#>+/])rdmsr(?:\.exe)?\s+(?P<arguments>[^|;&<>]{1,200})$")
_UNREAD = re.compile(rf".*rdmsr.*cannot read MSR (?P<index>0x{_HEX}{{1,8}})", re.IGNORECASE)
_HEADING = re.compile(r"[\W_]*(?:logical\s+)?(?:cpu|core|processor)\s?\#?\s?(?P<cpu>[0-9]{1,6})[\W_]*", re.IGNORECASE)
_COMMENT = re.compile(r"\s*(?:#|//|;)")


@dataclass(frozen=True, slots=True)
class _Command:
    """An `rdmsr` whose bare output follows."""

    index: int
    base: int
    cpu: int | None


@dataclass
class _Log:
    """What was found so far; `command` is the last one, and `cpu` the logical processor that a heading names."""

    readings: Readings
    found: dict[str, list[Reading]] = field(default_factory=dict)
    ignored: Ignored = field(default_factory=lambda: Ignored("line"))
    others: dict[str, Span] = field(default_factory=dict)
    unread: list[tuple[str, Span]] = field(default_factory=list)
    command: _Command | None = None
    count: int = 0
    cpu: int | None = None


def is_rdmsr(source: Source, readings: Readings) -> bool:
    """Whether some line reads a VMX capability MSR, or asks rdmsr for one."""
    return any(_names_capability(span.text, readings) for span in lines(source))


def _names_capability(line: str, readings: Readings) -> bool:
    if len(line) > MAX_LINE:
        return False
    command = _command(line)
    if command is not None:
        return _is_capability(readings.find_msr(command.index))
    match = _LINE.fullmatch(line)
    return match is not None and _is_capability(_msr(match, readings)) and _value(match["rest"], 16) is not None


def read_rdmsr(source: Source, name: str, readings: Readings) -> Cpu | None:
    """The processor whose MSRs a text lists; values that differ between logical processors are an error."""
    log = _Log(readings)
    for span in lines(source):
        _take_line(span, log)
    log.ignored.report(readings.diagnostics)
    _report_others(log)
    for found in log.found.values():
        msr = found[0].msr
        bits = agreed(found, readings.diagnostics)
        if bits is not None:
            readings.take_bits(msr, whole(bits), found[0].span or source.span(0, 0))
    return readings.cpu(name, name)


def _take_line(span: Span, log: _Log) -> None:
    line = span.text
    if not line.strip():
        return
    if len(line) > MAX_LINE:
        log.ignored.spans.append(span)
        return
    command = _command(line)
    if command is not None:
        log.command, log.count = command, 0
        return
    match = _LINE.fullmatch(line)
    if match is not None and _take_pair(match, span, log):
        return
    if _take_bare(span, log):
        return
    unread, heading = _UNREAD.fullmatch(line), _HEADING.fullmatch(line)
    if unread is not None:
        log.unread.append((unread["index"], span))
    elif heading is not None:
        log.cpu = int(heading["cpu"])
    elif not _COMMENT.match(line) or "rdmsr" in line:
        log.ignored.spans.append(span)
        log.command = None  # what follows is no longer its output


def _take_pair(match: re.Match[str], span: Span, log: _Log) -> bool:
    """An MSR and its value in one line. False where the line only looks like that."""
    msr = _msr(match, log.readings)
    value = _value(match["rest"], 16)
    place = Span(span.source, span.start + match.start("rest"), span.end)
    if msr is None or not msr.capability:
        if value is None or (match["name"] is None and log.command is not None):
            return False
        log.others.setdefault(msr.sdm if msr else match["name"] or match["index"], span)
        return True
    if value is None and _REFUSED.match(match["rest"]):
        log.unread.append((msr.sdm, span))
        return True
    if match["aside"] and int(match["aside"], 16) != msr.index:
        message = f"{msr.sdm} is MSR {msr.index:#x}, and not {match['aside']}"
        log.readings.diagnostics.report(codes.CPU_UNREADABLE, message, span)
        return True
    if value is None and match["sign"].isspace():
        return False
    _add(msr, value, None if match["cpu"] is None else int(match["cpu"]), place, log)
    return True


def _take_bare(span: Span, log: _Log) -> bool:
    """A value below the command that asked for it, perhaps with the logical processor in front."""
    command = log.command
    match = None if command is None else _BARE.fullmatch(span.text)
    if command is None or match is None:
        return False
    value = _value(match["rest"], command.base)
    msr = log.readings.find_msr(command.index)
    if value is None or len(match["rest"].split()) > 1:
        return False
    stated = match["cpu"] or match["number"]
    cpu = command.cpu if command.cpu is not None else log.count
    log.count += 1
    if msr is None or not msr.capability:
        log.others.setdefault(hex(command.index), span)
    else:
        place = Span(span.source, span.start + match.start("rest"), span.end)
        _add(msr, value, cpu if stated is None else int(stated), place, log)
    return True


def _add(msr: Msr, value: int | None, cpu: int | None, place: Span, log: _Log) -> None:
    if value is None or value >> 64:
        message = f"this is no 64-bit value in hexadecimal for {msr.sdm}"
        help = "write it as 0x00da050000000013, 00da0500_00000013 or 00DA-0500-0000-0013"
        log.readings.diagnostics.report(codes.CPU_UNREADABLE, message, place, help=help)
        return
    log.found.setdefault(msr.name, []).append(Reading(msr, value, log.cpu if cpu is None else cpu, place))


def _report_others(log: _Log) -> None:
    diagnostics = log.readings.diagnostics
    if log.others:
        names = list(log.others)
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        message = f"{shown}: not among the VMX capability MSRs"
        diagnostics.report(codes.MSR_IGNORED, message, log.others[names[0]])
    for what, span in log.unread:
        msr = log.readings.find_msr(int(what, 16)) if what.startswith("0x") else None
        if msr is None or msr.capability:
            message = f"{msr.sdm if msr else what} could not be read there, and stays unknown"
            diagnostics.report(codes.NOT_READ, message, span)


def _is_capability(msr: Msr | None) -> bool:
    return msr is not None and msr.capability


def _msr(match: re.Match[str], readings: Readings) -> Msr | None:
    return readings.find_msr(match["name"] or int(match["index"], 16))


def _value(text: str, base: int) -> int | None:
    """The number that `text` is, but for a comment behind it."""
    match = _VALUE.fullmatch(text)
    if match is None:
        return None
    digits = re.sub(r"[^0-9a-fA-F]", "", match["digits"])
    try:
        return int(digits, 16 if text[:2].lower() == "0x" else base)
    except ValueError:
        return None


def _command(line: str) -> _Command | None:
    """An `rdmsr` of msr-tools, which reads numbers as C does: `0x480` is hexadecimal, `1152` is not."""
    match = _COMMAND.match(line) if "rdmsr" in line else None
    if match is None:
        return None
    base, cpu, index = 16, None, None
    words = match["arguments"].split()
    while words:
        word = words.pop(0)
        if word in ("-d", "--decimal", "-u", "--unsigned"):
            base = 10
        elif word in ("-o", "--octal"):
            base = 8
        elif word in ("-p", "--processor") and words and words[0].isascii() and words[0].isdigit():
            cpu = int(words.pop(0)[:6])
        elif word in ("-a", "--all", "-x", "--hexadecimal", "-X", "--hex", "-c", "--c-language", "-0", "--zero-pad"):
            continue
        elif index is None and re.fullmatch(rf"0x{_HEX}{{1,8}}|[1-9][0-9]{{0,9}}", word):
            index = int(word, 0)
        else:
            return None  # a part of an MSR (-f), raw bytes (-r), or a sentence
    return None if index is None else _Command(index, base, cpu)
