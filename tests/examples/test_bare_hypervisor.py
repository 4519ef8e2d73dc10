"""The bare hypervisor: built from the header of a policy, it enters its guest and prints the exits as predicted."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from vmcsc import compile, run_scenarios
from vmcsc.architecture.database import Database
from vmcsc.bochs.processor import read_model
from vmcsc.bochs.tools import Tools, find_tools
from vmcsc.errors import VmcscError
from vmcsc.resources import EXAMPLES

SOURCE = EXAMPLES / "bare_hypervisor"
EXIT = re.compile(r"VM exit: (\w+) qualification (0x[0-9a-f]+) rip (0x[0-9a-f]+) length (0x[0-9a-f]+)")
MODELS = ("core2_penryn_t9600", "corei7_haswell_4770", "tigerlake")
GUEST = """\
  scenario "what the guest of the example does" {
    guest cpuid
    guest rdtsc
    guest out 0x80, al
    guest in al, 0x60
    set ecx = 0xc0000100
    guest rdmsr
    set ecx = 0x1a0
    guest rdmsr
    guest mov rax, cr3
    guest mov cr3, rax
    HLT
    guest vmcall
  }
"""
"""The instructions of guest.asm."""


@pytest.fixture(scope="module")
def tools() -> Tools:
    if shutil.which("make") is None:
        skip_or_fail("make is not there")
    try:
        return find_tools()
    except VmcscError as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tools: Tools) -> Path:
    """A copy of the example to build in."""
    copy = tmp_path_factory.mktemp("examples") / "bare_hypervisor"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("build"))
    return copy


def made(folder: Path, policy: str, cpu: str, spoil: str = "") -> str:
    """What `make run` prints."""
    vmcsc = f"VMCSC={sys.executable} -m vmcsc"
    command = ["make", "-s", "run", f"POLICY={policy}", f"CPU={cpu}", f"SPOIL={spoil}", vmcsc]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def predicted(policy: str, cpu: str, database: Database, tools: Tools) -> list[tuple[str, int]]:
    """Reason and qualification of the exits of the same guest on the bundled machine."""
    model = read_model(cpu, database, tools).cpu
    name = policy.replace("-", "_").replace(".", "_")
    result = compile(f"policy tried {{\n  extends {name}\n{GUEST.replace('HLT', '')}}}\n", model, database)
    assert result.vmcs is not None, [one.message for one in result.diagnostics]
    halts = result.vmcs.control("primary.hlt_exiting")  # the guest leaves HLT out where it does not come back
    text = f"policy tried {{\n  extends {name}\n{GUEST.replace('HLT', 'guest hlt' if halts else '')}}}\n"
    tried = compile(text, model, database).policy
    assert tried is not None
    (scenario,) = run_scenarios(tried, database, model, match="what the guest of the example does")
    return [(one.exited.reason, one.exited.qualification) for one in scenario.happenings if one.exited is not None]


RUNS = [(policy, cpu) for policy in ("minimal", "kvm-classic") for cpu in MODELS]
RUNS += [("kvm-6.1", "corei7_haswell_4770"), ("kvm-7.3", "tigerlake"), ("introspection", "tigerlake")]


@pytest.mark.parametrize(("policy", "cpu"), RUNS)
def test_the_guest_exits_as_the_bundled_machine_predicts(
    policy: str, cpu: str, folder: Path, database: Database, tools: Tools
) -> None:
    printed = made(folder, policy, cpu)
    assert printed.splitlines()[:2] == ["bare hypervisor", "VMLAUNCH"]
    assert printed.splitlines()[-1] == "the guest is done"
    exits = [(reason, int(qualification, 16)) for reason, qualification, _, _ in EXIT.findall(printed)]
    assert exits == predicted(policy, cpu, database, tools)
    assert exits[0][0] == "cpuid" and exits[-1][0] == "vmcall"


def test_a_policy_that_the_model_cannot_grant_stops_with_the_name_of_the_control(folder: Path) -> None:
    assert made(folder, "introspection", "core2_penryn_t9600").splitlines() == [
        "bare hypervisor",
        "refused: secondary.enable_ept",
    ]


def test_a_policy_of_ones_own_is_tried_from_its_file(folder: Path) -> None:
    own = folder / "own-policy.vmcs"
    own.write_text("policy own_policy {\n  extends minimal\n  primary { require rdtsc_exiting }\n}\n")
    assert "VM exit: rdtsc qualification 0x0" in made(folder, str(own), "corei7_skylake_x")


FORETOLD = re.compile(
    r"the entry will fail by VMX\d+ (\S+), (error|exit reason) (0x[0-9a-f]+)(?: qualification (0x\w+))?"
)
FAILED = re.compile(r"VM entry failed(?:, error (0x[0-9a-f]+)|: (\w+) qualification (0x\w+) )")
SPOILT = [
    ("guest_rflags", 0, "guest-rflags-bit1"),
    ("guest_cr4", 0, "guest-cr4-fixed0"),
    ("guest_cs_access_rights", 0x93, None),
    ("guest_activity_state", 9, "nreg-activity-range"),
    ("vmcs_link_pointer", 0x1001, "link-align"),
    ("host_rip", 1 << 63, "asz-host64-rip-canonical"),
    ("host_cs_selector", 0, "host-cs-sel-null"),
    ("vm_entry_controls", 0, "entry-reserved"),
    ("pin_based_vm_execution_controls", 0, "exec-pin-reserved"),
    ("entry_interruption_info", 0x80000103, None),
    ("tsc_offset", 0x123, ""),
]
"""A field of the VMCS, a value that spoils it, and the rule by which it must (None: by some; "": it does not)."""


@pytest.mark.parametrize(("field", "value", "rule"), SPOILT, ids=[field for field, *_ in SPOILT])
def test_the_checks_name_the_rule_before_the_processor_refuses(
    field: str, value: int, rule: str | None, folder: Path, database: Database
) -> None:
    spoil = f"{database.fields[field].encoding:#x}={value:#x}"
    printed = made(folder, "minimal", "corei7_haswell_4770", spoil)
    foretold, failed = FORETOLD.search(printed), FAILED.search(printed)
    assert (foretold is None, failed is None) == (rule == "", rule == ""), printed
    if foretold is None or failed is None:
        assert "violated" not in printed
        return
    assert rule in (None, foretold[1]), printed
    assert f"{foretold[1]} (" in printed.split("the entry will fail")[0]  # among the violations that were told
    assert failed[3] == foretold[4]
    reasons = {int(foretold[3], 16)} if foretold[2] == "exit reason" else set()
    assert failed[1] == (foretold[3] if foretold[2] == "error" else None)
    assert {one.number for one in database.exit_reasons.values() if one.name == failed[2]} == reasons


def test_the_hypervisor_has_no_number_of_vmx_in_its_own_code(database: Database) -> None:
    """Fields, exit reasons and MSRs come from the header: none of their numbers stands in the code but by chance."""
    code = "\n".join(re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S) for path in SOURCE.glob("*.[ch]"))
    numbers = {int(number, 0) for number in re.findall(r"\b0x[0-9a-f]+\b", code)}
    vmx = {one.encoding for one in database.fields.values()} | {one.index for one in database.msrs.values()}
    assert numbers & {number for number in vmx if number > 0xFF} == set()
