"""The stages in order: text -> bound policy -> one VMCS for each processor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.cache import Cache
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.check.check import Checked
from vmcsc.check.resolved import check_vmcs, report_undetermined, speaks_of_rules
from vmcsc.diagnostic import Diagnostic, Diagnostics, merged_by_cpu
from vmcsc.errors import VmcscError
from vmcsc.expression.conditions import check_conditions
from vmcsc.ignore import errors_and_kept, judge_ignores, read_ignores
from vmcsc.policy.bind import bind_policy
from vmcsc.policy.model import Policy
from vmcsc.records import dataclass, replace
from vmcsc.resolve import resolve
from vmcsc.source import Source, UnreadableText, read_source, refuse_deceptive
from vmcsc.syntax.grammar import keep_grammar
from vmcsc.vmcs import Vmcs

CpuLike = str | Path | Cpu


@dataclass(frozen=True)
class Result:
    """What a compilation found. `by_cpu` has one VMCS for each processor, by its name (`unknown`: none was named).

    `suppressed` counts the findings beyond the limit, which are not in `diagnostics`. `checked` is what the rules of VM
    entry say of each VMCS, the state of the processor being unknown; violations are among the diagnostics.
    """

    policy: Policy | None
    by_cpu: Mapping[str, Vmcs]
    diagnostics: tuple[Diagnostic, ...]
    suppressed: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is a VMCS and no error."""
        return bool(self.by_cpu) and all(d.severity.value != "error" for d in self.diagnostics)

    @cached_property
    def checked(self) -> Mapping[str, Checked]:
        return {name: check_vmcs(vmcs) for name, vmcs in self.by_cpu.items()}

    @property
    def vmcs(self) -> Vmcs | None:
        """The VMCS for the first processor."""
        return next(iter(self.by_cpu.values()), None)


def load(*overlays: str | Path, cache: Cache | None = None) -> Database:
    """The shipped specs with those of the `overlays` folders. Raises `VmcscError` where an overlay is wrong.

    What takes time to make of the specs is kept in `cache`, if one is given, for the next run.
    """
    keep_grammar(cache)
    diagnostics = Diagnostics()
    database = load_specs([Path(overlay) for overlay in overlays], diagnostics, cache=cache)
    if database is not None and overlays:
        _check_conditions(database, diagnostics)
    if database is None or diagnostics.failed:
        raise VmcscError("the specs are not in order", tuple(diagnostics))
    return database


def _check_conditions(database: Database, diagnostics: Diagnostics) -> None:
    """Report the expressions of the specs that mean nothing, unless they are known to be in order."""
    if database.cache is not None and database.cache.get("conditions", database.key):
        return
    check_conditions(database, diagnostics)
    if database.cache is not None and not diagnostics.failed:
        database.cache.put("conditions", database.key, True)


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
    policy = _bound(source, db, diagnostics, search)
    ignores = read_ignores(() if policy is None else policy.sources, db, diagnostics)
    if policy is None or diagnostics.failed:
        return Result(policy, {}, _sorted(errors_and_kept(diagnostics, ignores, ignore)), diagnostics.suppressed)
    _check_params(policy, params or {})
    cpus = _cpus(cpu, policy, default_cpus, db, diagnostics)
    if diagnostics.failed:
        return Result(policy, {}, _sorted(errors_and_kept(diagnostics, ignores, ignore)), diagnostics.suppressed)
    by_cpu: dict[str, Vmcs] = {}
    found: list[tuple[str, Diagnostics]] = []
    for one in cpus:
        own = Diagnostics()
        vmcs = by_cpu[one.name] = resolve(policy, db, one, own, params)
        if speaks_of_rules(vmcs):
            checked = check_vmcs(vmcs)
            own.extend(checked.findings)
            if strict and one is not UNKNOWN_CPU:
                report_undetermined(checked, vmcs, own)
        found.append((one.name, own))
    named = [] if cpus == [UNKNOWN_CPU] else merged_by_cpu(found)
    diagnostics.extend(named or [d for _, own in found for d in own])
    suppressed = diagnostics.suppressed + sum(own.suppressed for _, own in found)
    as_meant = cpu is None and not params and cpus != [UNKNOWN_CPU]
    kept = judge_ignores(diagnostics, ignores, ignore, policy.source, as_meant=as_meant)
    return Result(policy, by_cpu, _sorted(kept), suppressed)


def _bound(
    source: str | Path | Source, db: Database, diagnostics: Diagnostics, search: Sequence[Path]
) -> Policy | None:
    try:
        text = source if isinstance(source, Source) else _source_of(source, db)
    except UnreadableText as error:
        shown = "the policy" if isinstance(source, str) and "{" in source else str(source)
        diagnostics.report(codes.UNREADABLE, f"{shown} cannot be read: {error.reason}", error.span)
        return None
    return bind_policy(text, db, diagnostics, search)


def _source_of(source: str | Path, db: Database) -> Source:
    if isinstance(source, str) and "{" in source:
        return refuse_deceptive(Source("<text>", source))
    path = Path(source)
    if not path.exists():
        shipped = db.files("policies", ".vmcs").get(str(source).replace("-", "_").replace(".", "_"))
        path = shipped or path
    return read_source(path)


def _cpus(
    cpu: CpuLike | Sequence[CpuLike] | None,
    policy: Policy,
    default: Sequence[CpuLike],
    db: Database,
    diagnostics: Diagnostics,
) -> list[Cpu]:
    if cpu is None and policy.cpus:
        distinct = {name.text: name for name in policy.cpus}.values()
        named = [read_cpu(name.text, db, diagnostics, name.span) for name in distinct if not diagnostics.full]
        return [found for found in named if found is not None] or [UNKNOWN_CPU]
    wanted = list(default) if cpu is None else [cpu] if isinstance(cpu, str | Path | Cpu) else list(cpu)
    found: dict[str, Cpu] = {}
    for one in wanted:
        read = one if isinstance(one, Cpu) else read_cpu(str(one), db, diagnostics)
        if read is not None and found.get(read.name, read) != read:  # two files of one name in two folders
            read = replace(read, name=str(one))
        if read is not None:
            found[read.name] = read
    return list(found.values()) or [UNKNOWN_CPU]


def _check_params(policy: Policy, params: Mapping[str, int]) -> None:
    for name, number in params.items():
        known = policy.parameters.get(name)
        if known is None:
            raise VmcscError(f"the policy has no parameter {name!r}; it has {', '.join(policy.parameters) or 'none'}")
        if not 0 <= number < 1 << known.width:
            raise VmcscError(f"the parameter {name!r} is {known.width} bits wide; {number} does not fit")


def _sorted(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(diagnostics, key=Diagnostic.sort_key))
