"""A processor that has everything, so that every exit can be produced."""

from __future__ import annotations

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import value
from vmcsc.records import replace

ALL = 0xFFFFFFFF
WORDS = ("pinbased_ctls", "procbased_ctls", "exit_ctls", "entry_ctls")


def everything(database: Database) -> Cpu:
    """Wildcat Lake with every control, every VM function and every feature; what it insists on stays."""
    real = read_cpu("wildcat_lake_d0651", database, Diagnostics())
    assert real is not None
    raw = {name: known.bits for name, known in real.msrs.items()}
    for name in (*(f"ia32_vmx_{w}" for w in WORDS), *(f"ia32_vmx_true_{w}" for w in WORDS), "ia32_vmx_procbased_ctls2"):
        raw[name] |= ALL << 32
    raw |= dict.fromkeys(("ia32_vmx_procbased_ctls3", "ia32_vmx_exit_ctls2", "ia32_vmx_vmfunc"), (1 << 64) - 1)
    raw["ia32_vmx_cr4_fixed1"] |= 1 << 19 | 1 << 22
    raw["ia32_vmx_ept_vpid_cap"] |= 0xF0107F34141 | 1 << 0 | 1 << 16 | 1 << 17 | 1 << 21 | 1 << 22
    facts = dict(real.facts)
    for fact in database.facts.values():
        if fact.width == 1 and fact.name not in ("fred", "la57"):
            facts[fact.name] = value.truth(True)
    msrs = {name: value.known(64, bits) for name, bits in raw.items()}
    return replace(real, name="everything", msrs=msrs, facts=facts)
