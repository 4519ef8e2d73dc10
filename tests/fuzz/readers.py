"""What is fuzzed: for each kind of input its samples, and the way of one input from bytes to printed findings."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from unittest.mock import patch

from tests.fuzz import kernels, logs
from tests.syntax.policy_writer import PolicyWriter
from vmcsc.architecture import loader
from vmcsc.architecture.database import Database
from vmcsc.architecture.reader import SpecDocument, read_document
from vmcsc.bytecode.binary import from_bytes, to_bytes
from vmcsc.bytecode.compile import program_of
from vmcsc.bytecode.listing import from_text, to_text
from vmcsc.bytecode.load import load_program
from vmcsc.bytecode.program import Entry, Program
from vmcsc.cache import Cache, digest
from vmcsc.capabilities.common import common_cpu
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import parse_cpu, read_cpu
from vmcsc.check.check import check_fields
from vmcsc.check.vmcs_file import read_vmcs
from vmcsc.cli.config import VARIABLE, read_config
from vmcsc.cli.project import folders_of, ignored_codes
from vmcsc.cli.trace import trace_text
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.expression.conditions import check_conditions
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.records import replace
from vmcsc.report import FORMATS, render
from vmcsc.report.cells import visible
from vmcsc.resources import SPECS
from vmcsc.source import Source, read_source
from vmcsc.syntax.format import format_source

TESTS = Path(__file__).parent.parent
CASES = TESTS / "cases"
ONE_IN = 16
"""Of so many programs one also runs."""

SHORT = 20_000
"""Longer texts are formatted once only, so that the time is that of one command."""

CPU = "ice_lake_i7_1065g7"


@dataclass(frozen=True)
class Reader:
    """`samples` are well-formed and broken inputs; each of `commands` takes one that lies in a file.

    A command returns what it would print, and must by itself keep to the limits. `name` is that of the file, `beside` a
    folder of what lies around it.
    """

    name: str
    samples: Callable[[], Sequence[bytes]]
    commands: Sequence[Callable[[Path, Database], str]]
    beside: Path | None = None

    def prepare(self, folder: Path) -> Path:
        """Lay out `folder` around the input, whose path is returned."""
        if self.beside is not None:
            shutil.copytree(self.beside, folder, dirs_exist_ok=True)
        (folder / "vmcsc.toml").touch()
        return folder / self.name


# --- policies ---


def _policies() -> list[bytes]:
    written = [PolicyWriter(Random(seed)).text().encode("utf-8", "replace") for seed in range(60)]
    return [*_files(CASES, "*.vmcs"), *_files(SPECS, "*.vmcs"), *_files(TESTS / "hooks", "*.vmcs"), *written]


def _check(path: Path, database: Database) -> str:
    """As `vmcsc check`, for the processors that the policy names."""
    return _printed(compile(path, None, database).diagnostics)


def _check_on_cpu(path: Path, database: Database) -> str:
    return _printed(compile(path, _cpu(database), database).diagnostics)


def _format(path: Path, database: Database) -> str:
    """As `vmcsc fmt`; a second time it changes nothing."""
    found = Diagnostics()
    source = read_source(path)
    text = format_source(source, found)
    if text is not None and len(text) < SHORT:
        again = format_source(Source(source.name, text, source.path), Diagnostics())
        assert again == text, "a second run of the formatter changes the text again"
    return _printed(found)


# --- specs ---


def _specs() -> list[bytes]:
    return [*_files(SPECS, "*.yaml"), *_files(CASES / "specs", "*.yaml")]


@cache
def _shipped_document(path: Path) -> SpecDocument | None:
    return read_document(path, Diagnostics(), validate=False)


def _remembering(path: Path, diagnostics: Diagnostics, *, validate: bool = True) -> SpecDocument | None:
    """As the loader reads, but the shipped files only once in a run."""
    if path.is_relative_to(SPECS):
        return _shipped_document(path)
    return read_document(path, diagnostics, validate=validate)


def _read_spec(path: Path, shipped: Database) -> str:
    found = Diagnostics()
    with patch.object(loader, "read_document", _remembering):
        overlaid = loader.load_specs([path.parent], found)
    if overlaid is None:
        return _printed(found)
    check_conditions(overlaid, found)
    if not found.failed:
        result = compile("kvm_classic", CPU, overlaid)
        found.extend(result.diagnostics)
        found.extend(check_fields({}, _cpu(overlaid), overlaid).findings)
    return _printed(found)


# --- processors ---


def _cpus() -> list[bytes]:
    samples = [
        *_files(CASES / "cpus", "*"),
        *_files(TESTS / "capabilities" / "samples", "*"),
        *_files(SPECS / "cpus", "*"),
    ]
    return samples + [text.encode() for text in _features(samples)]


def _features(samples: Iterable[bytes]) -> Iterator[str]:
    """Feature names as QEMU and libvirt have them, in each of their forms."""
    names = sorted({word for path in SPECS.rglob("*.yaml") for word in path.read_text().split() if word[:4] == "vmx-"})
    names = [name.strip(",}]") for name in names] or ["vmx-ept"]
    yield f"-cpu host,+vmx,{','.join(f'{name}=on' for name in names)} -smp 4"
    yield f"# vmcsc: complete\n{' '.join(names)}"
    yield "\n".join(f"-{name}" if number % 3 == 0 else name for number, name in enumerate(names))
    yield json.dumps({"return": {"model": {"name": "max", "props": {name: len(name) % 2 == 0 for name in names}}}})
    elements = "\n".join(f"<feature policy='require' name='{name}'/>" for name in names)
    yield f"<?xml version='1.0'?>\n<domain><cpu mode='custom'>\n{elements}\n</cpu></domain>"
    yield f"<domainCapabilities><cpu><mode name='host-model'>{elements}</mode></cpu></domainCapabilities>"


def _msr_texts() -> list[bytes]:
    """The MSRs of the shipped processors in the layouts of the tools that print them."""
    texts = [data for path, data in _named(CASES / "cpus", "*") if path.suffix in (".txt", ".json")]
    for path in sorted((SPECS / "cpus").glob("*.yaml")):
        pairs = _msrs_of(path.read_text())
        texts += [
            "\n".join(f"{index:#x}: {value:#018x}" for index, value in pairs).encode(),
            "\n".join(
                f"MSR {index:08X}: {value >> 32:08X}-{value & 0xFFFFFFFF:08X}" for index, value in pairs
            ).encode(),
            "\n".join(f"$ rdmsr -a {index:#x}\n{value:x}\n{value:x}" for index, value in pairs).encode(),
            "\n".join(f"cpu{cpu}: {index:#x} = {value:x}h" for cpu in range(3) for index, value in pairs).encode(),
            json.dumps({hex(index): hex(value) for index, value in pairs}).encode(),
            ("msrs:\n" + "".join(f"  {index:#x}: {value:#x}\n" for index, value in pairs)).encode(),
        ]
    return texts


def _msrs_of(text: str) -> list[tuple[int, int]]:
    """Indices and values; the names ascend as the indices do, and which is which does not matter here."""
    values = [line.split("value: ")[1].split(",")[0] for line in text.splitlines() if "{msr: " in line]
    return [(0x480 + number, int(value, 0)) for number, value in enumerate(values)]


def _read_cpu(path: Path, database: Database) -> str:
    found = Diagnostics()
    source = read_source(path)
    cpu = parse_cpu(source, "one", database, found)
    if cpu is not None:
        common_cpu(database, [cpu, _cpu(database)])
        found.extend(compile("minimal", cpu, database).diagnostics)
    return _printed(found)


# --- settings ---


def _settings() -> list[bytes]:
    own = b'cpus = ["ice_lake_i7_1065g7"]\nspecs = ["ours"]\nsearch = ["policies"]\nignore = ["VMX3003"]\n'
    shared = b'[project]\nname = "x"\n[tool.other]\na = {b = [1, 2.5, 1979-05-27T07:32:00Z]}\n[tool.vmcsc]\n' + own
    return [*_files(CASES / "config", "*.toml"), own, shared, (TESTS.parent / "pyproject.toml").read_bytes()]


def _read_settings(path: Path, database: Database) -> str:
    found = Diagnostics()
    if b"[tool" not in path.read_bytes():
        path = path.rename(path.with_name("vmcsc.toml"))
    os.environ[VARIABLE] = str(path)
    config = read_config(found)
    for key in ("specs", "search"):
        folders_of(config, key, found)
    ignored_codes(config, database, found)
    for setting in config.get("cpus")[:20]:
        read_cpu(setting.text, database, found, setting.span)
    return _printed(found)


# --- states ---


def _states() -> list[bytes]:
    """Fields, memory, processor and CPU, as JSON and as YAML."""
    fields = {name: number * 0x1001 for number, name in enumerate(_some_fields())}
    sections = {
        "fields": fields,
        "memory": {"0x1000": "00 10 00 00 ff", "4096": [1, 2, 3], "0xfffffffffffffff0": "00"},
        "processor": {"vmx_operation": True, "current_vmcs": "0x8000"},
        "cpu": {"0x480": "0xda050000000013", "maxphyaddr": 39, "ia32_vmx_misc": 0x7004C1E7},
    }
    shipped = _files(SPECS / "states", "*.yaml")
    return [
        *shipped,
        json.dumps(fields).encode(),
        json.dumps(sections, indent=1).encode(),
        _yaml(fields),
        _yaml(sections),
    ]


def _some_fields() -> list[str]:
    lines = [line for path in (SPECS / "fields").glob("*.yaml") for line in path.read_text().splitlines()]
    names = [line.split("name: ")[1].split(",")[0].strip() for line in lines if "name: " in line]
    return [*names[::2], "0x681e", "GUEST_CR3", "0x4002", "guest_rflags_high", "VM_ENTRY_CONTROLS"]


def _yaml(value: object) -> bytes:
    import yaml

    text: str = yaml.safe_dump(value)
    return text.encode()


def _read_state(path: Path, database: Database) -> str:
    found = Diagnostics()
    source = read_source(path)
    written = read_vmcs(source, database, found)
    if written is not None:
        own = written.on(_cpu(database))
        checked = check_fields(written.fields, own, database, written.memory, written.processor, written.spans)
        found.extend(checked.findings)
        for result in checked.results[::50]:
            checked.missing(result)
    return _printed(found)


# --- the cache ---

_KEPT = {"0": {"a": [1, None, "x" * 300]}, "1": [["specs/a.yaml", "fields", {"fields": []}]], "2": "text", "3": [[[0]]]}


def _entries() -> list[bytes]:
    """Entries as the cache writes them."""
    texts = {key: json.dumps(value, separators=(",", ":")) for key, value in _KEPT.items()}
    return [f"{digest('fuzz', key, text)}\n{text}".encode() for key, text in texts.items()]


@cache
def _cache_in(folder: Path) -> Cache:
    (folder / "kept").mkdir(0o700)
    return Cache(str(folder / "kept"))


def _read_entry(path: Path, database: Database) -> str:
    """Whatever lies in the place of an entry, the cache gives what was kept or nothing."""
    entries = _cache_in(path.parent)
    for key, value in _KEPT.items():
        shutil.copy(path, entries._path("fuzz", key))
        found = entries.get("fuzz", key)
        if found is not None:
            assert found == value, "the cache gives what nobody kept"
            return ""
    return "nothing"


# --- bytecode ---


@cache
def _programs() -> tuple[bytes, ...]:
    database = load()
    found = []
    for name in ("minimal",):
        policy = compile(name, CPU, database).policy
        assert policy is not None
        found.append(to_bytes(_short(program_of(policy, database, _cpu(database)))))
    return tuple(found)


def _short(program: Program) -> Program:
    """A program of which changes hit more than pages of memory."""
    entries = {**program.entries}
    entries["memory"] = (Entry("bytes", (0x1000, bytes(range(64)))), Entry("fill", (0x2000, 4096, 0xFF)))
    entries["host"], entries["capabilities"] = entries["host"][::4], entries["capabilities"][::3]
    return replace(program, entries=entries)


def _bytecode() -> list[bytes]:
    return list(_programs())


def _read_bytecode(path: Path, database: Database) -> str:
    """As `vmcsc run` and `vmcsc disassemble`: the file as it is, and with its checksums set right."""
    return _run_program(path.read_bytes(), database)


def _read_repaired(path: Path, database: Database) -> str:
    return _run_program(_repaired(path.read_bytes()), database)


def _run_program(data: bytes, database: Database) -> str:
    try:
        program = from_bytes(data)
        listed = from_text(Source("listing", to_text(program)), Diagnostics())
        assert listed is not None and to_bytes(listed) == data, "the listing leads to other bytes"
        loaded = load_program(program, "p.vmxb", database)
        results = list(loaded.run(database)) if zlib.crc32(data) % ONE_IN == 0 else []
    except VmcscError as error:
        return visible(str(error))
    return "".join(_printed(one.findings) + trace_text(one, 80, False) for one in results)


def _repaired(data: bytes) -> bytes:
    """The same with the checksum of each section that is found, so that what is behind them is read."""
    at = 32 + int.from_bytes(data[28:32], "little")
    found = bytearray(data)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        found[at + 8 : at + 12] = zlib.crc32(data[at + 12 : at + 12 + length]).to_bytes(4, "little")
        at += 12 + length
    return bytes(found)


def _listings() -> list[bytes]:
    return [to_text(from_bytes(data)).encode() for data in _programs()]


def _read_listing(path: Path, database: Database) -> str:
    found = Diagnostics()
    program = from_text(read_source(path), found)
    return _printed(found) if program is None else _run_program(to_bytes(program), database)


# --- all of them ---


def _read_kernel(path: Path, database: Database) -> str:
    return _printed(kernels.read_kernel(path, database))


def _read_log(path: Path, database: Database) -> str:
    return logs.read_log(path, database, _cpu(database))


READERS = {
    "log": Reader("dmesg.txt", logs.texts, (_read_log,)),
    "policy": Reader("policy.vmcs", _policies, (_check, _check_on_cpu, _format), Path(__file__).parent / "beside"),
    "spec": Reader("ours.yaml", _specs, (_read_spec,)),
    "cpu": Reader("cpu.yaml", _cpus, (_read_cpu,)),
    "bytecode": Reader("program.vmxb", _bytecode, (_read_bytecode, _read_repaired)),
    "listing": Reader("program.txt", _listings, (_read_listing,)),
    "msr": Reader("msrs.txt", _msr_texts, (_read_cpu,)),
    "configuration": Reader("pyproject.toml", _settings, (_read_settings,)),
    "cache": Reader("entry.json", _entries, (_read_entry,)),
    "state": Reader("state.json", _states, (_read_state,)),
    "kernel-lists": Reader(kernels.LISTS, kernels.texts_with_lists, (_read_kernel,)),
    "kernel-code": Reader(kernels.CODE, kernels.texts_with_code, (_read_kernel,)),
}


def _named(folder: Path, pattern: str) -> list[tuple[Path, bytes]]:
    paths = sorted(path for path in folder.rglob(pattern) if path.is_file() and path.suffix != ".expect")
    return [(path, path.read_bytes()) for path in paths]


def _files(folder: Path, pattern: str) -> list[bytes]:
    return [data for _, data in _named(folder, pattern)]


_CPUS: dict[int, Cpu] = {}


def _cpu(database: Database) -> Cpu:
    known = _CPUS.get(id(database))
    if known is None or len(_CPUS) > 1:
        _CPUS.clear()
        read = read_cpu(CPU, database, Diagnostics())
        assert read is not None
        known = _CPUS[id(database)] = read
    return known


def _printed(found: Iterable[Diagnostic]) -> str:
    """The findings as text, which cannot command a terminal, and in one of the other formats."""
    findings = list(found)
    plain = render(findings, "full")
    assert all(character.isprintable() or character == "\n" for character in plain), (
        "an unprintable character is printed"
    )
    format = FORMATS[len(plain) % len(FORMATS)]
    text = render(findings, format, color=True, root=Path.cwd())
    text.encode("utf-8")
    if format in ("json", "sarif"):
        json.loads(text)
    return plain
