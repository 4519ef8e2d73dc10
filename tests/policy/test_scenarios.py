"""Scenarios are a policy's unit tests: kept as they are written, one for each title."""

from __future__ import annotations

from pathlib import Path

import vmcsc
from vmcsc.architecture.database import Database

BASE = 'policy base {\n  scenario "port 0x60" { guest in al, 0x60\n expect exit io_instruction }\n}\n'


def test_a_scenario_takes_the_place_of_an_inherited_one_of_its_title(tmp_path: Path, database: Database) -> None:
    (tmp_path / "base.vmcs").write_text(BASE)
    derived = tmp_path / "derived.vmcs"
    derived.write_text(
        'policy derived extends base {\n  scenario "port 0x60" { guest in al, 0x60\n expect no exit }\n}\n'
    )
    policy = vmcsc.compile(derived, database=database).policy
    assert policy is not None
    [scenario] = policy.scenarios
    assert "no exit" in str(scenario.body[1].span.text)


def test_two_scenarios_of_one_policy_need_two_titles(database: Database) -> None:
    twice = BASE.replace("}\n}", '}\n  scenario "port 0x60" { guest hlt }\n}')
    codes = [finding.code for finding in vmcsc.compile(twice, database=database).diagnostics]
    assert codes == ["VMX2020"]
