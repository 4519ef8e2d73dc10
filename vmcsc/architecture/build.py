"""Plain values of the spec files to model objects. Assumes that they fit their schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    )


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
    )


def fact(raw: _Raw) -> model.Fact:
    return model.Fact(**_entry(raw), width=raw["width"], cpuid=_cpuid(raw.get("cpuid")))


def _cpuid(raw: _Raw | None) -> str | None:
    """As the SDM writes it: `CPUID.(EAX=07H,ECX=0):EBX[2]`."""
    if raw is None:
        return None
    leaf = f"EAX={raw['leaf']:02X}H"
    subleaf = f",ECX={raw['subleaf']}" if "subleaf" in raw else ""
    place = raw.get("bits", raw.get("bit"))
    return f"CPUID.({leaf}{subleaf}):{raw['register'].upper()}[{place}]"


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


def rule(raw: _Raw) -> model.Rule:
    return model.Rule(
        raw["id"],
        raw["code"],
        raw["section"],
        raw.get("when"),
        raw["require"],
        dict(raw["outcome"]),
        raw["why"],
        raw.get("hint"),
    )


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
