"""What a compilation is given: the policy's text, processors by name, values of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.policy.bind import bind_policy
from vmcsc.policy.model import Policy
from vmcsc.records import replace
from vmcsc.source import Source, UnreadableText, read_source, refuse_deceptive

CpuLike = str | Path | Cpu


def bound_policy(
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


def processors(
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


def check_params(policy: Policy, params: Mapping[str, int]) -> None:
    for name, number in params.items():
        known = policy.parameters.get(name)
        if known is None:
            raise VmcscError(f"the policy has no parameter {name!r}; it has {', '.join(policy.parameters) or 'none'}")
        if not 0 <= number < 1 << known.width:
            raise VmcscError(f"the parameter {name!r} is {known.width} bits wide; {number} does not fit")
