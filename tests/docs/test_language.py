"""Every example of docs/language.md does what the text around it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.bind import bind, bind_condition
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.pipeline import compile
from vmcsc.result import Result
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression

PAGE = Path(__file__).parent.parent.parent / "docs" / "language.md"
_BLOCK = re.compile(r"^```(vmcs[\w-]*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"\s*policy\s+(\w+)")


@dataclass(frozen=True)
class Example:
    kind: str
    argument: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"line-{self.line}-{self.kind}"


def _examples() -> Iterator[Example]:
    page = PAGE.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(page):
        yield Example(block[1], block[2].strip(), block[3], page[: block.start()].count("\n") + 1)


EXAMPLES = list(_examples())


def of(*kinds: str) -> list[Example]:
    return [example for example in EXAMPLES if example.kind in kinds]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policies and fragments of the page as files, since they extend and include each other."""
    folder = tmp_path_factory.mktemp("page")
    for example in of("vmcs", "vmcs-fragment"):
        name = _NAME.match(example.text)
        path = folder / (example.argument if name is None else f"{name[1]}.vmcs")
        assert not path.exists(), f"{example} is not the only one of its name"
        path.parent.mkdir(exist_ok=True)
        path.write_text(example.text, encoding="utf-8")
    return folder


def compiled(example: Example, folder: Path, database: Database) -> Result:
    """The example as a file beside the policies of the page."""
    whole = _NAME.match(example.text) is not None
    text = example.text if whole else f"policy example {{\n{example.text}\n}}"
    return compile(Source("example", text, folder / "example_of_the_page.vmcs"), database=database)


def test_the_page_has_examples_of_every_kind() -> None:
    kinds = {example.kind for example in EXAMPLES}
    assert kinds == {"vmcs", "vmcs-body", "vmcs-fails", "vmcs-expr", "vmcs-fragment"}
    assert len(EXAMPLES) >= 50


@pytest.mark.parametrize("example", of("vmcs", "vmcs-body"), ids=str)
def test_a_policy_of_the_page_compiles_without_errors_and_warnings(
    example: Example, folder: Path, database: Database
) -> None:
    result = compiled(example, folder, database)
    assert [d.message for d in result.diagnostics if d.severity.value != "note"] == []
    assert result.ok


@pytest.mark.parametrize("example", of("vmcs-fails"), ids=str)
def test_a_mistake_of_the_page_is_found_and_nothing_else(example: Example, folder: Path, database: Database) -> None:
    found = [diagnostic.code for diagnostic in compiled(example, folder, database).diagnostics]
    assert sorted(found) == sorted(example.argument.split()), example


def _lines() -> Iterator[tuple[str, str]]:
    for example in of("vmcs-expr"):
        for line in example.text.splitlines():
            text, _, expected = line.partition("#")
            yield text.strip(), expected.strip()


@pytest.mark.parametrize(("text", "expected"), list(_lines()))
def test_an_expression_of_the_page_has_a_meaning(text: str, expected: str, database: Database) -> None:
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("example", text), diagnostics)
    assert parsed is not None, diagnostics.found
    scope = Scope(database)
    found = [bind_condition(parsed, scope, Diagnostics())]
    found += [bind(parsed, width, scope, Diagnostics()) for width in (8, 16, 32, 64)]
    nodes = [node for node in found if node is not None]
    assert nodes
    if expected:  # of a bare number there may be several widths, which agree
        values = {evaluate(node, lambda leaf: pytest.fail(f"reads {leaf}")).bits for node in nodes}
        assert values == {int(expected, 0)}


def test_every_code_of_the_page_exists() -> None:
    known = {code.id for code in codes.ALL}
    named = set(re.findall(r"VMX\d{4}", PAGE.read_text(encoding="utf-8")))
    assert named - known == {"VMX4001"}  # a rule's, from specs/checks


def test_the_contents_lead_to_every_section() -> None:
    page = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    anchors = [
        "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_") for heading in headings
    ]
    assert re.findall(r"^- \[.*\]\(#(.*)\)$", page, re.MULTILINE) == anchors


def test_the_page_names_every_block_statement_and_reason(database: Database) -> None:
    from vmcsc.syntax.shape import STARTERS
    from vmcsc.vmcs import REASONS

    page = PAGE.read_text(encoding="utf-8")
    for name in (*database.words, *database.bitmaps, *STARTERS, *REASONS):
        assert re.search(rf"`[^`\n]*\b{name}\b", page), name


def test_the_words_that_must_be_activated_are_those_of_the_specs(database: Database) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for word in database.words.values():
        row = rf"\| `{word.name}` \| `{re.escape(word.activated_by or '')}`"
        assert bool(re.search(row, page)) is (word.activated_by is not None), word.name


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    from vmcsc import source
    from vmcsc.expression import bind as binder
    from vmcsc.policy import files
    from vmcsc.syntax import parser, shape

    rows = dict(
        re.findall(r"^\| ([a-z ,]+) \| (\d+)", PAGE.read_text(encoding="utf-8").partition("## Limits")[2], re.MULTILINE)
    )
    assert int(rows["size of a file"]) << 20 == source.MAX_BYTES
    assert int(rows["files that make up a policy"]) == files.MAX_TEXTS
    assert int(rows["words of a file"]) == shape.MAX_WORDS
    assert int(rows["statements of a file"]) == shape.MAX_STATEMENTS
    assert int(rows["lines of a file"]) == shape.MAX_LINES
    assert int(rows["blocks in blocks"]) == shape.MAX_DEPTH
    assert int(rows["operators, parentheses and calls in each other"]) == parser.MAX_DEPTH == shape.MAX_PARENTHESES
    assert int(rows["findings of one run"]) == Diagnostics().limit
    assert binder.MAX_LITERAL_BITS == 512
