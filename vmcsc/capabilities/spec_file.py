"""A CPU as a spec: our YAML of `kind: cpu`, with a source for each value."""

from __future__ import annotations

from vmcsc import codes
from vmcsc.architecture.reader import SpecDocument, as_spec
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readings import Readings
from vmcsc.expression.value import Value
from vmcsc.yamlnodes import YamlDocument

MAX_ENTRIES = 1000
"""More MSRs or facts than any processor has; validating so many would take seconds."""


def read_spec_file(yaml: YamlDocument, name: str, readings: Readings) -> Cpu | None:
    """The processor of a spec; what is wrong with it is reported."""
    for key, entries in yaml.value.items():
        if isinstance(entries, list) and len(entries) > MAX_ENTRIES:
            message = f"`{key}` has more than {MAX_ENTRIES} entries"
            readings.diagnostics.report(codes.CPU_UNREADABLE, message, yaml.key_span(key))
            return None
    path = yaml.source.path
    shipped = path is not None and path.is_relative_to(readings.database.folders[0])
    document = as_spec(yaml, readings.diagnostics, validate=not shipped)
    if document is None:
        return None
    if document.kind != "cpu":
        message = f"this is a spec of kind `{document.kind}`, not a CPU"
        readings.diagnostics.report(codes.CPU_UNREADABLE, message, document.span("kind"))
        return None
    raw = document.value
    sources: dict[str, str] = raw.get("sources", {})
    for index, item in enumerate(raw.get("msrs", ())):
        msr = _take_msr(document, index, readings)
        if msr is not None:
            readings.origins[msr] = sources.get(item.get("source", ""), "")
    for index, item in enumerate(raw.get("processor", ())):
        if _known_fits(document, ("processor", index), readings):
            span = document.span("processor", index, "fact")
            readings.take_fact(item["fact"], item["value"], span, item.get("known", -1))
            readings.origins[item["fact"]] = item.get("evidence") or sources.get(item.get("source", ""), "")
    own = raw.get("name", name)
    return readings.cpu(own, raw.get("title", own))


def _take_msr(document: SpecDocument, index: int, readings: Readings) -> str | None:
    """Take the MSR at `index` of the list, and return its name."""
    item = document.value["msrs"][index]
    key, span = item["msr"], document.span("msrs", index, "msr")
    msr = readings.find_msr(key)
    if msr is None:
        shown = f"MSR {key:#x}" if isinstance(key, int) else f"`{key}`"
        help = readings.did_you_mean(key, readings.database.msr_names) if isinstance(key, str) else None
        readings.diagnostics.report(codes.CPU_UNREADABLE, f"{shown} is no MSR that is known here", span, help=help)
    elif msr.name in readings.msrs:
        readings.diagnostics.report(codes.CPU_INCONSISTENT, f"{msr.sdm} is given twice", span)
    elif not msr.capability:
        readings.diagnostics.report(codes.MSR_IGNORED, f"{msr.sdm} is not a VMX capability MSR", span)
    elif _known_fits(document, ("msrs", index), readings):
        readings.take_bits(msr, Value(64, item["value"], item.get("known", -1)), document.span("msrs", index, "value"))
        return msr.name
    return None


def _known_fits(document: SpecDocument, path: tuple[str, int], readings: Readings) -> bool:
    """A bit that is not known must be 0 in the value, so that nobody reads a meaning into it."""
    item = document.value[path[0]][path[1]]
    beyond = item["value"] & ~item.get("known", -1)
    if beyond:
        message = f"the value has bits that by `known` are not known: {beyond:#x}"
        readings.diagnostics.report(codes.CPU_UNREADABLE, message, document.span(*path, "value"))
    return not beyond
