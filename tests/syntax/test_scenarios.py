"""Scenarios are parsed and kept as trees; what they mean is bound elsewhere."""

from __future__ import annotations

from vmcsc.diagnostic import Diagnostics
from vmcsc.source import Source
from vmcsc.syntax import tree
from vmcsc.syntax.parser import parse_policy_file


def statements(text: str) -> tuple[tree.Statement, ...]:
    """What a text without mistakes consists of."""
    diagnostics = Diagnostics()
    parsed = parse_policy_file(Source("t", text), diagnostics)
    assert diagnostics.found == []
    return parsed.body


SCENARIO = """
scenario "all of it" {
  set tsc_offset = 0x1000
  guest rdtsc
  guest in al, 0x60
  guest mov eax, [rbx + 8]
  expect no exit, edx_eax == host_tsc + 0x1000
  expect exit io_instruction where qualification.port == 0x60 and qualification.direction == in
  expect exit hlt
  event external_interrupt 0x30
  event nmi
  memory 0x1000 = 1, 2
  vmxon 0x2000
  on cpu 0 { vmclear 0x3000; guest hlt }
  on exit cpuid { resume }
}
"""


def test_scenario_statements_are_parsed_and_kept() -> None:
    (scenario,) = statements(SCENARIO)
    assert isinstance(scenario, tree.Scenario)
    assert scenario.title == "all of it"
    kinds = [type(statement).__name__ for statement in scenario.body]
    assert kinds == (
        ["SetParam"] + ["Execute"] * 3 + ["Expect"] * 3 + ["Event"] * 2 + ["MemoryWrite", "Execute", "OnCpu", "OnExit"]
    )


def test_a_scenario_tells_guest_instructions_from_those_of_root_operation() -> None:
    (scenario,) = statements('scenario "s" { guest in al, [rbx]; vmclear 0x3000 }')
    assert isinstance(scenario, tree.Scenario)
    guest, root = scenario.body
    assert isinstance(guest, tree.Execute)
    assert (guest.guest, guest.instruction.mnemonic) == (True, "in")
    assert [operand.memory for operand in guest.instruction.operands] == [False, True]
    assert isinstance(root, tree.Execute)
    assert (root.guest, root.instruction.mnemonic) == (False, "vmclear")


def test_expectations_are_no_exit_an_exit_with_a_condition_or_a_condition() -> None:
    (scenario,) = statements('scenario "s" { expect no exit, exit hlt, exit io where port == 1, a == 2 }')
    assert isinstance(scenario, tree.Scenario)
    (expect,) = scenario.body
    assert isinstance(expect, tree.Expect)
    nothing, bare, where, condition = expect.expectations
    assert nothing.no_exit
    assert (bare.reason and bare.reason.text, bare.condition) == ("hlt", None)
    assert where.reason is not None
    assert where.condition is not None
    assert (condition.reason, condition.condition is not None) == (None, True)


def test_blocks_in_a_scenario_hold_scenario_statements() -> None:
    (scenario,) = statements('scenario "s" { on exit hlt { vmresume; resume }; on cpu 1 { vmxoff } }')
    assert isinstance(scenario, tree.Scenario)
    on_exit, on_cpu = scenario.body
    assert isinstance(on_exit, tree.OnExit)
    assert [type(statement) for statement in on_exit.body] == [tree.Execute, tree.Resume]
    assert isinstance(on_cpu, tree.OnCpu)
    assert len(on_cpu.body) == 1


def test_a_broken_scenario_statement_costs_one_finding() -> None:
    diagnostics = Diagnostics()
    text = 'scenario "s" {\n expect exit\n guest\n set x\n resume\n}\nrequire a'
    parse_policy_file(Source("t", text), diagnostics)
    assert [d.span and d.span.first.line for d in diagnostics] == [2, 3, 4]
