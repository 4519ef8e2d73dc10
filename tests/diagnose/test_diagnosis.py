"""What a dump says: violated, suspect, undetermined; what it does not prove; and which known causes fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import vmcsc
from tests.diagnose.given import log_of
from vmcsc import Diagnosis, VmcscError
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.check.evaluate import Status
from vmcsc.diagnose.caveats import caveats
from vmcsc.diagnose.diagnosis import diagnose_dump
from vmcsc.diagnose.messages import asked_of
from vmcsc.diagnose.reported import Fit
from vmcsc.diagnostic import Diagnostics

GUEST, HOST, CONTROL = "*** Guest State ***", "*** Host State ***", "*** Control State ***"
FAILED = "        reason=80000021 qualification=0000000000000000"
STI = [
    GUEST,
    "RFLAGS=0x00000002         DR7 = 0x0000000000000400",
    "Interruptibility = 00000001  ActivityState = 00000000",
]


def diagnosed(lines: list[str], database: Database, cpu: str | None = None) -> Diagnosis:
    (dump,) = log_of("\n".join(lines) + "\n", database).dumps
    return diagnose_dump(dump, database, None if cpu is None else cpu_named(cpu, database))


def cpu_named(name: str, database: Database) -> Cpu:
    cpu = read_cpu(name, database, Diagnostics())
    assert cpu is not None
    return cpu


def rules(diagnosis: Diagnosis) -> list[str]:
    return [one.result.rule.id for one in diagnosis.violated]


# --- the answer of the processor ---


def test_violations_that_the_processor_reports_stand_first(database: Database) -> None:
    lines = [*STI, HOST, "CS=0010 SS=0018 DS=0003 ES=0000 FS=0000 GS=0000 TR=0040", CONTROL, FAILED]
    diagnosis = diagnosed(lines, database)
    assert str(diagnosis.reported) == "exit reason 33 (VM-entry failure due to invalid guest state), qualification 0"
    assert [(one.result.rule.id, one.fit) for one in diagnosis.violated] == [
        ("nreg-sti-if", Fit.ANSWER),
        ("host-ds-sel-rpl-ti", Fit.PASSED),
    ]


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        ("KVM: entry failed, hardware error 0x8", {"host-ds-sel-rpl-ti": Fit.ANSWER, "nreg-sti-if": Fit.LATER}),
        ("KVM: entry failed, hardware error 0x7", {"host-ds-sel-rpl-ti": Fit.BESIDE, "nreg-sti-if": Fit.LATER}),
        ("KVM: entry failed, hardware error 0x80000022", {"host-ds-sel-rpl-ti": Fit.PASSED, "nreg-sti-if": Fit.PASSED}),
        ("nothing of the kind", {"host-ds-sel-rpl-ti": Fit.UNTOLD, "nreg-sti-if": Fit.UNTOLD}),
    ],
)
def test_each_violation_is_held_against_the_answer(message: str, fits: dict[str, Fit], database: Database) -> None:
    lines = [*STI, HOST, "CS=0010 SS=0018 DS=0003 ES=0000 FS=0000 GS=0000 TR=0040", message]
    assert {one.result.rule.id: one.fit for one in diagnosed(lines, database).violated} == fits


def test_every_violation_is_listed_and_says_why_and_where(database: Database) -> None:
    diagnosis = diagnosed([*STI, "RFLAGS=0x00000000", CONTROL, FAILED], database)
    assert rules(diagnosis) == []  # RFLAGS is told twice and differently, so that nothing is known of it
    lines = [line.replace("0x00000002 ", "0x00008000 ") for line in STI]
    diagnosis = diagnosed([*lines, CONTROL, FAILED], database)
    assert set(rules(diagnosis)) == {"guest-rflags-reserved", "guest-rflags-bit1", "nreg-sti-if"}
    assert all("guest_rflags" in one.finding.notes[0] for one in diagnosis.violated)
    assert {str(one.finding.span).split(":")[1] for one in diagnosis.violated} <= {"2", "3"}


def test_error_8_does_not_prove_the_controls_good(database: Database) -> None:
    said = " ".join(caveats(diagnosed([*STI, "KVM: entry failed, hardware error 0x8"], database)))
    assert "in any order" in said
    assert "instruction error 7" in said


def test_the_exit_reason_is_old_where_the_instruction_failed(database: Database) -> None:
    lines = [*STI, CONTROL, "        reason=00000030 qualification=0000000000000181", "hardware error"]
    lines[-1] = "KVM: entry failed, hardware error 0x7"
    diagnosis = diagnosed(lines, database)
    assert diagnosis.reported is not None
    assert diagnosis.reported.parts == {"instruction_error": 7}
    assert any("48 (EPT violation), is left from an earlier exit" in one for one in caveats(diagnosis))


def test_a_failed_entry_before_the_instruction_that_failed_is_old_too(database: Database) -> None:
    diagnosis = diagnosed([*STI, CONTROL, FAILED, "KVM: entry failed, hardware error 0x7"], database)
    assert any("33 (VM-entry failure due to invalid guest state), is left" in one for one in caveats(diagnosis))


def test_a_dump_of_an_exit_that_was_no_failed_entry_says_so(database: Database) -> None:
    lines = [GUEST, "CR3 = 0x0000000000001000", CONTROL, "        reason=00000003 qualification=0000000000000000"]
    diagnosis = diagnosed(lines, database)
    assert diagnosis.reported is None
    assert any("exit reason 3 (INIT signal) is that of an exit, not of an entry" in one for one in caveats(diagnosis))
    diagnosis = diagnosed(["vmx: unexpected exit reason 0x3", *lines], database)
    assert diagnosis.other
    assert any(
        "an exit that the hypervisor did not expect, not an entry that failed" in one for one in caveats(diagnosis)
    )


# --- what is known, and what not ---


def test_fields_that_are_not_loaded_or_not_valid_are_not_judged(database: Database) -> None:
    lines = [GUEST, "EFER= 0xffffffffffffffff", "PAT = 0xffffffffffffffff", "RFLAGS=0x00000002", CONTROL,
             "PinBased=0x0000007f EntryControls=000011ff ExitControls=00036dff",
             "VMEntry: intr_info=00000b0e errcode=ffffffff ilen=ffffffff", FAILED]  # fmt: skip
    assert rules(diagnosed(lines, database, "ice_lake_i7_1065g7")) == []
    lines[5] = "PinBased=0x0000007f EntryControls=0000d1ff ExitControls=00036dff"
    assert "guest-pat-type" in rules(diagnosed(lines, database, "ice_lake_i7_1065g7"))


def test_the_read_shadow_is_not_cr0(database: Database) -> None:
    line = "CR0: actual=0x0000000080050033, shadow=0x0000000080000000, gh_mask=fffffffffffffff7"
    assert rules(diagnosed([GUEST, line, CONTROL, FAILED], database)) == []
    line = "CR0: actual=0x0000000080000000, shadow=0x0000000080050033, gh_mask=fffffffffffffff7"
    assert rules(diagnosed([GUEST, line, CONTROL, FAILED], database)) == ["guest-cr0-pg-needs-pe"]


def test_what_only_a_capability_decides_is_suspect_until_the_processor_is_named(database: Database) -> None:
    lines = [GUEST, "CR3 = 0x0000008000f76000", "RIP = 0xffffff8000042837", CONTROL, FAILED]
    (suspect,) = diagnosed(lines, database).suspects
    assert (suspect.result.rule.id, suspect.deciding) == ("guest-cr3-width", ("cpu.maxphyaddr",))
    assert "broadwell_i7_5600u" in suspect.cpus
    assert "arrow_lake_ultra5_245k" not in suspect.cpus
    assert rules(diagnosed(lines, database, "broadwell_i7_5600u")) == ["guest-cr3-width"]
    assert rules(diagnosed(lines, database, "arrow_lake_ultra5_245k")) == []


def test_an_address_above_4_gbytes_shows_intel_64(database: Database) -> None:
    flushing = "CR3 = 0x8000000000001000"
    assert rules(diagnosed([GUEST, flushing], database)) == ["guest-cr3-width"]
    low = [
        GUEST,
        "RIP = 0x0000000000001000",
        "SS:   sel=0x0000, attr=0x0c093, limit=0xffffffff, base=0x0000000000000000",
    ]
    assert rules(diagnosed(low, database)) == []


def test_what_is_missing_is_told_apart_by_why(database: Database) -> None:
    diagnosis = diagnosed([*STI, CONTROL, FAILED], database)
    assert "vmcs_link_pointer" in diagnosis.untold
    assert "vm_entry_controls" in diagnosis.cut
    assert not set(diagnosis.untold) & set(diagnosis.cut)
    undetermined = {result.rule.id for result, _ in diagnosis.undetermined}
    assert "exec-pin-reserved" not in undetermined  # the processor got past the controls
    assert "basic-not-vmx" not in undetermined


def test_the_list_of_msrs_is_judged(database: Database) -> None:
    lines = [GUEST, "CR3 = 0x0000000000001000", "MSR guest autoload:", "   0: msr=0xc0000081 value=0x0023001000000000",
             "   1: msr=0xc0000100 value=0x0000000000000000", CONTROL,
             "        reason=80000022 qualification=0000000000000002"]  # fmt: skip
    diagnosis = diagnosed(lines, database)
    assert rules(diagnosis) == ["msrload-fs-base"]
    (violation,) = diagnosis.violated
    assert (violation.result.element, violation.fit) == (2, Fit.ANSWER)
    beside = [one.status for one in diagnosis.checked.results if one.rule.id == "entry-msr-load-align"]
    assert beside == [Status.UNDETERMINED]  # where the list lies is not told
    assert "cannot stand in the VM-entry MSR-load area" in violation.causes[0]


# --- causes ---

SMM = [GUEST, "RSP = 0x0000000000000000  RIP = 0x0000000000008000", *STI[1:]]
PAGE_FAULT = [GUEST, "CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=fffffffffffffff7", CONTROL,
              "VMEntry: intr_info=8000030e errcode=00000000 ilen=00000000"]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "rule", "words"),
    [
        (SMM, "nreg-sti-if", "an SMI came right after STI"),
        (STI, "nreg-sti-if", "Something cleared RFLAGS.IF"),
        (PAGE_FAULT, "entry-errcode-required", "injected again after an exit without the error code"),
        ([GUEST, "CR3 = 0x8000000000001000"], "guest-cr3-width", "asks the processor not to flush"),
        ([GUEST, "RFLAGS=0x00000002", "DS:   sel=0x0010, attr=0x0c092, limit=0xffffffff, base=0x0000000000000000"],
         "gseg-ds-type-accessed", "The accessed bit of the type is 0"),
        ([GUEST, "RFLAGS=0x00000002", CONTROL, "VMEntry: intr_info=80000030 errcode=00000000 ilen=00000000"],
         "guest-rflags-if-extint", "without looking whether the guest takes it"),
        ([CONTROL, "PinBased=0x00000000 EntryControls=000011ff ExitControls=00036dff"],
         "exec-pin-reserved", "Under another hypervisor"),
    ],
)  # fmt: skip
def test_a_known_cause_is_named(lines: list[str], rule: str, words: str, database: Database) -> None:
    diagnosis = diagnosed(lines, database, "silvermont_pentium_n3530")
    causes = next(one.causes for one in diagnosis.violated if one.result.rule.id == rule)
    assert any(words in cause for cause in causes)


def test_a_cause_that_fits_is_named_though_its_rule_is_undetermined(database: Database) -> None:
    diagnosis = diagnosed([GUEST, "RIP = 0x0000000000008000", "RFLAGS=0x00000002", CONTROL, FAILED], database)
    assert [result.rule.id for result, _ in diagnosis.likely] == ["nreg-sti-if"]


def test_every_cause_explains_a_rule_and_its_condition_means_something(database: Database) -> None:
    from vmcsc.expression.conditions import check_conditions

    diagnostics = Diagnostics()
    check_conditions(database, diagnostics)
    assert list(diagnostics) == []
    known = {rule.id for rule in database.rules} | {rule.entry for rule in database.rules}
    assert {name for cause in database.causes for name in cause.rules} <= known
    assert len(database.causes) > 25


# --- messages ---


def test_a_refused_msr_names_the_bits_that_were_asked_for_and_those_that_the_host_lacks(database: Database) -> None:
    text = "qemu-system-x86_64: error: failed to set MSR 0x48b to 0x2200000000"
    (event,) = log_of(text, database).events
    asked = asked_of(event, database, cpu_named("yonah_core_duo_t2600", database))
    assert [(one.name, one.place, one.granted) for one in asked] == [
        ("secondary.enable_ept", "33", False),
        ("secondary.enable_vpid", "37", False),
    ]
    asked = asked_of(event, database, cpu_named("ice_lake_i7_1065g7", database))
    assert [one.granted for one in asked] == [True, True]


@pytest.mark.parametrize(("msr", "insisted"), [("0x482", ["cr3_load_exiting", "cr3_store_exiting"]), ("0x48e", [])])
def test_what_the_host_insists_on_is_named_too(msr: str, insisted: list[str], database: Database) -> None:
    """By the plain MSR more than by the TRUE one."""
    (event,) = log_of(f"error: failed to set MSR {msr} to 0x8000000000", database).events
    asked = asked_of(event, database, cpu_named("ice_lake_i7_1065g7", database))
    assert [one.name for one in asked if one.granted] == ["primary.hlt_exiting"]
    lacking = [(one.name, one.setting) for one in asked if one.granted is False]
    assert lacking == [(f"primary.{name}", "may be 0") for name in insisted]


def test_a_feature_that_the_host_lacks_is_named(database: Database) -> None:
    (event,) = log_of("host doesn't support requested feature: MSR(48CH).vmx-invvpid [bit 32]", database).events
    (asked,) = asked_of(event, database, cpu_named("yonah_core_duo_t2600", database))
    assert (asked.msr.name, asked.place) == ("ia32_vmx_ept_vpid_cap", "32")
    assert asked.granted is False
    (event,) = log_of("host doesn't support requested feature: MSR(12345678H).vmx-x [bit 1]", database).events
    assert asked_of(event, database, cpu_named("yonah_core_duo_t2600", database)) == ()


# --- the library ---


def test_the_library_takes_texts_paths_and_fields(tmp_path: Path) -> None:
    (diagnosis,) = vmcsc.diagnose("\n".join(SMM))
    assert rules(diagnosis) == ["nreg-sti-if"]
    path = tmp_path / "dmesg"
    path.write_bytes("\r\n".join(SMM).encode())
    assert [rules(one) for one in vmcsc.diagnose(path, "ice_lake_i7_1065g7")] == [["nreg-sti-if"]]
    fields = {"GUEST_RFLAGS": "0x2", "GUEST_INTERRUPTIBILITY_INFO": 1, "VM_INSTRUCTION_ERROR": 7}
    for text in (json.dumps(fields), "guest_rflags: 2\nguest_interruptibility_state: 1\nvm_instruction_error: 7\n"):
        (diagnosis,) = vmcsc.diagnose(text)
        assert rules(diagnosis) == ["nreg-sti-if"]
        assert diagnosis.reported is not None
        assert diagnosis.reported.parts == {"instruction_error": 7}
    whole = {"fields": {"guest_cr3": 1 << 40}, "cpu": {"maxphyaddr": 39, "intel_64": 1}}
    (diagnosis,) = vmcsc.diagnose(json.dumps(whole).encode())
    assert rules(diagnosis) == ["guest-cr3-width"]


@pytest.mark.parametrize("text", ["", "hello\nworld\n", '{"GUEST_CR3": }', '{"no_field": 1}', "\x00\x01", "a: b\n"])
def test_a_text_without_anything_in_it_is_refused(text: str) -> None:
    with pytest.raises(VmcscError):
        vmcsc.diagnose(text)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VmcscError, match="No such file"):
        vmcsc.diagnose(tmp_path / "none")
