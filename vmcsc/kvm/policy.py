"""The policy that a kernel tree has: what KVM requires, uses and can use, in the language of policies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics
from vmcsc.kvm.tree import Tree, digests
from vmcsc.source import Source
from vmcsc.syntax.format import format_source

MAX_NAME = 60


def policy_text(tree: Tree, database: Database, diagnostics: Diagnostics, name: str | None = None) -> str:
    """The policy, formatted. Bits for which the specs have no name are reported, and stand in a comment."""
    chosen = name or policy_name(tree)
    lines = [*_heading(tree), f"policy {chosen} {{", f'summary "{_summary(tree)}"']
    for word in database.words.values():
        body = list(_statements(tree, word.name, database, diagnostics))
        if body:
            lines += [f"{word.name} {{", *body, "}"]
    text = "\n".join([*lines, "}", ""])
    return format_source(Source("<import>", text), diagnostics) or text


def policy_name(tree: Tree) -> str:
    """`kvm_6_1_192` for Linux 6.1.192."""
    version = re.sub(r"[^a-z0-9]+", "_", tree.version.lower()).strip("_")
    return f"kvm_{version}"[:MAX_NAME] if version else "kvm_of_a_tree"


def _summary(tree: Tree) -> str:
    version = re.sub(r"[^\w.+-]", "", tree.version)[:MAX_NAME]
    of = f"Linux {version}" if version else "a tree"
    return f"What KVM of {of} asks of the processor"


def _heading(tree: Tree) -> Iterator[str]:
    version = re.sub(r"[^\w.+-]", "", tree.version)[:MAX_NAME]
    yield f"# Read from Linux {version or 'of unknown version'}, whose KVM states it as {tree.form}, on x86-64:"
    yield from (f"#   {digest}  {path}" for digest, path in digests(tree))
    if tree.patchable:
        yield "#   require   KVM does not load without it"
    yield "#   prefer    used where the processor has it"
    if tree.patchable:
        yield "#   allow     that too, but off in a new vCPU"


def _statements(tree: Tree, word: str, database: Database, diagnostics: Diagnostics) -> Iterator[str]:
    required, optional = tree.required(word), tree.optional(word)
    forced = tree.blocks.forced.get(word, 0)
    off = tree.behaviour.always_cleared(word) & ~forced
    for verb, mask in (("require", required), ("prefer", optional & ~off), ("allow", optional & off)):
        names = []
        for bit in (bit for bit in range(64) if mask >> bit & 1):
            control = database.words[word].by_bit.get(bit)
            if control is None:
                own = tree.names_by_word[word].get(bit, "?")
                message = f"bit {bit} of {database.words[word].sdm}, {own} in the tree, has no name in the specs"
                diagnostics.report(codes.UNNAMED_BIT, message, help="add the control to a folder of specs of your own")
                yield f"# {verb} bit {bit} ({own}), for which the specs have no name"
            else:
                names.append(control.name)
        if names:
            yield f"{verb} {', '.join(names)}"
