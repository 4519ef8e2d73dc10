"""The generated checker, compiled, over states; and where it says another thing than the rules in Python."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from backends.c_checker.verdict import number_names
from tests.check.batches import partly
from tests.check.rows import Row
from tests.check.states import build
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.check.check import Checked, check_fields
from vmcsc.check.evaluate import Status, rules_of
from vmcsc.check.generate import reads_memory
from vmcsc.check.memory import Memory
from vmcsc.expression.value import Value

HERE = Path(__file__).parent
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
STATUSES = (Status.NOT_APPLICABLE, Status.PASSED, Status.VIOLATED, Status.UNDETERMINED)
VERDICTS = {False: 0, True: 1, None: 2}


@dataclass(frozen=True)
class Given:
    """A state on a processor, with memory by address (None: nothing is known of it)."""

    fields: Mapping[str, Value]
    processor: Mapping[str, Value]
    cpu: Cpu
    memory: Mapping[int, int] | None

    def packed(self, database: Database) -> bytes:
        """As checking.c reads it."""
        pieces = [] if self.memory is None else list(self.memory.items())
        asked = [msr.name for msr in database.capability_msrs] + list(database.facts)
        head = struct.pack("<2q", 1, -1 if self.memory is None else len(pieces))
        memory = b"".join(struct.pack("<2Q", address, content) for address, content in pieces)
        told = {**self.cpu.msrs, **self.cpu.facts}
        return head + _words(told, asked) + memory + _words(self.fields, database.fields) + _words(
            self.processor, database.state
        )  # fmt: skip


def of_row(row: Row, database: Database) -> Given:
    """The state of a row of the tables, of which everything is known."""
    state = build(database, row.values())
    memory = {key: content for key, content in row.values().items() if isinstance(key, int)}
    return Given(state.fields, state.processor, state.capabilities.cpu, memory)


def partly_known(given: Given, chance: Random) -> Given:
    """The same with some of everything unknown."""
    fields, processor = partly((given.fields, given.processor), chance)
    msrs, facts = partly((given.cpu.msrs, given.cpu.facts), chance)
    there = {name: value for name, value in msrs.items() if value.known}
    memory = None if chance.random() < 0.3 else given.memory
    return Given(fields, processor, Cpu("made", "Made", there, facts), memory)


def compiled(header: str, folder: Path, *flags: str, compiler: str = "gcc") -> Path:
    """The program that runs the checker over states."""
    (folder / "vmcsc_checker.h").write_text(header)
    program = folder / "checking"
    source = str(HERE / "checking.c")
    subprocess.run([compiler, *STRICT, *flags, f"-I{folder}", source, "-o", str(program)], check=True)
    return program


def differences(
    program: Path,
    states: Sequence[Given],
    database: Database,
    *,
    all_known: bool = False,
    checks: Sequence[Checked] | None = None,
) -> Iterator[str]:  # fmt: skip
    """Where the program says another thing of a rule or a verdict, in words.

    `checks`: what those say, if it is known. `all_known`: it has no masks, so that a rule which reads
    memory that is not known may be undetermined there.
    """
    data = b"".join(state.packed(database) for state in states)
    done = subprocess.run([str(program)], input=data, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    rules = rules_of(database)
    size = len(rules) * 8 + 24
    assert len(done.stdout) == size * len(states)
    for number, given in enumerate(states):
        output = done.stdout[number * size : (number + 1) * size]
        checked = _checked(given, database) if checks is None else checks[number]
        yield from _of_one(number, checked, output, database, all_known)


def _checked(given: Given, database: Database) -> Checked:
    pieces = None if given.memory is None else {a: content.to_bytes(8, "little") for a, content in given.memory.items()}
    memory = None if pieces is None else Memory(pieces)
    return check_fields(given.fields, given.cpu, database, memory, given.processor)


def _of_one(number: int, checked: Checked, output: bytes, database: Database, all_known: bool) -> Iterator[str]:
    rules = rules_of(database)
    unread = False
    for index, result in enumerate(checked.results):
        status, element = struct.unpack_from("<II", output, index * 8)
        if all_known and STATUSES[status] is Status.UNDETERMINED and reads_memory(result.bound):
            unread = True
            continue
        if (STATUSES[status], element) != (result.status, result.element or 0):
            yield f"{number}: {result.rule.id} is {STATUSES[status].value} ({element}), not {result.status.value}"
    enters, _, *parts, _ = struct.unpack_from("<IIiiii", output, len(rules) * 8)
    verdict = checked.verdict
    expected = dict(verdict.outcomes[0].parts) if verdict.outcomes else {}
    if enters != VERDICTS[verdict.enters] and not unread:
        yield f"{number}: verdict {enters}, not {verdict.enters}"
    if parts != [expected.get(name, -1) for name in number_names(database)]:
        yield f"{number}: outcome {parts}, not {expected}"


def _words(numbers: Mapping[str, Value], names: Iterator[str] | Sequence[str] | Mapping[str, object]) -> bytes:
    values = [numbers.get(name) for name in names]
    bits = [0 if value is None else value.bits for value in values]
    return struct.pack(f"<{2 * len(values)}Q", *bits, *(0 if value is None else value.known for value in values))
