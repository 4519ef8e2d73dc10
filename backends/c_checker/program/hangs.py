"""Whether an undetermined rule hangs on the state of the processor alone, as `vmcsc.check.missing` tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vmcsc.architecture.database import Database
from vmcsc.expression import nodes
from vmcsc.expression.emit_c_three import LeafName, emit_c_three
from vmcsc.expression.rules import BoundRule

from ...c_header.text import wrapped
from ..rules import leaf_of


def hangs_on_processor(
    rules: Sequence[BoundRule], database: Database, members: Mapping[tuple[str | int, ...], str]
) -> str:
    """The function; only rules that read the processor's state have a case in it."""
    leaf = leaf_of(database, members)
    cases = [
        f"    case {number}u: /* {bound.rule.id} */\n{wrapped(f'return {_hangs(bound, leaf)};', ' ' * 8, ' ' * 12)}\n"
        for number, bound in enumerate(rules)
        if _reads_state(bound.when) or _reads_state(bound.require)
    ]
    return (
        "/* Whether an undetermined rule lacks nothing but the state of the processor: to apply, or else to hold. */\n"
        "static int hangs_on_processor(struct vmcsc_check *x, unsigned rule)\n{\n"
        "    const struct vmcsc_state *const s = x->state;\n    const struct vmcsc_answers *const c = x->cpu;\n"
        "    (void)s, (void)c;\n    switch (rule) {\n"
        f"{''.join(cases)}    default:\n        return 0;\n    }}\n}}\n"
    )


def _hangs(bound: BoundRule, leaf: LeafName) -> str:
    later = [bound.require] if bound.area is None else [bound.area.count, bound.area.address, bound.require]
    lacks_more = _any(_lacks_more(node, leaf) for node in later)
    if isinstance(bound.when, nodes.Constant):
        return f"!({lacks_more})"
    return f"{_unknown(bound.when, leaf)} ? !({_lacks_more(bound.when, leaf)}) : !({lacks_more})"


def _lacks_more(node: nodes.Node, leaf: LeafName) -> str:
    """The condition under which something else than the processor's state keeps `node` from having a value."""
    if not _reads_state(node):
        return _unknown(node, leaf)
    if isinstance(node, nodes.ProcessorState):
        return "0"
    below = _any(_lacks_more(child, leaf) for child in nodes.children(node))
    return "0" if below == "0" else f"({_unknown(node, leaf)} && {below})"


def _any(conditions: Iterable[str]) -> str:
    some = [one for one in conditions if one != "0"]
    return "0" if not some else some[0] if len(some) == 1 else f"({' || '.join(some)})"


def _unknown(node: nodes.Node, leaf: LeafName) -> str:
    if isinstance(node, nodes.Constant):
        return "0"
    text = emit_c_three(node, leaf)
    return f"{text} == VMCSC_MAYBE" if node.width == 1 else f"!vmcsc_v_known({text}, {node.width}u)"


def _reads_state(node: nodes.Node) -> bool:
    return any(isinstance(one, nodes.ProcessorState) for one in nodes.leaves(node))
