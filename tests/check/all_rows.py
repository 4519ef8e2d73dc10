"""All tables together."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.check.rows import Check, Row

TABLES = sorted(path.stem for path in (Path(__file__).parent / "tables").glob("*.py"))

CHECKS: list[Check] = [check for name in TABLES for check in import_module(f"tests.check.tables.{name}").CHECKS]
ROWS: list[Row] = [row for check in CHECKS for row in check.rows()]
