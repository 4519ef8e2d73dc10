"""Are the files of the specs that speak of kernels well-formed, and do they name what there is?"""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.kvm import FOLDER, Kvm, kvm_of
from vmcsc.architecture.operation import machine_files
from vmcsc.architecture.reader import read_document
from vmcsc.diagnostic import Diagnostics


def check_kernels(database: Database, diagnostics: Diagnostics) -> None:
    """Report what is wrong with them."""
    read = [read_document(path, diagnostics) for path in machine_files(database, FOLDER)]
    if None in read:
        return
    for name in _unknown(kvm_of(database), database):
        diagnostics.report(codes.SPEC_REFERENCE, f"kvm: nothing is named {name}")


def _unknown(kvm: Kvm, database: Database) -> Iterator[str]:
    yield from (name for name in (*kvm.words, *kvm.halves) if name not in database.words)
    yield from (path for path in (*kvm.capabilities, *kvm.without_state) if path not in database.controls)
