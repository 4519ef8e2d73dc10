"""Where the shipped data lies: inside an installed package, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


SPECS = _folder("specs")
SCHEMAS = _folder("schemas")
EXAMPLES = _folder("examples")
