"""Reading the capability MSRs in C, and the rules between controls as C."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control, ControlWord, Entry, Msr
from vmcsc.backends.c_header.text import comment_text, heading, hex_constant, macro
from vmcsc.capabilities.cpu import condition_of
from vmcsc.expression import nodes
from vmcsc.expression.emit_c import LeafName, emit_c
from vmcsc.resolve.rules import ControlRule, control_rules

_RUNTIME = Path(__file__).with_name("runtime.h")


def word_number(database: Database, name: str) -> int:
    """The index of a control word in the arrays of the generated code."""
    return [word.name for word in database.active_order].index(name)


def word_macro(name: str) -> str:
    return f"VMCSC_WORD_{macro(name)}"


def capability_part(database: Database) -> str:
    """Structures, functions and tables that every policy's functions use."""
    rules = control_rules(database)
    parts = [
        heading("What the processor allows"),
        _words(database),
        _capabilities(database),
        _allowed(database),
        _read_function(database),
        _has_word(database),
        _tables(database, rules),
        _RUNTIME.read_text(encoding="utf-8"),
        _rule_function(database, rules),
        _names(database, rules),
    ]
    return "\n".join(parts)


def _words(database: Database) -> str:
    rows = [f"#define {word_macro(word.name)} {n}u" for n, word in enumerate(database.active_order)]
    return "\n".join([*rows, f"#define VMCSC_WORDS {len(rows)}u\n"])


def _capabilities(database: Database) -> str:
    members = "".join(f"    uint64_t {msr.name};\n" for msr in database.capability_msrs)
    return (
        "/* The capability MSRs; 0 for those that the processor does not have. */\n"
        f"struct vmcsc_capabilities {{\n{members}}};\n\n"
        "/* RDMSR of `index`. Called only for MSRs that exist. */\n"
        "typedef uint64_t (*vmcsc_rdmsr_function)(void *context, uint32_t index);\n"
    )


def _allowed(database: Database) -> str:
    """Functions for the bits of each word that must be 1, and that may be 1."""
    must, may = [], []
    for word in database.active_order:
        source = _settings_source(word, database)
        case = f"    case {word_macro(word.name)}:\n        return "
        must.append(case + (f"{source} & 0xffffffffull;" if word.allowed_0 else "0u;"))
        may.append(case + (f"{source} >> 32;" if word.allowed_0 else f"{source};"))
    shapes = (("must_be_1", must), ("may_be_1", may))
    return "\n".join(
        f"/* The bits of a control word that {what.replace('_', ' ')}. */\n"
        f"static inline uint64_t vmcsc_{what}(const struct vmcsc_capabilities *c, unsigned word)\n{{\n"
        "    switch (word) {\n" + "\n".join(cases) + "\n    default:\n        return 0u;\n    }\n}\n"
        for what, cases in shapes
    )


def _settings_source(word: ControlWord, database: Database) -> str:
    if word.true_msr is None:
        return f"c->{word.msr}"
    true_msr = database.msrs[word.true_msr]
    return f"({exists_condition(true_msr, database)} ? c->{word.true_msr} : c->{word.msr})"


def exists_condition(entry: Entry, database: Database) -> str:
    """The C condition under which the processor has the MSR or field, over `c`."""
    return "1u" if entry.exists is None else emit_c(condition_of(database, entry.exists), capability_leaf(database))


def capability_leaf(database: Database, others: Mapping[type[nodes.Leaf], LeafName] | None = None) -> LeafName:
    """How C reads what a condition asks of the processor, from `c`; `others` for leaves beyond that."""

    def leaf(node: nodes.Leaf) -> str:
        match node:
            case nodes.Supported() | nodes.Forced():
                function = "vmcsc_may_be_1" if isinstance(node, nodes.Supported) else "vmcsc_must_be_1"
                return f"(({function}(c, {word_macro(node.control.word)}) >> {node.control.bit}) & 1u)"
            case nodes.MsrBits():
                shifted = f"(c->{node.msr.name} >> {node.low})" if node.low else f"c->{node.msr.name}"
                return shifted if node.width == 64 else f"({shifted} & {hex_constant((1 << node.width) - 1, 64)})"
            case _:
                chosen = (others or {}).get(type(node))
                return "0ull" if chosen is None else chosen(node)  # a fact that no MSR tells: not there

    return leaf


def _read_function(database: Database) -> str:
    members = "".join(f"    c->{msr.name} = 0u;\n" for msr in database.capability_msrs)
    reads = []
    for msr in _read_order(database):
        read = f"c->{msr.name} = rdmsr(context, VMCSC_MSR_{macro(msr.name)});"
        if msr.exists is None:
            reads.append(f"    {read}\n")
        else:
            reads.append(f"    if ({exists_condition(msr, database)} != 0u)\n        {read}\n")
    return (
        "/* Read the capability MSRs, each only where those before it say that it exists. */\n"
        "static inline void vmcsc_read_capabilities(struct vmcsc_capabilities *c, vmcsc_rdmsr_function rdmsr,\n"
        "                                           void *context)\n"
        f"{{\n{members}{''.join(reads)}}}\n"
    )


def _read_order(database: Database) -> list[Msr]:
    """The capability MSRs, each behind those that its condition asks."""
    ordered: list[Msr] = []

    def visit(msr: Msr) -> None:
        if msr in ordered:
            return
        if msr.exists is not None:
            for needed in _asked(msr, database):
                if needed is not msr:
                    visit(needed)
        ordered.append(msr)

    for msr in database.capability_msrs:
        visit(msr)
    return ordered


def _asked(msr: Msr, database: Database) -> Iterator[Msr]:
    for leaf in nodes.leaves(condition_of(database, msr.exists or "true")):
        if isinstance(leaf, nodes.MsrBits):
            yield leaf.msr
        elif isinstance(leaf, nodes.Supported | nodes.Forced):
            word = database.words[leaf.control.word]
            yield database.msrs[word.msr]
            if word.true_msr is not None:
                yield database.msrs[word.true_msr]


def _has_word(database: Database) -> str:
    cases = []
    for word in database.active_order:
        field = database.fields[word.field]
        cases.append(f"    case {word_macro(word.name)}:\n        return {exists_condition(field, database)} != 0u;")
    return (
        "/* Whether the processor has the field of a control word. */\n"
        "static inline unsigned vmcsc_has_word(const struct vmcsc_capabilities *c, unsigned word)\n"
        "{\n    (void)c;\n    switch (word) {\n" + "\n".join(cases) + "\n    default:\n        return 0u;\n    }\n}\n"
    )


def _tables(database: Database, rules: tuple[ControlRule, ...]) -> str:
    order = database.active_order
    fields = ", ".join(f"VMCSC_FIELD_{macro(word.field)}" for word in order)
    reserved = ", ".join(hex_constant(word.reserved_default1, 64) for word in order)
    activators = ", ".join(_activator(word, database) for word in order)
    most = max((len(rule.controls) for rule in rules), default=1)
    rows = ",\n".join(f"    {{{len(rule.controls)}u, {{{_rule_controls(rule, database)}}}}}" for rule in rules)
    return (
        "struct vmcsc_control {\n    uint8_t word;\n    uint8_t bit;\n};\n\n"
        "struct vmcsc_rule {\n    unsigned count;\n"
        f"    struct vmcsc_control controls[{most}];\n}};\n\n"
        f"static const uint32_t vmcsc_word_fields[VMCSC_WORDS] = {{{fields}}};\n\n"
        "/* Reserved controls of the default1 class: 1 wherever that is allowed, as on processors not yet known. */\n"
        f"static const uint64_t vmcsc_reserved_default1[VMCSC_WORDS] = {{{reserved}}};\n\n"
        "/* The control that activates each word; word VMCSC_WORDS: it is always in force. */\n"
        f"static const struct vmcsc_control vmcsc_activators[VMCSC_WORDS] = {{{activators}}};\n\n"
        f"#define VMCSC_RULES {len(rules)}u\n#define VMCSC_RULE_WORDS {max(1, (len(rules) + 63) // 64)}u\n\n"
        "/* The controls that each rule between controls speaks of. */\n"
        f"static const struct vmcsc_rule vmcsc_rules[{max(1, len(rules))}] = {{\n{rows or '    {0u, {{0u, 0u}}}'}\n}};\n"
    )


def _activator(word: ControlWord, database: Database) -> str:
    nearest = next(iter(database.activators(word)), None)
    return "{VMCSC_WORDS, 0u}" if nearest is None else _pair(nearest)


def _pair(control: Control) -> str:
    return f"{{{word_macro(control.word)}, {control.bit}u}}"


def _rule_controls(rule: ControlRule, database: Database) -> str:
    return ", ".join(_pair(control) for control in rule.controls)


def _rule_function(database: Database, rules: tuple[ControlRule, ...]) -> str:
    def leaf(node: nodes.Leaf) -> str:
        assert isinstance(node, nodes.ControlBit)
        return f"vmcsc_setting(settings, {word_macro(node.control.word)}, {node.control.bit}u)"

    cases = []
    for number, rule in enumerate(rules):
        needs = f"needs {rule.rule.require}" if rule.rule.when is None else f"{rule.rule.when} -> {rule.rule.require}"
        cases.append(
            f"    case {number}u: /* {rule.rule.code}: {comment_text(needs)} */\n"
            f"        return {emit_c(rule.violation, leaf)};"
        )
    return (
        "/* Whether rule `rule` is violated under `settings`. */\n"
        "static inline uint64_t vmcsc_rule_violated(unsigned rule, const struct vmcsc_settings *settings)\n"
        "{\n    (void)settings;\n    switch (rule) {\n" + "\n".join(cases) + "\n    default:\n        return 0u;\n    }\n}\n"
    )


def _names(database: Database, rules: tuple[ControlRule, ...]) -> str:
    controls = [
        f"    if (word == {word_macro(c.word)} && bit == {c.bit}u)\n        return \"{c.path}\";"
        for c in database.controls.values()
    ]
    listed = [f"    case {n}u:\n        return \"{rule.rule.code} {rule.rule.id}\";" for n, rule in enumerate(rules)]
    return (
        "/* Names for messages; define VMCSC_NO_NAMES to leave them out. */\n#ifndef VMCSC_NO_NAMES\n"
        "static inline const char *vmcsc_control_name(unsigned word, unsigned bit)\n{\n"
        + "\n".join(controls)
        + '\n    return "reserved";\n}\n\n'
        "static inline const char *vmcsc_rule_name(unsigned rule)\n{\n    switch (rule) {\n"
        + "\n".join(listed)
        + '\n    default:\n        return "none";\n    }\n}\n#endif\n'
    )
