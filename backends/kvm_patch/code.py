"""Blocks of code that a patch adds: masks before the configuration is stored, and bits that every vCPU gets."""

from __future__ import annotations

from collections.abc import Sequence

from vmcsc.kvm.blocks import MARK
from vmcsc.kvm.tree import Tree

from .plan import Plan


def mask_block(plan: Plan, tree: Tree, policy: str) -> str:
    """Statements that take masked controls out of the configuration; nothing if there are none."""
    masked = {name: word.masked for name, word in plan.words.items() if word.masked}
    if not masked:
        return ""
    lines = [f"\t/* {MARK} not used, by policy {policy} */\n"]
    for name, mask in masked.items():
        lines.append(statement(f"\t{tree.kvm.words[name].local} &= ~", plan.named(name, mask)))
    lines += [f"\t{variable} = 0;\n" for variable in plan.zeroed]
    return "".join(lines) + "\n"


def force_block(name: str, plan: Plan, tree: Tree, policy: str) -> str:
    """Statements before the end of the function that narrows the word for a vCPU."""
    word = plan.words[name]
    if not word.forced:
        return ""
    block = tree.blocks.force[name]
    assert block is not None
    following = tree.config.text[block.end :].partition(";")[0].split()
    variable = following[1] if len(following) > 1 else "exec_control"
    lines = [f"\t/* {MARK} for every vCPU, by policy {policy} */\n"]
    always = plan.named(name, word.forced & ~word.where_granted)
    if always:
        lines.append(statement(f"\t{variable} |= ", always))
    granted = plan.named(name, word.forced & word.where_granted)
    if granted:
        config = f"{tree.kvm.kept_in}.{_stored(tree, name)}"
        lines.append(statement(f"\t{variable} |= {config} & ", granted))
    return "".join(lines) + "\n"


def _stored(tree: Tree, name: str) -> str:
    """The member of the configuration that the word's variable is stored in."""
    place = tree.config.code.find(f"= {tree.kvm.words[name].local};")
    line = tree.config.code[tree.config.code.rfind("\n", 0, place) + 1 : place]
    return line.strip().rpartition(">")[2].strip()


def statement(begin: str, names: Sequence[str]) -> str:
    """`begin` and the names with `|` between them, in parentheses and one a line if there are several."""
    if len(names) == 1:
        return f"{begin}{names[0]};\n"
    width = len(begin.expandtabs(8)) + 1
    indentation = "\t" * (width // 8) + " " * (width % 8)
    return f"{begin}({f' |{chr(10)}{indentation}'.join(names)});\n"
