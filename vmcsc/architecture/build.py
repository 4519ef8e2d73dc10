"""Plain values of the spec files to model objects. Assumes that they fit their schemas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from vmcsc.architecture import model

_Raw = Mapping[str, Any]

ENTRY_KEYS = ("name", "sdm", "summary", "section", "also", "linux", "status", "exists")


def bit_range(at: int | str) -> tuple[int, int]:
    """`7` or `"7:4"` as (high, low)."""
    if isinstance(at, int):
        return at, at
    high, _, low = at.partition(":")
    return int(high), int(low or high)


def mask_of(ranges: Iterable[int | str]) -> int:
    mask = 0
    for at in ranges:
        high, low = bit_range(at)
        mask |= ((1 << (high - low + 1)) - 1) << low
    return mask


def _entry(raw: _Raw) -> dict[str, Any]:
    values = {key: raw[key] for key in ENTRY_KEYS if key in raw}
    values["also"] = tuple(raw.get("also", ()))
    values.setdefault("sdm", raw["name"])
    return values


def bits(raw: _Raw) -> model.Bits:
    high, low = bit_range(raw["at"])
    return model.Bits(
        raw["name"],
        high,
        low,
        raw.get("sdm", raw["name"]),
        raw.get("summary", ""),
        dict(raw.get("values", {})),
        raw.get("status", "sdm"),
        raw.get("qemu"),
        raw.get("libvirt"),
        raw.get("vmxcap"),
        raw.get("common", _default_common(high - low + 1)),
        raw.get("numbers"),
    )


def _default_common(width: int) -> str:
    """A single bit stands for a feature, which several processors have where each has it."""
    return "and" if width == 1 else "equal"


def layout(raw: _Raw) -> model.Layout:
    return model.Layout(
        **_entry(raw),
        width=raw["width"],
        bits=tuple(bits(entry) for entry in raw.get("bits", ())),
        reserved=mask_of(raw.get("reserved", ())),
        fixed_1=mask_of(raw.get("fixed_1", ())),
    )


def field(raw: _Raw) -> model.Field:
    return model.Field(
        **_entry(raw),
        encoding=raw["encoding"],
        size=str(raw["width"]),
        type=raw["type"],
        access=raw["access"],
        layout=raw.get("layout"),
    )


def control(raw: _Raw, word: str) -> model.Control:
    return model.Control(
        **_entry(raw),
        word=word,
        bit=raw["bit"],
        default1=raw.get("default1", False),
        linux_feature=raw.get("linux_feature"),
        qemu=raw.get("qemu"),
        vmxcap=raw.get("vmxcap"),
    )


def control_word(raw: _Raw, controls: tuple[model.Control, ...]) -> model.ControlWord:
    """`controls` are those of this file and of overlays that add to the word, in the order of their bits."""
    return model.ControlWord(
        name=raw["word"],
        sdm=raw["sdm"],
        section=raw["section"],
        summary=raw["summary"],
        also=tuple(raw.get("also", ())),
        field=raw["field"],
        width=raw["width"],
        msr=raw["capability"]["msr"],
        true_msr=raw["capability"].get("true_msr"),
        allowed_0=raw["capability"]["form"] == "allowed_0_and_1",
        activated_by=raw.get("activated_by"),
        reserved_default1=mask_of(raw.get("reserved_default1", ())),
        controls=controls,
        vmxcap=raw.get("vmxcap"),
    )


def msr(raw: _Raw) -> model.Msr:
    return model.Msr(
        **_entry(raw),
        index=raw["index"],
        capability=raw.get("capability", False),
        form=raw.get("form", "bits"),
        bits=tuple(bits(entry) for entry in raw.get("bits", ())),
        reserved=mask_of(raw.get("reserved", ())),
        layout=raw.get("layout"),
        vmxcap=raw.get("vmxcap"),
        fixes=raw.get("fixes"),
    )


def fact(raw: _Raw) -> model.Fact:
    return model.Fact(
        **_entry(raw),
        width=raw["width"],
        cpuid=_cpuid(raw.get("cpuid")),
        bits_of=raw.get("bits_of"),
        between=None if "between" not in raw else (raw["between"][0], raw["between"][1]),
        needed=raw.get("needed", False),
        qemu=raw.get("qemu"),
        common=raw.get("common", _default_common(raw["width"])),
    )


def _cpuid(raw: _Raw | None) -> model.Cpuid | None:
    if raw is None:
        return None
    high, _, low = str(raw["bits"]).partition(":")
    return model.Cpuid(raw["leaf"], raw.get("subleaf"), raw["register"], int(high), int(low or high))


def exit_reason(raw: _Raw) -> model.ExitReason:
    return model.ExitReason(**_entry(raw), number=raw["number"], qualification=raw.get("qualification"))


def instruction_error(raw: _Raw) -> model.InstructionError:
    return model.InstructionError(**_entry(raw), number=raw["number"])


def exception(raw: _Raw) -> model.ExceptionVector:
    return model.ExceptionVector(
        **_entry(raw), vector=raw["vector"], mnemonic=raw.get("mnemonic"), error_code=raw["error_code"]
    )


def bitmap(raw: _Raw) -> model.Bitmap:
    qualified = raw.get("qualified")
    return model.Bitmap(
        **_entry(raw),
        storage=raw["storage"],
        targets=raw["targets"],
        unit=raw["unit"],
        control=raw.get("control"),
        regions=tuple(model.Region(**region) for region in raw["regions"]),
        qualified=None if qualified is None else model.Qualified(**qualified),
    )


def rules(raw: _Raw) -> Iterator[model.Rule]:
    """One rule, or one for each combination of what its `for` lists."""
    names = list(raw.get("for", {}))
    for values in product(*raw.get("for", {}).values()):
        filled = dict(zip(names, values, strict=True))
        each = raw.get("each")
        yield model.Rule(
            _filled(raw["id"], filled),
            raw["code"],
            raw["section"],
            None if "when" not in raw else _filled(raw["when"], filled),
            _filled(raw["require"], filled),
            dict(raw["outcome"]),
            _filled(raw["why"], filled),
            None if "hint" not in raw else _filled(raw["hint"], filled),
            raw["id"],
            None if each is None else _each(each),
            tuple(dict(outcome) for outcome in raw.get("other_outcomes", ())),
        )


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _each(text: str) -> tuple[str, str]:
    """`entry of vm_entry_msr_load` as the name of an element and that of the area."""
    name, _, area = text.partition(" of ")
    return name.strip(), area.strip()


def function(raw: _Raw) -> model.Function:
    return model.Function(raw["name"], dict(raw["parameters"]), raw["width"], raw["body"], raw["summary"])


def area(raw: _Raw) -> model.Area:
    return model.Area(raw["name"], str(raw["address"]), str(raw["count"]), raw["size"], raw["layout"], raw["summary"])


def cause(raw: _Raw) -> model.Cause:
    return model.Cause(raw["name"], tuple(raw["rules"]), raw.get("when"), raw["cause"])


def state(raw: _Raw) -> model.StateBits:
    return model.StateBits(raw["name"], raw["width"], dict(raw.get("values", {})), raw["summary"])


def stage(raw: _Raw) -> model.Stage:
    outcomes = tuple(pair for outcome in raw["outcomes"] for pair in outcome.items())
    return model.Stage(raw["name"], raw["section"], outcomes, raw["summary"])


def code_text(raw: _Raw) -> model.CodeText:
    return model.CodeText(**raw)


def encoding(raw: _Raw) -> model.FieldEncoding:
    high, index, kind, width = (bit_range(raw[key]["at"]) for key in ("high_access", "index", "type", "width"))
    return model.FieldEncoding(
        high_access=raw["high_access"]["value"] << high[1],
        index=index,
        type=kind,
        width=width,
        types=dict(raw["type"]["values"]),
        widths=dict(raw["width"]["values"]),
        high_width=raw["high_width"],
        section=raw["section"],
    )
