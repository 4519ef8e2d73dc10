"""A VMCS that was judged, as text and as JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.check.check import Checked
from vmcsc.check.evaluate import RuleResult, Status
from vmcsc.check.missing import CPU, FIELD, MEMORY, MSR, PROCESSOR, Missing, hangs_on_processor, missing_of, text_of
from vmcsc.check.verdict import Verdict, verdict
from vmcsc.check.vmcs_file import WrittenVmcs
from vmcsc.check.words import outcome_json, verdict_text
from vmcsc.cli.findings import code_texts, counted
from vmcsc.records import dataclass
from vmcsc.report.json import as_json

MAX_NAMED = 12
"""How many of the things that are missing are named; the others are counted."""

_HEADINGS = {
    MEMORY: "memory",
    PROCESSOR: "state of the processor",
    MSR: "capability MSRs",
    CPU: "facts of the processor",
}


@dataclass(frozen=True)
class Judged:
    """One VMCS on one CPU."""

    written: WrittenVmcs
    cpu: Cpu
    checked: Checked
    database: Database

    @property
    def place(self) -> str:
        """The file, and of a .jsonl the line."""
        source = self.written.source
        return source.name if source.first_line == 1 else f"{source.name}:{source.first_line}"

    @cached_property
    def missing(self) -> dict[str, list[Missing]]:
        """What each undetermined rule lacks, by the rule's id."""
        state = self.checked.state
        return {result.rule.id: missing_of(result, state) for result in self.checked.of(Status.UNDETERMINED)}

    def headline(self) -> str:
        """The verdict in words. What hangs on the state of the processor is left aside, which a VMCS does not tell."""
        on = "" if self.cpu is UNKNOWN_CPU else f" on {self.cpu.title}"
        text = verdict_text(self._of_the_vmcs, self.database, on)
        aside = self._of_the_vmcs.enters is not self.checked.verdict.enters
        return f"{text}, the state of the processor left aside" if aside else text

    def details(self, width: int | None) -> Iterator[str]:
        """What else may happen, and which rules are undetermined for want of what; `width`: columns, if limited."""
        possible = self._of_the_vmcs.possible
        if self._of_the_vmcs.outcomes and possible:
            text = "; ".join(dict.fromkeys(str(outcome) for outcome in possible))
            yield from _filled(text, "possible besides, by what is undetermined: ", width)
        groups = self._groups()
        if groups:
            yield "undetermined for want of (in brackets: how many rules ask for it)"
        wide = max((len(heading) for heading in groups), default=0)
        for heading, counter in groups.items():
            named = counter.most_common(MAX_NAMED)
            text = ", ".join(f"{text_of(one)} ({number})" for one, number in named)
            more = len(counter) - len(named)
            yield from _filled(f"{text} and {more} more" if more else text, f"  {heading:{wide}}  ", width)

    def counts(self) -> str:
        """How many rules there are, and what became of them."""
        numbers = ", ".join(f"{number} {status.value}" for status, number in self.checked.counts().items())
        return f"{counted(len(self.checked.results), 'rule')}: {numbers}"

    def as_json(self) -> dict[str, Any]:
        whole = self.checked.verdict
        return {
            "path": self.written.source.name,
            "line": self.written.source.first_line,
            "cpu": None if self.cpu is UNKNOWN_CPU else self.cpu.name,
            "verdict": {
                "enters": whole.enters,
                "text": self.headline(),
                "outcomes": [outcome_json(outcome) for outcome in whole.outcomes],
                "possible": [outcome_json(outcome) for outcome in whole.possible],
            },
            "counts": {status.name.lower(): number for status, number in self.checked.counts().items()},
            "findings": as_json(self.checked.findings, code_texts(self.database)),
            "rules": [self._rule_json(result) for result in self.checked.results],
            "values": {
                name: f"{value.bits:#x}"
                if value.is_known
                else {"value": f"{value.bits:#x}", "known": f"{value.known:#x}"}
                for name, value in self.written.fields.items()
            },
        }

    def _rule_json(self, result: RuleResult) -> dict[str, Any]:
        return {
            "id": result.rule.id,
            "code": result.rule.code,
            "status": result.status.name.lower(),
            "element": result.element,
            "missing": [text_of(one) for one in self.missing.get(result.rule.id, ())],
        }

    @cached_property
    def _of_the_vmcs(self) -> Verdict:
        state = self.checked.state
        aside = {r.rule.id for r in self.checked.of(Status.UNDETERMINED) if hangs_on_processor(r, state)}
        return verdict(self.database, [r for r in self.checked.results if r.rule.id not in aside])

    def _groups(self) -> dict[str, Counter[Missing]]:
        """What is missing by heading, each with the number of rules that ask for it."""
        found: dict[str, Counter[Missing]] = {}
        for missing in self.missing.values():
            for one in missing:
                kind, name = one
                area = self.database.fields[name].type.replace("_", " ") if kind == FIELD else ""
                found.setdefault(f"{area} fields" if area else _HEADINGS[kind], Counter())[one] += 1
        order = list(_HEADINGS.values())
        return dict(sorted(found.items(), key=lambda item: (item[0] in order and 1 + order.index(item[0]), item[0])))


def _filled(text: str, first: str, width: int | None) -> Sequence[str]:
    if width is None:
        return [f"{first}{text}"]
    indent = " " * min(len(first), width // 2)
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
