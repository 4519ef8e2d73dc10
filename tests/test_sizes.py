"""No file outgrows its purpose."""

from __future__ import annotations

import runpy
from pathlib import Path


def test_no_file_is_over_the_limit() -> None:
    measured = runpy.run_path(str(Path(__file__).with_name("sizes.py")))
    assert {path: lines for path, lines in measured["sizes"]().items() if lines > measured["LIMIT"]} == {}
