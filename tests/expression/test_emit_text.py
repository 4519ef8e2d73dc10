"""The text of a bound expression means what the expression means: bound again it is the same."""

from __future__ import annotations

import pytest

from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind
from vmcsc.expression.emit_text import emit_text
from vmcsc.expression.scope import Scope
from vmcsc.pipeline import compile
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression

PARAMETERS = {"a": 1, "b": 1, "c": 1, "x": 64, "y": 64, "w": 8}

CONDITIONS = [
    ("a and b or c", "a and b or c"),
    ("a and (b or c)", "a and (b or c)"),
    ("a and (b and c)", "a and (b and c)"),
    ("not (a or b)", "not (a or b)"),
    ("not a or b", "not a or b"),
    ("not not a", "not not a"),
    ("(not a) == b", "(not a) == b"),
    ("x + y * 3 < 0x10", "x + y * 3 < 0x10"),
    ("(x + y) * 3 != 7", "(x + y) * 3 != 7"),
    ("x - (y - 1) == 0", "x - (y - 1) == 0"),
    ("x & 1 == 0", "x & 1 == 0"),
    ("~x >> 4 == y", "~x >> 4 == y"),
    ("x > y", "y < x"),
    ("x <= y", "y >= x"),
    ("x[3] and x[11:8] == 5", "x[3] and x[11:8] == 5"),
    ("(x | y)[3]", "(x | y)[3]"),
    ("u8(x) == w", "u8(x) == w"),
    ("supported(primary.hlt_exiting) and not forced(cr3_load_exiting)", None),
    ("ia32_vmx_basic.memory_type == write_back", "ia32_vmx_basic.memory_type == write_back"),
    ("ia32_vmx_misc[8] and cpu.smx", "ia32_vmx_misc[8] and cpu.smx"),
    ("cpu.maxphyaddr in [36, 39..46]", None),
    ("true", "true"),
]


def bound(text: str, width: int, database: Database) -> nodes.Node:
    diagnostics = Diagnostics()
    parsed = parse_expression(Source("t", text), diagnostics)
    node = None if parsed is None else bind(parsed, width, Scope(database, parameters=PARAMETERS), diagnostics)
    assert node is not None, [finding.message for finding in diagnostics]
    return node


@pytest.mark.parametrize(("text", "expected"), CONDITIONS, ids=[text for text, _ in CONDITIONS])
def test_the_text_has_the_parentheses_it_needs_and_reads_back_as_the_same(
    text: str, expected: str | None, database: Database
) -> None:
    node = bound(text, 1, database)
    shown = emit_text(node)
    assert shown == expected or expected is None
    assert bound(shown, 1, database) == node


def test_every_condition_of_the_shipped_policies_reads_back_as_the_same(database: Database) -> None:
    conditions = 0
    for name in database.files("policies", ".vmcs"):
        policy = compile(name, database=database).policy
        assert policy is not None
        found = [stance.condition for stance in policy.stances]
        found += [assignment.condition for assignment in policy.assignments]
        found += [painting.condition for painting in policy.paintings]
        for node in {condition for condition in found if condition is not None}:
            assert bound(emit_text(node), 1, database) == node
            conditions += 1
    assert conditions > 3
