"""The checks of the bare hypervisor as a witness in the harness: built, and told what they cannot ask for."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from tests.bochs.subjects import Subject, processor_state
from vmcsc import compile, emit
from vmcsc.bochs.image import Witness
from vmcsc.expression.value import Value
from vmcsc.loading import load

WORDS = 6
"""As foretold.c gives them: whether it enters, the rule, and four parts of the outcome."""


specs = lru_cache(maxsize=1)(load)
"""The rules as they are shipped, without those that only Bochs has."""


@lru_cache(maxsize=1)
def witness() -> Witness:
    """The checks, made from the specs, for the harness."""
    database = specs()
    vmcs = compile("minimal", database=database).vmcs
    assert vmcs is not None
    [header] = emit(vmcs, "c-checker")
    folder = Path(mkdtemp(prefix="vmcsc-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    (folder / header.path).write_text(str(header.content))
    return Witness(Path(__file__).with_name("foretold.c"), folder, WORDS)


def told(subject: Subject) -> Sequence[int]:
    """What the checks cannot ask the processor for: facts, and its state."""
    database = specs()
    asked = [msr.name for msr in database.capability_msrs] + list(database.facts)
    processor = processor_state(database, subject.model, subject.host_bits)
    return [*_words(subject.model.cpu.facts, asked), *_words(processor, database.state)]


def _words(values: Mapping[str, Value], names: Iterable[str]) -> Sequence[int]:
    found = [values.get(name) for name in names]
    return [*(0 if one is None else one.bits for one in found), *(0 if one is None else one.known for one in found)]
