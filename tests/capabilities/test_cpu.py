"""What a processor allows, by its capability MSRs; what nobody read is unknown."""

from __future__ import annotations

import pytest

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Allowed, Capabilities, Cpu
from vmcsc.capabilities.readers import read_cpu, shipped_cpus
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes, value
from vmcsc.expression.value import Value

TRUE_CONTROLS = 1 << 55  # of IA32_VMX_BASIC
WITH_TRUE_MSR = ["pin_based", "primary", "vm_exit", "vm_entry"]
ALLOWED_1_ONLY = ["tertiary", "secondary_vm_exit", "vm_function"]
PLAIN, TRUE = 0x0000007F_00000016, 0x000000FF_00000006
SECONDARY_ACTIVE = 1 << 63  # of IA32_VMX_PROCBASED_CTLS: the allowed 1-setting of bit 31


def capabilities(database: Database, **msrs: int) -> Capabilities:
    """Of a processor of which just these MSRs were read."""
    return Capabilities(database, Cpu("c", "C", {name: value.known(64, bits) for name, bits in msrs.items()}))


def settings(allowed: Allowed) -> tuple[Value, Value]:
    return allowed.must_be_1, allowed.may_be_1


def halves(msr: int) -> tuple[Value, Value]:
    return value.known(32, msr & 0xFFFF_FFFF), value.known(32, msr >> 32)


@pytest.mark.parametrize("name", WITH_TRUE_MSR)
@pytest.mark.parametrize("has_true", [False, True])
def test_the_true_msr_counts_exactly_where_bit_55_of_ia32_vmx_basic_is_set(
    name: str, has_true: bool, database: Database
) -> None:
    word = database.words[name]
    assert word.true_msr is not None
    known = {"ia32_vmx_basic": TRUE_CONTROLS if has_true else 0, word.msr: PLAIN, word.true_msr: TRUE}
    allowed = capabilities(database, **known).allowed(word)
    assert settings(allowed) == halves(TRUE if has_true else PLAIN)
    assert allowed.msr.name == (word.true_msr if has_true else word.msr)


@pytest.mark.parametrize("name", WITH_TRUE_MSR)
def test_a_true_msr_that_exists_and_was_not_read_is_unknown_whatever_the_plain_one_says(
    name: str, database: Database
) -> None:
    word = database.words[name]
    allowed = capabilities(database, ia32_vmx_basic=TRUE_CONTROLS, **{word.msr: PLAIN}).allowed(word)
    assert settings(allowed) == (value.unknown(32), value.unknown(32))


@pytest.mark.parametrize("name", WITH_TRUE_MSR)
def test_where_bit_55_is_unknown_only_what_both_msrs_say_is_known(name: str, database: Database) -> None:
    word = database.words[name]
    assert word.true_msr is not None
    allowed = capabilities(database, **{word.msr: PLAIN, word.true_msr: TRUE}).allowed(word)
    for found, plain, true in zip(settings(allowed), halves(PLAIN), halves(TRUE), strict=True):
        assert found == Value(32, plain.bits, ~(plain.bits ^ true.bits))


def test_the_secondary_controls_have_no_true_msr(database: Database) -> None:
    word = database.words["secondary"]
    known = {"ia32_vmx_basic": TRUE_CONTROLS, "ia32_vmx_true_procbased_ctls": SECONDARY_ACTIVE}
    allowed = capabilities(database, ia32_vmx_procbased_ctls2=0x00000003_00000000, **known).allowed(word)
    assert settings(allowed) == halves(0x00000003_00000000)


@pytest.mark.parametrize("name", ALLOWED_1_ONLY)
def test_a_64_bit_word_has_allowed_1_settings_only(name: str, database: Database) -> None:
    word = database.words[name]
    allowed = capabilities(database, **{word.msr: 0x8000_0000_0000_0012}).allowed(word)
    assert settings(allowed) == (value.known(64, 0), value.known(64, 0x8000_0000_0000_0012))


# --- not read, and not there -----------------------------------------------------------------------------------


def test_an_msr_that_nobody_read_is_unknown(database: Database) -> None:
    found = capabilities(database)
    assert found.msr(database.msrs["ia32_vmx_misc"]) == value.unknown(64)
    assert found.msr(database.msrs["ia32_vmx_procbased_ctls2"]) == value.unknown(64)


def test_an_msr_that_the_processor_does_not_have_is_0(database: Database) -> None:
    found = capabilities(database, ia32_vmx_basic=0, ia32_vmx_procbased_ctls=0)
    for name in ("ia32_vmx_true_pinbased_ctls", "ia32_vmx_procbased_ctls2", "ia32_vmx_procbased_ctls3"):
        assert found.exists(database.msrs[name]) is False
        assert found.msr(database.msrs[name]) == value.known(64, 0)


def test_what_hangs_on_an_msr_that_is_not_there_is_not_there_either(database: Database) -> None:
    """Without secondary controls there is neither EPT nor VM functions, although nobody read their MSRs."""
    found = capabilities(database, ia32_vmx_basic=0, ia32_vmx_procbased_ctls=0)
    for name in ("ia32_vmx_ept_vpid_cap", "ia32_vmx_vmfunc"):
        assert found.msr(database.msrs[name]) == value.known(64, 0)
    assert found.has_field(database.fields["ept_pointer"]) is False
    assert found.has_field(database.fields["virtual_processor_id"]) is False
    assert found.allowed(database.words["secondary"]).exists is False


def test_an_unread_activating_control_leaves_the_msr_behind_it_unknown(database: Database) -> None:
    found = capabilities(database, ia32_vmx_basic=0)
    assert found.exists(database.msrs["ia32_vmx_procbased_ctls2"]) is None
    assert found.has_field(database.fields["ept_pointer"]) is None


def test_of_an_unknown_processor_nothing_is_known_but_what_all_have(database: Database) -> None:
    found = Capabilities(database, UNKNOWN_CPU)
    for word in database.words.values():
        allowed = found.allowed(word)
        assert allowed.may_be_1 == value.unknown(word.width)
        assert allowed.must_be_1 == (value.unknown(32) if word.allowed_0 else value.known(64, 0))
    assert found.exists(database.msrs["ia32_vmx_basic"]) is True
    assert found.has_field(database.fields["guest_rip"]) is True


def test_a_field_that_no_manual_describes_may_or_may_not_be_there(database: Database) -> None:
    internal = [field for field in database.fields.values() if field.status == "internal"]
    assert internal
    found = Capabilities(database, UNKNOWN_CPU)
    assert [found.has_field(field) for field in internal] == [None] * len(internal)


# --- what conditions read --------------------------------------------------------------------------------------


def test_supported_is_the_allowed_1_setting_and_forced_the_allowed_0_setting(database: Database) -> None:
    word = database.words["pin_based"]
    found = capabilities(database, ia32_vmx_basic=0, ia32_vmx_pinbased_ctls=PLAIN)
    for control in word.controls:
        may, must = bool(PLAIN >> 32 + control.bit & 1), bool(PLAIN >> control.bit & 1)
        assert found.read(nodes.Supported(1, control)) == value.truth(may)
        assert found.read(nodes.Forced(1, control)) == value.truth(must)


def test_a_condition_reads_bits_of_msrs_and_facts(database: Database) -> None:
    msr, fact = database.msrs["ia32_vmx_basic"], database.facts["maxphyaddr"]
    cpu = Cpu("c", "C", {"ia32_vmx_basic": value.known(64, 0x1234 << 32)}, {"maxphyaddr": value.known(8, 39)})
    found = Capabilities(database, cpu)
    assert found.read(nodes.MsrBits(8, msr, 36)) == value.known(8, 0x23)
    assert found.read(nodes.CpuFact(8, fact)) == value.known(8, 39)
    assert found.read(nodes.CpuFact(1, database.facts["smx"])) == value.unknown(1)


def test_a_condition_cannot_read_what_no_processor_answers(database: Database) -> None:
    with pytest.raises(TypeError):
        Capabilities(database, UNKNOWN_CPU).read(nodes.Parameter(8, "p"))


# --- the shipped processors, recomputed from their raw MSRs ----------------------------------------------------


def test_the_shipped_processors_allow_what_their_raw_msrs_say(database: Database) -> None:
    for name in shipped_cpus(database):
        cpu = read_cpu(name, database, Diagnostics())
        assert cpu is not None
        raw = {database.msrs[msr].index: read.bits for msr, read in cpu.msrs.items()}
        true = raw[0x480] >> 55 & 1
        expected = {
            "pin_based": raw.get(0x48D if true else 0x481),
            "primary": raw.get(0x48E if true else 0x482),
            "vm_exit": raw.get(0x48F if true else 0x483),
            "vm_entry": raw.get(0x490 if true else 0x484),
        }
        found = Capabilities(database, cpu)
        for word, msr in expected.items():
            assert msr is not None
            assert settings(found.allowed(database.words[word])) == halves(msr), (name, word)
        primary = expected["primary"] or 0
        secondary = found.allowed(database.words["secondary"])
        if primary >> 63 & 1:
            assert settings(secondary) == halves(raw[0x48B]), name
        else:
            assert settings(secondary) == halves(0), name
