"""Which reader for which source: reserved words and shipped names by themselves, every file by what stands in it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.kept import keep_cpu, kept_cpu
from vmcsc.capabilities.readings import Readings, check_consistent, failed_since, inconsistencies
from vmcsc.diagnostic import Diagnostics
from vmcsc.source import Source, Span, UnreadableText, read_source
from vmcsc.yamlnodes import YamlError, read_yaml

__all__ = ["LIVE", "KVM", "inconsistencies", "parse_cpu", "read_cpu", "shipped_cpus"]

LIVE, KVM = "live", "kvm"
"""Words that are no names of files: this machine, and what KVM on this machine offers to guests."""

MAX_LINES = 100_000
"""Lines of one text: twenty MSRs of some thousand logical processors."""

_KIND = re.compile(r"^kind[ \t]*:", re.MULTILINE)
_MAPPING = re.compile(r"^msrs[ \t]*:", re.MULTILINE)
_FORMS = (
    "a file holds a CPU as in specs/cpus, a JSON mapping of MSRs to values, lines of rdmsr such as"
    " `0x480: 0x00da050000000013`, the output of vmxcap, or feature names of QEMU or libvirt such as `vmx-ept`"
)


def shipped_cpus(database: Database) -> tuple[str, ...]:
    """The names of the CPU files in the spec folders."""
    return tuple(database.files("cpus", ".yaml"))


def read_cpu(name_or_path: str, database: Database, diagnostics: Diagnostics, span: Span | None = None) -> Cpu | None:
    """The processor that a reserved word, a name of the specs or a path means, or None after reporting why not.

    `span` is where the name is written, for the report.
    """
    if name_or_path in (LIVE, KVM):
        return _read_machine(name_or_path, database, diagnostics, span)
    files = database.files("cpus", ".yaml")
    path = files.get(name_or_path)
    if path is None and ("/" in name_or_path or "." in name_or_path):
        path = Path(name_or_path)
    if path is None:
        near = get_close_matches(name_or_path, [*files, LIVE, KVM], n=1)
        help = f"did you mean `{near[0]}`?" if near else "`vmcsc cpu list` names them; write a file as `./FILE`"
        diagnostics.report(codes.UNKNOWN_CPU, f"no CPU is named `{name_or_path}`", span, help=help)
        return None
    try:
        source = read_source(path)
    except UnreadableText as error:
        message = f"the CPU file {path} cannot be read: {error.reason}"
        diagnostics.report(codes.CPU_UNREADABLE, message, error.span or span)
        return None
    return parse_cpu(source, path.name.split(".")[0], database, diagnostics)


def _read_machine(word: str, database: Database, diagnostics: Diagnostics, span: Span | None) -> Cpu | None:
    before = len(diagnostics)
    if word == LIVE:
        from vmcsc.capabilities.live import read_live

        cpu = read_live(database, diagnostics, span)
    else:
        from vmcsc.capabilities.kvm import read_kvm

        cpu = read_kvm(database, diagnostics, span)
    if cpu is not None:
        check_consistent(cpu, database, span, diagnostics)
    return None if failed_since(diagnostics, before) else cpu


def parse_cpu(source: Source, name: str, database: Database, diagnostics: Diagnostics) -> Cpu | None:
    """The processor that a text describes in one of the forms that are known by their content."""
    kept = kept_cpu(source, name, database)
    if kept is not None:
        return kept
    before, suppressed = len(diagnostics), diagnostics.suppressed_errors
    cpu = _parse(source, name, Readings(database, diagnostics))
    if cpu is not None and not failed_since(diagnostics, before, suppressed):
        check_consistent(cpu, database, Span(source, 0, 0), diagnostics)
    if cpu is not None and len(diagnostics) == before and not (diagnostics.full or diagnostics.ignored):
        keep_cpu(cpu, source, name, database)
    return None if failed_since(diagnostics, before, suppressed) else cpu


def _parse(source: Source, name: str, readings: Readings) -> Cpu | None:
    """No form is a guess: each has something that the others cannot have."""
    if source.text.count("\n") > MAX_LINES:
        readings.diagnostics.report(
            codes.CPU_UNREADABLE, f"the text has more than {MAX_LINES} lines", Span(source, 0, 0)
        )
        return None
    text = source.text.lstrip()
    if text.startswith("<"):
        from vmcsc.capabilities.features import read_xml

        return read_xml(source, name, readings)
    if text.startswith("{") or _KIND.search(source.text) or _MAPPING.search(source.text):
        return _parse_data(source, name, readings)
    from vmcsc.capabilities import features, rdmsr, vmxcap

    if vmxcap.is_vmxcap(source, readings.database):
        return vmxcap.read_vmxcap(source, name, readings)
    if rdmsr.is_rdmsr(source, readings):
        return rdmsr.read_rdmsr(source, name, readings)
    if not text.startswith("[") and features.is_features(source):
        return features.read_features(source, name, readings)
    if not text:
        readings.diagnostics.report(codes.CPU_UNREADABLE, "the file is empty", Span(source, 0, 0), help=_FORMS)
        return None
    return _parse_data(source, name, readings)


def _parse_data(source: Source, name: str, readings: Readings) -> Cpu | None:
    """JSON or YAML: a spec, the answer of QEMU to a query of its features, or a mapping."""
    try:
        document = read_yaml(source)
    except YamlError as error:
        help = None if source.text.lstrip().startswith(("{", "[")) else _FORMS
        readings.diagnostics.report(codes.CPU_UNREADABLE, error.reason, error.span, help=help)
        return None
    if isinstance(document.value, dict) and "kind" in document.value:
        from vmcsc.capabilities.spec_file import read_spec_file

        return read_spec_file(document, name, readings)
    from vmcsc.capabilities.features import has_properties, read_properties
    from vmcsc.capabilities.msr_map import read_msr_map

    if has_properties(document):
        return read_properties(document, name, readings)
    if not isinstance(document.value, dict):
        readings.diagnostics.report(
            codes.CPU_UNREADABLE, "this is no text that says what a CPU offers", document.span(), help=_FORMS
        )
        return None
    return read_msr_map(document, name, readings)
