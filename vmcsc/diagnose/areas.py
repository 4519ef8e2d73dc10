"""Rules about the elements of an area of memory, of which a dump has the content but not the address."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.check.check import Checked, check_fields
from vmcsc.check.evaluate import Status
from vmcsc.check.memory import Memory
from vmcsc.diagnose.dump import Dump
from vmcsc.diagnostic import Diagnostic
from vmcsc.expression.value import known
from vmcsc.records import replace

STAND_IN = 0x1000
"""Where the first area is put while its elements are judged; only rules about elements are asked then."""

_APART = 0x10000


def with_elements(checked: Checked, dump: Dump, cpu: Cpu, database: Database) -> Checked:
    """`checked` with the results of rules about elements of the areas that the dump lists."""
    fields, memory = dict(checked.state.fields), Memory()
    listed = set()
    for number, (title, name) in enumerate(dump.areas.items()):
        area, entries = database.areas[name], dump.lists[title]
        if not entries or not {area.address, area.count} <= database.fields.keys():
            continue
        listed.add(name)
        address = STAND_IN + number * _APART
        bits = database.layouts[area.layout].by_name
        for index, entry in enumerate(entries):
            packed = sum(value << bits[part].low for part, value in entry.items() if part in bits)
            memory.write(address + index * area.size, packed.to_bytes(area.size, "little"))
        fields[area.address] = known(database.fields[area.address].width, address)
        fields[area.count] = known(database.fields[area.count].width, len(entries))
    if not listed:
        return checked
    whole = check_fields(fields, cpu, database, memory, checked.state.processor, dump.spans)
    about = {result.rule.id for result in whole.results if result.rule.each and result.rule.each[1] in listed}
    pairs = zip(checked.results, whole.results, strict=True)
    results = tuple(second if second.rule.id in about else first for first, second in pairs)
    findings = {**_by_rule(checked), **{id: one for id, one in _by_rule(whole).items() if id in about}}
    found = tuple(findings[one.rule.id] for one in results if one.status is Status.VIOLATED)
    return replace(checked, results=results, findings=found)


def _by_rule(checked: Checked) -> Mapping[str, Diagnostic]:
    """The finding of each violated rule."""
    violated = checked.of(Status.VIOLATED)
    return {one.rule.id: finding for one, finding in zip(violated, checked.findings, strict=True)}
