"""What the rules of a section read or ask more than once, and then only once at its top."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from vmcsc.architecture.database import Database
from vmcsc.expression import nodes
from vmcsc.expression.emit_c_three import LeafName, emit_certain
from vmcsc.expression.rules import TRUE, BoundRule

from ..c_header.text import comment_text, wrapped

OFTEN = 20
"""A field that is read so often has a local: a few that do cost less than they save, more do not."""

TAKEN = frozenset({"s", "c", "x", "i", "applies", "count", "address", "seen", "status", "broken", "listed"})
"""Names that the functions have for something else."""

_FIELD = re.compile(r"VMCSC_FIELD\((\w+)\)")
_SKIPPED = re.compile(r"skipped_(\d+)")


class Conditions:
    """The conditions of a section by which rules do not apply: those of several groups of rules have a name."""

    def __init__(self, groups: Sequence[Sequence[tuple[int, BoundRule]]], leaf: LeafName) -> None:
        firsts = [group[0][1] for group in groups]
        shared = [one for one in firsts if one.area is None and one.when != TRUE and not reads_memory(one.when)]
        counted = Counter(one.rule.when for one in shared)
        self._leaf = leaf
        self._names: dict[str | None, str] = {}
        self._texts = []
        for bound in shared:
            when = bound.rule.when
            if counted[when] > 1 and when not in self._names:
                idle, name = self.idle(bound), f"idle_{len(self._names)}"
                self._names[when] = name
                self._texts.append(f"    /* not: {comment_text(when or '')} */")
                self._texts.append(wrapped(f"const int {name} = {idle};", "    ", "        "))

    def idle(self, bound: BoundRule) -> str:
        """The C condition under which the rule certainly does not apply."""
        return self._names.get(bound.rule.when) or emit_certain(bound.when, self._leaf, whole_field, true=False)

    def __str__(self) -> str:
        return "".join(f"{text}\n" for text in self._texts)


def whole_field(leaf: nodes.FieldBits) -> str:
    return f"VMCSC_FIELD({leaf.field.name})"


def reads_memory(node: nodes.Node) -> bool:
    return any(isinstance(one, nodes.Memory) for one in nodes.leaves(node))


def with_locals(body: str, database: Database) -> str:
    """The body of a section with a local for each field that it reads often, and for rules that do not apply."""
    counted = Counter(_FIELD.findall(body))
    often = sorted(name for name, number in counted.items() if number >= OFTEN and name not in TAKEN)
    fields = []
    for name in often:
        read, width = f"VMCSC_FIELD({name})", database.fields[name].width
        cut = read if width == 64 else f"vmcsc_v_slice({read}, 0u, {width}u)"
        fields.append(f"    const vmcsc_value {name} = {cut};\n")
        body = body.replace(f"vmcsc_v_slice({read}, 0u, {width}u)", read).replace(read, name)
    words = sorted({int(word) for word in _SKIPPED.findall(body)})
    before = "".join(f"    uint64_t skipped_{word} = 0u;\n" for word in words)
    after = "".join(f"    x->results->not_applicable[{word}] |= skipped_{word};\n" for word in words)
    return f"{''.join(fields)}{before}{body}{after}"


def in_force_struct(database: Database) -> str:
    """The struct of control words that other controls activate."""
    members = "".join(f"    vmcsc_value {name};\n" for name, _ in _activated(database)) or "    char none;\n"
    return (
        "/* Control words that other controls activate: 0 where they are not active. */\n"
        f"struct vmcsc_in_force {{\n{members}}};\n"
    )


def activation(database: Database) -> str:
    """The function that says what is in force of those words."""
    sets = "".join(
        f"{wrapped(f'x->in_force.{name} = {text};', '    ', '        ')}\n" for name, text in _activated(database)
    )
    return (
        "static inline void vmcsc_activate(struct vmcsc_check *x)\n{\n"
        f"    const struct vmcsc_state *const s = x->state;\n    (void)s;\n{sets}}}\n"
    )


def _activated(database: Database) -> Iterator[tuple[str, str]]:
    for word in database.words.values():
        text = f"VMCSC_FIELD({word.field})"
        activators = list(database.activators(word))
        for one in activators:
            bit = f"vmcsc_v_bit(VMCSC_FIELD({database.words[one.word].field}), {one.bit}u)"
            text = f"vmcsc_v_active({text}, {bit})"
        if activators:
            yield word.name, text
