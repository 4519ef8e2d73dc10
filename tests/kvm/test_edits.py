"""Lists are edited so that they say what they shall, in as few lines as can be, and are read again as that."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.kvm_patch.edits import edited
from vmcsc.kvm.lists import ItemList, read_macro, read_statements
from vmcsc.kvm.sources import KernelFile
from vmcsc.source import Source

NAMES = [f"{letter}_EXITING" for letter in "ABCDEFGH"]
NEW = ["X_EXITING", "Y_EXITING"]


def macro(items: list[str], wide: bool) -> str:
    if not items:
        return "#define LIST 0\n"
    if wide:
        return f"#define LIST ({' | '.join(items)})\n"
    lines = ["#define LIST", *(f"\t{'(' if n == 0 else ' '}{item} |" for n, item in enumerate(items))]
    lines[-1] = lines[-1].removesuffix(" |") + ")"
    continued = [line + "\t" * (-(-(72 - len(line.expandtabs(8))) // 8)) + "\\" for line in lines[:-1]]
    return "\n".join([*continued, lines[-1], ""])


def statement(items: list[str], conditional: frozenset[int], on_a_line: int) -> str:
    """Items with a few on each line, and some lines only for 64 bits; the first and the last line are for all."""
    if not items:
        return "\tlist = 0;\n"
    groups = [items[n : n + on_a_line] for n in range(0, len(items), on_a_line)]
    lines = []
    for number, group in enumerate(groups):
        end = ";" if number == len(groups) - 1 else " |"
        line = f"\t{'list = ' if number == 0 else '       '}{' | '.join(group)}{end}"
        inside = number in conditional and 0 < number < len(groups) - 1
        lines += ["#ifdef CONFIG_X86_64", line, "#endif"] if inside else [line]
    return "\n".join([*lines, ""])


def file_of(text: str) -> KernelFile:
    return KernelFile("f.c", Source("f.c", text, Path("f.c")))


def as_macro(text: str) -> ItemList:
    found = read_macro(file_of(text), "LIST")
    assert found is not None
    return found


def as_statement(text: str) -> ItemList:
    whole = f"static int f(void)\n{{\n{text}}}\n"
    file = file_of(whole)
    body = file.body("f")
    assert body is not None
    (found,) = read_statements(file, body, "list")
    return found


def replaced(one: ItemList, drop: set[str], add: list[str]) -> str:
    text = one.file.text
    return text[: one.start] + edited(one, drop, add) + text[one.end :]


chosen = st.lists(st.sampled_from(NAMES), unique=True)
dropped, added = st.sets(st.sampled_from(NAMES)), st.lists(st.sampled_from(NEW), unique=True)


@given(items=chosen, drop=dropped, add=added, wide=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_macro_is_read_again_as_what_it_shall_be(
    items: list[str], drop: set[str], add: list[str], wide: bool
) -> None:  # fmt: skip
    text = replaced(as_macro("/* before */\n" + macro(items, wide) + "/* behind */\n"), drop, add)
    again = as_macro(text)
    assert {*again.items} == {*items} - drop | {*add}
    assert len(again.items) == len({*again.items})
    assert text.startswith("/* before */\n#define LIST")
    assert text.endswith("\n/* behind */\n")
    if not drop & {*items} and not add:
        assert text == "/* before */\n" + macro(items, wide) + "/* behind */\n"
    if not wide:
        assert all(len(line.expandtabs(8)) == 73 for line in text.splitlines() if line.endswith("\\"))


@given(
    items=chosen, drop=dropped, add=added, conditional=st.frozensets(st.integers(0, 7)), on_a_line=st.integers(1, 3),
)  # fmt: skip
@settings(max_examples=500, deadline=None)
def test_a_statement_is_read_again_as_what_it_shall_be_on_64_and_on_32_bits(
    items: list[str], drop: set[str], add: list[str], conditional: frozenset[int], on_a_line: int
) -> None:
    one = as_statement(statement(items, conditional, on_a_line))
    text = replaced(one, drop, add)
    assert {*(items_now := as_statement_of(text))} == {*items} - drop | {*add}
    assert len(items_now) == len({*items_now})
    narrow = text.replace("#ifdef CONFIG_X86_64", "#ifndef CONFIG_X86_64")
    assert {*as_statement_of(narrow)} <= {*items} - drop | {*add}


def as_statement_of(text: str) -> list[str]:
    """The items of the statement and of those that add to it, each of which must end."""
    file = file_of(text)
    body = file.body("f")
    assert body is not None
    found = list(read_statements(file, body, "list"))
    assert [one.adds for one in found] == [False, *[True] * (len(found) - 1)]
    assert file.code[slice(*body)].count(";") == len(found)
    return [item for one in found for item in one.items]


@given(items=st.lists(st.sampled_from(NAMES), unique=True, min_size=3), data=st.data())
@settings(max_examples=100, deadline=None)
def test_one_item_that_is_added_is_one_line(items: list[str], data: st.DataObject) -> None:
    before = macro(items, wide=False).splitlines()
    after = replaced(as_macro(macro(items, wide=False)), set(), [data.draw(st.sampled_from(NEW))]).splitlines()
    assert [line for line in after if line in before] == before
    assert len(after) == len(before) + 1
