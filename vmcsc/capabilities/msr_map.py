"""A JSON mapping of MSRs to values: `{"0x480": "0xda050000000013"}`, alone or under the key `msrs`."""

from __future__ import annotations

from typing import Any

from vmcsc import codes
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readings import Readings, failed_since, whole
from vmcsc.source import Span
from vmcsc.yamlnodes import YamlDocument


def read_msr_map(document: YamlDocument, name: str, readings: Readings) -> Cpu | None:
    """The processor whose MSRs a mapping gives, by index or name, in hex (`0x`) or decimal."""
    prefix: tuple[str, ...] = ()
    mapping: Any = document.value
    if isinstance(mapping, dict) and isinstance(mapping.get("msrs"), dict):
        mapping, prefix = mapping["msrs"], ("msrs",)
    diagnostics = readings.diagnostics
    if not isinstance(mapping, dict) or not mapping:
        message = "this is no mapping of MSRs to values"
        help = 'write {"0x480": "0xda050000000013", ...}, or a CPU file as in specs/cpus'
        diagnostics.report(codes.CPU_UNREADABLE, message, document.span(), help=help)
        return None
    before = len(diagnostics)
    for key, raw in mapping.items():
        _take(key, raw, document.key_span(*prefix, key), document.span(*prefix, key), readings)
    if not readings.msrs and not failed_since(diagnostics, before):
        diagnostics.report(codes.CPU_UNREADABLE, "none of these is a VMX capability MSR", document.span())
        return None
    return readings.cpu(name, name)


def _take(key: str, raw: object, key_span: Span, value_span: Span, readings: Readings) -> None:
    diagnostics = readings.diagnostics
    index, number = _number(key), _number(raw)
    msr = readings.find_msr(key if index is None else index)
    if number is None or not 0 <= number < 1 << 64:
        message = "the value of an MSR is a number of at most 64 bits, in hex (0x...) or decimal"
        diagnostics.report(codes.CPU_UNREADABLE, message, value_span)
    elif msr is None and index is not None:
        diagnostics.report(codes.MSR_IGNORED, f"MSR {key[:100]} is not used here", key_span)
    elif msr is None:
        message = f"`{key[:100]}` names no MSR that is known here"
        help = readings.did_you_mean(key, readings.database.msr_names)
        diagnostics.report(codes.CPU_UNREADABLE, message, key_span, help=help)
    elif msr.name in readings.msrs:
        diagnostics.report(codes.CPU_INCONSISTENT, f"{msr.sdm} is given twice", key_span)
    elif not msr.capability:
        diagnostics.report(codes.MSR_IGNORED, f"{msr.sdm} is not a VMX capability MSR", key_span)
    else:
        readings.take_bits(msr, whole(number), value_span)


def _number(raw: object) -> int | None:
    """A number, or a text that is one in hex or decimal; None for anything else."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int):
        return raw
    text = raw.strip().lower() if isinstance(raw, str) else ""
    digits = text.removeprefix("0x")
    if not digits or len(digits) > 40 or not digits.isascii() or not digits.isalnum():
        return None
    try:
        return int(text, 16 if text != digits else 10)
    except ValueError:
        return None
