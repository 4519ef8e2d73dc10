"""What the specs tell of KVM in the sources of Linux: names of files, functions and variables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control
from vmcsc.architecture.operation import last_of_kind
from vmcsc.records import dataclass

_SINGLE = (
    "config", "fixed", "store", "minds", "handlers", "kept_in", "build_check", "feature_prefix", "feature_bit",
)  # fmt: skip

FOLDER = "kernels"
"""The folder of the specs in which the files lie."""


@dataclass(frozen=True, slots=True)
class KvmWord:
    """A control word in KVM. `list` is the word in names of lists, `local` the variable with its setting, `msr` the
    symbol of the MSR that it is adjusted by, `vcpu` the functions that narrow it for a vCPU, `changed_by` the prefix of
    those that change it later, `prefix` that of names of controls, `feature_word` its number in names of features.
    `enforced`: something required that is missing is an error. `forced_in`: at its end a control can be forced.
    """

    word: str
    list: str
    local: str
    msr: str
    vcpu: tuple[str, ...]
    changed_by: str
    prefix: str
    feature_word: int | None
    enforced: bool
    forced_in: str | None

    def name_of(self, control: Control) -> str:
        """What Linux calls the control, or would by its habits."""
        linux = control.linux or ""
        return linux if linux.startswith(self.prefix) else f"{self.prefix}{control.name.upper()}"


@dataclass(frozen=True)
class Kvm:
    """Names in the sources; see specs/kernels/kvm.yaml. `files` are candidates by what they hold, `halves` the words of
    entry and exit controls, of which `pairs` is a table."""

    files: Mapping[str, tuple[str, ...]]
    config: str
    adjust: tuple[str, ...]
    fixed: str
    store: str
    pairs: str
    halves: tuple[str, str]
    minds: str
    handlers: str
    kept_in: str
    build_check: str
    feature_prefix: str
    feature_bit: str
    words: Mapping[str, KvmWord]
    capabilities: Mapping[str, str]
    without_state: Mapping[str, str]


@lru_cache(maxsize=8)
def kvm_of(database: Database) -> Kvm:
    """What the specs tell. Raises `ValueError` where no file does."""
    raw = last_of_kind(database, "kvm", FOLDER)
    files = {name: (paths,) if isinstance(paths, str) else tuple(paths) for name, paths in raw["files"].items()}
    words = {one["word"]: _word(one) for one in raw["words"]}
    single = {name: raw[name] for name in _SINGLE}
    return Kvm(
        files=files,
        adjust=tuple(raw["adjust"]),
        pairs=raw["pairs"]["table"],
        halves=(raw["pairs"]["words"][0], raw["pairs"]["words"][1]),
        words=words,
        capabilities=dict(raw["capabilities"]),
        without_state=dict(raw["without_state"]),
        **single,
    )


def _word(raw: Mapping[str, Any]) -> KvmWord:
    return KvmWord(
        word=raw["word"],
        list=raw["list"],
        local=raw["local"],
        msr=raw["msr"],
        vcpu=tuple(raw["vcpu"]),
        changed_by=raw["changed_by"],
        prefix=raw["prefix"],
        feature_word=raw.get("feature_word"),
        enforced=raw["enforced"],
        forced_in=raw.get("forced_in"),
    )
