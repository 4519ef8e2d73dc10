"""What KVM does with its configuration afterwards: what each vCPU changes, and what the code around relies on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from vmcsc.architecture.kvm import Kvm, KvmWord
from vmcsc.kvm.names import Names, UnknownName
from vmcsc.kvm.sources import KernelFile
from vmcsc.records import dataclass

_CLEARED = re.compile(r"(?:&=?|return\b[^;]*&)\s*~\s*(\((?:[^()]|\([^()]*\))*\)|\w+)")
_SET = re.compile(r"\|=\s*([^;]+)")
_ADJUSTED = re.compile(r"\b\w*adjust_sec\w*\s*\(([^;]*)\)")
_CONDITIONAL = re.compile(r"\s*(?:else\b\s*)?(if|else|for|while|switch|do)\b")
_TOGGLE = re.compile(r"_controls_(?:setbit|clearbit|changebit)\s*\([^;,#]{0,400},\s*([^;#]{0,400}?)\)\s*;")
MAX_STATEMENT = 4000
"""Longer ones are no statements about controls."""

_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Change:
    """What a vCPU does to bits of a word. `condition` is the text of the condition, None where there is none."""

    mask: int
    sets: bool
    condition: str | None


@dataclass(frozen=True)
class Behaviour:
    """`vcpu`: by word what is changed when a vCPU is set up. `toggled`: by word the masks that the code changes while a
    guest runs. `pairs`: entry and exit bits that must be there both. `handled`: numbers of exit reasons that have a
    handler."""

    vcpu: Mapping[str, tuple[Change, ...]]
    toggled: Mapping[str, tuple[int, ...]]
    pairs: tuple[tuple[int, int], ...]
    handled: frozenset[int]

    def always_cleared(self, word: str) -> int:
        return _mask(one for one in self.vcpu.get(word, ()) if not one.sets and one.condition is None)

    def always_set(self, word: str) -> int:
        return _mask(one for one in self.vcpu.get(word, ()) if one.sets and one.condition is None)

    def conditions(self, word: str, bit: int, *, sets: bool) -> list[str]:
        """Under which conditions a vCPU has the bit otherwise than the configuration."""
        changes = (one for one in self.vcpu.get(word, ()) if one.mask >> bit & 1 and one.sets == sets)
        return list(dict.fromkeys(one.condition for one in changes if one.condition is not None))

    def is_toggled(self, word: str, bit: int) -> bool:
        return any(mask >> bit & 1 for mask in self.toggled.get(word, ()))


def _mask(changes: Iterator[Change]) -> int:
    mask = 0
    for one in changes:
        mask |= one.mask
    return mask


def read_behaviour(files: Sequence[KernelFile], names: Names, reasons: Names, kvm: Kvm) -> Behaviour:
    """From the files that hold the configuration and what works with it."""
    vcpu = {}
    for word in kvm.words.values():
        bodies = (file.body_text(function) for file in files for function in word.vcpu)
        vcpu[word.word] = tuple(one for body in bodies if body is not None for one in _changes(body, word, names))
    toggled: dict[str, dict[int, None]] = {}
    for file in files:
        for name, mask in _toggled(file, kvm, names):
            toggled.setdefault(name, {})[mask] = None
    pairs = [pair for file in files for pair in _pairs(file, kvm.pairs, names)]
    handled = {number for file in files for number in _handled(file, kvm.handlers, reasons)}
    changed = {name: tuple(masks) for name, masks in toggled.items()}
    return Behaviour(vcpu, changed, tuple(pairs), frozenset(handled))


def _changes(body: str, word: KvmWord, names: Names) -> Iterator[Change]:
    for text, conditions in _statements(body):
        if len(text) > MAX_STATEMENT:
            continue
        condition = " and ".join(conditions) or None
        for match in _CLEARED.finditer(text):
            yield Change(names.mask(match.group(1)), False, condition)
        for match in _SET.finditer(text):
            yield Change(names.mask(match.group(1)), True, condition)
        for match in _ADJUSTED.finditer(text):
            mask = _adjusted(match.group(1), word, names)
            if mask:
                yield Change(mask, False, condition or "the guest's CPUID says so")


def _adjusted(arguments: str, word: KvmWord, names: Names) -> int:
    """The control that a macro is about, which puts its name together from a part of it."""
    mask = 0
    for part in _WORD.findall(arguments):
        for name in (part, *(f"{word.prefix}{form}" for form in (part, f"ENABLE_{part}", f"{part}_EXITING"))):
            if name.startswith(word.prefix) and (bit := names.bit(name)) is not None:
                mask |= 1 << bit
    return mask


def _statements(body: str) -> Iterator[tuple[str, list[str]]]:
    """Each statement with the conditions that it stands under, those of `if` as they are written."""
    stack: list[str] = []
    text, depth = "", 0
    for character in body:
        if character == "{" and depth == 0:
            stack.append(_condition(text) if _CONDITIONAL.match(text) else "")
            text = ""
        elif character == "}" and depth == 0:
            if stack:
                stack.pop()
            text = ""
        elif character == ";" and depth == 0:
            match = _CONDITIONAL.match(text)
            own = [_condition(text)] if match else []
            yield text, [one for one in (*stack, *own) if one]
            text = ""
        else:
            depth += (character == "(") - (character == ")")
            text += character


def _condition(text: str) -> str:
    """`if (condition) ...` to `condition`; of what follows `else` it is only known that there is one."""
    begin = text.find("(")
    if not re.match(r"\s*if\b", text) or begin < 0:
        return "otherwise"
    depth = 0
    for place in range(begin, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return " ".join(text[begin + 1 : place].split())
    return "something holds"


def _toggled(file: KernelFile, kvm: Kvm, names: Names) -> Iterator[tuple[str, int]]:
    """Words and masks that code sets or clears at run time. Where it is a parameter, those of all callers count."""
    words = {word.changed_by: word for word in kvm.words.values()}
    for match in _TOGGLE.finditer(file.code):
        before = re.search(r"\w+$", file.code[max(0, match.start() - 60) : match.start()])
        word = words.get(before.group()) if before else None
        if word is None:
            continue
        mask = names.mask(match.group(1))
        if mask:
            yield word.word, mask
        else:
            yield from ((word.word, mask) for mask in _given(file, file.around(match.start()), word, names))


def _given(file: KernelFile, function: str | None, word: KvmWord, names: Names) -> Iterator[int]:
    """The controls of the word that callers give to the function."""
    for call in re.finditer(rf"\b{function}\s*\(([^;{{}}]{{0,400}})\)\s*;", file.code) if function else ():
        of_word = [name for name in _WORD.findall(call.group(1)) if name.startswith(word.prefix)]
        yield from (mask for name in of_word if (mask := names.mask(name)))


def _pairs(file: KernelFile, table: str, names: Names) -> Iterator[tuple[int, int]]:
    match = re.search(rf"\b{table}\s*\[\]\s*=\s*\{{(.{{0,4000}}?)\}}\s*;", file.code, re.DOTALL)
    for entry, exit in re.findall(r"\{\s*(\w+)\s*,\s*(\w+)\s*,?\s*\}", match.group(1)) if match else ():
        if (first := names.mask(entry)) and (second := names.mask(exit)):
            yield first, second


def _handled(file: KernelFile, table: str, reasons: Names) -> Iterator[int]:
    match = re.search(rf"\b{table}\s*\[\][^=;]{{0,200}}=\s*\{{(.{{0,20000}}?)\}}\s*;", file.code, re.DOTALL)
    for name in re.findall(r"\[\s*(\w+)\s*\]\s*=", match.group(1)) if match else ():
        try:
            yield reasons.named(name)
        except UnknownName:
            continue
