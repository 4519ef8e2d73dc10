"""The contract of back ends, and where they are found. Nothing imports one by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol

from vmcsc.diagnostic import Diagnostic, Severity
from vmcsc.errors import VmcscError
from vmcsc.records import dataclass
from vmcsc.vmcs import Vmcs

GROUP = "vmcsc.backends"
"""The entry-point group in which other distributions announce back ends: the name, and a class of this contract."""

_BUILT_IN = {
    "c-header": "vmcsc.backends.c_header:CHeader",
    "c-checker": "vmcsc.backends.c_checker:CChecker",
    "bytecode": "vmcsc.backends.bytecode:Bytecode",
    "kvm-patch": "vmcsc.backends.kvm_patch:KvmPatch",
}


@dataclass(frozen=True, slots=True)
class Artifact:
    """One output file: a relative path that the caller may change, and its content."""

    path: str
    content: str | bytes


class Backend(Protocol):
    """What a back end is. It returns artifacts and never writes.

    `options` is a frozen dataclass with defaults: command-line flags and API keywords are made from its fields, with
    `metadata["help"]` as their description and `metadata["metavar"]` as the name of their value.

    A back end may have an attribute `policy`: the name of the policy that is meant where none is given, since what it
    makes hardly hangs on that.

    A back end may have a method `findings` with the parameters of `emit`: what there is to say of the policy as far as
    this back end goes. Where an error is among them, nothing is emitted.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    options: ClassVar[type[Any]]

    def emit(self, vmcses: Sequence[Vmcs], options: Any) -> list[Artifact]:
        """The artifacts for one policy, resolved for each of the processors that were named (at least one)."""
        ...


def backends() -> list[str]:
    """The names of all back ends, those of other distributions included."""
    return [*_BUILT_IN, *(name for name in _announced() if name not in _BUILT_IN)]


def get(name: str) -> Backend:
    """The back end of that name. Raises `VmcscError` where there is none, or where it does not load."""
    target = _BUILT_IN.get(name) or _announced().get(name)
    if target is None:
        near = get_close_matches(name, backends(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(backends())}"
        raise VmcscError(f"there is no back end {name!r}{hint}")
    module, _, attribute = target.partition(":")
    try:
        backend: Backend = getattr(importlib.import_module(module), attribute)()
    except Exception as error:
        raise VmcscError(f"the back end {name!r} ({target}) does not load: {error}") from error
    return backend


def _announced() -> Mapping[str, str]:
    """Name to `module:class`, for back ends of other distributions."""
    from importlib.metadata import entry_points  # 40 ms, so only where it is needed

    found: dict[str, str] = {}
    for entry in entry_points(group=GROUP):
        if entry.name in _BUILT_IN or found.get(entry.name, entry.value) != entry.value:
            raise VmcscError(f"two distributions announce a back end {entry.name!r}: {entry.value}")
        found[entry.name] = entry.value
    return found


def emit(vmcs: Vmcs | Iterable[Vmcs], backend: str, **options: Any) -> list[Artifact]:
    """The artifacts of `backend` for a VMCS, or for one policy resolved on several processors.

    Raises `VmcscError` for a back end or an option that does not exist.
    """
    from dataclasses import fields  # this imports `inspect`, which takes as long as many another room

    chosen = get(backend)
    known = {field.name for field in fields(chosen.options)}
    for name in options:
        if name not in known:
            raise VmcscError(f"{backend} has no option {name!r}; it has {', '.join(sorted(known)) or 'none'}")
    vmcses = [vmcs] if isinstance(vmcs, Vmcs) else list(vmcs)
    if not vmcses:
        raise VmcscError("there is nothing to emit: the policy did not compile")
    settings = chosen.options(**options)
    errors = [one for one in findings(chosen, vmcses, settings) if one.severity is Severity.ERROR]
    if errors:
        raise VmcscError(f"{backend}: {'; '.join(one.message for one in errors[:3])}")
    return chosen.emit(vmcses, settings)


def findings(backend: Backend, vmcses: Sequence[Vmcs], options: Any) -> list[Diagnostic]:
    """What the back end has to say of the policy; nothing, if it never has."""
    own = getattr(backend, "findings", None)
    return [] if own is None else list(own(vmcses, options))
