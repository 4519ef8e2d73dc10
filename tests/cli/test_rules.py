"""`vmcsc rules` lists every rule of VM entry; `vmcsc explain` knows each by its id, and by the code of its entry."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from vmcsc.architecture.database import Database
from vmcsc.resources import SPECS


def written() -> list[dict[str, Any]]:
    """The entries of the rules as PyYAML reads them, which is not how the program does."""
    files = sorted((SPECS / "checks").glob("*.yaml"))
    read = (yaml.safe_load(path.read_text()) for path in files)
    return [rule for one in read if one["kind"] == "checks" for rule in one["checks"]]


def listed(vmcsc: Any, *arguments: str) -> list[dict[str, Any]]:
    run = vmcsc("rules", "--format", "json", *arguments)
    assert run.code == 0
    report = json.loads(run.out)
    assert report["version"] == 1
    rules: list[dict[str, Any]] = report["rules"]
    return rules


def test_every_rule_of_every_file_is_listed(vmcsc: Any, database: Database) -> None:
    rules = listed(vmcsc)
    assert {rule["entry"] for rule in rules} == {rule["id"] for rule in written()}
    assert {rule["code"] for rule in rules} == {rule["code"] for rule in written()}
    assert len({rule["id"] for rule in rules}) == len(rules) == len(database.rules)
    assert all("{" not in rule["id"] + rule["require"] + rule["why"] for rule in rules)


def test_json_has_all_that_a_file_says_of_a_rule(vmcsc: Any) -> None:
    by_id = {rule["id"]: rule for rule in listed(vmcsc)}
    for raw in written():
        if "for" in raw:
            continue
        rule = by_id[raw["id"]]
        for key in ("code", "section", "require", "outcome", "why"):
            told, said = rule[key], raw[key]
            assert (" ".join(told.split()) == " ".join(said.split())) if isinstance(said, str) else told == said
        assert rule["when"] == raw.get("when") or " ".join(rule["when"].split()) == " ".join(raw["when"].split())
        assert (rule["each"], rule["hint"] is None) == (raw.get("each"), "hint" not in raw)
        assert rule["other_outcomes"] == raw.get("other_outcomes", [])


def test_every_rule_belongs_to_a_stage(vmcsc: Any, database: Database) -> None:
    stages = {stage.name for stage in database.stages}
    assert {rule["stage"] for rule in listed(vmcsc)} <= stages


def test_the_table_has_a_line_for_each_rule(vmcsc: Any, database: Database) -> None:
    run = vmcsc("rules")
    assert run.code == 0
    header, *lines = run.out.splitlines()
    assert header.split() == ["rule", "code", "violation", "section"]
    assert [line.split()[0] for line in lines] == [rule.id for rule in database.rules]
    assert run.err == f"{len(lines)} rules\n"
    (bit_1,) = [line for line in lines if line.startswith("guest-rflags-bit1 ")]
    assert re.split(r"\s{2,}", bit_1) == [
        "guest-rflags-bit1",
        "VMX6313",
        "exit reason 33, qualification 0",
        "Checks on Guest RIP, RFLAGS, and SSP",
    ]


def test_a_section_is_chosen_by_its_title_or_by_words_of_it(vmcsc: Any) -> None:
    title = "Checks on Guest RIP, RFLAGS, and SSP"
    assert {rule["section"] for rule in listed(vmcsc, "--section", title)} == {title}
    assert listed(vmcsc, "--section", "rflags") == listed(vmcsc, "--section", title)
    both = listed(vmcsc, "--section", "rflags", "--section", "Loading MSRs")
    assert {rule["section"] for rule in both} == {title, "Loading MSRs"}


def test_a_section_that_no_rule_stands_in_is_wrong_use(vmcsc: Any) -> None:
    run = vmcsc("rules", "--section", "Loading MSR areas")
    assert (run.code, run.out) == (2, "")
    assert "did you mean `Loading MSRs`?" in run.err


# --- explain ---


def explained(vmcsc: Any, *words: str) -> list[dict[str, Any]]:
    run = vmcsc("explain", "--format", "json", "--kind", "rule", *words)
    assert run.code == 0, run.err
    meanings: list[dict[str, Any]] = json.loads(run.out)["meanings"]
    return meanings


def test_explain_knows_every_rule_by_its_id(vmcsc: Any, database: Database) -> None:
    ids = [rule.id for rule in database.rules]
    meanings = explained(vmcsc, *ids)
    assert [meaning["name"] for meaning in meanings] == ids
    for meaning, rule in zip(meanings, database.rules, strict=True):
        assert meaning["summary"] == rule.why.strip()
        assert meaning["facts"]["require"] == rule.require
        assert meaning["facts"]["section"] == f'SDM, "{rule.section}"'
        assert meaning["bits"], f"{rule.id} is about nothing"


def test_explain_knows_every_rule_by_its_code_and_names_those_that_share_it(vmcsc: Any, database: Database) -> None:
    codes = list(dict.fromkeys(rule.code for rule in database.rules))
    meanings = explained(vmcsc, *codes)
    assert [meaning["facts"]["code"] for meaning in meanings] == codes
    for meaning in meanings:
        sharing = [rule.id for rule in database.rules if rule.code == meaning["facts"]["code"]]
        told = meaning["facts"].get("same_rule", "")
        assert [meaning["name"], *(told.split(", ") if told else [])] == sharing


@pytest.mark.parametrize(
    ("rule", "row"),
    [
        ("guest-rflags-if-extint", ("9", "guest_rflags.if")),
        ("guest-rflags-bit1", ("63:0", "guest_rflags")),
        ("exec-cr3-target-count", ("24:16", "ia32_vmx_misc.cr3_target_count")),
        ("exec-pin-reserved", ("", "pin_based (what must be 1)")),
        ("msrload-fs-base", ("31:0", "entry.index")),
        ("basic-not-vmx", ("", "processor.vmx_operation")),
        ("exec-virtual-nmi-needs-nmi-exiting", ("3", "pin_based.nmi_exiting")),
    ],
)
def test_what_a_rule_reads_is_told_with_its_bits(vmcsc: Any, rule: str, row: tuple[str, str]) -> None:
    (meaning,) = explained(vmcsc, rule)
    assert row in [(bits["bits"], bits["name"]) for bits in meaning["bits"]]
    assert all(bits["summary"] for bits in meaning["bits"])


def test_a_field_tells_which_rules_read_it(vmcsc: Any) -> None:
    meaning = json.loads(vmcsc("explain", "--format", "json", "--kind", "field", "vmcs_link_pointer").out)["meanings"][
        0
    ]
    assert "link-current" in meaning["facts"]["rules"].split(", ")
