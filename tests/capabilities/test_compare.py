"""What differs between processors, and what they have in common: whatever the common one allows, each allows.

The witness of what a processor allows is computed here from its raw MSRs, by the numbers of the SDM's appendix A.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmcsc.architecture.database import Database
from vmcsc.capabilities.census import census
from vmcsc.capabilities.common import common_cpu, conflicts
from vmcsc.capabilities.compare import Difference, compare_cpus
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.capabilities.readers import parse_cpu, read_cpu, shipped_cpus
from vmcsc.capabilities.write import cpu_text
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import value
from vmcsc.expression.value import Value
from vmcsc.source import Source

WORDS = {  # word: (MSR, TRUE MSR), those with allowed 0-settings
    "pin_based": (0x481, 0x48D),
    "primary": (0x482, 0x48E),
    "secondary": (0x48B, None),
    "vm_exit": (0x483, 0x48F),
    "vm_entry": (0x484, 0x490),
}
NAMES = [
    "arrow_lake_ultra5_245k",
    "broadwell_i7_5600u",
    "conroe_core2_x6800",
    "harpertown_xeon_x5482",
    "ice_lake_i7_1065g7",
    "ivy_bridge_i7_3820qm",
    "sandy_bridge_i7_2635qm",
    "silvermont_pentium_n3530",
    "wildcat_lake_d0651",
    "yonah_core_duo_t2600",
]
words_of_32_bits = st.one_of(st.integers(0, 0xFFFF_FFFF), st.sampled_from([0, 0xFFFF_FFFF]))
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def cpus(database: Database) -> dict[str, Cpu]:
    read = {name: read_cpu(name, database, Diagnostics()) for name in shipped_cpus(database)}
    return {name: cpu for name, cpu in read.items() if cpu is not None}


def raw(cpu: Cpu, database: Database, index: int) -> Value:
    return cpu.msrs.get(database.msr_by_index[index].name, value.known(64, 0))


def halves(cpu: Cpu, word: str, database: Database) -> tuple[int, int]:
    """What must and what may be 1: 0 and 0 where the processor has no such MSR."""
    msr, true = WORDS[word]
    has_true = true is not None and raw(cpu, database, 0x480).bits >> 55 & 1
    bits = raw(cpu, database, true if has_true and true else msr).bits
    return bits & 0xFFFF_FFFF, bits >> 32


def allows(cpu: Cpu, word: str, database: Database, setting: int) -> bool:
    must, may = halves(cpu, word, database)
    return must & ~setting == 0 and setting & ~may == 0


# --- what they have in common ----------------------------------------------------------------------------------


@relaxed
@given(
    some=st.sets(st.sampled_from(NAMES), min_size=1, max_size=5),
    word=st.sampled_from(sorted(WORDS)),
    wanted=words_of_32_bits,
)
def test_a_word_is_allowed_on_the_common_processor_exactly_where_each_allows_it(
    some: set[str], word: str, wanted: int, database: Database, cpus: dict[str, Cpu]
) -> None:
    chosen = [cpus[name] for name in sorted(some)]
    common = common_cpu(database, chosen).cpu
    must, may = halves(common, word, database)
    for setting in (wanted, (wanted | must) & may, wanted & may, must, may):
        on_each = all(allows(cpu, word, database, setting) for cpu in chosen)
        assert allows(common, word, database, setting) == on_each, (setting, must, may)


@relaxed
@given(some=st.sets(st.sampled_from(NAMES), min_size=1, max_size=5), wanted=st.integers(0, (1 << 64) - 1))
@pytest.mark.parametrize(("fixed_0", "fixed_1"), [(0x486, 0x487), (0x488, 0x489)], ids=["cr0", "cr4"])
def test_a_register_is_allowed_on_the_common_processor_exactly_where_each_allows_it(
    some: set[str], wanted: int, fixed_0: int, fixed_1: int, database: Database, cpus: dict[str, Cpu]
) -> None:
    def fits(cpu: Cpu, setting: int) -> bool:
        must, may = raw(cpu, database, fixed_0).bits, raw(cpu, database, fixed_1).bits
        return must & ~setting == 0 and setting & ~may == 0

    chosen = [cpus[name] for name in sorted(some)]
    common = common_cpu(database, chosen).cpu
    may = raw(common, database, fixed_1).bits
    for setting in (wanted, wanted & may, (wanted & may) | raw(common, database, fixed_0).bits):
        assert fits(common, setting) == all(fits(cpu, setting) for cpu in chosen)


@relaxed
@given(
    some=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True),
    hidden=st.lists(st.integers(0, (1 << 64) - 1), min_size=4, max_size=4),
    word=st.sampled_from(sorted(WORDS)),
)
def test_what_the_common_processor_surely_allows_each_surely_allows(
    some: list[str], hidden: list[int], word: str, database: Database, cpus: dict[str, Cpu]
) -> None:
    """Of processors of which bits are unknown, each with other ones: what is known of the common one holds for all."""
    index = WORDS[word][0]
    name = database.msr_by_index[index].name
    partly = []
    for cpu_name, mask in zip(some, hidden, strict=False):
        cpu = cpus[cpu_name]
        bits = cpu.msrs.get(name)
        partly.append(cpu if bits is None else Cpu(cpu.name, cpu.title, {**cpu.msrs, name: Value(64, bits.bits, mask)}))
    found = common_cpu(database, partly).cpu.msrs.get(name, value.unknown(64))
    for cpu in partly:
        known = cpu.msrs.get(name, value.known(64, 0))
        surely_0, surely_1 = found.known & ~found.bits, found.bits
        assert surely_0 & 0xFFFF_FFFF & ~(known.known & ~known.bits) == 0, "free to be 0 for sure"
        assert surely_1 >> 32 & ~(known.bits >> 32) == 0, "free to be 1 for sure"


@relaxed
@given(some=st.lists(st.sampled_from(NAMES), min_size=1, max_size=13, unique=True))
def test_the_file_of_the_common_processor_reads_back_as_the_same(
    some: list[str], database: Database, cpus: dict[str, Cpu]
) -> None:
    chosen = [cpus[name] for name in some]
    common = common_cpu(database, chosen, "pool")
    text = cpu_text(common.cpu, database, common.remarks)
    diagnostics = Diagnostics()
    assert parse_cpu(Source("pool.yaml", text), "pool", database, diagnostics) == common.cpu
    assert len(diagnostics) == 0


def test_a_processor_has_everything_in_common_with_itself(database: Database, cpus: dict[str, Cpu]) -> None:
    for cpu in cpus.values():
        common = common_cpu(database, [cpu, cpu], cpu.name)
        assert (common.cpu.msrs, common.cpu.facts) == (cpu.msrs, cpu.facts)
        assert common.remarks == {}


def test_numbers_combine_as_the_specs_say(database: Database, cpus: dict[str, Cpu]) -> None:
    """Yonah: 32 physical bits, 32-bit VMX structures, a region of 1024 bytes; Ice Lake: 39 bits, 1280 bytes."""
    common = common_cpu(database, [cpus["yonah_core_duo_t2600"], cpus["ice_lake_i7_1065g7"]])
    facts, basic = common.cpu.facts, common.cpu.msrs["ia32_vmx_basic"]
    assert facts["maxphyaddr"] == value.known(8, 32)
    assert facts["intel_64"] == value.known(1, 0)
    assert basic.slice(44, 32) == value.known(13, 1280), "a region that is large enough for both"
    assert basic.bit(48) is True, "a limitation of one limits both"
    assert basic.slice(30, 0) == value.unknown(31), "there is no revision that both accept"
    assert basic.bit(55) is False
    (remark,) = [text for text in common.remarks["ia32_vmx_basic"] if text.startswith("revision_identifier")]
    assert remark.endswith("0x5 on yonah_core_duo_t2600; 0x13 on ice_lake_i7_1065g7; so unknown here")


def test_what_one_lacks_and_nobody_read_of_another_is_not_common(database: Database, cpus: dict[str, Cpu]) -> None:
    yonah = cpus["yonah_core_duo_t2600"]
    common = common_cpu(database, [yonah, UNKNOWN_CPU]).cpu
    assert common.facts["smx"] == value.known(1, 0)
    assert "nx" not in common.facts  # Yonah has it
    assert "maxphyaddr" not in common.facts
    assert common.msrs["ia32_vmx_pinbased_ctls"].bit(32 + 5) is False
    assert common.msrs["ia32_vmx_pinbased_ctls"].bit(32 + 0) is None
    assert "ia32_vmx_procbased_ctls2" not in common.msrs


def test_processors_that_force_a_control_differently_have_no_setting_in_common(database: Database) -> None:
    def only(name: str, pin_based: int) -> Cpu:
        msrs = {"ia32_vmx_basic": 0, "ia32_vmx_pinbased_ctls": pin_based}
        return Cpu(name, name, {msr: value.known(64, bits) for msr, bits in msrs.items()})

    one, zero = only("one", 0x0000_0009_0000_0008), only("zero", 0x0000_0001_0000_0000)
    assert list(conflicts(database, [zero, one])) == [
        "`pin_based.nmi_exiting` must be 1 on one and must be 0 on zero, so they have no setting in common"
    ]
    assert list(conflicts(database, [one, one])) == []


def test_a_title_from_a_file_cannot_break_out_of_the_text(database: Database) -> None:
    hostile = 'a"\n  - {msr: 0x480}  # \u2028 é\t: {}'
    cpu = Cpu("c", hostile, {"ia32_vmx_basic": value.known(64, 1)}, {}, {"ia32_vmx_basic": hostile})
    text = cpu_text(cpu, database, {"ia32_vmx_basic": [hostile]})
    assert parse_cpu(Source("c.yaml", text), "c", database, Diagnostics()) == cpu


# --- what differs ----------------------------------------------------------------------------------------------


def by_name(found: tuple[Difference, ...]) -> dict[str, Difference]:
    return {f"{d.section}.{d.name}": d for d in found}


def test_nothing_differs_between_a_processor_and_itself(database: Database, cpus: dict[str, Cpu]) -> None:
    for cpu in cpus.values():
        assert compare_cpus(database, [cpu, cpu, cpu]) == ()


def test_only_what_differs_is_listed_with_its_bits_and_a_value_for_each(
    database: Database, cpus: dict[str, Cpu]
) -> None:
    found = by_name(compare_cpus(database, [cpus["yonah_core_duo_t2600"], cpus["ice_lake_i7_1065g7"]]))
    assert found["pin_based.virtual_nmis"].texts == ("forced 0", "free")
    assert found["pin_based.virtual_nmis"].place == "5"
    assert found["primary.cr3_load_exiting"].texts == ("forced 1", "free")
    assert found["cr4.umip"].texts == ("forced 0", "free")
    assert found["ia32_vmx_basic.region_size"].texts == ("1024", "1280")
    assert found["processor.maxphyaddr"].texts == ("32", "39")
    assert "pin_based.nmi_exiting" not in found
    assert "ia32_vmx_misc.cr3_target_count" not in found  # 4 on both
    assert "processor.vmx" not in found


@relaxed
@given(msr=st.sampled_from([0x481, 0x482, 0x483, 0x484]), bit=st.integers(0, 63))
def test_a_bit_that_differs_is_found_whether_it_has_a_name_or_not(
    msr: int, bit: int, database: Database, cpus: dict[str, Cpu]
) -> None:
    """Of a processor without TRUE MSRs any bit of the words' MSRs shows, where the other half lets it."""
    cpu = cpus["yonah_core_duo_t2600"]
    name = database.msr_by_index[msr].name
    flipped = Cpu("flipped", "", {**cpu.msrs, name: value.known(64, cpu.msrs[name].bits ^ 1 << bit)}, cpu.facts)
    found = compare_cpus(database, [cpu, flipped])
    assert any(bit % 32 in range(int(d.place.split(":")[-1]), int(d.place.split(":")[0]) + 1) for d in found)


def test_unknown_differs_from_known_but_not_from_unknown(database: Database, cpus: dict[str, Cpu]) -> None:
    found = by_name(compare_cpus(database, [UNKNOWN_CPU, cpus["ice_lake_i7_1065g7"]]))
    assert found["processor.maxphyaddr"].texts == ("unknown", "39")
    assert found["processor.maxphyaddr"].details == ({"value": None}, {"value": 39})
    assert "processor.lbr_ctl_valid_bits" not in found


# --- which have a thing ----------------------------------------------------------------------------------------


def test_a_census_says_which_processors_have_a_thing(database: Database, cpus: dict[str, Cpu]) -> None:
    all_of_them = list(cpus.values())
    control = dict(census(database, all_of_them, database.controls["secondary.enable_ept"]))
    assert set(control) == {"free", "forced 0"}
    assert control["forced 0"] == ("conroe_core2_x6800", "harpertown_xeon_x5482", "yonah_core_duo_t2600")
    assert dict(census(database, all_of_them, database.fields["ept_pointer"]))["not there"] == control["forced 0"]
    width = dict(census(database, all_of_them, database.facts["maxphyaddr"]))
    assert width["32"] == ("yonah_core_duo_t2600",)
    basic = database.msrs["ia32_vmx_basic"]
    size = dict(census(database, all_of_them, basic.by_name["region_size"], basic))
    assert size["2048"] == ("harpertown_xeon_x5482",)
    assert sum(map(len, size.values())) == len(all_of_them)


@pytest.mark.parametrize(
    "entry",
    [lambda db: db.fields["guest_rip"], lambda db: db.msrs["ia32_efer"], lambda db: db.exit_reasons["hlt"]],
    ids=["a field of all", "an MSR of all", "an exit reason"],
)
def test_what_depends_on_no_processor_has_no_census(
    entry: Callable[[Database], object], database: Database, cpus: dict[str, Cpu]
) -> None:
    assert census(database, list(cpus.values()), entry(database)) == ()
