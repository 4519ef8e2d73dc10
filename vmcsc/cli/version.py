"""The versions of the program and of its data, without reading YAML."""

from __future__ import annotations

from vmcsc import __version__
from vmcsc.resources import SPECS


def version_line() -> str:
    """`vmcsc 0.1.0 (specs 2026.11, SDM February 2026)`."""
    data: dict[str, str] = {}
    for line in (SPECS / "version.yaml").read_text(encoding="utf-8").splitlines():
        key, colon, value = line.partition(":")
        if colon and key in ("version", "edition"):
            data[key] = value.strip().strip("\"'")
    return f"vmcsc {__version__} (specs {data.get('version', '?')}, SDM {data.get('edition', '?')})"
