"""Facts about VMX live in specs/: no name from the specs stands in Python or in the C that is included verbatim."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from vmcsc.architecture.database import Database

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "vmcsc").rglob("*.py"), *(ROOT / "backends").rglob("*.py")])

EXAMPLES = {
    "vmcsc/cli/explain.py": "examples in the help text",
    "vmcsc/policy/bind.py": "examples in messages: what a block looks like",
    "vmcsc/policy/targets.py": "an example in a message",
    "vmcsc/syntax/shape.py": "an example in a message",
}
"""Files whose string constants name something of the specs, and why that is no fact in Python."""

IN_MACHINE = frozenset({"exit_reason"})
"""Names that algorithms of the machine act upon, there or on Bochs: exceptions that they raise and exits that they
cause, reviewed one by one. What decides about them stands in specs/machine."""


def spec_names(database: Database) -> set[str]:
    """Names that only the specs should have: those of more than one word, so that `pause` may still be a verb."""
    names = {*database.fields, *database.controls_by_name, *database.msrs, *database.words, *database.layouts}
    names |= {*database.exit_reasons, *database.instruction_errors, *database.facts, *database.exceptions}
    return {name for name in names if "_" in name}


def string_constants(path: Path) -> Iterator[tuple[int, str]]:
    """The string constants of a module that are not docstrings."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, documented)
        for statement in node.body
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def found_in(path: Path, names: set[str]) -> list[str]:
    words = re.compile(r"[a-z][a-z0-9_]*")
    return [f"{line}: {w}" for line, text in string_constants(path) for w in words.findall(text) if w in names]


def test_no_name_of_the_specs_stands_in_python(database: Database) -> None:
    names = spec_names(database)
    offending = {str(path.relative_to(ROOT)): found_in(path, names) for path in SOURCES}
    for path, found in offending.items():
        if path.startswith(("vmcsc/machine/", "vmcsc/bochs/")):
            offending[path] = [one for one in found if one.split()[1] not in IN_MACHINE]
    assert {path: found for path, found in offending.items() if found and path not in EXAMPLES} == {}


def test_the_reviewed_exceptions_only_give_examples(database: Database) -> None:
    """A name in an exception stands inside a sentence, never alone as a key or an operand."""
    names = spec_names(database)
    for relative in EXAMPLES:
        for line, text in string_constants(ROOT / relative):
            assert text not in names, f"{relative}:{line}"


def test_no_number_of_vmx_stands_in_the_verbatim_c() -> None:
    runtime = (ROOT / "backends" / "c_header" / "runtime.h").read_text()
    assert set(re.findall(r"\b0x[0-9a-fA-F]+\b", runtime)) == set()


def test_the_search_finds_what_it_should(tmp_path: Path, database: Database) -> None:
    (tmp_path / "bad.py").write_text('def f(name):\n    """hlt_exiting"""\n    return name == "hlt_exiting"\n')
    assert found_in(tmp_path / "bad.py", spec_names(database)) == ["3: hlt_exiting"]
