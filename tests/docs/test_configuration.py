"""What docs/configuration.md shows is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

from vmcsc.architecture.database import Database
from vmcsc.cli.config import KEYS
from vmcsc.pipeline import compile
from vmcsc.report import FORMATS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_settings_shown_are_all_that_there_are() -> None:
    [settings] = blocks("toml")
    assert tuple(tomllib.loads(settings)) == KEYS
    assert tuple(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == KEYS


def test_the_policy_shown_has_no_findings_only_because_of_its_comments(database: Database) -> None:
    [policy] = blocks("vmcs")
    assert compile(policy, database=database).diagnostics == ()
    plain = compile(policy.replace("vmcsc:", ""), database=database).diagnostics
    assert [finding.code for finding in plain] == ["VMX3003", "VMX3003"]


def test_the_hooks_shown_are_those_that_there_are() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    [shown] = [block for block in blocks("yaml") if block.startswith("repos:")]
    assert [hook["id"] for hook in yaml.safe_load(shown)["repos"][0]["hooks"]] == [hook["id"] for hook in hooks]


def test_every_format_is_mentioned() -> None:
    assert all(f"`{format}`" in PAGE or f"--format {format}" in PAGE for format in FORMATS)
