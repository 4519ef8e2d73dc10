"""The rules of VM entry as C: one function for each section of the manual, each rule below its id and condition."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby

from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import MAX_ELEMENTS
from vmcsc.expression import nodes
from vmcsc.expression.emit_c_three import LeafName, emit_c_three, emit_certain
from vmcsc.expression.rules import TRUE, BoundArea, BoundRule

from ..c_header.text import comment_text, hex_constant, wrapped
from .shared import Conditions, reads_memory, whole_field, with_locals

Group = Sequence[tuple[int, BoundRule]]
"""Rules with their numbers."""

Section = tuple[str, Group]
Places = Mapping[int, int]
"""The place among the rules about elements, by the number of the rule."""


def structs(database: Database) -> str:
    """The fields and the state of the processor by name."""
    fields = "\n".join(f"    uint64_t {name}; /* {field.encoding:#06x} */" for name, field in database.fields.items())
    state = "\n".join(f"    uint64_t {name};" for name in database.state)
    return f"struct vmcsc_fields {{\n{fields}\n}};\n\nstruct vmcsc_processor {{\n{state}\n}};\n"


def numbers(rules: Sequence[BoundRule]) -> str:
    """How many rules there are, and which of them are about elements of an area."""
    each = [str(number) for number in places(rules)] or ["0"]
    return (
        f"#define VMCSC_RULES {len(rules)}u\n#define VMCSC_EACH  {len(each)}u\n\n"
        "/* The rules about each element of an area. */\n"
        f"static const unsigned vmcsc_each[VMCSC_EACH] = {{{', '.join(f'{number}u' for number in each)}}};\n"
    )


def places(rules: Sequence[BoundRule]) -> dict[int, int]:
    """The place of each rule about elements of an area among those."""
    each = [number for number, bound in enumerate(rules) if bound.area is not None]
    return {number: place for place, number in enumerate(each)}


def sections(rules: Sequence[BoundRule]) -> list[Section]:
    """Rules of one section that stand together, with their numbers."""
    grouped = groupby(enumerate(rules), key=lambda pair: pair[1].rule.section)
    return [(section, list(pairs)) for section, pairs in grouped]


def rule_functions(rules: Sequence[BoundRule], database: Database, members: Mapping[tuple[str | int, ...], str]) -> str:
    """The functions, and the one that calls them all with nothing told yet."""
    leaf, each = leaf_of(database, members), places(rules)
    found, calls = [], []
    for number, (section, own) in enumerate(sections(rules)):
        groups = [list(pairs) for _, pairs in groupby(own, key=_condition)]
        conditions = Conditions(groups, leaf)
        judged = "".join(_alike(pairs, leaf, each, conditions) for pairs in groups)
        body = with_locals(f"{conditions}{judged}", database)
        found.append(
            f"/* {comment_text(section)} */\n"
            f"static inline void vmcsc_section_{number}(struct vmcsc_check *x)\n{{\n{_OPENING}"
            f"{body}}}\n"
        )
        calls.append(f"    vmcsc_section_{number}(x);")
    words, elements = range((len(rules) + 63) // 64), range(max(len(each), 1))
    cleared = "".join(
        f"    x->results->{what}[{place}] = {value}u;\n"
        for what, value, places_ in (
            ("not_applicable", 0, words),
            ("violated", 0, words),
            ("undetermined", 0, words),
            ("element", 0, elements),
            ("first", 1, elements),
        )
        for place in places_
    )
    return "\n".join(found) + (
        "\n/* Every rule. */\nstatic inline void vmcsc_rules_run(struct vmcsc_check *x)\n{\n"
        + "    vmcsc_activate(x);\n"
        + cleared
        + "\n".join(calls)
        + "\n}\n"
    )


_OPENING = """    const struct vmcsc_state *const s = x->state;
    const struct vmcsc_answers *const c = x->cpu;
    (void)s, (void)c;
"""


def leaf_of(database: Database, members: Mapping[tuple[str | int, ...], str]) -> LeafName:
    """How C reads what a rule reads."""

    def read(leaf: nodes.Leaf) -> str:
        match leaf:
            case nodes.FieldBits():
                return _cut(whole_field(leaf), leaf.low, leaf.width)
            case nodes.ControlBit():
                return _control_bit(leaf, database)
            case nodes.ProcessorState():
                name = leaf.state.name
                return _cut(f"VMCSC_STATE({name})", 0, leaf.width)
            case nodes.Memory():
                return _bit_if(f"vmcsc_read(x, {emit_c_three(leaf.address, read)}, {leaf.width}u)", leaf.width)
            case nodes.ElementBits():
                return _bit_if(f"vmcsc_element(x, {leaf.low}u, {leaf.width}u)", leaf.width)
            case _:
                return f"c->{members[leaf.key]}"

    return read


def _control_bit(leaf: nodes.ControlBit, database: Database) -> str:
    """The bit of the control's word, or of what is in force of the word where another control activates it."""
    word = database.words[leaf.control.word]
    activated = any(True for _ in database.activators(word))
    return _cut(f"x->in_force.{word.name}" if activated else f"VMCSC_FIELD({word.field})", leaf.control.bit, 1)


def _cut(text: str, low: int, width: int) -> str:
    if width == 64:
        return text
    return f"vmcsc_v_bit({text}, {low}u)" if width == 1 else f"vmcsc_v_slice({text}, {low}u, {width}u)"


def _bit_if(text: str, width: int) -> str:
    return f"vmcsc_v_bit({text}, 0u)" if width == 1 else text


def _condition(pair: tuple[int, BoundRule]) -> tuple[str | None, bool]:
    """Rules in a row that apply alike, or are about the elements of one area, are judged together."""
    _, bound = pair
    return bound.area.area.name if bound.area is not None else bound.rule.when, bound.area is not None


def _alike(pairs: Group, leaf: LeafName, places: Places, conditions: Conditions) -> str:
    """Rules that have one condition, which is looked at once."""
    index, first = pairs[0]
    if first.area is not None:
        return _of_area(pairs, first.area, leaf, places)
    if first.when == TRUE or reads_memory(first.when):  # then each rule asks for itself
        when = emit_c_three(first.when, leaf)
        return "".join(_judged(index, bound, when, leaf, 1) for index, bound in pairs)
    sure = f"({emit_certain(first.when, leaf, whole_field)}) ? VMCSC_TRUE : VMCSC_MAYBE"
    applies = ""
    if len(pairs) > 1:
        named = f"const vmcsc_truth applies = {sure};"
        sure, applies = "applies", f"{wrapped(named, '        ', '            ')}\n"
    inner = "".join(_judged(index, bound, sure, leaf, 2) for index, bound in pairs)
    idle = f"if ({conditions.idle(first)}) {{"
    return f"{wrapped(idle, '    ', '        ')}\n{_skipped(index, len(pairs))}    }} else {{\n{applies}{inner}    }}\n"


def _skipped(first: int, count: int) -> str:
    """Rules in a row that are not applicable, a statement for each word of the result."""
    words: dict[int, int] = {}
    for index in range(first, first + count):
        words[index // 64] = words.get(index // 64, 0) | 1 << index % 64
    return "".join(f"        skipped_{word} |= {hex_constant(bits, 64)};\n" for word, bits in words.items())


def _head(bound: BoundRule) -> str:
    """The id of the rule, and its condition."""
    rule = bound.rule
    condition = rule.require if rule.when is None else f"where {rule.when}: {rule.require}"
    return f"/* {comment_text(f'{rule.code} {rule.id}: {condition}')} */\n"


def _judged(index: int, bound: BoundRule, applies: str, leaf: LeafName, depth: int) -> str:
    """Hardly ever is there more to do than to see that the rule holds."""
    indent, require = "    " * depth, emit_c_three(bound.require, leaf)
    tell = f"vmcsc_tell(x, {index}u, vmcsc_status(x, {applies}, {require}), 0u);"
    head = f"{indent}{_head(bound)}"
    if reads_memory(bound.when) or reads_memory(bound.require):
        return f"{head}{wrapped(tell, indent, indent + '    ')}\n"
    unless = f"if (!({emit_certain(bound.require, leaf, whole_field, lazy=True)}))"
    return f"{head}{wrapped(unless, indent, indent + '    ')}\n{wrapped(tell, indent + '    ', indent + '        ')}\n"


def _of_area(pairs: Group, area: BoundArea, leaf: LeafName, places: Places) -> str:
    """Rules about the elements of an area: none applies where there are no elements."""
    known = f"vmcsc_v_known(count, {area.count.width}u)"
    each = "".join(f"        {_head(bound)}{_each(index, places[index], bound, leaf)}" for index, bound in pairs)
    return f"""    {{
        const vmcsc_value count = {emit_c_three(area.count, leaf)};
        const vmcsc_value address = {emit_c_three(area.address, leaf)};
        const int listed = {known} && vmcsc_v_known(address, 64u) && s->memory != 0;
        if ({known} && vmcsc_v_bits(count) == 0u) {{
    {_skipped(pairs[0][0], len(pairs))}        }} else {{
{textwrap.indent(each, "    ")}        }}
    }}
"""


def _each(index: int, place: int, bound: BoundRule, leaf: LeafName) -> str:
    """Violated if it is for one element, passed only if it is for all."""
    when, require = emit_c_three(bound.when, leaf), emit_c_three(bound.require, leaf)
    status, size = f"vmcsc_status(x, {when}, {require})", 0 if bound.area is None else bound.area.area.size
    return f"""        {{
            unsigned seen[4] = {{0u, 0u, 0u, 0u}}, status;
            uint32_t i, broken = 0u;
            if (!listed) {{
                x->element_known = 0;
                status = {status};
                if (status != VMCSC_NOT_APPLICABLE && !(status == VMCSC_PASSED && vmcsc_v_bits(count) != 0u))
                    status = VMCSC_UNDETERMINED;
            }} else {{
                x->element_known = 1;
                for (i = 0u; i < vmcsc_v_bits(count) && i < {MAX_ELEMENTS}u && broken == 0u; i++) {{
                    x->element = vmcsc_v_bits(address) + (uint64_t)i * {size}u;
                    status = {status};
                    if (status == VMCSC_VIOLATED)
                        broken = i + 1u;
                    else
                        seen[status] = 1u;
                }}
                status = broken != 0u ? VMCSC_VIOLATED
                         : vmcsc_v_bits(count) > {MAX_ELEMENTS}u || seen[VMCSC_UNDETERMINED] ? VMCSC_UNDETERMINED
                         : seen[VMCSC_PASSED] ? VMCSC_PASSED : VMCSC_NOT_APPLICABLE;
            }}
            x->results->element[{place}u] = broken;
            x->results->first[{place}u] = (uint8_t)!seen[VMCSC_UNDETERMINED];
            vmcsc_tell(x, {index}u, status, broken);
        }}
"""
