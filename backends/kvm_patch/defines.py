"""Names for controls that the tree has none for: a line beside those of the other controls of the word."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmcsc.architecture.kvm import KvmWord
from vmcsc.architecture.model import Control
from vmcsc.kvm.sources import KernelFile
from vmcsc.kvm.tree import Tree

from .plan import Plan

VALUE_COLUMN, TAB = 48, 8


def defined(plan: Plan, tree: Tree) -> Iterator[tuple[KernelFile, int, str]]:
    """Lines to insert: the file, where the line goes, and its text."""
    for name, control in plan.defines.items():
        word = tree.kvm.words[control.word]
        if tree.features is not None and _is_made_of_features(tree, word):
            feature = name.removeprefix(word.prefix)
            place = _place(tree.features, control, _features(tree, word))
            yield tree.features, place, _feature(f"{tree.kvm.feature_prefix}{feature}", control, word)
            value = f"{tree.kvm.feature_bit}({feature})"
        else:
            value = f"0x{control.mask:08x}" if control.mask < 1 << 32 else f"BIT_ULL({control.bit})"
        text = _padded(f"#define {name}", VALUE_COLUMN) + value + "\n"
        yield tree.names_file, _place(tree.names_file, control, _controls(tree, control.word)), text


def _padded(text: str, column: int) -> str:
    width = len(text)
    return text + "\t" * max(1, -(-(column - width) // TAB))


def _feature(feature: str, control: Control, word: KvmWord) -> str:
    begin = _padded(f"#define {feature}", 40)
    bit = control.bit % 32
    number = (word.feature_word or 0) + control.bit // 32
    return f'{begin}({number:2d}*32+{bit:3d}) /* "" {control.sdm} */\n'


def _is_made_of_features(tree: Tree, word: KvmWord) -> bool:
    """Whether the tree defines this word's controls so."""
    if word.feature_word is None or tree.features is None:
        return False
    macros = (tree.names.macros.get(name) for name in tree.names_by_word[word.word].values())
    return any(macro.text.startswith(f"{tree.kvm.feature_bit}(") for macro in macros if macro)


def _controls(tree: Tree, word: str) -> dict[int, int]:
    """By bit, where the line of the control ends."""
    found = {}
    for bit, name in tree.names_by_word[word].items():
        for macro in tree.names_file.macros.get(name, [])[:1]:
            found[bit] = macro.end + 1
    return found


def _features(tree: Tree, word: KvmWord) -> dict[int, int]:
    assert tree.features is not None
    found = {}
    for macros in tree.features.macros.values():
        match = re.match(rf"\(\s*{word.feature_word}\s*\*\s*32\s*\+\s*(\d+)\s*\)", macros[0].text)
        if match:
            found[int(match.group(1))] = tree.features.text.find("\n", macros[0].start) + 1
    return found


def _place(file: KernelFile, control: Control, ends: dict[int, int]) -> int:
    """Behind the line of the next lower bit, or before those of the word, or at the end of the file."""
    lower = [bit for bit in ends if bit < control.bit]
    if lower:
        return ends[max(lower)]
    if ends:
        first = min(ends.values())
        return file.text.rfind("\n", 0, first - 1) + 1
    end = file.text.rfind("#endif")
    return len(file.text) if end < 0 else end
