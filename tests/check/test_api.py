"""`vmcsc.check`: a VMCS as a mapping or as a policy came to it, and the verdict and findings as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vmcsc
from vmcsc import Memory, VmcscError
from vmcsc.architecture.database import Database
from vmcsc.capabilities.readers import read_cpu
from vmcsc.check.evaluate import Status
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import known, unknown

ICE = "ice_lake_i7_1065g7"


def status(checked: vmcsc.Checked, rule: str) -> Status:
    return next(result.status for result in checked.results if result.rule.id == rule)


def test_the_verdict_is_the_set_of_what_the_processor_may_do(database: Database) -> None:
    checked = vmcsc.check({"guest_rflags": 0, "guest_cr0": 0x31}, ICE, database=database)
    assert checked.verdict.enters is False
    (outcome,) = checked.verdict.outcomes
    assert (outcome.stage, dict(outcome.parts)) == ("guest_state", {"exit_reason": 33, "qualification": 0})
    assert [finding.code for finding in checked.findings][-1] == "VMX6313"


def test_a_field_may_have_any_of_its_names(database: Database) -> None:
    for name in ("guest_rflags", "GUEST_RFLAGS", "Guest RFLAGS", "0x6820"):
        assert [f.code for f in vmcsc.check({name: 0}, database=database).findings] == ["VMX6313"]


def test_values_may_be_known_in_part(database: Database) -> None:
    checked = vmcsc.check({"guest_rflags": unknown(64), "guest_activity_state": known(32, 4)}, ICE, database=database)
    assert status(checked, "guest-rflags-bit1") is Status.UNDETERMINED
    assert status(checked, "nreg-activity-range") is Status.VIOLATED


def test_a_resolved_vmcs_is_checked_on_its_own_cpu_or_another(database: Database) -> None:
    vmcs = vmcsc.compile("policy p { state guest long_mode { rflags = 0 } }", ICE, database).vmcs
    assert vmcs is not None
    own = vmcsc.check(vmcs)
    assert [finding.span.text for finding in own.findings if finding.span] == ["rflags = 0"]
    other = vmcsc.check(vmcs, "yonah_core_duo_t2600")
    assert {"guest-rflags-bit1", "entry-reserved"} <= {r.rule.id for r in other.of(Status.VIOLATED)}


def test_memory_and_the_state_of_the_processor_decide_what_asks_for_them(database: Database) -> None:
    fields = {"vmcs_link_pointer": 0x3000, "secondary_vm_execution_controls": 0, "primary_vm_execution_controls": 0}
    open_one = vmcsc.check(fields, ICE, database=database)
    assert status(open_one, "link-revision") is Status.UNDETERMINED
    revision = (0x13).to_bytes(4, "little")
    for memory in ({0x3000: revision}, Memory({0x3000: revision})):
        given = vmcsc.check(fields, ICE, memory, {"smm": 0}, database=database)
        assert status(given, "link-revision") is Status.PASSED
    launched = vmcsc.check({}, ICE, None, {"instruction": "vmlaunch", "launch_state": "launched"}, database=database)
    assert [dict(outcome.parts) for outcome in launched.verdict.outcomes] == [{"instruction_error": 4}]


def test_a_cpu_may_be_a_name_a_file_or_a_cpu(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "cpu.json"
    path.write_text('{"0x480": "0x00da050000000013", "0x485": "0x7004c1e7"}')
    cpu = read_cpu(ICE, database, Diagnostics())
    for one in (ICE, path, cpu):
        checked = vmcsc.check({"cr3_target_count": 5}, one, database=database)
        assert [finding.code for finding in checked.findings] == ["VMX4104"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (({"guest_rp": 1},), "no field is named 'guest_rp'; did you mean 'guest_rsp'?"),
        (({"guest_cs_selector": 1 << 16},), "'guest_cs_selector' is 16 bits wide; 65536 does not fit"),
        (({"guest_rip": -1},), "does not fit"),
        (({"guest_rip": known(32, 1)},), "'guest_rip' is 64 bits wide, its value 32"),
        (({}, "no_such_cpu"), "no CPU is named `no_such_cpu`"),
        (({}, None, None, {"cpll": 1}), "did you mean 'cpl'?"),
        (({}, None, None, {"cpl": 4}), "'cpl' is 2 bits wide; 4 does not fit"),
        (({}, None, None, {"instruction": "vmxon"}), "'instruction' is one of vmlaunch, vmresume"),
    ],
)
def test_wrong_use_is_an_exception_that_says_what_is_wrong(arguments: Any, said: str, database: Database) -> None:
    with pytest.raises(VmcscError) as error:
        vmcsc.check(*arguments, database=database)
    assert said in str(error.value)


def test_the_function_is_there_also_after_its_package_was_imported(database: Database) -> None:
    """The package `vmcsc.check` has the name of the function; using it must not hide the function."""
    import vmcsc.check.memory

    assert vmcsc.check({}, database=database).verdict.enters is None
    assert vmcsc.check({}).counts()[Status.VIOLATED] == 0, "the shipped specs are taken where none are given"
