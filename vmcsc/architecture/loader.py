"""Spec folders to a `Database`: read, collect by kind, build, cross-reference."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vmcsc import codes
from vmcsc.architecture import build
from vmcsc.architecture.crossref import cross_reference
from vmcsc.architecture.database import Database
from vmcsc.architecture.kept import KeptSpecs, Origins, Place
from vmcsc.architecture.model import Rule
from vmcsc.architecture.reader import SpecDocument, read_document, spec_files
from vmcsc.cache import Cache
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.records import dataclass, field
from vmcsc.resources import SPECS

_LISTS: Mapping[str, tuple[str, str, Callable[[Any], Any]]] = {
    "fields": ("fields", "name", build.field),
    "layouts": ("layouts", "name", build.layout),
    "msrs": ("msrs", "name", build.msr),
    "processor": ("facts", "name", build.fact),
    "exit_reasons": ("exit_reasons", "name", build.exit_reason),
    "instruction_errors": ("instruction_errors", "name", build.instruction_error),
    "exceptions": ("exceptions", "name", build.exception),
    "bitmaps": ("bitmaps", "name", build.bitmap),
    "functions": ("functions", "name", build.function),
    "areas": ("areas", "name", build.area),
    "causes": ("causes", "name", build.cause),
    "stages": ("stages", "name", build.stage),
    "processor_state": ("state", "name", build.state),
    "codes": ("codes", "code", build.code_text),
}
"""For each kind of file that is a list: the key of the list, the key of an entry's name, the builder."""


_ONLY = frozenset({"version", "field_encoding"})
"""Kinds of which there is one file: what it says holds for all the others."""

EXPRESSIONS = frozenset({"exists", "when", "require", "body", "address", "count"})
"""Keys whose values are expressions; `origins` has their places under `fields.exists` and so on."""


@dataclass(slots=True)
class _Collected:
    """The built entries by kind and name, and what is not a list of entries."""

    entries: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in _LISTS})
    words: dict[str, dict[str, Any]] = field(default_factory=dict)
    controls: dict[str, dict[str, Any]] = field(default_factory=dict)
    single: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    ledger: dict[str, str] = field(default_factory=dict)
    origins: dict[tuple[str, str], Place] = field(default_factory=dict)


def load_specs(
    overlays: Sequence[Path],
    diagnostics: Diagnostics,
    *,
    check_shipped: bool = False,
    shipped: Path = SPECS,
    cache: Cache | None = None,
) -> Database | None:
    """Build the database from the shipped specs and `overlays`, or report what is wrong with them.

    The shipped files are trusted unless `check_shipped`: the project's own tests validate them. What a `cache` has is
    trusted too, since it is written only where nothing is wrong.
    """
    folders = (shipped, *overlays)
    before = len(diagnostics)
    kept = None if cache is None or check_shipped else KeptSpecs(cache, folders)
    documents = None if kept is None else kept.read()
    if documents is not None:
        return _assemble(_collected(documents, diagnostics), folders, diagnostics, cache, kept)
    read = _read_folders(folders, diagnostics, frozenset(overlays) | ({shipped} if check_shipped else set()))
    collected = _collected((document for _, document in read), diagnostics)
    database = _assemble(collected, folders, diagnostics, cache, kept)
    if database is not None and (check_shipped or overlays):
        cross_reference(database, diagnostics)
        if check_shipped:
            _check_ledger(database, collected.ledger, diagnostics)
    if len(diagnostics) > before:
        return None
    if kept is not None:
        kept.write(read)
    return database


def _read_folders(
    folders: Sequence[Path], diagnostics: Diagnostics, validated: Collection[Path]
) -> list[tuple[Path, SpecDocument]]:
    read = []
    for folder in folders:
        if not folder.is_dir():
            diagnostics.report(codes.SPEC_SYNTAX, f"{folder} is not a folder of specs")
            continue
        for path in spec_files(folder):
            document = read_document(path, diagnostics, validate=folder in validated)
            if document is not None:
                read.append((path, document))
    return read


def _collected(documents: Iterable[SpecDocument], diagnostics: Diagnostics) -> _Collected:
    collected = _Collected()
    for document in documents:
        _collect(document, collected, diagnostics)
    return collected


def _collect(document: SpecDocument, collected: _Collected, diagnostics: Diagnostics) -> None:
    if document.kind == "controls":
        _collect_controls(document, collected, diagnostics)
    elif document.kind == "checks":
        _collect_rules(document, collected, diagnostics)
    elif document.kind == "ledger":
        collected.ledger.update(document.value["codes"])
    elif document.kind in _LISTS:
        list_key, name_key, builder = _LISTS[document.kind]
        entries = collected.entries[document.kind]
        for index, raw in enumerate(document.value[list_key]):
            name = raw[name_key]
            place = (document, (list_key, index, name_key))
            if _is_new(document.kind, name, name in entries, place, collected, diagnostics):
                entries[name] = builder(raw)
                for key in EXPRESSIONS & raw.keys():
                    collected.origins[f"{document.kind}.{key}", name] = (document, (list_key, index, key))
    elif document.kind not in _ONLY or _is_new(
        "kinds", document.kind, document.kind in collected.single, (document, ("kind",)), collected, diagnostics
    ):
        collected.single[document.kind] = document.value


def _collect_rules(document: SpecDocument, collected: _Collected, diagnostics: Diagnostics) -> None:
    for index, raw in enumerate(document.value["checks"]):
        for rule in build.rules(raw):
            place = (document, ("checks", index, "id"))
            if _is_new("checks", rule.id, rule.id in collected.rules, place, collected, diagnostics):
                collected.rules[rule.id] = rule
                for key in EXPRESSIONS & raw.keys():
                    collected.origins["checks." + key, rule.id] = (document, ("checks", index, key))


def _collect_controls(document: SpecDocument, collected: _Collected, diagnostics: Diagnostics) -> None:
    word = document.value["word"]
    if "field" in document.value:  # the file that defines the word; others add controls to it
        if _is_new("words", word, word in collected.words, (document, ("word",)), collected, diagnostics):
            collected.words[word] = document.value
    else:
        collected.origins.setdefault(("words", word), (document, ("word",)))
    controls = collected.controls.setdefault(word, {})
    for index, raw in enumerate(document.value.get("controls", ())):
        place = (document, ("controls", index, "name"))
        path = f"{word}.{raw['name']}"
        if _is_new("controls", path, raw["name"] in controls, place, collected, diagnostics):
            controls[raw["name"]] = build.control(raw, word)


def _is_new(kind: str, name: str, known: bool, place: Place, collected: _Collected, diagnostics: Diagnostics) -> bool:
    if not known:
        collected.origins[kind, name] = place
        return True
    origins = Origins({(kind, name): collected.origins[kind, name], (kind, ""): place})
    diagnostics.report(
        codes.SPEC_DUPLICATE,
        f"`{name}` is defined twice among {kind}",
        origins[kind, ""],
        labels=[Label(origins[kind, name], "defined here first")],
        help="give one of them another name, or remove it",
    )
    return False


def _assemble(
    collected: _Collected,
    folders: tuple[Path, ...],
    diagnostics: Diagnostics,
    cache: Cache | None,
    kept: KeptSpecs | None,
) -> Database | None:
    origins = Origins(collected.origins)
    for word in collected.controls.keys() - collected.words.keys():
        span = origins["words", word]
        known = ", ".join(collected.words)
        message = f"these controls belong to the word `{word}`, which no file defines"
        diagnostics.report(codes.SPEC_REFERENCE, message, span, help=f"known words: {known}")
    if not {"version", "field_encoding"} <= collected.single.keys():
        diagnostics.report(codes.SPEC_REFERENCE, "the specs lack their version or the structure of field encodings")
        return None
    words = {}
    for name, raw in collected.words.items():
        controls = sorted(collected.controls.get(name, {}).values(), key=lambda control: control.bit)
        words[name] = build.control_word(raw, tuple(controls))
    entries = collected.entries
    version = collected.single["version"]
    return Database(
        version=version["version"],
        manual=version["manual"],
        edition=version["edition"],
        encoding=build.encoding(collected.single["field_encoding"]),
        fields=dict(sorted(entries["fields"].items(), key=lambda item: item[1].encoding)),
        words=words,
        layouts=entries["layouts"],
        msrs=entries["msrs"],
        facts=entries["processor"],
        exit_reasons=entries["exit_reasons"],
        instruction_errors=entries["instruction_errors"],
        exceptions=entries["exceptions"],
        bitmaps=entries["bitmaps"],
        rules=tuple(collected.rules.values()),
        functions=entries["functions"],
        areas=entries["areas"],
        causes=tuple(entries["causes"].values()),
        state=entries["processor_state"],
        stages=tuple(entries["stages"].values()),
        codes=entries["codes"],
        folders=folders,
        origins=origins,
        cache=cache if kept is not None and kept.settled else None,
        key="" if kept is None else kept.key,
    )


def _check_ledger(database: Database, ledger: Mapping[str, str], diagnostics: Diagnostics) -> None:
    """Every code in use stands in the ledger under its name: so no code is ever given to something else."""
    in_use = {text.code: (text.name, ("codes", text.code)) for text in database.codes.values()}
    in_use |= {rule.code: (rule.entry, ("checks", rule.id)) for rule in database.rules}
    for code, (name, origin) in in_use.items():
        if ledger.get(code) != name:
            known = ledger.get(code)
            message = f"{code} is `{name}` here, but " + (
                "the ledger does not have it" if known is None else f"`{known}` in the ledger"
            )
            help = "add it to specs/ledger.yaml" if known is None else "take a code that was never used"
            diagnostics.report(codes.SPEC_LEDGER, message, database.origins[origin], help=help)
