"""The rules of VM entry as C: one function for each section of the manual, each rule below its id and condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from vmcsc.architecture.database import Database
from vmcsc.check.evaluate import MAX_ELEMENTS
from vmcsc.expression import nodes
from vmcsc.expression.emit_c_three import LeafName, emit_c_three
from vmcsc.expression.rules import BoundArea, BoundRule

from ..c_header.text import comment_text, wrapped

Section = tuple[str, Sequence[tuple[int, BoundRule]]]


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
    """The functions, and the one that calls them all."""
    leaf, each = leaf_of(database, members), places(rules)
    found, calls = [], []
    for number, (section, own) in enumerate(sections(rules)):
        body = "".join(_alike(list(pairs), leaf, each) for _, pairs in groupby(own, key=_condition))
        found.append(
            f"/* {comment_text(section)} */\n"
            f"static inline void vmcsc_section_{number}(struct vmcsc_check *x)\n{{\n{body}}}\n"
        )
        calls.append(f"    vmcsc_section_{number}(x);")
    return "\n".join(found) + (
        "\n/* Every rule. */\nstatic inline void vmcsc_rules_run(struct vmcsc_check *x)\n{\n"
        + "\n".join(calls)
        + "\n}\n"
    )


def leaf_of(database: Database, members: Mapping[tuple[str | int, ...], str]) -> LeafName:
    """How C reads what a rule reads."""

    def read(leaf: nodes.Leaf) -> str:
        match leaf:
            case nodes.FieldBits():
                return _cut(_field(leaf.field.name), leaf.low, leaf.width)
            case nodes.ControlBit():
                own = database.words[leaf.control.word]
                bits = [_cut(_field(database.words[one.word].field), one.bit, 1)
                        for one in (leaf.control, *database.activators(own))]  # fmt: skip
                text = bits[0]
                for one in bits[1:]:
                    text = f"vmcsc_t_and({text}, {one})"
                return text
            case nodes.ProcessorState():
                name = leaf.state.name
                return _cut(f"vmcsc_v(x->state->processor.{name}, x->state->processor_known.{name})", 0, leaf.width)
            case nodes.Memory():
                return _bit_if(f"vmcsc_read(x, {emit_c_three(leaf.address, read)}, {leaf.width}u)", leaf.width)
            case nodes.ElementBits():
                return _bit_if(f"vmcsc_element(x, {leaf.low}u, {leaf.width}u)", leaf.width)
            case _:
                return f"x->cpu->{members[leaf.key]}"

    return read


def _field(name: str) -> str:
    return f"vmcsc_v(x->state->fields.{name}, x->state->fields_known.{name})"


def _cut(text: str, low: int, width: int) -> str:
    return f"vmcsc_v_bit({text}, {low}u)" if width == 1 else f"vmcsc_v_slice({text}, {low}u, {width}u)"


def _bit_if(text: str, width: int) -> str:
    return f"vmcsc_v_bit({text}, 0u)" if width == 1 else text


def _condition(pair: tuple[int, BoundRule]) -> tuple[str | None, bool]:
    """Rules in a row that apply alike are judged together, those about elements one by one."""
    _, bound = pair
    return bound.rule.id if bound.area is not None else bound.rule.when, bound.area is not None


def _alike(pairs: Sequence[tuple[int, BoundRule]], leaf: LeafName, places: Mapping[int, int]) -> str:
    """Rules that have one condition, which is looked at once."""
    index, first = pairs[0]
    if first.area is not None:
        return f"    {_head(first)}{_each(index, places[index], first, first.area, leaf)}"
    when = emit_c_three(first.when, leaf)
    reads = any(isinstance(one, nodes.Memory) for one in nodes.leaves(first.when))  # then each rule asks for itself
    if when == "VMCSC_TRUE" or reads:
        return "".join(f"    {_head(bound)}{_told(index, bound, when, leaf, 1)}" for index, bound in pairs)
    inner = "".join(f"            {_head(bound)}{_told(index, bound, 'applies', leaf, 3)}" for index, bound in pairs)
    idle = "".join(f"            vmcsc_tell(x, {index}u, VMCSC_NOT_APPLICABLE);\n" for index, _ in pairs)
    return (
        "    {\n" + wrapped(f"const vmcsc_truth applies = {when};", "        ", "            ") + "\n"
        f"        if (applies != VMCSC_FALSE) {{\n{inner}        }} else {{\n{idle}        }}\n    }}\n"
    )


def _head(bound: BoundRule) -> str:
    """The id of the rule, and its condition."""
    rule = bound.rule
    condition = rule.require if rule.when is None else f"where {rule.when}: {rule.require}"
    return f"/* {comment_text(f'{rule.code} {rule.id}: {condition}')} */\n"


def _told(index: int, bound: BoundRule, applies: str, leaf: LeafName, depth: int) -> str:
    require = emit_c_three(bound.require, leaf)
    text = f"vmcsc_tell(x, {index}u, vmcsc_settled(x, vmcsc_status({applies}, {require})));"
    return wrapped(text, "    " * depth, "    " * (depth + 1)) + "\n"


def _each(index: int, place: int, bound: BoundRule, area: BoundArea, leaf: LeafName) -> str:
    """Violated if it is for one element, passed only if it is for all."""
    emit: Callable[[nodes.Node], str] = lambda node: emit_c_three(node, leaf)  # noqa: E731
    status = f"vmcsc_settled(x, vmcsc_status({emit(bound.when)}, {emit(bound.require)}))"
    known = f"vmcsc_v_known(count, {area.count.width}u)"
    return f"""    {{
        const vmcsc_value count = {emit(area.count)};
        const vmcsc_value address = {emit(area.address)};
        unsigned seen[4] = {{0u, 0u, 0u, 0u}}, status;
        uint32_t i, broken = 0u;
        if ({known} && vmcsc_v_bits(count) == 0u) {{
            status = VMCSC_NOT_APPLICABLE;
        }} else if (!{known} || !vmcsc_v_known(address, 64u) || x->state->memory == 0) {{
            x->element_known = 0;
            status = {status};
            if (status != VMCSC_NOT_APPLICABLE && !(status == VMCSC_PASSED && vmcsc_v_bits(count) != 0u))
                status = VMCSC_UNDETERMINED;
        }} else {{
            x->element_known = 1;
            for (i = 0u; i < vmcsc_v_bits(count) && i < {MAX_ELEMENTS}u && broken == 0u; i++) {{
                x->element = vmcsc_v_bits(address) + (uint64_t)i * {area.area.size}u;
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
        vmcsc_tell(x, {index}u, status);
        x->results->element[{place}u] = broken;
        x->results->first[{place}u] = (uint8_t)!seen[VMCSC_UNDETERMINED];
    }}
"""
