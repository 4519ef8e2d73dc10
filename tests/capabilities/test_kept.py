"""A CPU that was read in an earlier run is the same CPU, for as long as its text and the specs are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vmcsc.architecture.database import Database
from vmcsc.cache import Cache
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.diagnostic import Diagnostics
from vmcsc.loading import load
from vmcsc.source import Source

RDMSR = "0x480: 0x00da050000000013\n0x481: 0x0000007f00000016\n"


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr("vmcsc.cache.SETTLED", -1e9)
    return load(cache=Cache(str(tmp_path / "cache")))


@pytest.fixture
def no_reader(monkeypatch: pytest.MonkeyPatch) -> Any:
    """From its call on, no text is read as a CPU."""

    def refuse(*_: object) -> None:
        pytest.fail("the text was read again")

    return lambda: monkeypatch.setattr("vmcsc.capabilities.readers._parse", refuse)


def read(name: str, database: Database) -> Cpu:
    diagnostics = Diagnostics()
    cpu = read_cpu(name, database, diagnostics)
    assert cpu is not None, diagnostics.found
    assert diagnostics.found == []
    return cpu


def test_every_shipped_cpu_is_kept_as_it_is(database: Database, cached: Database, no_reader: Any) -> None:
    expected = {name: read(name, database) for name in shipped_cpus(database)}
    assert {name: read(name, cached) for name in expected} == expected
    no_reader()
    assert {name: read(name, cached) for name in expected} == expected


def test_a_file_of_any_form_is_kept_by_its_content(cached: Database, tmp_path: Path, no_reader: Any) -> None:
    path = tmp_path / "cpu.txt"
    path.write_text(RDMSR)
    first = read(str(path), cached)
    path.write_text(RDMSR.replace("7f", "3f"))
    second = read(str(path), cached)
    assert first != second
    no_reader()
    path.write_text(RDMSR)
    assert read(str(path), cached) == first


def test_a_cpu_with_findings_is_read_each_time(cached: Database, tmp_path: Path) -> None:
    path = tmp_path / "cpu.json"
    path.write_text('{"0x480": "0x00da050000000013", "0x10": "0x1"}')
    found = []
    for _ in range(2):
        diagnostics = Diagnostics()
        read_cpu(str(path), cached, diagnostics)
        found.append([(d.code, d.message) for d in diagnostics])
    assert found[0] == found[1] != []


def test_other_specs_read_the_text_anew(cached: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cpu.txt"
    path.write_text(RDMSR)
    read(str(path), cached)
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    assert cached.cache is not None
    other = load(overlay, cache=cached.cache)
    reading: list[str] = []
    from vmcsc.capabilities import readers

    original = readers._parse

    def counting(source: Source, *rest: Any) -> Cpu | None:
        reading.append(source.name)
        return original(source, *rest)

    monkeypatch.setattr(readers, "_parse", counting)
    read(str(path), other)
    assert reading == [str(path)]


def test_the_shipped_cpus_are_not_validated(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own tests do that; jsonschema takes longer than all the rest."""
    monkeypatch.setattr("vmcsc.architecture.reader._validator", None)
    for name in shipped_cpus(database):
        read(name, database)
