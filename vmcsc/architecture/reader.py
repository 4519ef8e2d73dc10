"""Spec files to plain values with positions, validated against the JSON Schema of their kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

from vmcsc import codes
from vmcsc.cache import Cache, digest
from vmcsc.diagnostic import Diagnostics
from vmcsc.resources import SCHEMAS
from vmcsc.source import Source, Span, UnreadableText, read_source
from vmcsc.yamlnodes import YamlDocument, YamlError, read_yaml

SEPARATE = frozenset({"cpus", "kernels", "machine", "policies", "states"})
"""Folders of specs that are read when they are needed: by name, or for the machine."""

MAX_FILES = 1000

_RANGE = re.compile(r"([0-9]{1,3}):([0-9]{1,3})")

MAX_VIOLATIONS = 1000
"""Violations of a schema in one file after which no more are looked for."""


class SpecDocument:
    """One well-formed, schema-valid spec file. Its text is read again for places if the values are from a cache."""

    def __init__(self, kind: str, value: dict[str, Any], yaml: Callable[[], YamlDocument]) -> None:
        self.kind = kind
        self.value = value
        self._open = yaml

    @cached_property
    def yaml(self) -> YamlDocument:
        return self._open()

    def span(self, *path: str | int) -> Span:
        return self.yaml.span(*path)


def spec_files(folder: Path) -> list[Path]:
    """The spec files of `folder` in the order of their names, without those that are read by name."""
    found = sorted(folder.rglob("*.yaml"))
    return [path for path in found if path.relative_to(folder).parts[0] not in SEPARATE][:MAX_FILES]


def read_document(
    path: Path, diagnostics: Diagnostics, *, validate: bool = True, cache: Cache | None = None
) -> SpecDocument | None:
    """Read one file, or report why not. `validate=False` trusts the file to fit its schema."""
    try:
        source = read_source(path)
    except UnreadableText as error:
        message = f"{path} cannot be read: {error.reason}"
        diagnostics.report(codes.SPEC_SYNTAX, message, error.span)
        return None
    if cache is None:
        return parse_document(source, diagnostics, validate=validate)
    kept = cache.get("spec", key := digest(source.text))
    if kept is not None and (kept["valid"] or not validate):
        return as_spec(YamlDocument(source, kept["value"]), diagnostics, validate=False)
    document = parse_document(source, diagnostics, validate=validate)
    if document is not None:
        cache.put("spec", key, {"valid": validate, "value": document.value})
    return document


def parse_document(source: Source, diagnostics: Diagnostics, *, validate: bool = True) -> SpecDocument | None:
    """Parse a spec's text, or report why it is none."""
    try:
        document = read_yaml(source)
    except YamlError as error:
        diagnostics.report(codes.SPEC_SYNTAX, error.reason, error.span)
        return None
    return as_spec(document, diagnostics, validate=validate)


def as_spec(document: YamlDocument, diagnostics: Diagnostics, *, validate: bool = True) -> SpecDocument | None:
    """Take well-formed YAML as a spec of the kind that it says it is, or report why it is none."""
    kind = document.value.get("kind") if isinstance(document.value, dict) else None
    if not isinstance(kind, str) or not _schema_path(kind).is_file():
        known = ", ".join(sorted(path.name.split(".")[0] for path in SCHEMAS.glob("*.schema.json")))
        help = f"write `kind: ` with one of {known} at the top"
        span = document.span("kind") if isinstance(document.value, dict) else Span(document.source, 0, 0)
        diagnostics.report(codes.SPEC_SCHEMA, "this file does not say what kind of spec it is", span, help=help)
        return None
    if validate and not _valid(document, kind, diagnostics):
        return None
    return SpecDocument(kind, document.value, lambda: document)


def _schema_path(kind: str) -> Path:
    name = kind if kind.isidentifier() and len(kind) < 100 else "-"  # longer than a file's name may be
    return SCHEMAS / f"{name}.schema.json"


@cache
def _validator(kind: str) -> Any:
    from jsonschema import Draft202012Validator  # 80 ms, so only where something is validated

    schema = json.loads(_schema_path(kind).read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


def _valid(document: YamlDocument, kind: str, diagnostics: Diagnostics) -> bool:
    valid = True
    some = islice(chain(_violations(document, kind), _backward_ranges(document)), MAX_VIOLATIONS)
    found = dict.fromkeys(some)  # each missing key is a violation that names all of them
    for path, key, message in sorted(found, key=lambda violation: [str(part) for part in violation[0]]):
        span = document.span(*path) if key is None else document.key_span(*path, key)
        diagnostics.report(codes.SPEC_SCHEMA, message, span, notes=[f"schemas/{kind}.schema.json"])
        valid = False
    return valid


def _violations(document: YamlDocument, kind: str) -> Iterator[tuple[tuple[str | int, ...], str | None, str]]:
    """Each violation as the path of the value, the offending key in it if it is about one, and a sentence."""
    for error in _validator(kind).iter_errors(document.value):
        path = tuple(error.absolute_path)
        where = str(path[-1]) if path else f"a file of kind {kind}"
        if error.validator == "additionalProperties":
            allowed = set(error.schema.get("properties", {}))
            for key in sorted(set(error.instance) - allowed):
                yield path, key, f"unknown key `{key}`; known here: {', '.join(sorted(allowed))}"
        elif error.validator == "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            yield path, None, f"missing key{'s' if len(missing) > 1 else ''} {', '.join(f'`{k}`' for k in missing)}"
        elif error.validator == "dependentRequired":
            given = next(key for key, needed in error.validator_value.items() if _lacks(error.instance, key, needed))
            missing = [key for key in error.validator_value[given] if key not in error.instance]
            yield path, given, f"`{given}` needs {', '.join(f'`{k}`' for k in missing)} beside it"
        elif error.validator == "pattern":
            yield path, None, f"`{where}` must look like {error.validator_value}"
        elif error.validator == "enum":
            choices = ", ".join(str(value) for value in error.validator_value)
            yield path, None, f"`{where}` must be one of {choices}"
        else:
            yield path, None, f"`{where}`: {error.message[:200]}"


def _backward_ranges(document: YamlDocument) -> Iterator[tuple[tuple[str | int, ...], str | None, str]]:
    """Ranges of bits with the lower one first, which a schema cannot see."""
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), document.value)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            pending.extend(((*path, key), below) for key, below in value.items())
        elif isinstance(value, list):
            pending.extend(((*path, index), below) for index, below in enumerate(value))
        elif isinstance(value, str) and (match := _RANGE.fullmatch(value)) and int(match[1]) < int(match[2]):
            yield path, None, f"the range {value} runs backwards; write the higher bit first"


def _lacks(instance: dict[str, Any], key: str, needed: list[str]) -> bool:
    return key in instance and any(other not in instance for other in needed)
