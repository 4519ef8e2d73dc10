"""The shipped states are whole and valid on every shipped CPU that has what they need, and say what others lack."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from vmcsc.architecture.database import Database
from vmcsc.architecture.reader import read_document
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Capabilities, Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.check.check import Checked, check_fields
from vmcsc.check.evaluate import Status
from vmcsc.check.memory import Memory
from vmcsc.check.missing import CPU, MSR, missing_of
from vmcsc.check.resolved import fields_of
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.emit_text import emit_text
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.value import Value, known
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.policy.states import State, known_states, read_state
from vmcsc.resolve.states import unmet_needs
from vmcsc.resources import SPECS

FILES = sorted((SPECS / "states").glob("*.yaml"))
CPUS = shipped_cpus(load())
GUESTS = ("long_mode", "compatibility", "pae", "protected_32", "protected_32_unpaged", "real_mode", "virtual_8086",
          "wait_for_sipi", "hlt")  # fmt: skip
HOSTS = ("host_64", "host_32")

AT_ENTRY = {
    "vmx_operation": 1, "vmx_root": 1, "protected_mode": 1, "virtual_8086_mode": 0, "compatibility_mode": 0, "cpl": 0,
    "instruction": 0, "launch_state": 0, "vmxoff_since_launch": 0, "current_vmcs": 0x8000, "current_vmcs_is_shadow": 0,
    "vmxon_pointer": 0x9000, "blocking_by_mov_ss": 0, "smm": 0, "trace_enabled": 0, "executive_vmcs_launched": 0,
    "executive_vmcs_controls_valid": 1, "wrmsr_accepts_others": 1,
}  # fmt: skip
"""A processor that executes VMLAUNCH as it should; `ia_32e_mode` depends on the host."""

PLAIN = ""
LOADED = """
    vm_entry { prefer load_debug_controls, load_ia32_perf_global_ctrl, load_ia32_pat, load_ia32_efer }
    vm_entry { prefer load_ia32_bndcfgs, load_ia32_rtit_ctl, load_uinv, load_cet_state }
    vm_entry { prefer load_guest_ia32_lbr_ctl, load_pkrs }
    vm_exit { prefer load_ia32_perf_global_ctrl, load_ia32_pat, load_ia32_efer, load_cet_state, load_pkrs }
"""
"""VM entry and VM exits load all that the CPU can load, so that every field of the states is judged."""


@cache
def cpu_named(name: str) -> Cpu:
    cpu = read_cpu(name, load(), Diagnostics())
    assert cpu is not None
    return cpu


def state_named(name: str, database: Database) -> State:
    diagnostics = Diagnostics()
    state = read_state(name, database, diagnostics)
    assert state is not None, [d.message for d in diagnostics]
    return state


def lacking(state: State, cpu: Cpu, database: Database) -> list[str]:
    unmet = unmet_needs(state.needs, Capabilities(database, cpu))
    return [emit_text(condition) for condition, met in unmet if met is False]


def judged(guest: str, host: str, cpu: Cpu, controls: str, database: Database) -> Checked:
    """The two states on `cpu`, the control fields 0 but for those of `controls`, with everything else known too."""
    result = compile(f"policy p {{ state guest {guest} {{ }}\n state host {host} {{ }}\n{controls} }}", cpu, database)
    assert result.vmcs is not None and result.ok, [d.message for d in result.diagnostics]
    fields = {field.name: known(field.width, 0) for field in database.fields.values() if field.type == "control"}
    fields["ept_pointer"] = known(64, 0x1000_001E)  # write-back, four levels
    processor = AT_ENTRY | {"ia_32e_mode": int(host == "host_64")}
    at_entry = {name: known(database.state[name].width, number) for name, number in processor.items()}
    memory = Memory({0: bytes(4096)})  # page-directory-pointer-table entries that are not present
    return check_fields({**fields, **fields_of(result.vmcs)}, cpu, database, memory, at_entry)


def pairs(cpu: Cpu, database: Database) -> Iterator[tuple[str, str]]:
    """The guest states with the host states under which they can be, as far as `cpu` has them."""
    for host in HOSTS:
        for guest in GUESTS:
            states = [state_named(name, database) for name in (guest, host)]
            size = [state.controls.get("vm_exit.host_address_space_size") for state in states]
            fits = None in size or size[0] == size[1]
            if fits and not any(lacking(state, cpu, database) for state in states):
                yield guest, host


# --- the files ---


def test_the_states_that_people_need_are_there(database: Database) -> None:
    assert set(GUESTS) | set(HOSTS) <= set(known_states(database))
    assert {state_named(name, database).area for name in GUESTS} == {"guest_state"}
    assert {state_named(name, database).area for name in HOSTS} == {"host_state"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_fits_its_schema_and_has_the_name_of_its_state(path: Path, database: Database) -> None:
    diagnostics = Diagnostics()
    document = read_document(path, diagnostics)
    assert document is not None, [d.message for d in diagnostics]
    assert document.value["name"] == path.stem
    assert path.read_text().startswith("# yaml-language-server: $schema=../../schemas/state.schema.json\n# ")
    assert state_named(path.stem, database).summary.endswith(".")


@pytest.mark.parametrize("name", [*GUESTS, *HOSTS])
def test_a_state_has_a_value_for_every_field_of_its_area_that_a_manual_describes(name: str, database: Database) -> None:
    state = state_named(name, database)
    fields = {f.name for f in database.fields.values() if f.type == state.area and f.status != "internal"}
    assert set(state.values) == fields


MODES = {
    #                       PE PG PAE LMA CS.L CS.D VM activity
    "long_mode":            (1, 1, 1, 1, 1, 0, 0, 0),
    "compatibility":        (1, 1, 1, 1, 0, 1, 0, 0),
    "pae":                  (1, 1, 1, 0, 0, 1, 0, 0),
    "protected_32":         (1, 1, 0, 0, 0, 1, 0, 0),
    "protected_32_unpaged": (1, 0, 0, 0, 0, 1, 0, 0),
    "real_mode":            (0, 0, 0, 0, 0, 0, 0, 0),
    "virtual_8086":         (1, 1, 0, 0, 0, 0, 1, 0),
    "wait_for_sipi":        (1, 1, 0, 0, 0, 1, 0, 3),
    "hlt":                  (1, 1, 1, 1, 1, 0, 0, 1),
}  # fmt: skip
"""What makes a mode, by the SDM's sections "Modes of Operation" and "Guest Non-Register State"."""


@pytest.mark.parametrize("name", GUESTS)
def test_a_guest_state_is_of_the_mode_that_it_is_named_for(name: str, database: Database) -> None:
    state = state_named(name, database)
    capabilities = Capabilities(database, cpu_named("ice_lake_i7_1065g7"))
    value = {field: evaluate(node, capabilities.read).bits for field, node in state.values.items()}
    cr0, cs = value["guest_cr0"], value["guest_cs_access_rights"]
    bits = (cr0 & 1, cr0 >> 31, value["guest_cr4"] >> 5 & 1, value["guest_ia32_efer"] >> 10 & 1, cs >> 13 & 1)
    rest = (cs >> 14 & 1, value["guest_rflags"] >> 17 & 1, value["guest_activity_state"])
    assert (*bits, *rest) == MODES[name]
    assert state.controls["vm_entry.ia_32e_mode_guest"] is bool(MODES[name][3])


# --- on the shipped CPUs ---


@pytest.mark.parametrize("controls", [PLAIN, LOADED], ids=["plain", "loaded"])
@pytest.mark.parametrize("name", CPUS)
def test_a_state_violates_no_rule_where_the_cpu_has_what_it_needs(name: str, controls: str, database: Database) -> None:
    """What is undetermined is so only for want of something that is not known of this CPU."""
    cpu = cpu_named(name)
    for guest, host in pairs(cpu, database):
        checked = judged(guest, host, cpu, controls, database)
        assert [finding.message for finding in checked.findings] == [], (guest, host)
        for result in checked.of(Status.UNDETERMINED):
            missing = missing_of(result, checked.state)
            assert missing, result.rule.id
            for kind, lacks in missing:
                assert kind in (CPU, MSR), (result.rule.id, kind, lacks)
                assert lacks not in (cpu.facts if kind == CPU else cpu.msrs)


@pytest.mark.parametrize("controls", [PLAIN, LOADED], ids=["plain", "loaded"])
@pytest.mark.parametrize("name", CPUS)
def test_on_a_cpu_of_which_everything_is_known_nothing_is_undetermined(
    name: str, controls: str, database: Database
) -> None:
    cpu = completed(cpu_named(name), database)
    for guest, host in pairs(cpu, database):
        checked = judged(guest, host, cpu, controls, database)
        assert checked.counts()[Status.UNDETERMINED] == 0, (guest, host)
        assert checked.verdict.enters is True


def completed(cpu: Cpu, database: Database) -> Cpu:
    """The CPU with 0 for what is not known of it."""
    facts = {name: known(fact.width, 0) for name, fact in database.facts.items()}
    msrs = {msr.name: known(64, 0) for msr in database.capability_msrs if Capabilities(database, cpu).exists(msr)}
    return replace(cpu, facts={**facts, **cpu.facts}, msrs={**msrs, **cpu.msrs})


UNRESTRICTED = ["supported(secondary.enable_ept)", "supported(secondary.unrestricted_guest)"]
IA_32E = ["supported(vm_entry.ia_32e_mode_guest)", "supported(vm_exit.host_address_space_size)"]
LACKING = {
    "conroe_core2_x6800": {"protected_32_unpaged": UNRESTRICTED, "real_mode": UNRESTRICTED},
    "harpertown_xeon_x5482": {"protected_32_unpaged": UNRESTRICTED, "real_mode": UNRESTRICTED},
    "yonah_core_duo_t2600": {
        **dict.fromkeys(("protected_32_unpaged", "real_mode"), UNRESTRICTED),
        **dict.fromkeys(("long_mode", "compatibility", "hlt"), IA_32E),
        "host_64": IA_32E[1:],
    },
}
"""Processors before unrestricted guests came (Westmere), and one before Intel 64."""


@pytest.mark.parametrize("name", CPUS)
def test_a_state_says_which_capability_is_missing_where_it_cannot_be(name: str, database: Database) -> None:
    cpu = cpu_named(name)
    found = {state: lacking(state_named(state, database), cpu, database) for state in (*GUESTS, *HOSTS)}
    assert {state: lacks for state, lacks in found.items() if lacks} == LACKING.get(name, {})


@pytest.mark.parametrize(("name", "state"), [(name, state) for name, states in LACKING.items() for state in states])
def test_a_policy_that_takes_a_state_learns_the_same(name: str, state: str, database: Database) -> None:
    area = "host" if state in HOSTS else "guest"
    result = compile(f"policy p {{ state {area} {state} {{ }} }}", name, database)
    (finding,) = result.diagnostics
    assert finding.code == "VMX3021"
    for condition in LACKING[name][state]:
        assert f"`{condition}`" in finding.message
    assert any("IA32_VMX_" in note for note in finding.notes)


def test_of_a_processor_that_nobody_named_nothing_is_said(database: Database) -> None:
    for guest in GUESTS:
        assert compile(f"policy p {{ state guest {guest} {{ }} }}", None, database).diagnostics == ()


# --- a part of a state ---


def controls_only(database: Database, bits: random.Random | int) -> dict[str, Value]:
    fields = [field for field in database.fields.values() if field.type == "control"]
    return {f.name: known(f.width, bits if isinstance(bits, int) else bits.getrandbits(f.width)) for f in fields}


def guest_rules(checked: Checked) -> Mapping[str, Status]:
    return {r.rule.id: r.status for r in checked.results if r.rule.outcome.get("exit_reason") == 33}


@pytest.mark.parametrize("name", ["unknown", *CPUS])
def test_a_vmcs_that_gives_only_controls_never_passes_or_fails_a_rule_about_the_guest(
    name: str, database: Database
) -> None:
    cpu = UNKNOWN_CPU if name == "unknown" else cpu_named(name)
    chance = random.Random(name)
    given: list[random.Random | int] = [0, -1, *([chance] * 12)]
    for bits in given:
        statuses = guest_rules(check_fields(controls_only(database, bits), cpu, database))
        assert len(statuses) > 150
        decided = {rule for rule, status in statuses.items() if status in (Status.PASSED, Status.VIOLATED)}
        assert decided == set()


@pytest.mark.parametrize("name", [path.stem for path in sorted((SPECS / "policies").glob("*.vmcs"))])
def test_a_shipped_policy_which_gives_only_controls_leaves_the_guest_open(name: str, database: Database) -> None:
    result = compile(name, None, database)
    for checked in result.checked.values():
        assert set(guest_rules(checked).values()) <= {Status.UNDETERMINED, Status.NOT_APPLICABLE}
        assert checked.findings == ()
