"""Diagnoses as JSON."""

from __future__ import annotations

from typing import Any

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.check.missing import text_of
from vmcsc.cli.findings import code_texts
from vmcsc.diagnose.caveats import caveats
from vmcsc.diagnose.diagnosis import Diagnosis
from vmcsc.diagnose.dump import Dump, Event
from vmcsc.diagnose.messages import asked_of
from vmcsc.expression.value import Value
from vmcsc.report.json import as_json as findings_json


def as_json(one: Diagnosis) -> dict[str, Any]:
    """One dump: the keys are stable within the version of the document."""
    texts = code_texts(one.database)
    return {
        **dump_json(one.dump),
        "cpu": None if one.cpu.name == UNKNOWN_CPU.name else one.cpu.name,
        "reported": None if one.reported is None else dict(one.reported.parts),
        "violated": [
            {
                "rule": violation.result.rule.id,
                "section": violation.result.rule.section,
                "fits": violation.fit.name.lower(),
                "causes": list(violation.causes),
                **findings_json([violation.finding], texts)[0],
            }
            for violation in one.violated
        ],
        "suspect": [
            {
                "rule": suspect.result.rule.id,
                "code": suspect.result.rule.code,
                "cpus": list(suspect.cpus),
                "decided_by": list(suspect.deciding),
                "causes": list(suspect.causes),
            }
            for suspect in one.suspects
        ],
        "undetermined": [
            {"rule": result.rule.id, "code": result.rule.code, "missing": [text_of(each) for each in missing]}
            for result, missing in one.undetermined
        ],
        "likely": [{"rule": result.rule.id, "code": result.rule.code, "cause": cause} for result, cause in one.likely],
        "absent": {"from_this_dump": list(one.cut), "from_such_dumps": list(one.untold)},
        "counts": {status.name.lower(): number for status, number in one.checked.counts().items()},
        "notes": caveats(one),
    }


def dump_json(dump: Dump) -> dict[str, Any]:
    """What was read of a dump."""
    return {
        "form": dump.form.name,
        "first_line": dump.first_line,
        "last_line": dump.last_line,
        "fields": {name: value_json(value) for name, value in dump.fields.items()},
        "lists": dump.lists,
        "disputed": list(dump.disputed),
        "not_understood": [{"line": span.first.line, "text": span.text.strip()} for span in dump.strange],
        "not_understood_count": dump.strangers,
    }


def value_json(value: Value) -> Any:
    """A number in hexadecimal, or what is known of it."""
    if value.is_known:
        return f"{value.bits:#x}"
    return {"value": f"{value.bits:#x}", "known": f"{value.known:#x}"}


def event_json(event: Event, database: Database, cpu: Cpu) -> dict[str, Any]:
    return {
        "line": event.line,
        "text": event.span.text.strip(),
        "means": event.means,
        "values": {name: f"{value:#x}" if isinstance(value, int) else value for name, value in event.values.items()},
        "says": event.says or None,
        "asked": [
            {"msr": one.msr.name, "bits": one.place, "name": one.name, "setting": one.setting, "granted": one.granted}
            for one in asked_of(event, database, cpu)
        ],
    }
