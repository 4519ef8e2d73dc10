"""The words of one statement as they are written, and the blanks that belong between them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vmcsc.records import dataclass

_PIECE = re.compile(
    r'(?P<comment>\#[^\n]*)|(?P<string>"(?:[^"\\\n]++|\\.)*+")|(?P<word>[A-Za-z0-9_]+)'
    r"|(?P<space>[ \t\r\n]+)|(?P<mark>==|!=|<=|>=|<<|>>|\.\.|.)",
    re.DOTALL,
)

_DIRECTIVE = re.compile(r"#\s*vmcsc:")

STANCES = frozenset({"require", "forbid", "prefer", "avoid", "allow"})
_OPERATORS = frozenset({"and", "or", "not", "in", "when", "where"})
"""Words before which an expression ends and behind which one begins."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word, sign, string or comment; `broken` if the author began a line with it."""

    text: str
    start: int
    broken: bool = False

    @property
    def is_comment(self) -> bool:
        return self.text.startswith("#")

    @property
    def is_directive(self) -> bool:
        """Whether it is a comment that says something of its line, or of the next, to this program."""
        return self.is_comment and _DIRECTIVE.search(self.text) is not None


def words_of(text: str, start: int, end: int) -> list[Word]:
    """The words of `text[start:end]`, comments among them without the blanks behind."""
    found: list[Word] = []
    broken = False
    for match in _PIECE.finditer(text, start, end):
        if match.lastgroup == "space":
            broken = broken or "\n" in match.group()
            continue
        found.append(Word(match.group().rstrip(" \t\r"), match.start(), broken))
        broken = False
    return found


def gaps_between(words: Sequence[Word]) -> list[str]:
    """What stands before each of `words`, which hold no comment: nothing or a blank."""
    lead = lead_of(words)
    gaps: list[str] = []
    brackets = 0
    for index, word in enumerate(words):
        brackets += (word.text == "[") - (index > 0 and words[index - 1].text == "]")
        gaps.append("" if index == 0 or _close(words, index, lead, brackets > 0) else " ")
    return gaps


def _close(words: Sequence[Word], index: int, lead: int, in_brackets: bool) -> bool:
    """Whether nothing stands between the word at `index` and the one before it."""
    before, here = words[index - 1].text, words[index].text
    if here in (",", ")", "]", ".", "..") or before in ("(", "[", ".", ".."):
        return True
    if ":" in (here, before):
        return in_brackets
    if before in ("-", "~") and not _ends_operand(words, index - 2, lead):
        return True
    return here in ("(", "[") and _ends_operand(words, index - 1, lead)


def _ends_operand(words: Sequence[Word], index: int, lead: int) -> bool:
    """Whether an operand ends with the word at `index`, so that `-` behind it means subtraction."""
    if index < lead:
        return False
    text = words[index].text
    if text in _OPERATORS:
        return index > 0 and words[index - 1].text == "."
    return text in (")", "]") or text[0] in '"_' or text[0].isalnum()


def lead_of(words: Sequence[Word]) -> int:
    """How many words say what the statement does, before its names, targets, operands or expression."""
    texts = [word.text for word in words[:3]]
    if texts[:1] == ["override"]:
        return 1 + lead_of(words[1:])
    match texts:
        case [_, "=" | ".", *_] | []:
            return 0
        case ["for" | "state" | "guest" | "event" | "on" | "set" | "param", _, *_]:
            return 2
        case ["policy", _, "extends"]:
            return 3
        case ["intercept" | "pass", *_]:
            return 1 + sum(1 for text in texts[1:] if text in ("read", "write"))
    return 1


def assigned_at(words: Sequence[Word]) -> int | None:
    """Where the `=` of an assignment to a field is, or None if the statement is none."""
    for index, word in enumerate(words):
        if word.text == "=":
            return index
        if not (word.text == "." or word.text[0] == "_" or word.text[0].isalnum()):
            return None
        if index and word.text != "." and words[index - 1].text not in (".", "override"):
            return None
    return None
