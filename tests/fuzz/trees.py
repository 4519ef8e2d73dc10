"""Mutations of YAML and JSON by their values: keys and items lost, doubled, exchanged, of another kind, too deep."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import lru_cache
from random import Random
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_SAMPLE = 1 << 17

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 63, 64, 65, 0xFFFFFFFF, 1 << 64, 1 << 65, 10**39, 10**60, 1.5, float("inf")),
    *(
        "",
        " ",
        "x",
        "0x10",
        "0x" + "f" * 17,
        "1_0",
        "\u202e",
        "\x1b[31m",
        "a" * 2000,
        "\u00e4",
        "a.b",
        "../../x",
        "kind",
        "0",
    ),
    *([], {}, [[]], [None], [0], ["x"], {"": 0}, {"a": {"a": {}}}, "1 << 4096", "(" * 200, "not " * 200 + "1", "a b"),
)


@lru_cache(maxsize=512)
def _loaded(data: bytes) -> str | None:
    """The values of a sample as JSON, from which each mutation starts anew."""
    if len(data) > MAX_SAMPLE or not data.lstrip()[:1] or data.lstrip()[:1] == b"<":
        return None
    try:
        value = yaml.load(data, Loader=_LOADER)
        return json.dumps(value) if isinstance(value, dict | list) else None
    except (yaml.YAMLError, ValueError, TypeError, UnicodeError):
        return None


def mutated_data(data: bytes, random: Random) -> bytes | None:
    """`data` with some values changed, as JSON or as YAML; None if it is neither of them."""
    loaded = _loaded(data)
    if loaded is None:
        return None
    value = json.loads(loaded)
    if random.random() < 0.5:
        _thin(value, random)
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        value = _changed(value, random)
    if random.random() < 0.3:
        return json.dumps(value, indent=random.choice((None, 1)), ensure_ascii=random.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )
    text: str = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, default_flow_style=random.choice((None, False))
    )
    return text.encode("utf-8", "surrogatepass")


def _thin(value: Any, random: Random) -> None:
    """Keep a few items of each long list, some of them under a new name: an entry that nobody defined before."""
    for holder in list(_holders(value)):
        if isinstance(holder, list) and len(holder) > 4:
            start = random.randrange(len(holder))
            holder[:] = holder[start : start + random.choice((1, 2, 4))]
            for item in holder:
                for key in ("name", "id"):
                    if isinstance(item, dict) and isinstance(item.get(key), str) and random.random() < 0.8:
                        item[key] += random.choice(("_x", "_y", "2"))


def _holders(value: Any) -> list[Any]:
    """Every mapping and list in `value`, outermost first."""
    found, pending = [], [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict | list):
            found.append(one)
            pending.extend(one.values() if isinstance(one, dict) else one)
    return found


def _changed(value: Any, random: Random) -> Any:
    holders = [holder for holder in _holders(value) if holder]
    if not holders:
        return _odd(random)
    holder = random.choice(holders)
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key = random.choice(keys)
    match random.randrange(8):
        case 0:
            del holder[key]
        case 1 | 2:
            holder[key] = _odd(random)
        case 3:
            other = random.choice(holders)
            holder[key] = other[random.choice(list(other) if isinstance(other, dict) else range(len(other)))]
            return json.loads(_safe(value))  # no value stands inside itself
        case 4 if isinstance(holder, dict):
            holder[random.choice(("x", "name", "kind", "extends", "<<", "=", "", "0x10", str(key) + "_"))] = holder.pop(
                key
            )
        case 5:
            other_key = random.choice(keys)
            holder[key], holder[other_key] = holder[other_key], holder[key]
        case 6 if isinstance(holder[key], str):
            holder[key] = random.choice((holder[key] * 2, holder[key][:-1], holder[key] + "\n", "~" + holder[key]))
        case 6 if isinstance(holder[key], int):
            holder[key] = random.choice((holder[key] + 1, -holder[key], holder[key] << 40, str(holder[key])))
        case _:
            for _ in range(random.choice((1, 3, 30, 70))):
                holder[key] = [holder[key]] if random.random() < 0.5 else {"a": holder[key]}
    return value


def _odd(random: Random) -> Any:
    """A copy, since what is mutable would otherwise change for all later inputs."""
    return deepcopy(random.choice(_ODD))


def _safe(value: Any) -> str:
    try:
        return json.dumps(value)
    except (ValueError, RecursionError):
        return "{}"
