"""Feature names of QEMU and libvirt: what is not named is unknown, unless the text says that it is complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Capabilities, Cpu


def bits(cpu: Cpu, name: str) -> dict[int, bool]:
    """The bits of an MSR that are known."""
    read = cpu.msrs.get(name)
    return {} if read is None else {bit: bool(read.bits >> bit & 1) for bit in range(64) if read.known >> bit & 1}


def control(cpu: Cpu, database: Database, path: str) -> tuple[bool | None, bool | None]:
    """Whether a control must be 1 and may be 1."""
    found = database.controls[path]
    allowed = Capabilities(database, cpu).allowed(database.words[found.word])
    return allowed.must_be_1.bit(found.bit), allowed.may_be_1.bit(found.bit)


FREE, FIXED_0, FIXED_1, UNKNOWN = (False, True), (False, False), (True, True), (None, None)
ON = "vmx-true-ctls vmx-secondary-ctls"
QEMU = f"-cpu host,+vmx,{ON.replace(' ', '=on,')}=on"


@pytest.mark.parametrize(
    "text",
    [
        f"{ON} vmx-ept -vmx-vpid",
        f"{ON.replace(' ', ', ')}, +vmx-ept, vmx-vpid=off  # a comment",
        f"{ON}\nvmx-ept\n'-vmx-vpid'\n",
        f"qemu-system-x86_64 -m 4G {QEMU},+vmx-ept,-vmx-vpid -smp 4",
        f"qemu-system-x86_64 \\\n  {QEMU},vmx-ept=on,vmx-vpid=off \\\n  -m 4G",
        '{"return": {"model": {"name": "max", "props": {"vmx-true-ctls": true, "vmx-secondary-ctls": true,'
        ' "vmx-ept": true, "vmx-vpid": false, "min-level": 13}}}}',
        "<cpu><feature policy='require' name='vmx-true-ctls'/><feature policy='force' name='vmx-secondary-ctls'/>"
        "<feature policy='require' name='vmx-ept'/><feature policy='disable' name='vmx-vpid'/></cpu>",
        '<?xml version="1.0"?>\n<domainCapabilities><cpu><mode name="host-model">\n'
        '<feature name="vmx-true-ctls"/><feature name="vmx-secondary-ctls"/><feature name="vmx-ept" />'
        "<feature name='vmx-vpid' removed='yes'/></mode><mode name='custom'><blockers model='X'>"
        "<feature name='vmx-pml'/></blockers></mode></cpu></domainCapabilities>",
    ],
)
def test_what_is_named_is_known_and_the_rest_is_not(text: str, read: Callable[..., Any], database: Database) -> None:
    done = read(text)
    assert set(done.codes) <= {codes.TEXT_IGNORED.id}, done.found
    assert control(done.cpu, database, "secondary.enable_ept") == FREE
    assert control(done.cpu, database, "secondary.enable_vpid") == FIXED_0
    assert control(done.cpu, database, "secondary.enable_pml") == UNKNOWN
    assert control(done.cpu, database, "primary.hlt_exiting") == UNKNOWN
    assert control(done.cpu, database, "pin_based.nmi_exiting") == UNKNOWN


def test_the_names_with_no_say_that_a_default1_control_may_be_0(read: Callable[..., Any], database: Database) -> None:
    on = read(f"{ON} vmx-cr3-load-noexit vmx-entry-noload-debugctl").cpu
    assert control(on, database, "primary.cr3_load_exiting") == FREE
    assert control(on, database, "vm_entry.load_debug_controls") == FREE
    off = read(f"{ON} -vmx-cr3-load-noexit").cpu
    assert control(off, database, "primary.cr3_load_exiting") == FIXED_1


def test_without_true_controls_a_default1_control_must_be_1(read: Callable[..., Any], database: Database) -> None:
    cpu = read("-vmx-true-ctls +vmx-secondary-ctls +vmx-cr3-load-noexit").cpu
    assert control(cpu, database, "primary.cr3_load_exiting") == FIXED_1


def test_a_name_of_qemu_that_stands_for_two_bits_switches_both_on_and_says_little_when_off(
    read: Callable[..., Any],
) -> None:
    """QEMU calls bit 41 (INVVPID) as bit 25 (INVEPT)."""
    on = bits(read("vmx-invept-single-context").cpu, "ia32_vmx_ept_vpid_cap")
    assert on == {25: True, 41: True}
    off = bits(read("vmx-invept -vmx-invept-single-context").cpu, "ia32_vmx_ept_vpid_cap")
    assert off == {20: True}


def test_libvirt_names_each_of_these_bits_by_itself(read: Callable[..., Any]) -> None:
    one = read("<cpu><feature name='vmx-invept-single-context'/><feature name='vmx-ept-wb'/></cpu>").cpu
    assert bits(one, "ia32_vmx_ept_vpid_cap") == {14: True, 25: True}
    other = read("<cpu><feature name='vmx-invvpid-single-context'/></cpu>").cpu
    assert bits(other, "ia32_vmx_ept_vpid_cap") == {41: True}


@pytest.mark.parametrize(
    "text",
    [
        "# vmcsc: complete\nvmx-true-ctls\nvmx-secondary-ctls\nvmx-ept\nvmx-invept-single-context\n",
        "<cpu><!-- vmcsc: complete --><feature name='vmx-true-ctls'/><feature name='vmx-secondary-ctls'/>"
        "<feature name='vmx-ept'/></cpu>",
    ],
)
def test_in_a_complete_text_what_is_not_named_is_off(text: str, read: Callable[..., Any], database: Database) -> None:
    done = read(text)
    assert done.found == []
    assert control(done.cpu, database, "secondary.enable_ept") == FREE
    assert control(done.cpu, database, "secondary.enable_vpid") == FIXED_0
    assert control(done.cpu, database, "primary.cr3_load_exiting") == FIXED_1
    assert control(done.cpu, database, "vm_exit.host_address_space_size") == UNKNOWN  # QEMU has no name for it
    cap = bits(done.cpu, "ia32_vmx_ept_vpid_cap")
    assert cap[20] is False
    assert 8 not in cap or "<cpu>" in text


def test_an_unknown_feature_is_a_warning_with_what_was_probably_meant(read: Callable[..., Any]) -> None:
    done = read("vmx-ept vmx-unrestricted-gest")
    (found,) = done.found
    assert (found.code, found.span.text) == (codes.UNKNOWN_FEATURE.id, "vmx-unrestricted-gest")
    assert found.help == "did you mean `vmx-unrestricted-guest`?"


def test_the_flag_vmx_is_the_fact_of_that_name(read: Callable[..., Any]) -> None:
    assert read("-cpu host,+vmx,+vmx-ept").cpu.facts["vmx"].bits == 1
    done = read("-cpu host,-vmx,+vmx-ept")
    assert done.cpu is None
    assert done.codes == [codes.CPU_WITHOUT_VMX.id]


@pytest.mark.parametrize(
    "text", ["+vmx-ept,-vmx-ept", "<c><feature name='vmx-ept'/><feature name='vmx-ept' policy='disable'/></c>"]
)
def test_a_feature_that_is_on_and_off_is_a_contradiction(text: str, read: Callable[..., Any]) -> None:
    done = read(text)
    assert done.cpu is None
    assert codes.CPU_INCONSISTENT.id in done.codes


@pytest.mark.parametrize("line", ["vmx-ept is not supported by the host", "vmx-ept = off", "the host lacks vmx-ept"])
def test_a_sentence_about_a_feature_is_no_list(line: str, read: Callable[..., Any]) -> None:
    done = read(f"{line}\nvmx-vpid\n")
    assert done.codes == [codes.TEXT_IGNORED.id]
    assert bits(done.cpu, "ia32_vmx_procbased_ctls2") == {5: False, 37: True}
    assert read(line).cpu is None


def test_other_features_are_counted_in_one_note(read: Callable[..., Any]) -> None:
    (found,) = read("-cpu host,+vmx-ept,+avx,+avx2,migratable=off,pmu").found
    assert found.code == codes.TEXT_IGNORED.id
    assert found.message.startswith("4 names")


def test_what_qemu_knows_is_not_what_a_cpu_has(read: Callable[..., Any]) -> None:
    done = read("Available CPUs:\nx86 max\n\nRecognized CPUID flags:\n  vmx-ept vmx-eptad\n")
    assert done.cpu is None
    assert done.codes == [codes.CPU_UNREADABLE.id]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "<cpus><feature name='vmx-ept'><msr index='0x48b' edx='0x2'/></feature></cpus>",
            "defines what feature names mean",
        ),
        ("<a><cpu><feature name='vmx-ept'/></cpu><cpu><feature name='vmx-vpid'/></cpu></a>", "more than one CPU"),
        ("<cpu><feature name='vmx-ept'></cpu>", "not well-formed"),
        ("<cpu><feature name='vmx-ept'/>", "not well-formed"),
        ("<!DOCTYPE x [<!ENTITY a 'vmx-ept'>]><cpu><feature name='&a;'/></cpu>", "not well-formed"),
        ("<cpu>" * 200, "nested more than"),
        ("<cpu><feature name='avx'/></cpu>", "names no feature of VMX"),
    ],
)
def test_xml_that_describes_no_cpu_is_refused(text: str, reason: str, read: Callable[..., Any]) -> None:
    done = read(text)
    assert done.cpu is None
    assert reason in done.found[-1].message


def test_an_optional_feature_stays_unknown(read: Callable[..., Any]) -> None:
    done = read("<cpu>\n<feature name='vmx-ept' policy='optional'/>\n<feature name='vmx-vpid'/></cpu>")
    assert bits(done.cpu, "ia32_vmx_procbased_ctls2") == {5: False, 37: True}
    (found,) = done.found
    assert (found.code, found.span.text) == (codes.NOT_READ.id, "<feature name='vmx-ept' policy='optional'/>")


def test_places_in_xml_count_characters_and_not_bytes(read: Callable[..., Any]) -> None:
    done = read("<cpu title='ä€𝄞'>\n<x>äöü</x><feature name='vmx-nonsense'/></cpu>")
    assert done.found[0].span.text == "<feature name='vmx-nonsense'/>"
