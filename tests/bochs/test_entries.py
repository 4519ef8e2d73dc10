"""VM entries on Bochs come to what the rules permit, but for the differences of judged.yaml, which all still occur.

The long form: `python tests/bochs/run.py --rows --states --bits --neighbours 110000 --rules`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.bochs import dialect
from tests.bochs.compare import Compared, Trial, judge, run
from tests.bochs.foretold import WRONG
from tests.bochs.run import Tally, What, compare_models
from tests.bochs.trials import subjects
from vmcsc.architecture.emulator import emulator_of
from vmcsc.bochs.processor import read_model
from vmcsc.bochs.tools import Tools

HERE = Path(__file__).parent
MODELS = ("core2_penryn_t9600", "corei5_lynnfield_750", "corei7_skylake_x", "tigerlake")
"""One without TRUE capability MSRs, one with the first EPT, one with most features, one with CET and a monitor trap
flag."""

NEIGHBOURS = 6000
IMPLEMENTED = (HERE / "implemented.txt").read_text().split()
"""The rules that Bochs has too, by the catalogue of checks."""

NEVER_VIOLATED: dict[str, str] = {
    rule: reason
    for reason, rules in yaml.safe_load((HERE / "never_violated.yaml").read_text()).items()
    for rule in rules
}
"""Those of them that no comparison violates, each with the reason."""


@pytest.fixture(scope="session")
def tally(tools: Tools) -> Tally:
    """The short form: rows of the rule tables, states, single bits and some neighbours, on four models."""
    return compare_models(MODELS, What(True, True, ("long",), NEIGHBOURS, "short", foretell=True))


def test_no_state_comes_out_otherwise_than_the_rules_and_the_judged_differences_say(
    tally: Tally, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print("\nBochs:", tally.line(len(MODELS)))
    assert tally.unjudged == []
    assert tally.states >= 40_000


def test_the_checks_as_c_say_before_each_entry_what_becomes_of_it(tally: Tally) -> None:
    """Those of the bare hypervisor, on the processor itself."""
    assert [came for came in tally.foretold if came.startswith(WRONG)] == []
    assert sum(tally.foretold.values()) >= tally.states - 5, "but those that Bochs does not come back from"
    assert tally.foretold["fails so, and does"] > 15_000 and tally.foretold["enters, and does"] > 10_000
    assert tally.foretold["open"] == 0


@pytest.mark.parametrize("name", sorted({*IMPLEMENTED}))
def test_a_rule_that_bochs_has_too_was_violated_there(name: str, tally: Tally) -> None:
    assert tally.rules[name] > 0 or name in NEVER_VIOLATED


@pytest.fixture(scope="session")
def replayed(tools: Tools) -> dict[str, Compared]:
    """The state of each judged difference."""
    found = {}
    for name in sorted({one.model for one in dialect.judged()}):
        model = read_model(name, dialect.database(), tools)
        known = subjects(dialect.database(), model, Counter())
        own = [one for one in dialect.judged() if one.model == name]
        trials = [Trial(known[one.subject], one.fields, one.memory) for one in own]
        for one, trial, seen in zip(own, trials, run(trials, tools), strict=True):
            found[one.name] = Compared(trial, judge(trial), seen)
    return found


@pytest.mark.parametrize("name", [one.name for one in dialect.judged()])
def test_a_judged_difference_still_occurs(name: str, replayed: dict[str, Compared]) -> None:
    """Its state comes to something else than the manual says, and to what is said of it."""
    compared = replayed[name]
    assert name in (*compared.expected.because, compared.expected.stops)
    assert not compared.agrees
    assert compared.foreseen


@pytest.mark.parametrize("name", [one.name for one in dialect.judged()])
def test_a_judged_difference_is_shrunk(name: str, replayed: dict[str, Compared]) -> None:
    """Without any one of its changes the state comes to what the manual says, or the difference is another one."""
    trial = replayed[name].trial
    for left_out in (*trial.fields, *trial.memory):
        fields = {field: bits for field, bits in trial.fields.items() if field != left_out}
        words = {address: bits for address, bits in trial.memory.items() if address != left_out}
        expected = judge(Trial(trial.subject, fields, words))
        assert expected.manual == expected.bochs or name not in (*expected.because, expected.stops), left_out


@pytest.fixture(scope="session")
def everywhere(tools: Tools) -> Tally:
    """Every state on every model that has VMX, as it is."""
    return compare_models(emulator_of(dialect.database()).models, What(states=True))


def test_every_state_enters_on_every_model_that_can_have_it(everywhere: Tally) -> None:
    assert everywhere.unjudged == []
    assert everywhere.judged == Counter()
    assert everywhere.states >= 400
    assert set(everywhere.skipped) == {
        "a 32-bit host has no IA-32e mode guest",
        "Bochs has no VMX in SMM",
        "the model lacks what the state needs",
        "nothing wakes a guest that waits for SIPI on one processor",
    }
