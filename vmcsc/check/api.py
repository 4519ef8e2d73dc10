"""`vmcsc.check` and `vmcsc.check_many`: what VM entry makes of one VMCS or of many, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.architecture.lookup import field_of
from vmcsc.architecture.model import Field, StateBits
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.capabilities.readers import read_cpu
from vmcsc.check.check import Checked, check_fields
from vmcsc.check.memory import Memory
from vmcsc.check.resolved import check_vmcs, fields_of
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.expression.value import Value, known
from vmcsc.vmcs import Vmcs

if TYPE_CHECKING:
    from vmcsc.check.many import Many


def check(
    vmcs: Vmcs | Mapping[str, int | Value],
    cpu: str | Path | Cpu | None = None,
    memory: Memory | Mapping[int, bytes] | None = None,
    processor: Mapping[str, int | str | Value] | None = None,
    *,
    database: Database | None = None,
) -> Checked:
    """Run every rule of VM entry over a VMCS.

    `vmcs` is what a policy came to, or values by field, each under any name that `vmcsc explain` knows or its encoding
    (`0x681e`); a field that is left out is unknown. `cpu` is a name, a file or a `Cpu` (default: that of a resolved
    VMCS, else one of which nothing is known). `memory` has the content of physical memory by address, `processor` the
    state of the processor by the names in specs/processor_state.yaml. The result has the `verdict`, the `findings`, and
    what became of each rule. Raises `VmcscError` where an argument means nothing.
    """
    db = database or (vmcs.database if isinstance(vmcs, Vmcs) else shipped())
    given = memory if isinstance(memory, Memory | None) else Memory(memory)
    state = dict(_state(name, raw, db) for name, raw in (processor or {}).items())
    if not isinstance(vmcs, Vmcs):
        fields = dict(_field(name, raw, db) for name, raw in vmcs.items())
        return check_fields(fields, UNKNOWN_CPU if cpu is None else cpu_of(cpu, db), db, given, state)
    if cpu is None:
        return check_vmcs(vmcs, given, state)
    return check_fields(fields_of(vmcs), cpu_of(cpu, db), db, given, state)


def check_many(
    fields: Mapping[str, Any],
    cpu: str | Path | Cpu | None = None,
    processor: Mapping[str, Any] | None = None,
    *,
    database: Database | None = None,
    statuses: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Many:
    """Run every rule of VM entry over many VMCSs at once, in chunks; it needs numpy: `pip install 'vmcsc[batch]'`.

    `fields` maps names, as for `check`, to arrays of one length (`uint64`); a pair of arrays is values and the mask of
    the bits that are known of each; a number holds for every state. What is left out is unknown, and so is memory.
    `processor` does the same for the state of the processor. `statuses`: also what became of each rule in each state.
    `progress` is called with the number of states done. Raises `VmcscError` where an argument means nothing.
    """
    try:
        from vmcsc.check import many
    except ModuleNotFoundError:
        raise VmcscError("many states at once need numpy: pip install 'vmcsc[batch]'") from None
    db = database or shipped()
    own = UNKNOWN_CPU if cpu is None else cpu_of(cpu, db)
    named = {_field_named(name, db).name: raw for name, raw in fields.items()}
    state = {_state_named(name, db).name: raw for name, raw in (processor or {}).items()}
    return many.check_many(named, own, state, db, statuses=statuses, progress=progress)


def shipped() -> Database:
    diagnostics = Diagnostics()
    database = load_specs([], diagnostics)
    if database is None:
        raise VmcscError("the specs are not in order", tuple(diagnostics))
    return database


def cpu_of(cpu: str | Path | Cpu, database: Database) -> Cpu:
    if isinstance(cpu, Cpu):
        return cpu
    diagnostics = Diagnostics()
    found = read_cpu(str(cpu), database, diagnostics)
    if found is None or diagnostics.failed:
        raise VmcscError(diagnostics.found[0].message, tuple(diagnostics))
    return found


def _field(name: str, raw: int | Value, database: Database) -> tuple[str, Value]:
    field = _field_named(name, database)
    return field.name, _value(raw, field.width, field.name)


def _field_named(name: str, database: Database) -> Field:
    part = field_of(database, name)
    if part is None or part.high:
        near = get_close_matches(name[:100], database.fields, n=1)
        raise VmcscError(f"no field is named {name[:100]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return part.field


def _state_named(name: str, database: Database) -> StateBits:
    if name not in database.state:
        near = get_close_matches(name[:100], database.state, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise VmcscError(f"nothing of the processor's state is named {name[:100]!r}{hint}")
    return database.state[name]


def _state(name: str, raw: int | str | Value, database: Database) -> tuple[str, Value]:
    known_state = _state_named(name, database)
    if isinstance(raw, str):
        if raw not in known_state.values:
            values = ", ".join(known_state.values)
            raise VmcscError(f"{name!r} is one of {values}" if values else f"{name!r} is a number")
        raw = known_state.values[raw]
    return name, _value(raw, known_state.width, name)


def _value(raw: int | Value, width: int, name: str) -> Value:
    if isinstance(raw, Value):
        if raw.width != width:
            raise VmcscError(f"{name!r} is {width} bits wide, its value {raw.width}")
        return raw
    if not 0 <= raw < 1 << width:
        raise VmcscError(f"{name!r} is {width} bits wide; {raw} does not fit")
    return known(width, raw)
