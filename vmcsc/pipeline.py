"""The stages in order: text -> bound policy -> one VMCS for each processor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.check.evaluate import Status
from vmcsc.check.resolved import check_vmcs, report_undetermined, speaks_of_rules
from vmcsc.diagnostic import Diagnostic, Diagnostics, merged_by_cpu
from vmcsc.ignore import errors_and_kept, judge_ignores, read_ignores
from vmcsc.inputs import CpuLike, bound_policy, check_params, processors
from vmcsc.loading import load
from vmcsc.policy.model import Policy
from vmcsc.resolve import resolve
from vmcsc.result import Result
from vmcsc.scenario.sound import check_scenarios
from vmcsc.source import Source
from vmcsc.vmcs import Vmcs


def compile(
    source: str | Path | Source,
    cpu: CpuLike | Sequence[CpuLike] | None = None,
    database: Database | None = None,
    *,
    params: Mapping[str, int] | None = None,
    search: Sequence[Path] = (),
    default_cpus: Sequence[CpuLike] = (),
    ignore: Collection[str] = (),
    strict: bool = False,
) -> Result:
    """Compile a policy for the processors `cpu`, or for those that it names, or for one of which nothing is known.

    `source` is a path, the name of a shipped policy, or the text of one (recognized by its `{`). `params` gives values
    to the policy's parameters; `search` are folders in which `extends` looks; `default_cpus` are taken where neither
    `cpu` nor the policy names one; findings of the codes `ignore` are left out; `strict` adds notes on rules that only
    lack something about a processor. Mistakes are in the result.
    """
    db = database or load()
    diagnostics = Diagnostics()
    policy = bound_policy(source, db, diagnostics, search)
    if policy is not None and not diagnostics.failed:
        check_scenarios(policy, db, diagnostics)
    ignores = read_ignores(() if policy is None else policy.sources, db, diagnostics)
    if policy is not None and not diagnostics.failed:
        check_params(policy, params or {})
        cpus = processors(cpu, policy, default_cpus, db, diagnostics)
    if policy is None or diagnostics.failed:
        return Result(policy, {}, _sorted(errors_and_kept(diagnostics, ignores, ignore)), diagnostics.suppressed)
    stages = [(one.name, *_for_one(one, policy, db, params, strict=strict)) for one in cpus]
    own = [(name, found) for name, _, found, _ in stages]
    open_rules = {name: count for name, _, _, count in stages if count}
    unnamed = cpus == [UNKNOWN_CPU]
    diagnostics.extend([d for _, found in own for d in found] if unnamed else merged_by_cpu(own))
    suppressed = diagnostics.suppressed + sum(found.suppressed for _, found in own)
    as_meant = cpu is None and not params and not unnamed
    kept = judge_ignores(diagnostics, ignores, ignore, policy.source, as_meant=as_meant)
    return Result(policy, {name: vmcs for name, vmcs, _, _ in stages}, _sorted(kept), suppressed, open_rules)


def _for_one(
    cpu: Cpu, policy: Policy, db: Database, params: Mapping[str, int] | None, *, strict: bool
) -> tuple[Vmcs, Diagnostics, int]:
    """What the policy comes to on one processor, what there is to say of it, and how many rules are undetermined."""
    found, count = Diagnostics(), 0
    vmcs = resolve(policy, db, cpu, found, params)
    if speaks_of_rules(vmcs):
        checked = check_vmcs(vmcs)
        found.extend(checked.findings)
        count = len(checked.of(Status.UNDETERMINED))
        if strict and cpu is not UNKNOWN_CPU:
            report_undetermined(checked, vmcs, found)
    return vmcs, found, count


def _sorted(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(diagnostics, key=Diagnostic.sort_key))
