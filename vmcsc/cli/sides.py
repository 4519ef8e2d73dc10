"""Differences between several sides as a table for each section, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from string import ascii_uppercase
from typing import Any

from vmcsc.capabilities.compare import Difference
from vmcsc.capabilities.settings import AllowedSetting, grouped
from vmcsc.report.cells import visible
from vmcsc.report.style import paint

Side = tuple[str, str]
"""The name of a side, and what it is."""

_COLUMNS = 3
"""Up to so many sides have a column each; more are listed by what they have."""

_SYMBOLS = {setting.value: setting.symbol for setting in AllowedSetting}
_LEGEND = "1 forced to 1, 0 forced to 0, * free, ? unknown; of other bits: their values"

_LONG_NAME = 44
"""A longer name is a list, which may be wrapped."""


def letters(count: int) -> list[str]:
    """A, B, ... Z, then A1, B1, ..."""
    return [ascii_uppercase[n % 26] + (str(n // 26) if n >= 26 else "") for n in range(count)]


def differences_text(differences: Sequence[Difference], sides: Sequence[Side], width: int | None, color: bool) -> str:
    """For people; nothing where there are no differences."""
    if not differences:
        return ""
    names = letters(len(sides))
    legend = [(name, side, what) for name, (side, what) in zip(names, sides, strict=True)]
    wide = [max(len(visible(row[column])) for row in legend) for column in range(2)]
    parts = [
        "".join(
            f"{paint('strong', f'{name:{wide[0]}}', color)}  {visible(side):{wide[1]}}  {visible(what)}".rstrip() + "\n"
            for name, side, what in legend
        )
    ]
    if len(sides) > _COLUMNS and any(_symbol(difference.texts[0]) for difference in differences):
        parts.append(f"\n{_LEGEND}\n")
    for section, found in _sections(differences):
        one = _section(found, names, None if width is None else width - 2, color)
        parts.append(f"\n{paint('note', section, color)}\n" + "".join(f"  {line}\n" for line in one.splitlines()))
    return "".join(parts)


def _sections(differences: Sequence[Difference]) -> list[tuple[str, list[Difference]]]:
    return [(section, list(found)) for section, found in groupby(differences, key=lambda d: d.section)]


def _section(found: Sequence[Difference], names: Sequence[str], width: int | None, color: bool) -> str:
    from vmcsc.cli.table import column_widths, table  # rich takes 40 ms

    heads = [[difference.place, difference.name or "(reserved)"] for difference in found]
    place = next((head[0] for head in heads if head[0]), "")
    head = ["bits" if place[:1].isdigit() else "access", "name"]
    wide = column_widths(head, heads)
    wrap_name = wide[1] > _LONG_NAME
    left = None if width is None else width - sum(wide) - 4
    if len(names) <= _COLUMNS and (wrap_name or _fits(found, len(names), left)):
        headers, values = list(names), [list(difference.texts) for difference in found]
    else:
        headers = [_matrix(names, names) if len(names) > _COLUMNS else "where"]
        values = [[_in_one(difference.texts, names)] for difference in found]
    first = 0 if place else 1
    return table(
        [*head[first:], *headers],
        [[*head[first:], *texts] for head, texts in zip(heads, values, strict=True)],
        width=width,
        color=color,
        wrap=range((1 if wrap_name else 2) - first, 2 - first + len(headers)),
    )


def _fits(found: Sequence[Difference], count: int, left: int | None) -> bool:
    """Whether columns for the sides fit into `left` without a word being broken."""
    longest = max((len(word) for d in found for text in d.texts for word in text.split()), default=0)
    return left is None or longest * count + 2 * (count - 1) <= left


def _in_one(texts: Sequence[str], names: Sequence[str]) -> str:
    """What all sides have: a symbol under the name of each, or else which of them have what."""
    symbols = [_symbol(text) for text in texts]
    if all(symbols) and len(names) > _COLUMNS:
        return _matrix(symbols, names)
    return "; ".join(f"{' '.join(who)}: {text}" for text, who in grouped(texts, names))


def _symbol(text: str) -> str:
    return _SYMBOLS.get(text, text if len(text) == 1 else "")


def _matrix(cells: Sequence[str], names: Sequence[str]) -> str:
    return " ".join(f"{cell:{len(name)}}" for cell, name in zip(cells, names, strict=True)).rstrip()


def differences_json(differences: Sequence[Difference], sides: Sequence[Side]) -> dict[str, Any]:
    """For programs: `values` of a difference are in the order of `sides`."""
    return {
        "version": 1,
        "sides": [{"name": name, "title": what} for name, what in sides],
        "differences": [_as_json(difference) for difference in differences],
    }


def _as_json(difference: Difference) -> Mapping[str, Any]:
    values = [{"text": text, **details} for text, details in zip(difference.texts, difference.details, strict=True)]
    return {
        "section": difference.section,
        "name": difference.name or None,
        "bits": difference.place or None,
        "values": values,
    }
