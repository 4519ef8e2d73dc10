"""The rows of the YAML files here, and the policy of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROWS: list[dict[str, Any]] = [row for path in sorted(HERE.glob("*.yaml")) for row in yaml.safe_load(path.read_text())]
STATEMENTS = ("guest", "expect", "set", "event", "on", "memory")


def text_of(row: dict[str, Any]) -> str:
    """A policy of one scenario; a comma, semicolon or brace before a statement parts them."""
    body = row["body"]
    for word in STATEMENTS:
        body = body.replace(f", {word} ", f"\n{word} ").replace(f"}} {word} ", f"}}\n{word} ")
    policy = row.get("policy", "").replace("  ", "\n").replace("} ", "}\n")
    return f'policy p {{\n{policy}\nscenario "{row["title"]}" {{\n{body}\n}}\n}}\n'
