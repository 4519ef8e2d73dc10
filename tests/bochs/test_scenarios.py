"""Scenarios of shipped policies and of the tables of instructions come to the same on Bochs, but for what is judged.

The long form: `python tests/bochs/scenario_run.py`.
"""

from __future__ import annotations

import pytest

from tests.bochs.scenario_run import Outcome, judged, run_models
from vmcsc.bochs.tools import Tools

MODELS = ("corei7_skylake_x", "tigerlake")
REASONS = (
    "cannot be brought about", "the scenario sets", "there is one processor", "may let interrupts into the harness",
    "does not run 64-bit code", "right behind an instruction that blocks it", "writes the host's", "is not active",
)  # fmt: skip
"""Why a scenario is not run there."""


@pytest.fixture(scope="module")
def outcomes(tools: Tools) -> list[Outcome]:
    return run_models(MODELS)


def test_no_scenario_comes_out_otherwise_than_here_and_as_judged(
    outcomes: list[Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print("", *(f"Bochs: {outcome.line()}" for outcome in outcomes), sep="\n")
    assert [outcome.unjudged for outcome in outcomes] == [[] for _ in MODELS]
    assert all(outcome.agree >= 225 for outcome in outcomes)


def test_what_is_not_run_there_has_a_reason(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        unknown = [reason for reason in outcome.missing if not any(known in reason for known in REASONS)]
        assert unknown == []
        assert outcome.missing.total() <= 60


def test_every_judged_scenario_says_why() -> None:
    for title, one in judged().items():
        assert one["reason"].endswith("."), title
        assert one["section"], title
