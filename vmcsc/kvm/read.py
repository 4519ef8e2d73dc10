"""Reads what KVM requires and uses, word by word, in whichever form the tree has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from vmcsc.architecture.kvm import Kvm, KvmWord
from vmcsc.kvm.lists import ItemList, NotAList, read_macro, read_statements
from vmcsc.kvm.names import Names, UnknownName, read_names
from vmcsc.kvm.sources import KernelFile
from vmcsc.records import dataclass

FIXED, LOCALS, MACROS = "fixed bits", "local variables", "macros"
"""The forms, from old to new."""

_MACRO_NAME = re.compile(r"_*[A-Z][A-Z0-9_]*")


@dataclass(frozen=True)
class WordLists:
    """What a tree asks of one word: masks, and the lists that they come from.

    `wanted_anyway` is the part of `optional` that is added under a condition.
    """

    word: KvmWord
    required: int
    optional: int
    required_lists: tuple[ItemList, ...] = ()
    optional_lists: tuple[ItemList, ...] = ()
    wanted_anyway: int = 0


class NotUnderstood(Exception):
    """The tree has another form than those that are known. The argument says what was looked for and where."""


def read_words(
    config: KernelFile, lists: KernelFile | None, names: Names, kvm: Kvm
) -> tuple[str, dict[str, WordLists]]:
    """The form, and the lists by word. Raises `NotUnderstood`."""
    body = config.body(kvm.config)
    if body is None:
        fixed = dict(_fixed(config, names, kvm))
        if fixed:
            return FIXED, fixed
        raise NotUnderstood(f"{config.path} has neither a function {kvm.config} nor calls of {kvm.fixed}")
    found: dict[str, WordLists] = {}
    forms: set[str] = set()
    by_msr = {word.msr: word for word in kvm.words.values()}
    for call in _calls(config, body, kvm):
        word = by_msr.get(call.msr)
        if word is None:
            raise NotUnderstood(f"{config.path} adjusts controls by {call.msr}, which is not known")
        reader = _Reader(config, body, call.place, lists, names, forms)
        required, optional = reader.lists(call.required), reader.lists(call.optional)
        found[word.word] = WordLists(
            word,
            reader.mask(required),
            reader.mask(optional),
            required,
            optional,
            reader.mask(tuple(one for one in optional if one.condition)),
        )
    if not found:
        raise NotUnderstood(f"{kvm.config} in {config.path} has no calls of {' or '.join(kvm.adjust)}")
    if len(forms) != 1:
        raise NotUnderstood(f"{kvm.config} in {config.path} takes lists from macros and from local variables at once")
    return forms.pop(), found


@dataclass(frozen=True)
class _Call:
    place: int
    required: str | None
    optional: str
    msr: str


def _calls(file: KernelFile, body: tuple[int, int], kvm: Kvm) -> Iterator[_Call]:
    functions = "|".join(map(re.escape, sorted(kvm.adjust, reverse=True)))
    for match in re.finditer(rf"\b(?:{functions})\s*\(([^()]{{0,2000}})\)", file.code[slice(*body)]):
        arguments = [" ".join(part.split()) for part in match.group(1).split(",")]
        place = body[0] + match.start()
        if len(arguments) == 4:
            yield _Call(place, arguments[0], arguments[1], arguments[2])
        elif len(arguments) == 2:
            yield _Call(place, None, arguments[0], arguments[1])
        else:
            name = match.group().partition("(")[0].strip()
            raise NotUnderstood(f"a call of {name} in {file.path} has {len(arguments)} arguments")


class _Reader:
    """Lists that one call in the function is given."""

    def __init__(
        self, config: KernelFile, body: tuple[int, int], place: int, lists: KernelFile | None, names: Names,
        forms: set[str],
    ) -> None:  # fmt: skip
        self._config = config
        self._body = (body[0], place)
        self._lists = lists
        self._names = names
        self._forms = forms

    def lists(self, argument: str | None) -> tuple[ItemList, ...]:
        """The lists behind an argument; those that refer to others before them."""
        if argument is None or argument == "0":
            return ()
        try:
            if self._lists is not None and _MACRO_NAME.fullmatch(argument):
                self._forms.add(MACROS)
                return self._macros(argument)
            self._forms.add(LOCALS)
            return self._statements(argument)
        except NotAList as error:
            raise NotUnderstood(str(error)) from error

    def _macros(self, name: str, depth: int = 0) -> tuple[ItemList, ...]:
        assert self._lists is not None
        found = read_macro(self._lists, name)
        if found is None or depth > 4:
            raise NotUnderstood(f"{self._lists.path} does not define {name}")
        inner = [item for item in found.items if read_macro(self._lists, item) is not None]
        return (found, *(one for item in inner for one in self._macros(item, depth + 1)))

    def _statements(self, name: str) -> tuple[ItemList, ...]:
        found: list[ItemList] = []
        for one in read_statements(self._config, self._body, name):
            found = [*found, one] if one.adds else [one]
        if not found:
            raise NotUnderstood(f"nothing is put into {name} in {self._config.path}")
        return tuple(found)

    def mask(self, lists: tuple[ItemList, ...]) -> int:
        inner = {one.name for one in lists[1:] if not one.adds}
        mask = 0
        for one in lists:
            for item in one.items:
                if item not in inner:
                    mask |= _value(item, self._names, one.file)
        return mask


def _value(item: str, names: Names, file: KernelFile) -> int:
    try:
        return names.value(item)
    except UnknownName as error:
        shown = " ".join(item.split())[:60]
        what = f"the headers of the tree give no value to {error}"
        raise NotUnderstood(f"{file.path} names {shown}, and {what}; is a patch applied by half?") from error


def _fixed(file: KernelFile, names: Names, kvm: Kvm) -> Iterator[tuple[str, WordLists]]:
    """Before there was a configuration, each vCPU got the same bits, as far as the processor allows them."""
    by_msr: Mapping[str, KvmWord] = {word.msr: word for word in kvm.words.values()}
    own = Names({**read_names([file]).macros, **names.macros})
    for match in re.finditer(rf"\b{kvm.fixed}\s*\(\s*(\w+)\s*,\s*\w+\s*,([^;]{{0,2000}})\)\s*;", file.code):
        word = by_msr.get(match.group(1))
        if word is not None:
            yield word.word, WordLists(word, 0, _value(match.group(2), own, file))
