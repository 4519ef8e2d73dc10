"""Dumps and messages in every form that specs/kernels/dumps.yaml describes, written from its own texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import yaml

from vmcsc.resources import SPECS

_SLOT = re.compile(r"<(?:(\w+) )?(\w*|\*)(?:\[(\d+):(\d+)\])?(?::(\d+|d))?>")

RAW: dict[str, Any] = yaml.safe_load((SPECS / "kernels" / "dumps.yaml").read_text())


def texts(pieces: list[Any], era: str = "") -> Iterator[str]:
    """The texts of pieces of an era, those with a `for` once for each of its strings."""
    for piece in pieces:
        raw: dict[str, Any] = {"text": piece} if isinstance(piece, str) else piece
        if raw.get("era", era) != era or (raw.get("tells") and raw["tells"] != era):
            continue
        lists = raw.get("for", {})
        for values in product(*lists.values()):
            text = raw["text"]
            for name, value in zip(lists, values, strict=True):
                text = text.replace(f"{{{name}}}", value).replace(f"{{{name.upper()}}}", value.upper())
            yield text


def filled(text: str, values: Mapping[str, int]) -> str:
    """The text with numbers, those of fields among `values` (else 0), of which bits may be asked."""

    def number(found: re.Match[str]) -> str:
        _, name, high, low, digits = found.groups()
        if digits is None:
            return "x"
        value = values.get(name, 0)
        if high is not None:
            value = value >> int(low) & (1 << int(high) - int(low) + 1) - 1
        return str(value) if digits == "d" else f"{value:0{digits}x}"

    return _SLOT.sub(number, text)


def written(form: str, values: Mapping[str, int], era: str = "", skip: tuple[str, ...] = ()) -> str:
    """A dump with a line for each piece of the form whose text does not hold one of `skip`."""
    lines = []
    for one in RAW["forms"]:
        if one["name"] == form:
            lines += [filled(text, values) for text in list(texts(one["begins"]))[:1]]
            for section in one["sections"]:
                lines += [section["heading"]] if "heading" in section else []
                found = [text for text in texts(section["pieces"], era) if not any(word in text for word in skip)]
                lines += [filled(text, values) for text in found]
    return "\n".join(lines) + "\n"


def messages(values: Mapping[str, int]) -> list[str]:
    """Each message once."""
    return [filled(event["text"], values).replace("x [", "x-feature [") for event in RAW["events"]]
