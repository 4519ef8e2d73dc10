"""Lists of controls in a tree: a macro, or the value of a local variable, as rows of text that can be edited."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmcsc.kvm.sources import KernelFile
from vmcsc.records import dataclass

MACRO, STATEMENT = "macro", "statement"

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_NAMES = r"\s*(?:0|[A-Za-z_]\w*(?:\s*\|\s*[A-Za-z_]\w*)*)\s*"
_LIST = re.compile(rf"{_NAMES}|\({_NAMES}\)")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list: its text without the line end, and the names that stand in it. There are none in a line that
    is no part of the expression, such as a directive, or what is compiled elsewhere."""

    text: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class ItemList:
    """A list in `file`, from `start` to `end`, which are where lines begin. `name` is that of the macro or variable.

    `adds`: it is a statement that adds to a list; `condition`: it does so only if something holds.
    """

    file: KernelFile
    kind: str
    name: str
    start: int
    end: int
    rows: tuple[Row, ...]
    adds: bool = False
    condition: bool = False

    @property
    def items(self) -> tuple[str, ...]:
        return tuple(item for row in self.rows for item in row.items)


class NotAList(Exception):
    """Something else than names with `|` between them. The argument says what."""


def read_macro(file: KernelFile, name: str) -> ItemList | None:
    """The macro, where the file defines it. Raises `NotAList`."""
    found = file.macros.get(name)
    if found is None:
        return None
    if len(found) > 1:
        raise NotAList(f"{name} is defined more than once")
    macro = found[0]
    if not _LIST.fullmatch(" ".join(macro.text.replace("\\\n", " ").split())):
        raise NotAList(f"{name} is not a list of names")
    return _listed(file, MACRO, name, macro.start, macro.end, macro.at)


def read_statements(file: KernelFile, body: tuple[int, int], name: str) -> Iterator[ItemList]:
    """Each statement in the function that sets the variable or adds to it, in their order. Raises `NotAList`."""
    for match in re.finditer(rf"(?<![\w.>]){name}\s*(\|?=)(?!=)([^;=]*);", file.code[slice(*body)]):
        start, at, end = (body[0] + place for place in (match.start(), match.start(2), match.end()))
        if not _LIST.fullmatch(" ".join(match.group(2).split())):
            raise NotAList(f"what is put into {name} is not a list of names")
        before = file.code[max(body[0], start - 200) : start].rstrip()
        condition = before.endswith(")") or re.search(r"\b(else|do)$", before) is not None
        yield _listed(file, STATEMENT, name, start, end, at, adds=match.group(1) == "|=", condition=condition)


def _listed(
    file: KernelFile, kind: str, name: str, start: int, end: int, at: int, *, adds: bool = False,
    condition: bool = False,
) -> ItemList:  # fmt: skip
    """The list whose value begins at `at`, in whole lines."""
    first = file.text.rfind("\n", 0, start) + 1
    last = file.text.find("\n", end)
    last = len(file.text) if last < 0 else last + 1
    rows, place = [], first
    for line in file.text[first:last].removesuffix("\n").split("\n"):
        code = file.code[place : place + len(line)]
        code = " " * max(0, at - place) + code[max(0, at - place) :]
        rows.append(Row(line, tuple(_IDENTIFIER.findall(code))))
        place += len(line) + 1
    return ItemList(file, kind, name, first, last, tuple(rows), adds, condition)
