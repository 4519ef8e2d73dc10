"""The generated header writes the state that a policy takes just as the library resolves it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.backends.driver import OK, REFUSED, UNMET, Job, build, subject
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.value import known
from vmcsc.pipeline import compile

POLICIES = {
    "wide": """
        vm_entry { prefer load_ia32_efer, load_ia32_pat }
        state guest long_mode { rip = param entry : u64 = 0xfff0; cs_selector = 0x28 }
        state host host_64 { cr3 = 0x1000 }
    """,
    "either": """
        when supported(unrestricted_guest) { state guest real_mode { rip = 0x7c00 } }
        when not supported(unrestricted_guest) { state guest virtual_8086 { } }
        when supported(enable_vpid) { guest_rsp = 0x1000 }
    """,
}


def test_every_field_has_the_value_that_the_library_gives_it(database: Database, tmp_path: Path) -> None:
    texts = {name: f"policy {name} {{ {body} }}" for name, body in POLICIES.items()}
    headers = []
    for text in texts.values():
        vmcs = compile(text, None, database).vmcs
        assert vmcs is not None
        headers.append(subject(vmcs))
    program = build(headers, tmp_path)
    jobs, expected = [], []
    for name in shipped_cpus(database):
        cpu = read_cpu(name, database, Diagnostics())
        assert cpu is not None
        capabilities = Capabilities(database, cpu)
        there = [msr for msr in database.capability_msrs if capabilities.exists(msr) is not False]
        msrs = {msr.index: capabilities.msr(msr).bits for msr in there}
        read = {msr.name: known(64, msrs[msr.index]) for msr in there}  # what nobody read is 0 for both
        for prefix, text in texts.items():
            vmcs = compile(text, replace(cpu, msrs=read), database).vmcs
            assert vmcs is not None
            jobs.append(Job(prefix, msrs))
            expected.append(vmcs)
    for answer, vmcs in zip(program.run(jobs), expected, strict=True):
        if answer.outcome == REFUSED:
            assert vmcs.unmet, vmcs.cpu.name
            continue
        assert answer.outcome == OK and not vmcs.unmet
        written = dict(answer.writes)
        for field, value in vmcs.writes():
            assert value.is_known
            assert written[field.encoding] == value.bits, (vmcs.cpu.name, field.name)
        assert set(written) == {field.encoding for field, _ in vmcs.writes()}, vmcs.cpu.name


def test_what_a_state_needs_besides_controls_is_checked_too(database: Database, tmp_path: Path) -> None:
    """HLT as activity state is a bit of IA32_VMX_MISC, which no control stands for."""
    text = "policy sleeper { vm_entry { require ia_32e_mode_guest } state guest hlt { rip = 0x1000 } }"
    vmcs = compile(text, None, database).vmcs
    assert vmcs is not None
    program = build([subject(vmcs)], tmp_path)
    cpu = read_cpu("ice_lake_i7_1065g7", database, Diagnostics())
    assert cpu is not None
    capabilities = Capabilities(database, cpu)
    there = [msr for msr in database.capability_msrs if capabilities.exists(msr) is not False]
    able = {msr.index: capabilities.msr(msr).bits for msr in there}
    misc = database.msrs["ia32_vmx_misc"]
    unable = {**able, misc.index: able[misc.index] & ~misc.by_name["activity_hlt"].mask}
    first, second = program.run([Job("sleeper", able), Job("sleeper", unable)])
    assert first.outcome == OK and first.writes
    assert second.outcome == UNMET
    told = compile(text, replace(cpu, msrs={**cpu.msrs, misc.name: known(64, unable[misc.index])}), database)
    assert not told.ok, "the library says the same"
