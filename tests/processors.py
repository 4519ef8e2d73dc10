"""Processors made to measure, and what a policy comes to on them, for the tests of the language."""

from __future__ import annotations

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.expression import value
from vmcsc.pipeline import compile
from vmcsc.result import Result
from vmcsc.vmcs import ResolvedWord

EXTERNAL_INTERRUPT, NMI, VNMI, TIMER, POSTED = 1 << 0, 1 << 3, 1 << 5, 1 << 6, 1 << 7
TSC_OFFSETTING, HLT, INVLPG, MWAIT, RDTSC = 1 << 3, 1 << 7, 1 << 9, 1 << 10, 1 << 12
CR3_LOAD, CR3_STORE, TPR_SHADOW, IO_BITMAPS = 1 << 15, 1 << 16, 1 << 21, 1 << 25
MSR_BITMAPS, MONITOR, SECONDARY, TERTIARY = 1 << 28, 1 << 29, 1 << 31, 1 << 17
EPT, VPID, UNRESTRICTED = 1 << 1, 1 << 5, 1 << 7
PIN_DEFAULT1 = 1 << 1 | 1 << 2 | 1 << 4
PRIMARY_DEFAULT1 = sum(1 << bit for bit in (1, 4, 5, 6, 8, 13, 14, 26))
ALL = 0xFFFF_FFFF


def processor(name: str = "made", /, **msrs: int) -> Cpu:
    """Allows everything and insists on nothing, but for the MSRs that are given, each with its lower half first."""
    plain = ("pinbased_ctls", "procbased_ctls", "exit_ctls", "entry_ctls", "procbased_ctls2")
    raw = {f"ia32_vmx_{msr}": ALL << 32 for msr in plain} | {"ia32_vmx_basic": msrs.get("basic", 0)}
    if raw["ia32_vmx_basic"] >> 55 & 1:
        raw |= {f"ia32_vmx_true_{msr}": ALL << 32 for msr in plain[:4]}
    raw |= dict.fromkeys(("ia32_vmx_procbased_ctls3", "ia32_vmx_exit_ctls2", "ia32_vmx_vmfunc"), (1 << 64) - 1)
    raw |= {f"ia32_vmx_{msr}": bits for msr, bits in msrs.items()}
    return Cpu(name, name.title(), {msr: value.known(64, bits) for msr, bits in raw.items()})


def only(*bits: int) -> int:
    """An MSR whose upper half allows just these bits."""
    return sum(bits) << 32


def without(*bits: int) -> int:
    """An MSR whose upper half allows all but these bits."""
    return (ALL & ~sum(bits)) << 32


def compiled(body: str, *cpus: Cpu | str, database: Database, **parameters: int) -> Result:
    """A policy of this body on these processors, or on one of which nothing is known."""
    text = f"policy example {{\n{body}\n}}"
    return compile(text, list(cpus) or None, database, params=parameters)


def resolved(result: Result, word: str) -> ResolvedWord:
    assert result.vmcs is not None, [d.message for d in result.diagnostics]
    return result.vmcs.words[word]


def found(result: Result) -> list[str]:
    """The names of the findings' codes, in the order of the text; a rule's is its code."""
    names = {code.id: code.name for code in codes.ALL}
    return [names.get(d.code, d.code) for d in result.diagnostics]


def finding(result: Result) -> Diagnostic:
    (diagnostic,) = result.diagnostics
    return diagnostic


def place(diagnostic: Diagnostic) -> str:
    assert diagnostic.span is not None
    return diagnostic.span.text


def raw(name: str, database: Database) -> dict[str, int]:
    """The MSRs of a shipped processor as numbers."""
    cpu = read_cpu(name, database, Diagnostics())
    assert cpu is not None
    return {msr: read.bits for msr, read in cpu.msrs.items()}


def halves(msr: int) -> tuple[int, int]:
    """What must be 1, what may be 1."""
    return msr & ALL, msr >> 32
