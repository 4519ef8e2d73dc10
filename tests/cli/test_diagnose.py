"""`vmcsc diagnose` and `vmcsc decode FILE` on the command line."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from vmcsc.cli.diagnose import run

ICE = "ice_lake_i7_1065g7"
GOOD = "*** Guest State ***\nRFLAGS=0x00000202         DR7 = 0x0000000000000400\n"
BAD = (
    "noise\n*** Guest State ***\nRFLAGS=0x00000002\nstrange line\n"
    "Interruptibility = 00000001  ActivityState = 00000000\n"
)
FAILED = "*** Control State ***\n        reason=80000021 qualification=0000000000000000\n"


@pytest.fixture
def log(tmp_path: Path) -> Any:
    def write(text: str | bytes, name: str = "dmesg.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_exit_codes_say_whether_something_is_violated(vmcsc: Any, log: Any) -> None:
    assert vmcsc("diagnose", log(GOOD)).code == 0
    assert vmcsc("diagnose", log(BAD)).code == 1
    assert vmcsc("diagnose", log("no dump\n")).code == 2
    assert vmcsc("diagnose", log(GOOD), "--cpu", ICE).code == 0


def test_the_report_names_rule_place_reason_cause_and_what_else_there_is(vmcsc: Any, log: Any) -> None:
    shown = vmcsc("diagnose", log(BAD + FAILED))
    for words in (
        "dmesg.txt:2: VMCS, 5 of 210 fields known; the entry failed with exit reason 33",
        "dmesg.txt:5:20: error[VMX6422]: nreg-sti-if",
        "5 | Interruptibility = 00000001",
        "= note: this is what the processor reports",
        "= note: known cause: Something cleared RFLAGS.IF",
        "undetermined:",
        "vmcs_link_pointer",
        "neither Linux nor Xen prints it",
        "not understood: 1 line between those of the dump",
        "dmesg.txt:4:1: strange line",
        "checked: 382 rules:",
    ):
        assert words in shown.out, words
    assert shown.err == "1 dump, 1 violated rule\n"


def test_a_fragment_that_is_not_taken_for_a_dump_is_told(vmcsc: Any, log: Any) -> None:
    shown = vmcsc("diagnose", log("RFLAGS=0x00000246\n" + "noise\n" * 100 + GOOD))
    assert "not taken for a dump: what begins in line 1," in shown.out


def test_nothing_violated_is_said(vmcsc: Any, log: Any) -> None:
    shown = vmcsc("diagnose", log(GOOD + FAILED))
    assert "nothing that it shows is violated" in shown.out


def test_json_has_all_of_it(vmcsc: Any, log: Any) -> None:
    text = "KVM: entry failed, hardware error 0x80000021\n" + BAD + FAILED
    document = json.loads(vmcsc("diagnose", log(text), "--cpu", ICE, "--format", "json").out)
    (dump,) = document["dumps"]
    assert (document["version"], document["lines"], document["further"]) == (1, 8, 0)
    assert dump["reported"] == {"exit_reason": 33, "qualification": 0}
    assert [one["rule"] for one in dump["violated"]] == ["nreg-sti-if"]
    assert dump["violated"][0]["fits"] == "answer"
    assert dump["violated"][0]["start"] == {"line": 6, "column": 20}
    assert dump["fields"]["guest_rflags"] == "0x2"
    assert dump["not_understood"] == [{"line": 5, "text": "strange line"}]
    assert {"rule", "code", "missing"} == dump["undetermined"][0].keys()
    assert document["messages"][0]["values"] == {"exit_reason": "0x80000021"}
    assert sum(dump["counts"].values()) == 382


def test_a_message_about_an_msr_is_answered_without_a_dump(vmcsc: Any, log: Any) -> None:
    text = "qemu-system-x86_64: error: failed to set MSR 0x48b to 0x2200000000\n"
    shown = vmcsc("diagnose", log(text))
    assert shown.code == 0
    assert "asked for: secondary.enable_ept (IA32_VMX_PROCBASED_CTLS2, bit 33)" in shown.out
    shown = vmcsc("diagnose", log(text), "--cpu", "yonah_core_duo_t2600")
    assert shown.code == 1
    assert "the host lacks: secondary.enable_ept" in shown.out
    shown = vmcsc("diagnose", log(text), "--cpu", ICE)
    assert shown.code == 0
    assert "Ice Lake i7-1065G7 has all that is asked for" in shown.out
    partial = log("msrs:\n  0x480: 0xda040000000004\n", "cpu.yaml")
    shown = vmcsc("diagnose", log(text), "--cpu", partial)
    assert shown.code == 0
    assert "not known of the host: secondary.enable_ept" in shown.out


def test_how_to_get_a_dump_is_said_where_the_kernel_made_none(vmcsc: Any, log: Any) -> None:
    shown = vmcsc("diagnose", log("kvm_intel: set kvm_intel.dump_invalid_vmcs=1 to dump internal KVM state.\n"))
    assert shown.code == 0
    assert "/sys/module/kvm_intel/parameters/dump_invalid_vmcs" in shown.out


def test_an_error_without_a_dump_is_explained_as_far_as_it_goes(vmcsc: Any, log: Any) -> None:
    shown = vmcsc("diagnose", log("KVM: entry failed, hardware error 0x80000021\n"))
    assert shown.code == 0
    assert "exit reason 33 (VM-entry failure due to invalid guest state)" in shown.out
    assert "no dump of a VMCS is in the log" in shown.out
    assert "/sys/module/kvm_intel/parameters/dump_invalid_vmcs" in shown.out
    assert "error 7" in vmcsc("diagnose", log("KVM: entry failed, hardware error 0x7\n")).out
    assert "no dump" not in vmcsc("diagnose", log("error: failed to set MSR 0x48b to 0x2200000000\n")).out


def test_standard_input_is_a_log(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in ((), ("-",)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
        assert "<stdin>:2: VMCS" in vmcsc("diagnose", *arguments).out
        monkeypatch.setattr(sys, "stdin", io.StringIO(BAD))
        assert "<stdin>:2: VMCS" in vmcsc("decode", *arguments).out


def test_a_pipe_is_read_and_a_device_is_not(vmcsc: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(BAD))
    writer.start()
    assert vmcsc("diagnose", pipe).code == 1
    writer.join()
    shown = vmcsc("diagnose", "/dev/zero")
    assert (shown.code, "a folder or a device" in shown.out) == (2, True)
    assert vmcsc("diagnose", tmp_path).code == 2
    assert vmcsc("diagnose", tmp_path / "none").code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"GUEST_CR3": "0x1g"}', "GUEST_CR3"),
        ('{"GUEST_CR33": 1}', "no field"),
        ("\x00\xff\x00", "none of 1 line"),
        ("[    0.000000] Linux version 6.1: a\n[    0.000000] Command line: b\n[    0.1] c: d\n", "none of 3 lines"),
        ("Nov 27 08:01:02 pve kernel: a\n" * 5, "none of 5 lines"),
        ("", "none of 0 lines"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, message: str, vmcsc: Any, log: Any) -> None:
    shown = vmcsc("diagnose", log(text.encode("latin-1")))
    assert shown.code == 2
    assert message in shown.out
    assert "Traceback" not in shown.out + shown.err


def test_an_unknown_cpu_is_an_error(vmcsc: Any, log: Any) -> None:
    shown = vmcsc("diagnose", log(GOOD), "--cpu", "ice_lake")
    assert (shown.code, "did you mean `ice_lake_i7_1065g7`" in shown.out) == (2, True)
    assert vmcsc("diagnose", "-", "--cpu", "-").code == 2


def test_nothing_in_a_log_commands_the_terminal(vmcsc: Any, log: Any) -> None:
    text = BAD.replace("strange line", "strange \x1b]0;owned\x07 line \x1b[2J\u202e")
    shown = vmcsc("diagnose", log(text, "dmesg\x1b[31m.txt"))
    assert "\x1b" not in shown.out
    assert "\u202e" not in shown.out


# --- decode ---


def test_decode_prints_each_field_with_its_bits(vmcsc: Any, log: Any) -> None:
    lines = [
        "*** Guest State ***",
        "CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=fffffffffffffff7",
        "CS:   sel=0x0010, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000",
        "EFER= 0x0000000000000500 (effective)",
        "MSR guest autoload:",
        "   0: msr=0xc0000081 value=0x0023001000000000",
        "*** Control State ***",
        "PinBased=0x0000001f EntryControls=000011ff ExitControls=00036dff",
        "        reason=00000030 qualification=0000000000000181",
    ]
    shown = vmcsc("decode", log("\n".join(lines)))
    assert shown.code == 0
    rows = {" ".join(line.split()) for line in shown.out.splitlines()}
    assert "Guest CR0 0x0000000080050033 pe, mp, et, ne, wp, am, pg" in rows
    assert "Guest CS access rights 0x0000a09b type 0xb, s, p, l, g" in rows
    assert "Exit reason 0x00000030 basic_reason 0x30 (EPT violation)" in rows
    assert any(row.startswith("Exit qualification 0x0000000000000181 read, ") for row in rows)
    assert any(row.startswith("Pin-based VM-execution controls 0x0000001f external_interrupt_exiting") for row in rows)
    assert "VM-entry MSR-load area, entry 0 0xc0000081 = 0x23001000000000" in rows
    assert "note: " in shown.out
    document = json.loads(vmcsc("decode", log("\n".join(lines)), "--format", "json").out)
    assert document["dumps"][0]["fields"]["guest_cs_access_rights"]["bits"] == "type 0xb, s, p, l, g"
    assert document["dumps"][0]["lists"] == {
        "VM-entry MSR-load area": [{"index": 0xC0000081, "data": 0x23001000000000}]
    }


def test_decode_of_a_text_without_a_dump_is_an_error(vmcsc: Any, log: Any) -> None:
    assert vmcsc("decode", log("nothing\n")).code == 2
    shown = vmcsc("decode", log("KVM: entry failed, hardware error 0x7\n"))
    assert (shown.code, "no dump" in shown.out) == (2, True)
    shown = vmcsc("decode", log('{"GUEST_CR3": 4096}'))
    assert (shown.code, "Guest CR3" in shown.out) == (0, True)


def test_the_command_has_a_program_of_its_own(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(log(BAD))]) == 1
    assert "nreg-sti-if" in capsys.readouterr().out
