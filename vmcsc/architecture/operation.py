"""What the specs say of VMX operation: registers, transfers of state, instructions; read when a machine needs it.

Expressions are kept as text here; `vmcsc.machine` binds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.kept import KeptSpecs
from vmcsc.architecture.model import Entry
from vmcsc.architecture.reader import SpecDocument, read_document
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.records import dataclass

FOLDER = "machine"
"""The folder of the specs in which the files lie."""

ACTIONS = ("fault", "exit", "fail", "do")
"""What a step may do: raise an exception, exit, fail as VMX instructions do, or carry the instruction out."""


@dataclass(frozen=True, slots=True)
class Register:
    """Part of the state of a logical processor: `register.NAME`. `msr` is the MSR by which it is reached, if any."""

    name: str
    width: int
    layout: str | None = None
    msr: str | None = None
    reset: int = 0


@dataclass(frozen=True, slots=True)
class Transfer:
    """`target` gets the value of an expression where `when` (None: always) holds; a register, or a VMCS field."""

    target: str
    is_field: bool
    value: str
    when: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that may come of an instruction or event, if `when` (None: always) holds and none before it did.

    `action` is one of `ACTIONS`, and `target` the exception, exit reason, error or algorithm that it names. `only` is
    `root` or `non_root` where the step counts in one of them alone. `qualification` is one expression (key "") or one
    for each part of the layout; `information` has the layout of the instruction information and its parts; `also` sets
    further fields. `trap`: the exit comes after the instruction is done. `clears` are registers that become 0 then.
    `type` is that of the interruption information of an exception.
    """

    id: str
    action: str
    target: str
    when: str | None = None
    only: str | None = None
    error_code: str | None = None
    qualification: Mapping[str, str] | None = None
    information: tuple[str, Mapping[str, str]] | None = None
    also: Mapping[str, str] | None = None
    trap: bool = False
    why: str = ""
    clears: tuple[str, ...] = ()
    type: int = 3


@dataclass(frozen=True, slots=True)
class Group:
    """Steps by priority for something that an algorithm asks, and the widths of the values that it gives."""

    values: Mapping[str, int]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What can be made to arrive. `largest` is the largest number that it takes (None: none). `pending` is the register
    that becomes 1 and `number` the one that gets the number; `kind` is `interrupt`, `time` or None.
    """

    largest: int | None
    pending: str | None
    number: str | None
    kind: str | None


@dataclass(frozen=True, slots=True)
class Form:
    """One form of an instruction: its operands as (name, kind), its encoding, and what it implies."""

    operands: tuple[tuple[str, str], ...]
    code: str
    implied: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class InstructionEntry(Entry):
    """An instruction: its forms, the width of each value that steps may use, and its steps by priority."""

    mnemonic: str
    forms: tuple[Form, ...]
    values: Mapping[str, int]
    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Operation:
    """All of specs/machine. `processor` has the expressions for what rules call the processor's state, `settings` what
    algorithms of the machine ask by name: conditions, and names of errors. `arrivals` are the events that can be made
    to arrive, `groups` what algorithms ask the specs, by name. `guest` has expressions for what the machine looks at
    while a guest runs.
    """

    registers: Mapping[str, Register]
    processor: Mapping[str, str]
    transfers: Mapping[str, tuple[Transfer, ...]]
    instructions: Mapping[str, InstructionEntry]
    settings: Mapping[str, str]
    arrivals: Mapping[str, Arrival]
    groups: Mapping[str, Group]
    guest: Mapping[str, str]

    @cached_property
    def by_mnemonic(self) -> Mapping[str, tuple[InstructionEntry, ...]]:
        """The entries that share a mnemonic, in the order of the files."""
        found: dict[str, tuple[InstructionEntry, ...]] = {}
        for entry in self.instructions.values():
            found[entry.mnemonic] = (*found.get(entry.mnemonic, ()), entry)
        return found


def operation_of(database: Database) -> Operation:
    """What the spec folders of `database` say of VMX operation. Raises `ValueError` where they are not in order."""
    operation, found = read_operation(database)
    if operation is None:
        raise ValueError(found[0].message)
    return operation


@lru_cache(maxsize=8)
def read_operation(database: Database, *, validate: bool = False) -> tuple[Operation | None, tuple[Diagnostic, ...]]:
    """The same, or None with what is wrong. `validate`: against the schemas too, also the shipped files."""
    diagnostics = Diagnostics()
    documents = _documents(database, diagnostics, validate)
    if diagnostics.failed:
        return None, tuple(diagnostics)
    operation = Operation(
        _named(documents, "registers", "registers", _register, diagnostics),
        {raw["state"]: str(raw["is"]) for _, raw in _entries(documents, "registers", "processor")},
        {key: tuple(_transfer(raw) for _, raw in _entries(documents, "transfers", key)) for key in _TRANSFERS},
        _named(documents, "instructions", "instructions", _instruction, diagnostics),
        {name: str(value) for document in documents for name, value in document.value.get("settings", {}).items()},
        {raw["name"]: _arrival(raw) for _, raw in _entries(documents, "events", "arrivals")},
        _named(documents, "events", "groups", _group, diagnostics),
        {name: str(value) for document in documents for name, value in document.value.get("guest", {}).items()},
    )
    return (None if diagnostics.failed else operation), tuple(diagnostics)


_TRANSFERS = ("entry", "exit_save", "exit_load")


def machine_files(database: Database, within: str = FOLDER) -> list[Path]:
    """The files of every spec folder that describe the machine, or lie in another folder of it."""
    return [path for folder in database.folders for path in sorted((folder / within).rglob("*.yaml"))]


def last_of_kind(database: Database, kind: str, within: str = FOLDER) -> Any:
    """The value of the file of this kind; that of a further folder takes the place of one before.

    Raises `ValueError` where there is none, and `VmcscError` with findings where a further folder is not in order.
    """
    for path in reversed(machine_files(database, within)):
        diagnostics = Diagnostics()
        shipped = path.is_relative_to(database.folders[0])
        document = read_document(path, diagnostics, validate=not shipped, cache=database.cache)
        if diagnostics.failed:
            raise VmcscError("the specs are not in order", tuple(diagnostics))
        if document is not None and document.kind == kind:
            return document.value
    raise ValueError(f"no file of the specs is of the kind `{kind}`")


def _documents(database: Database, diagnostics: Diagnostics, validate: bool) -> list[SpecDocument]:
    """The files, or what an earlier run kept of them."""
    folders = [folder / FOLDER for folder in database.folders]
    kept = None if database.cache is None or validate else KeptSpecs(database.cache, folders)
    documents = None if kept is None else kept.read()
    if documents is not None:
        return documents
    read = [(path, _read(path, database, diagnostics, validate)) for path in machine_files(database)]
    found = [(path, document) for path, document in read if document is not None]
    if kept is not None and not diagnostics.failed:
        kept.write(found)
    return [document for _, document in found]


def _read(path: Path, database: Database, diagnostics: Diagnostics, validate: bool) -> SpecDocument | None:
    shipped = path.is_relative_to(database.folders[0])
    return read_document(path, diagnostics, validate=validate or not shipped)


def _entries(documents: list[SpecDocument], kind: str, key: str) -> Iterator[tuple[tuple[SpecDocument, int], Any]]:
    for document in documents:
        if document.kind == kind:
            for index, raw in enumerate(document.value.get(key, ())):
                yield (document, index), raw


def _named(documents: list[SpecDocument], kind: str, key: str, build: Any, diagnostics: Diagnostics) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (document, index), raw in _entries(documents, kind, key):
        if raw["name"] in found:
            message = f"`{raw['name']}` is defined twice among {kind}"
            diagnostics.report(codes.SPEC_DUPLICATE, message, document.span(key, index, "name"))
        found[raw["name"]] = build(raw)
    return found


def _register(raw: Mapping[str, Any]) -> Register:
    return Register(raw["name"], raw["width"], raw.get("layout"), raw.get("msr"), raw.get("reset", 0))


def _transfer(raw: Mapping[str, Any]) -> Transfer:
    target = raw.get("register") or raw["field"]
    return Transfer(target, "field" in raw, str(raw["value"]), _text(raw.get("when")))


def _group(raw: Mapping[str, Any]) -> Group:
    return Group(dict(raw.get("values", {})), tuple(step(one) for one in raw["steps"]))


def _arrival(raw: Mapping[str, Any]) -> Arrival:
    return Arrival(raw.get("largest"), raw.get("pending"), raw.get("number"), raw.get("as"))


def _text(raw: Any) -> str | None:
    return None if raw is None else str(raw)


def _texts(raw: Mapping[str, Any] | None) -> Mapping[str, str] | None:
    return None if raw is None else {name: str(value) for name, value in raw.items()}


def _instruction(raw: Mapping[str, Any]) -> InstructionEntry:
    return InstructionEntry(
        name=raw["name"],
        sdm=raw["sdm"],
        summary=raw["summary"],
        section=raw["section"],
        mnemonic=raw.get("mnemonic", raw["name"]),
        forms=tuple(_form(form) for form in raw["forms"]),
        values=_values(raw),
        steps=tuple(step(one) for one in raw["steps"]),
    )


OPERAND_PARTS: Mapping[str, int] = {
    "address": 64, "offset": 64, "displacement": 64, "scale": 2, "segment": 3, "index": 4, "index_invalid": 1,
    "base": 4, "base_invalid": 1, "register": 4, "memory": 1, "width": 8,
}  # fmt: skip
"""What steps may ask of an operand besides its value, as `NAME_PART`, with the width (vmcsc/assembly/values.py)."""


def _values(raw: Mapping[str, Any]) -> Mapping[str, int]:
    """The values that the entry lists, and the parts of operands that its steps name."""
    words = set(_WORD.findall(str(raw["steps"])))
    for one in raw["steps"]:
        memory = one.get("information", {}).get("memory")
        words |= set() if memory is None else {f"{memory}_{part}" for part in _MEMORY_PARTS.values()}
    names = {operand.partition("=")[0] for form in raw["forms"] for operand in form.get("operands", ())}
    parts = {f"{name}_{part}": width for name in names for part, width in OPERAND_PARTS.items()}
    return {**raw.get("values", {}), **{name: parts[name] for name in sorted(parts.keys() & words)}}


_WORD = re.compile(r"[a-z_][a-z0-9_]*")

_MEMORY_PARTS: Mapping[str, str] = {
    "scaling": "scale", "segment": "segment", "index": "index", "index_invalid": "index_invalid", "base": "base",
    "base_invalid": "base_invalid",
}  # fmt: skip
"""The parts of the VM-exit instruction information for an operand in memory, and the parts of the operand."""


def _form(raw: Mapping[str, Any]) -> Form:
    operands = []
    for number, operand in enumerate(raw.get("operands", ())):
        name, equals, kind = operand.partition("=")
        operands.append((name, kind) if equals else (f"operand{number}", name))
    return Form(tuple(operands), raw["code"], dict(raw.get("with", {})))


def _information(raw: Mapping[str, Any]) -> Mapping[str, str]:
    """The parts of instruction information, those of an operand in memory spelt out."""
    parts = dict(_texts(raw.get("parts")) or {})
    memory = raw.get("memory")
    if memory is not None:
        parts |= {"address_size": "bits_64", **{name: f"{memory}_{part}" for name, part in _MEMORY_PARTS.items()}}
    return parts


def step(raw: Mapping[str, Any]) -> Step:
    """A step as the YAML has it, of an instruction or of an event."""
    action = next(one for one in ACTIONS if one in raw)
    qualification, information = raw.get("qualification"), raw.get("information")
    if qualification is not None and not isinstance(qualification, dict):
        qualification = {"": qualification}
    return Step(
        raw["id"],
        action,
        raw[action],
        _text(raw.get("when")),
        "non_root" if action == "exit" else raw.get("only"),
        _text(raw.get("error_code")),
        _texts(qualification),
        None if information is None else (information["layout"], _information(information)),
        _texts(raw.get("also")),
        raw.get("trap", False),
        raw.get("why", ""),
        tuple(raw.get("clears", ())),
        raw.get("type", 3),
    )
