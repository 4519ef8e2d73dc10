"""One step on both sides: what the bundled machine says came of it, and what the emulator replied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmcsc.architecture.database import Database
from vmcsc.architecture.emulator import Emulator, emulator_of
from vmcsc.bochs.entries import FAILED_ENTRY
from vmcsc.bochs.orders import CARRY, EXITED, FAULTED, ZERO, Ending, Replies
from vmcsc.bochs.script import GENERAL, Expected
from vmcsc.records import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, what came of it here and there, in words, and in what the two differ (None: in nothing)."""

    text: str
    here: str
    there: str
    difference: str | None


def judge(expected: Expected, replies: Replies, database: Database) -> Step | None:
    """The next step of the replies, or None where the emulator did not come so far."""
    emulator = emulator_of(database)
    if expected.written:
        failed = replies.take(1)
        if not failed:
            return None
        return Step(expected.text, "done", "failed" if failed[0] else "done", "it fails there" if failed[0] else None)
    before, after = (replies.take(1) or (0,))[0], (replies.take(1) or (0,))[0]
    ending = replies.ending()
    registers = replies.take(len(GENERAL))
    if ending is None or len(registers) < len(GENERAL):
        return None
    there = _Seen(ending, registers, (before, after), emulator, database)
    difference = "; ".join(there.differences(expected)) or None
    return Step(expected.text, _told(expected, database), there.told(expected), difference)


class _Seen:
    def __init__(
        self, ending: Ending, registers: tuple[int, ...], clock: tuple[int, int], emulator: Emulator, database: Database
    ) -> None:
        self._ending = ending
        self._registers = dict(zip(GENERAL, registers, strict=True))
        self._clock = clock
        self._database = database
        self._marker = database.exit_reasons[emulator.marker].number
        self._woken = database.exit_reasons[emulator.woken].number
        exited = ending.how == EXITED
        self._exit = dict(zip(emulator.report, ending.report, strict=True)) if exited else None

    def differences(self, expected: Expected) -> Iterator[str]:
        """In what the emulator differs from what is expected."""
        if expected.exit is not None:
            yield from self._other_exit(expected.exit)
        elif expected.guest:
            yield from self._stayed(expected)
        else:
            yield from self._in_root(expected)
        if self._exit is not None or self._ending.how != FAULTED:
            for name, value in expected.registers.items():
                if self._registers[name] != value:
                    yield f"{name} is {self._registers[name]:#x} there and {value:#x} here"
        if expected.ahead is not None:
            yield from self._other_time(expected.ahead)

    def _other_exit(self, wanted: Mapping[str, int]) -> Iterator[str]:
        if self._exit is None:
            yield "there was no exit"
            return
        for what, value in wanted.items():
            if self._exit[what] != value:
                yield f"{what.replace('_', ' ')} is {self._exit[what]:#x} there and {value:#x} here"

    def _stayed(self, expected: Expected) -> Iterator[str]:
        """No exit was expected: the marker behind the instruction must have brought the guest back."""
        reason = None if self._exit is None else self._exit["reason"]
        wanted = self._woken if expected.idle else self._marker
        if self._exit is None or reason != wanted:
            yield f"there was {self._named()}"
        elif not expected.idle and self._exit["rip"] != expected.rip:
            yield f"the guest is at {self._exit['rip']:#x} there and at {expected.rip:#x} here"

    def _in_root(self, expected: Expected) -> Iterator[str]:
        ending = self._ending
        if ending.how == EXITED:
            yield f"there was {self._named()}"
        elif expected.fault is not None or ending.how == FAULTED:
            vector = ending.value if ending.how == FAULTED else None
            if vector != expected.fault:
                yield f"{_fault(vector, self._database)} there and {_fault(expected.fault, self._database)} here"
        else:
            failure = _failure(ending)
            if failure != expected.failure:
                yield f"{_failed(failure)} there and {_failed(expected.failure)} here"

    def _other_time(self, ahead: int) -> Iterator[str]:
        time = (self._registers["rdx"] << 32 | self._registers["rax"] & 0xFFFFFFFF) - ahead & (1 << 64) - 1
        if not self._clock[0] <= time <= self._clock[1]:
            yield f"the time is {time:#x} there, and the host's {self._clock[0]:#x} to {self._clock[1]:#x}"

    def told(self, expected: Expected) -> str:
        """What happened there."""
        if self._exit is not None:
            at_marker = expected.guest and self._exit["reason"] == self._marker and expected.exit is None
            woken = expected.guest and self._exit["reason"] == self._woken and expected.exit is None
            return "no exit" if at_marker or woken else self._named()
        if self._ending.how == FAULTED:
            return _fault(self._ending.value, self._database)
        return _failed(_failure(self._ending))

    def _named(self) -> str:
        return "no exit" if self._exit is None else _exit_text(self._exit, self._database)


def _failure(ending: Ending) -> int | None:
    return 0 if ending.value & CARRY else ending.code if ending.value & ZERO else None


def _failed(failure: int | None) -> str:
    return "done" if failure is None else "VMfailInvalid" if failure == 0 else f"VM-instruction error {failure}"


def _fault(vector: int | None, database: Database) -> str:
    if vector is None:
        return "no exception"
    names = (one.mnemonic or name for name, one in database.exceptions.items() if one.vector == vector)
    return next(names, f"exception {vector}")


def _exit_text(exit: Mapping[str, int], database: Database) -> str:
    number = exit["reason"] & 0xFFFF
    name = next((name for name, one in database.exit_reasons.items() if one.number == number), "unknown")
    failed = "failed entry " if exit["reason"] & FAILED_ENTRY else "exit "
    return f"{failed}{name} ({number}), qualification {exit['qualification']:#x}"


def _told(expected: Expected, database: Database) -> str:
    if expected.exit is not None:
        return _exit_text(expected.exit, database)
    if expected.guest:
        return "no exit"
    return _fault(expected.fault, database) if expected.fault is not None else _failed(expected.failure)
