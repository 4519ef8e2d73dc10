"""What a model of Bochs has is what the specs say that a processor with its capabilities has."""

from __future__ import annotations

import pytest

from vmcsc.architecture.database import Database
from vmcsc.architecture.emulator import emulator_of
from vmcsc.bochs.processor import read_model
from vmcsc.bochs.tools import Tools
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.errors import VmcscError
from vmcsc.loading import load

MODELS = emulator_of(load()).models


@pytest.mark.parametrize("name", MODELS)
def test_vmwrite_takes_the_fields_that_the_processor_has(name: str, database: Database, tools: Tools) -> None:
    model = read_model(name, database, tools)
    capabilities = Capabilities(database, model.cpu)
    writable = [field for field in database.fields.values() if field.type != "read_only_data"]
    has = {field.name for field in writable if capabilities.has_field(field)}
    lacks = {field.name for field in writable if capabilities.has_field(field) is False}
    assert has - model.fields == set()
    assert lacks & model.fields == set()
    assert len(has) > 100


@pytest.mark.parametrize("name", MODELS)
def test_rdmsr_takes_the_capability_msrs_that_the_processor_has(name: str, database: Database, tools: Tools) -> None:
    cpu = read_model(name, database, tools).cpu
    capabilities = Capabilities(database, cpu)
    for msr in database.capability_msrs:
        assert capabilities.exists(msr) in (None, msr.name in cpu.msrs), msr.name


def test_facts_come_from_cpuid_and_from_what_wrmsr_takes(database: Database, tools: Tools) -> None:
    old, new = (read_model(name, database, tools).cpu for name in ("core2_penryn_t9600", "tigerlake"))
    assert (old.facts["maxphyaddr"].bits, old.facts["linear_address_width"].bits) == (40, 48)
    assert old.facts["efer_valid_bits"].bits == 0xD01
    assert [cpu.facts["smap"].bits for cpu in (old, new)] == [0, 1]


def test_a_model_that_is_not_known_is_refused(database: Database, tools: Tools) -> None:
    with pytest.raises(VmcscError, match="Bochs has no model `pentium` with VMX"):
        read_model("pentium", database, tools)
