"""What an entry of the specs means: labelled facts, a summary, a table of its bits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from vmcsc.architecture import model
from vmcsc.architecture.database import Database
from vmcsc.architecture.lookup import Meaning, bits_of
from vmcsc.capabilities.census import Census, census
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.settings import places
from vmcsc.check.words import outcomes_of
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.rules import bind_rule
from vmcsc.records import dataclass

Labelled = tuple[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Description:
    """`facts` are labelled lines, `paragraphs` the text (the summary first), `bits` the rows of a table.

    `cpus` says what holds of the entry on which processors.
    """

    kind: str
    name: str
    facts: Sequence[Labelled]
    paragraphs: Sequence[str]
    bits: Sequence[tuple[str, str, str]] = ()
    cpus: Census = ()

    def as_json(self) -> dict[str, Any]:
        summary, *further = self.paragraphs or [""]
        return {
            "kind": self.kind,
            "name": self.name,
            "summary": summary,
            "text": list(further),
            "facts": {label.replace(" ", "_"): value for label, value in self.facts},
            "bits": [{"bits": place, "name": name, "summary": text} for place, name, text in self.bits],
            "cpus": [{"what": what, "on": list(names)} for what, names in self.cpus],
        }


def describe(meaning: Meaning, database: Database, cpus: Sequence[Cpu] = ()) -> Description:
    """Everything that the specs say of the entry, and what holds of it on `cpus`."""
    facts, paragraphs, bits = _DESCRIBERS[type(meaning.entry)](meaning, meaning.entry, database)
    kept = [(label, value) for label, value in facts if value]
    return Description(
        meaning.kind,
        meaning.name,
        kept,
        [text for text in paragraphs if text],
        list(bits),
        census(database, cpus, meaning.entry, meaning.owner),
    )


_Parts = tuple[Iterable[Labelled], Iterable[str], Iterable[tuple[str, str, str]]]


def _names(entry: model.Entry) -> Iterator[Labelled]:
    yield "SDM", entry.sdm
    yield "Linux", entry.linux or ""
    yield "also", ", ".join(entry.also)


def _context(entry: model.Entry) -> Iterator[Labelled]:
    yield "exists", "" if entry.exists is None else f"where {entry.exists}"
    yield "status", "" if entry.status == "sdm" else entry.status
    yield "section", "" if not entry.section else f'SDM, "{entry.section}"'


def _control(_meaning: Meaning, control: model.Control, database: Database) -> _Parts:
    word = database.words[control.word]
    field = database.fields[word.field]
    facts: list[Labelled] = [
        *_names(control),
        ("Linux feature", control.linux_feature or ""),
        ("QEMU", control.qemu or ""),
        ("bit", f"{control.bit} ({control.mask:#x}) of {field.name}, {field.encoding:#06x}"),
        ("in force", "" if word.activated_by is None else f"where {word.activated_by} is 1"),
        ("capability", list(_capability(control, word, database))),
        *_context(control),
        ("rules", _rules_about(control.path, database)),
        ("fields", ", ".join(f.name for f in database.fields.values() if _speaks_of(control.path, f.exists))),
    ]
    return facts, [control.summary], ()


def _capability(control: model.Control, word: model.ControlWord, database: Database) -> Iterator[str]:
    msr = database.msrs[word.msr if word.true_msr is None else word.true_msr]
    if not word.allowed_0:
        yield f"allowed where {msr.sdm} bit {control.bit} is 1"
        return
    yield f"allowed where {msr.sdm}[63:32] bit {control.bit} is 1"
    yield f"must be 1 where {msr.sdm}[31:0] bit {control.bit} is 1"
    if word.true_msr is not None:
        other = database.msrs[word.msr]
        default1 = ", which always has it 1: it is in the default1 class" if control.default1 else ""
        yield f"{other.sdm} instead where not {msr.exists}{default1}"


def _speaks_of(path: str, *expressions: str | None) -> bool:
    pattern = rf"(?<![\w.]){re.escape(path)}\b"
    return any(text is not None and re.search(pattern, text) for text in expressions)


def _rules_about(path: str, database: Database) -> list[str]:
    rules = [rule for rule in database.rules if _speaks_of(path, rule.when, rule.require)]
    return [f"{rule.code} {_condition(rule)}" for rule in rules]


def _condition(rule: model.Rule) -> str:
    return rule.require if rule.when is None else f"{rule.when} needs {rule.require}"


def _field(meaning: Meaning, field: model.Field, database: Database) -> _Parts:
    high = database.encoding.high(field)
    encoding = f"{field.encoding:#06x}" + ("" if high is None else f", high half {high:#06x}")
    natural = " (natural width)" if field.size == model.NATURAL else ""
    word = database.word_of_field.get(field.name)
    facts: list[Labelled] = [
        *_names(field),
        ("encoding", encoding),
        ("half", f"bits 63:32 of {field.name}" if meaning.high else ""),
        ("type", field.type.replace("_", "-")),
        ("width", f"{field.width} bits{natural}"),
        ("access", "read and write" if field.writable else field.access.replace("_", " ")),
        ("layout", field.layout or ""),
        *_context(field),
        ("rules", ", ".join(rule.id for rule in database.rules if _speaks_of(field.name, rule.when, rule.require))),
    ]
    layout = database.layout_of(field)
    bits = _controls(word) if word is not None else () if layout is None else _all_bits(layout)
    return facts, [field.summary], bits


def _word(_meaning: Meaning, word: model.ControlWord, database: Database) -> _Parts:
    field = database.fields[word.field]
    msrs = [database.msrs[name] for name in (word.msr, word.true_msr) if name is not None]
    facts: list[Labelled] = [
        *_names(word),
        ("field", f"{field.name}, {field.encoding:#06x}"),
        ("width", f"{word.width} bits"),
        ("in force", "" if word.activated_by is None else f"where {word.activated_by} is 1"),
        ("capability", [f"{msr.sdm} ({msr.index:#x})" for msr in msrs]),
        ("reserved 1", places(word.reserved_default1)),
        *_context(word),
    ]
    return facts, [word.summary], _controls(word)


def _controls(word: model.ControlWord) -> Iterator[tuple[str, str, str]]:
    for control in word.controls:
        yield str(control.bit), control.name, control.sdm


def _msr(_meaning: Meaning, msr: model.Msr, database: Database) -> _Parts:
    words = [word.name for word in database.words.values() if msr.name in (word.msr, word.true_msr)]
    facts: list[Labelled] = [
        *_names(msr),
        ("index", f"{msr.index:#x}"),
        ("controls", f"the allowed settings of {', '.join(words)}" if words else ""),
        ("layout", msr.layout or ""),
        ("reserved", places(msr.reserved)),
        *_context(msr),
    ]
    return facts, [msr.summary], _bits(bits_of(database, msr))


def _exit_reason(_meaning: Meaning, reason: model.ExitReason, database: Database) -> _Parts:
    layout = None if reason.qualification is None else database.layouts[reason.qualification]
    facts: list[Labelled] = [
        *_names(reason),
        ("number", f"{reason.number} ({reason.number:#x})"),
        ("qualification", "" if layout is None else layout.name),
        *_context(reason),
    ]
    return facts, [reason.summary], () if layout is None else _all_bits(layout)


def _instruction_error(_meaning: Meaning, error: model.InstructionError, _database: Database) -> _Parts:
    return [*_names(error), ("number", str(error.number)), *_context(error)], [error.summary], ()


def _exception(_meaning: Meaning, exception: model.ExceptionVector, _database: Database) -> _Parts:
    facts: list[Labelled] = [
        *_names(exception),
        ("mnemonic", exception.mnemonic or ""),
        ("vector", f"{exception.vector} ({exception.vector:#x})"),
        ("error code", "yes" if exception.error_code else "no"),
        *_context(exception),
    ]
    return facts, [exception.summary], ()


def _bitmap(_meaning: Meaning, bitmap: model.Bitmap, _database: Database) -> _Parts:
    regions = [
        f"{region.first:#x}..{region.last:#x}{f' ({region.access})' if region.access else ''}:"
        f" {region.field} from byte {region.byte:#x}"
        for region in bitmap.regions
    ]
    facts: list[Labelled] = [
        *_names(bitmap),
        ("one bit for", f"each {bitmap.unit}"),
        ("regions", regions),
        ("in force", "" if bitmap.control is None else f"where {bitmap.control} is 1"),
        *_context(bitmap),
    ]
    return facts, [bitmap.summary], ()


def _layout(_meaning: Meaning, layout: model.Layout, database: Database) -> _Parts:
    users = [f.name for f in database.fields.values() if f.layout == layout.name]
    facts: list[Labelled] = [
        *_names(layout),
        ("width", f"{layout.width} bits"),
        ("reserved", places(layout.reserved)),
        ("fixed to 1", places(layout.fixed_1)),
        ("fields", ", ".join(users)),
        *_context(layout),
    ]
    return facts, [layout.summary], _all_bits(layout)


def _bit_range(meaning: Meaning, bits: model.Bits, _database: Database) -> _Parts:
    owner = "" if meaning.owner is None else f" of {meaning.owner.name}"
    facts: list[Labelled] = [
        ("SDM", bits.sdm),
        ("QEMU", bits.qemu or ""),
        ("libvirt", bits.libvirt or ""),
        ("bits", f"{bits.place} ({bits.mask:#x}){owner}"),
        ("values", [f"{number}: {name}" for name, number in bits.values.items()]),
        ("status", "" if bits.status == "sdm" else bits.status),
    ]
    return facts, [bits.summary], ()


def _processor_fact(_meaning: Meaning, fact: model.Fact, _database: Database) -> _Parts:
    facts: list[Labelled] = [
        *_names(fact),
        ("written", f"cpu.{fact.name}"),
        ("width", f"{fact.width} bits" if fact.width > 1 else "1 bit"),
        ("CPUID", str(fact.cpuid or "")),
        *_context(fact),
    ]
    return facts, [fact.summary], ()


def _rule(_meaning: Meaning, rule: model.Rule, database: Database) -> _Parts:
    siblings = [other.id for other in database.rules if other.code == rule.code and other is not rule]
    facts: list[Labelled] = [
        ("code", rule.code),
        ("for each", "" if rule.each is None else f"{rule.each[0]} of {rule.each[1]}"),
        ("when", rule.when or "always"),
        ("require", rule.require),
        ("violation", outcomes_of(rule)),
        ("help", rule.hint or ""),
        ("same rule", ", ".join(siblings)),
        ("section", f'SDM, "{rule.section}"'),
    ]
    return facts, [rule.why], _bits_read(rule, database)


def _bits_read(rule: model.Rule, database: Database) -> Iterator[tuple[str, str, str]]:
    """What the rule is about, in the order in which it names it: bits of fields, controls, capabilities."""
    bound = bind_rule(rule, database, Diagnostics())
    parts = () if bound is None else (bound.when, bound.require)
    for leaf in {leaf.key: leaf for part in parts for leaf in nodes.leaves(part)}.values():
        match leaf:
            case nodes.ControlBit(control=control):
                yield str(control.bit), control.path, control.summary
            case nodes.Supported(control=control) | nodes.Forced(control=control):
                yield str(control.bit), f"{control.path} (what the CPU allows)", control.summary
            case nodes.AllowedBits(word=word):
                what = "must be 1" if leaf.must_be_1 else "may be 1"
                yield "", f"{word.name} (what {what})", word.summary
            case nodes.MsrBits(msr=msr, low=low):
                yield _bits_of_owner(msr.name, low, leaf.width, msr, bits_of(database, msr))
            case nodes.FieldBits(field=field, low=low):
                yield _bits_of_owner(leaf.written, low, leaf.width, field, bits_of(database, field))
            case nodes.ElementBits(area=area, low=low):
                layout = database.layouts[area.layout]
                yield _bits_of_owner(leaf.written, low, leaf.width, layout, layout.bits)
            case nodes.CpuFact(fact=fact):
                yield "", f"cpu.{fact.name}", fact.summary
            case nodes.ProcessorState(state=state):
                yield "", f"processor.{state.name}", state.summary


def _bits_of_owner(
    name: str, low: int, width: int, owner: model.Entry, named: Iterable[model.Bits]
) -> tuple[str, str, str]:
    """A row for some bits: those that have a name by it, others by the name of what they are of."""
    about = next((bits for bits in named if (bits.low, bits.width) == (low, width)), None)
    if about is None:
        return (f"{low + width - 1}:{low}" if width > 1 else str(low)), name, owner.summary
    return about.place, f"{name.partition('.')[0]}.{about.name}", about.summary or about.sdm


def _code(_meaning: Meaning, code: model.CodeText, _database: Database) -> _Parts:
    facts: list[Labelled] = [
        ("name", code.name),
        ("severity", code.severity),
        ("status", "" if code.status == "active" else code.status),
        ("example", (code.example or "").rstrip().split("\n") if code.example else ""),
    ]
    return facts, [code.summary, code.explanation], ()


def _all_bits(layout: model.Layout) -> list[tuple[str, str, str]]:
    """Every bit of a layout from the lowest up, those without a name too."""
    rows = [(_lowest(place), (place, name, text)) for place, name, text in _bits(layout.bits)]
    for mask, text in ((layout.reserved, "reserved"), (layout.fixed_1, "reserved, always 1")):
        rows += [(_lowest(place), (place, "", text)) for place in places(mask).split(", ") if place]
    return [row for _, row in sorted(rows)]


def _lowest(place: str) -> int:
    return int(place.rpartition(":")[2])


def _bits(bits: Iterable[model.Bits]) -> Iterator[tuple[str, str, str]]:
    """Place, name and meaning of each range, with the values that have names."""
    for one in bits:
        values = ", ".join(f"{number} {name}" for name, number in one.values.items())
        text = one.summary or one.sdm
        yield one.place, one.name, f"{text.rstrip('.')}: {values}" if values else text


_DESCRIBERS: dict[type, Callable[[Meaning, Any, Database], _Parts]] = {
    model.Control: _control,
    model.Field: _field,
    model.ControlWord: _word,
    model.Msr: _msr,
    model.ExitReason: _exit_reason,
    model.InstructionError: _instruction_error,
    model.ExceptionVector: _exception,
    model.Bitmap: _bitmap,
    model.Layout: _layout,
    model.Bits: _bit_range,
    model.Fact: _processor_fact,
    model.Rule: _rule,
    model.CodeText: _code,
}
