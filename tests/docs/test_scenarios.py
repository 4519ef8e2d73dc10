"""Every scenario that the documentation shows comes true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vmcsc.architecture.database import Database
from vmcsc.pipeline import compile
from vmcsc.scenario.test import run_scenarios, usual_cpu

ROOT = Path(__file__).parent.parent.parent
PAGES = ("README.md", "docs/language.md", "docs/scenarios.md")
BLOCKS = [
    (page, text)
    for page in PAGES
    for text in re.findall(r"^```(?:vmcs)?\n(policy .*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    if "scenario " in text
]


@pytest.mark.parametrize(("page", "text"), BLOCKS, ids=lambda value: value.split()[1] if " " in value else value)
def test_the_scenarios_of_a_page_pass(page: str, text: str, database: Database) -> None:
    policy = compile(text, usual_cpu(database), database).policy
    assert policy is not None
    results = list(run_scenarios(policy, database))
    assert results
    assert [one.findings for one in results if not one.passed] == []


def test_each_page_has_one() -> None:
    assert {page for page, _ in BLOCKS} == set(PAGES)
