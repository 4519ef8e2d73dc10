"""The conditions in the specs mean something; those of an overlay that do not are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.expression.conditions import check_conditions
from vmcsc.loading import load

FIELD = """\
kind: fields
fields:
  - name: our_field
    encoding: 0x2ffe
    width: 64
    type: host_state
    access: read_write
    sdm: Our field
    exists: {}
    section: Ours
    summary: A field of our house.
"""
MSR = """\
kind: msrs
msrs:
  - name: {name}
    index: {index}
    sdm: {name}
    capability: true
    form: bits
    exists: {exists}
    section: Ours
    summary: An MSR of our house.
    bits:
      - {{at: "63:0", name: whole, sdm: Whole, summary: All of it.}}
"""
RULE = """\
kind: checks
checks:
  - id: our-rule
    code: VMX4899
    section: Ours
    when: {when}
    require: {require}
    outcome: {{instruction_error: 7}}
    why: Our house wants it.
"""


def mistakes(folder: Path, *texts: str) -> list[Diagnostic]:
    """What is wrong with a folder of these files."""
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text)
    with pytest.raises(VmcscError) as caught:
        load(folder)
    return list(caught.value.diagnostics)


def test_every_condition_of_the_shipped_specs_can_be_bound(database: Database) -> None:
    diagnostics = Diagnostics()
    check_conditions(database, diagnostics)
    assert diagnostics.found == []


@pytest.mark.parametrize(
    ("exists", "place"),
    [
        ("supported(no_such_control)", "no_such_control"),
        ("supported(", "("),
        ('"5"', '"5"'),
        ("primary.hlt_exiting", "primary.hlt_exiting"),
        ("ia32_vmx_basic", "ia32_vmx_basic"),
        ("cpu.vmx and our_field", "our_field"),
        (">-\n      cpu.vmx and\n      our_field", ">-"),
    ],
)
def test_an_exists_that_means_nothing_is_reported_where_it_stands(tmp_path: Path, exists: str, place: str) -> None:
    (found,) = mistakes(tmp_path, FIELD.format(exists))
    assert found.code == codes.SPEC_EXPRESSION.id
    assert found.span is not None
    assert found.span.first.line == 9
    assert found.span.text.startswith(place)


def test_the_help_of_the_expression_is_passed_on(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, FIELD.format("supported(secondary.enable_epd)"))
    assert found.help == "did you mean `secondary.enable_ept`?"


@pytest.mark.parametrize(
    ("when", "require", "place"),
    [
        ("primary.hlt_exitin", "primary.hlt_exiting", (6, "primary.hlt_exitin")),
        ("primary.hlt_exiting", "primary.hlt_exiting + 1 > 2", (7, "2")),
    ],
)
def test_a_rule_that_means_nothing_is_reported_where_it_does(
    tmp_path: Path, when: str, require: str, place: tuple[int, str]
) -> None:
    (found,) = mistakes(tmp_path, RULE.format(when=when, require=require))
    assert found.code == codes.SPEC_EXPRESSION.id
    assert found.span is not None
    assert (found.span.first.line, found.span.text) == place


def test_a_sound_rule_of_an_overlay_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RULE.format(when="primary.hlt_exiting", require="secondary.enable_ept"))
    assert load(tmp_path).rules[-1].id == "our-rule"


def test_msrs_that_exist_if_they_say_so_themselves_are_reported(tmp_path: Path) -> None:
    """Nothing could tell whether such an MSR is there."""
    own = MSR.format(name="our_a", index=0x4F0, exists="our_a.whole == 1")
    one = MSR.format(name="our_b", index=0x4F1, exists="our_c.whole == 1")
    two = MSR.format(name="our_c", index=0x4F2, exists="our_b.whole == 1")
    assert [found.message for found in mistakes(tmp_path, own, one, two)] == [
        f"whether there is `{name}` depends on what `{name}` says" for name in ("our_a", "our_b", "our_c")
    ]
