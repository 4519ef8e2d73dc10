"""The register of codes, what the specs say of them, and the ledger agree; no code has ever had two meanings."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.cli import main
from vmcsc.diagnostic import Code
from vmcsc.pipeline import compile
from vmcsc.resources import SPECS

ROOT = Path(__file__).parent.parent
REGISTER = {code.id: code for code in codes.ALL}


def written(path: Path) -> Any:
    """The file as PyYAML reads it, which is not how the program does."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> dict[str, str]:
    files = sorted((SPECS / "checks").glob("*.yaml"))
    return {rule["code"]: rule["id"] for path in files for rule in written(path).get("checks", ())}


TEXTS: list[dict[str, Any]] = written(SPECS / "codes.yaml")["codes"]
LEDGER: dict[str, str] = written(SPECS / "ledger.yaml")["codes"]
EXAMPLES = [text for text in TEXTS if "example" in text]


def code_of(item: Code | dict[str, Any]) -> str:
    return item.id if isinstance(item, Code) else item["code"]


# --- the three lists --------------------------------------------------------------------------------------------


def test_no_code_and_no_name_is_given_twice() -> None:
    given = [*(code.id for code in codes.ALL), *rules()]
    assert [code for code, times in Counter(given).items() if times > 1] == []
    names = [*(code.name for code in codes.ALL), *rules().values()]
    assert [name for name, times in Counter(names).items() if times > 1] == []


def test_a_code_has_the_digit_of_its_stage_and_a_name_in_words() -> None:
    for code in codes.ALL:
        assert re.fullmatch(r"VMX[1-9]\d{3}", code.id), code
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code.name), code


def test_what_the_specs_say_of_codes_agrees_with_the_register() -> None:
    active = {t["code"]: (t["name"], t["severity"]) for t in TEXTS if t.get("status", "active") == "active"}
    assert active == {code.id: (code.name, code.severity.value) for code in codes.ALL}


def test_codes_are_explained_in_the_order_of_their_numbers() -> None:
    assert [text["code"] for text in TEXTS] == sorted(text["code"] for text in TEXTS)
    assert list(LEDGER) == sorted(LEDGER)


def test_the_ledger_has_every_code_in_use_under_its_name() -> None:
    in_use = {**{code.id: code.name for code in codes.ALL}, **rules()}
    assert {code: LEDGER.get(code) for code in in_use} == in_use


def test_the_ledger_names_nothing_that_is_neither_in_use_nor_retired() -> None:
    retired = {text["code"] for text in TEXTS if text.get("status") == "retired"}
    assert LEDGER.keys() - REGISTER.keys() - rules().keys() - retired == set()


def test_the_database_has_what_is_written(database: Database) -> None:
    assert {code: (text.name, text.severity) for code, text in database.codes.items()} == {
        text["code"]: (text["name"], text["severity"]) for text in TEXTS
    }


# --- codes are used ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(name for name, value in vars(codes).items() if isinstance(value, Code)))
def test_a_code_in_the_register_is_reported_by_some_module(name: str) -> None:
    reported = re.compile(rf"\bcodes\.{name}\b")
    modules = [*(ROOT / "vmcsc").rglob("*.py"), *(ROOT / "backends").rglob("*.py")]
    assert any(reported.search(path.read_text(encoding="utf-8")) for path in modules)


# --- the texts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS, ids=code_of)
def test_an_explanation_says_why_and_the_way_out_in_a_few_sentences(text: dict[str, Any]) -> None:
    assert text["summary"].endswith("."), text["summary"]
    assert text["summary"].count(". ") == 0, "a summary is one sentence"
    sentences = re.findall(r"[.!?](?:\s|$)", re.sub(r"`[^`]*`", "x", text["explanation"]))
    assert 1 <= len(sentences) <= 5, text["explanation"]
    assert text["explanation"].strip() != text["summary"]


@pytest.mark.parametrize("text", EXAMPLES, ids=code_of)
def test_an_example_is_reported_as_what_it_is_an_example_of(text: dict[str, Any], database: Database) -> None:
    result = compile(f"policy example {{\n{text['example']}\n}}", database=database)
    if text["code"] == codes.UNCLOSED_BLOCK.id:  # whose example takes the closing brace for itself
        assert [found.code for found in result.diagnostics] == [text["code"]]
    found = {(one.code, one.severity.value) for one in result.diagnostics}
    assert (text["code"], text["severity"]) in found, [one.message for one in result.diagnostics]


@pytest.mark.parametrize("text", EXAMPLES, ids=code_of)
def test_an_example_shows_no_other_error(text: dict[str, Any], database: Database) -> None:
    result = compile(f"policy example {{\n{text['example']}\n}}", database=database)
    assert {one.code for one in result.diagnostics if one.severity.value == "error"} <= {text["code"]}


def test_explain_tells_what_every_code_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--format", "json", *REGISTER]) == 0
    meanings = {meaning["name"]: json.dumps(meaning) for meaning in json.loads(capsys.readouterr().out)["meanings"]}
    for text in TEXTS:
        told = meanings[text["code"]]
        assert json.dumps(text["summary"]) in told
        assert json.dumps(text["explanation"].strip())[1:-1] in told
