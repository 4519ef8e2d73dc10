"""Specs that were read in an earlier run are the same specs, for as long as no file of them changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.cache import Cache
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.loading import load
from vmcsc.records import dataclass
from vmcsc.source import Span

FACT = """\
kind: processor
facts:
  - {{name: house_fact, width: {width}, sdm: House fact, summary: What the house knows.}}
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setattr("vmcsc.cache.SETTLED", -1e9)
    return Cache(str(tmp_path / "cache"))


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    folder = tmp_path / "overlay"
    folder.mkdir()
    (folder / "facts.yaml").write_text(FACT.format(width=3), encoding="utf-8")
    return folder


@dataclass
class Loaded:
    database: Database
    yaml_files: int


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads specs and counts the texts that are parsed as YAML on the way."""
    parsed: list[str] = []
    from vmcsc import yamlnodes

    original = yamlnodes.read_yaml

    def counting(source: Any) -> Any:
        parsed.append(source.name)
        return original(source)

    for module in ("vmcsc.yamlnodes", "vmcsc.architecture.reader", "vmcsc.architecture.kept"):
        monkeypatch.setattr(f"{module}.read_yaml", counting)

    def run(cache: Cache | None, *overlays: Path) -> Loaded:
        parsed.clear()
        database = load(*overlays, cache=cache)
        return Loaded(database, len(parsed))

    return run


def content(database: Database) -> dict[str, Any]:
    names = ["version", "fields", "words", "layouts", "msrs", "facts", "exit_reasons", "instruction_errors"]
    names += ["exceptions", "bitmaps", "rules", "functions", "areas", "state", "stages", "codes", "encoding", "folders"]
    return {name: getattr(database, name) for name in names}


def place(span: Span) -> tuple[str, int, int]:
    return span.source.name, span.start, span.end


def test_the_second_run_parses_no_yaml_and_has_the_same_specs(cache: Cache, overlay: Path, counted: Any) -> None:
    first, second = counted(cache, overlay), counted(cache, overlay)
    assert first.yaml_files > 40
    assert second.yaml_files == 0
    assert content(second.database) == content(first.database) == content(load(overlay))


def test_places_are_looked_up_when_they_are_asked_for(cache: Cache, overlay: Path, counted: Any) -> None:
    first = counted(cache, overlay).database
    second = counted(cache, overlay).database
    keys = [("processor", "house_fact"), ("fields", "guest_rip"), ("checks.require", "guest-rflags-bit1")]
    assert [place(second.origins[key]) for key in keys] == [place(first.origins[key]) for key in keys]
    assert second.origins["processor", "house_fact"].text == "house_fact"
    assert set(second.origins) == set(first.origins)


def test_without_a_cache_nothing_is_kept(counted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("something was written")

    monkeypatch.setattr(Cache, "put", refuse)
    assert counted(None).yaml_files > 40
    assert counted(None).yaml_files > 40


@pytest.mark.parametrize("change", ["another content", "another time", "a new file", "a file less"])
def test_a_changed_file_is_read_again(cache: Cache, overlay: Path, counted: Any, change: str) -> None:
    counted(cache, overlay)
    file = overlay / "facts.yaml"
    if change == "another content":
        file.write_text(FACT.format(width=16), encoding="utf-8")
    elif change == "another time":
        os.utime(file, (1, 1))
    elif change == "a new file":
        (overlay / "more.yaml").write_text(FACT.format(width=8).replace("house_fact", "other"), encoding="utf-8")
    else:
        file.unlink()
    database = counted(cache, overlay).database
    assert content(database) == content(load(overlay))


def test_overlays_in_another_order_or_place_are_other_specs(cache: Cache, overlay: Path, tmp_path: Path) -> None:
    assert "house_fact" in load(overlay, cache=cache).facts
    assert "house_fact" not in load(cache=cache).facts
    empty = tmp_path / "empty"
    empty.mkdir()
    assert load(empty, overlay, cache=cache).folders != load(overlay, empty, cache=cache).folders


def test_specs_with_a_mistake_are_not_kept(cache: Cache, overlay: Path) -> None:
    (overlay / "facts.yaml").write_text(FACT.format(width='"wide"'), encoding="utf-8")
    found: list[tuple[Diagnostic, ...]] = []
    for _ in range(2):
        with pytest.raises(VmcscError) as error:
            load(overlay, cache=cache)
        found.append(error.value.diagnostics)
    assert [d.message for d in found[0]] == [d.message for d in found[1]] != []


def test_a_condition_with_a_mistake_is_reported_each_time(cache: Cache, overlay: Path) -> None:
    (overlay / "fields.yaml").write_text(
        "kind: fields\nfields:\n  - {name: house_field, encoding: 0x20FE, width: 64, type: control, access: read_write,"
        " sdm: House, summary: It has a condition., section: House, exists: no_such_name}\n",
        encoding="utf-8",
    )
    for _ in range(2):
        with pytest.raises(VmcscError):
            load(overlay, cache=cache)


def test_files_that_were_just_written_are_not_kept(overlay: Path, counted: Any, tmp_path: Path) -> None:
    """A second change within one tick of the clock would not show in their times."""
    cache = Cache(str(tmp_path / "cache"))
    counted(cache, overlay)
    assert counted(cache, overlay).yaml_files > 40


def test_a_cache_that_was_damaged_only_costs_time(cache: Cache, overlay: Path, counted: Any, tmp_path: Path) -> None:
    expected = content(counted(cache, overlay).database)
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:-20])
    assert content(counted(cache, overlay).database) == expected


def test_checking_the_shipped_specs_reads_them(cache: Cache) -> None:
    load(cache=cache)
    database = load_specs([], Diagnostics(), check_shipped=True, cache=cache)
    assert database is not None
    assert database.cache is None
