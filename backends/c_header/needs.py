"""What the states that a policy takes need of a processor, as C: checked before anything is written."""

from __future__ import annotations

from vmcsc.expression import nodes
from vmcsc.expression.emit_c import LeafName
from vmcsc.expression.emit_text import emit_text
from vmcsc.vmcs import Vmcs

from .expressions import guarded
from .text import CAPABILITIES, comment_text, function, listed

MAX_NEEDS = 64
"""One bit of the result for each."""


class NeedsPart:
    """The functions that tell which needs a processor does not meet; no text where the states have none."""

    def __init__(self, vmcs: Vmcs, prefix: str, leaf: LeafName) -> None:
        self._prefix = prefix
        self._leaf = leaf
        taken = [(one.condition, one.state.name, need) for one in vmcs.policy.states for need in one.state.needs]
        self._needs = taken[:MAX_NEEDS]

    def __bool__(self) -> bool:
        return bool(self._needs)

    def expressions(self) -> list[nodes.Node]:
        return [node for condition, _, need in self._needs for node in (condition, need) if node is not None]

    def text(self) -> str:
        if not self._needs:
            return ""
        given = f"const struct {self._prefix}_arguments *a"
        checks = "".join(
            guarded(_unmet(condition, need), self._leaf, [f"unmet |= (uint64_t)1 << {number};"])
            for number, (condition, _, need) in enumerate(self._needs)
        )
        texts = [f'"{comment_text(f"{state}: {emit_text(need)}")}"' for _, state, need in self._needs]
        return (
            "/* The needs of the states that the processor does not meet, a bit for each. */\n"
            f"{function('uint64_t', f'{self._prefix}_unmet_needs', CAPABILITIES, given)}"
            f"{{\n    uint64_t unmet = 0u;\n    (void)c;\n    (void)a;\n{checks}    return unmet;\n}}\n\n"
            "#ifndef VMCSC_NO_NAMES\n"
            "/* A need in words: the state and the condition. */\n"
            f"static inline const char *{self._prefix}_need_name(unsigned need)\n{{\n"
            f"    static const char *const names[] = {_deeper(listed(texts))};\n"
            '    return need < sizeof(names) / sizeof(names[0]) ? names[need] : "none";\n}\n#endif\n'
        )


def _unmet(condition: nodes.Node | None, need: nodes.Node) -> nodes.Node:
    inverted = nodes.Invert(1, need)
    return inverted if condition is None else nodes.Operation(1, "&", condition, inverted)


def _deeper(text: str) -> str:
    return text.replace("\n", "\n    ")
