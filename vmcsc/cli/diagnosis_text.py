"""Diagnoses as text."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from vmcsc.architecture.database import Database
from vmcsc.architecture.dumps import dumps_of
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.check.evaluate import Status
from vmcsc.check.missing import CPU, FIELD, MSR, WRITTEN
from vmcsc.check.words import demand
from vmcsc.cli.findings import counted, print_findings
from vmcsc.cli.terminal import columns, put, use_color
from vmcsc.diagnose.caveats import caveats
from vmcsc.diagnose.diagnosis import Diagnosis, Violation
from vmcsc.diagnose.dump import Event, Log
from vmcsc.diagnose.messages import MAY_BE_1, Asked, asked_of
from vmcsc.diagnose.reported import Fit, answer_in
from vmcsc.diagnostic import Diagnostic
from vmcsc.records import replace
from vmcsc.report.cells import visible
from vmcsc.report.style import paint

MAX_NAMED = 12
"""How many of the things that are missing, and of lines that were not understood, are named; others are counted."""


def print_log(log: Log, found: Sequence[Diagnosis], cpu: Cpu, database: Database, color: str) -> None:
    """Print every diagnosis, and what messages say besides."""
    for number, one in enumerate(found):
        put("\n" if number else "", sys.stdout)
        _print_dump(log, one, color)
    lines = [line for event in log.events for line in _message(event, cpu, database)]
    if lines:
        put("\n" if found else "", sys.stdout)
        _put_lines(lines)
    asked = any(event.means in ("failed", "undumped") for event in log.events)
    if asked and not any(one.dump.headed or one.dump.written for one in found):
        _put_lines(["no dump of a VMCS is in the log", *(f"  {way}" for way in how_to_dump(database))])
    if log.fragments:
        places = ", ".join(map(str, log.fragments))
        _put_lines([f"not taken for a dump: what begins in line {places}, of a few fields and without a heading"])
    if log.unread:
        _put_lines([f"only the first {counted(log.lines, 'line')} of the log were looked at"])
    if log.further:
        _put_lines([f"{counted(log.further, 'further dump')} of the log not looked at"])


def how_to_dump(database: Database) -> list[str]:
    """How to have a VMCS printed, by what the specs say of programs that do not."""
    pieces = (piece for same in dumps_of(database).events.values() for piece in same)
    return list(dict.fromkeys(piece.says for piece in pieces if piece.says))


def _print_dump(log: Log, one: Diagnosis, color: str) -> None:
    place = paint("strong", f"{visible(log.name)}:{one.dump.first_line}:", use_color(color, sys.stdout))
    put(f"{place} {visible(headline(one))}\n", sys.stdout)
    if one.violated:
        put("\n", sys.stdout)
        print_findings([finding_of(violation) for violation in one.violated], sys.stdout, color=color)
    put("\n", sys.stdout)
    width = columns(sys.stdout)
    for lines in (_suspects(one), _likely(one), _undetermined(one), _caveats(one), _strange(one), [_checked(one)]):
        _put_lines(lines, width)


def headline(one: Diagnosis) -> str:
    """What the dump is, what the processor answered, and whether a rule is violated."""
    dump = one.dump
    what = f"{dump.form.title}, {len(dump.fields)} of {len(one.database.fields)} fields known"
    answer = "" if one.reported is None else f"; the entry failed with {one.reported}"
    rules = counted(len(one.violated), "rule")
    violated = f"{rules} violated" if one.violated else "nothing that it shows is violated"
    on = "" if one.cpu.name == UNKNOWN_CPU.name else f" on {one.cpu.title}"
    return f"{what}{answer}; {violated}{on}"


def finding_of(violation: Violation) -> Diagnostic:
    """The finding with how it fits the processor's answer and why it may be."""
    fit = () if violation.fit is Fit.UNTOLD else (f"{violation.fit.value}",)
    causes = tuple(f"known cause: {cause}" for cause in violation.causes)
    return replace(violation.finding, notes=(*violation.finding.notes, *fit, *causes))


def _suspects(one: Diagnosis) -> Iterator[str]:
    if one.suspects:
        yield "suspect: undetermined here, but violated on processors that the specs have"
    for suspect in one.suspects:
        rule = suspect.result.rule
        deciding = ", ".join(suspect.deciding)
        yield f"  {rule.code} {rule.id}: {demand(rule)}"
        yield f"    decided by {deciding}; violated on {', '.join(suspect.cpus)}"
        yield from (f"    known cause: {cause}" for cause in suspect.causes)


def _likely(one: Diagnosis) -> Iterator[str]:
    for result, cause in one.likely:
        yield f"likely: {result.rule.code} {result.rule.id} is undetermined, but a known cause fits: {cause}"


def _undetermined(one: Diagnosis) -> Iterator[str]:
    """What is missing, by why it is."""
    missing = one.missing
    if not missing:
        return
    yield f"undetermined: {counted(len(one.undetermined), 'rule')}, for want of (how many rules ask for it)"
    printed = {name: number for (kind, name), number in missing.items() if kind == FIELD and name in one.cut}
    untold = {name: number for (kind, name), number in missing.items() if kind == FIELD and name in one.untold}
    others = {
        f"{WRITTEN.get(kind, '')}{name}": n for (kind, name), n in missing.items() if kind not in (FIELD, MSR, CPU)
    }
    capabilities = {f"{WRITTEN.get(kind, '')}{name}": n for (kind, name), n in missing.items() if kind in (MSR, CPU)}
    yield from _named(printed, "such dumps have it, but not here: the line is not there, or was not understood")
    yield from _named(untold, one.dump.form.absent)
    known = one.cpu.name != UNKNOWN_CPU.name
    yield from _named(capabilities, f"not known of {one.cpu.title}" if known else "--cpu tells it")
    yield from _named(others, "a dump does not tell it")


def _named(numbers: Mapping[str, int], why: str) -> Iterator[str]:
    if numbers:
        named = [f"{name} ({number})" for name, number in list(numbers.items())[:MAX_NAMED]]
        more = len(numbers) - len(named)
        yield f"  {', '.join(named)}{f' and {more} more' if more else ''}: {why}"


def _caveats(one: Diagnosis) -> Iterator[str]:
    yield from (f"note: {sentence}" for sentence in caveats(one))


def _strange(one: Diagnosis) -> Iterator[str]:
    if one.dump.strangers:
        yield f"not understood: {counted(one.dump.strangers, 'line')} between those of the dump"
    for span in one.dump.strange[:MAX_NAMED]:
        yield f"  {span}: {span.text.strip()[:200]}"
    if one.dump.strangers > MAX_NAMED:
        yield f"  and {one.dump.strangers - MAX_NAMED} more"


def _checked(one: Diagnosis) -> str:
    counts = ", ".join(f"{number} {status.value}" for status, number in one.checked.counts().items())
    aside = (
        f"; {one.aside} of the undetermined only the processor decides, or its answer rules out" if one.aside else ""
    )
    text = f"checked: {counted(len(one.checked.results), 'rule')}: {counts}{aside}"
    if not one.violated and not one.checked.of(Status.UNDETERMINED):
        return f"{text}; the entry succeeds"
    return text


def _message(event: Event, cpu: Cpu, database: Database) -> Iterator[str]:
    """A message, what it asked for, and what to do."""
    yield f"{event.span}: {event.span.text.strip()[:200]}"
    answer = answer_in(event.values, {}, database)
    if answer is not None:
        yield f"  {answer}"
    asked = asked_of(event, database, cpu)
    if cpu is UNKNOWN_CPU:
        yield from (f"  asked for: {_asked(one)}" for one in asked)
        if asked:
            yield "  --cpu tells which of these the host lacks"
        return
    yield from (f"  the host lacks: {_asked(one)}" for one in asked if one.granted is False)
    yield from (f"  not known of the host: {_asked(one)}" for one in asked if one.granted is None)
    if asked and all(one.granted for one in asked):
        yield f"  {cpu.title} has all that is asked for"


def _asked(one: Asked) -> str:
    """The bit with the MSR that it is of; that a control may be 1 goes without saying."""
    setting = "" if one.setting in (MAY_BE_1, "1") else f" {one.setting}"
    return f"{one.name}{setting} ({one.msr.sdm}, bit {one.place})"


def _put_lines(lines: Sequence[str] | Iterator[str], width: int | None = None) -> None:
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        shown = (
            [line] if width is None else textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)
        )
        put("".join(f"{visible(one)}\n" for one in shown or [line]), sys.stdout)
