"""All of the specs in one immutable object, with the look-ups that later stages need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from vmcsc.architecture import model
from vmcsc.cache import Cache
from vmcsc.records import dataclass
from vmcsc.source import Span


@dataclass(frozen=True, eq=False)
class Database:
    """The facts of VMX. Mappings are keyed by the snake_case names and keep the order of the files.

    `folders` are the spec folders, the shipped one first; `origins` says where each entry is written, by kind and
    name. In `cache`, if there is one, is kept what is made of specs of this content, which is called `key`.
    """

    version: str
    manual: str
    edition: str
    encoding: model.FieldEncoding
    fields: Mapping[str, model.Field]
    words: Mapping[str, model.ControlWord]
    layouts: Mapping[str, model.Layout]
    msrs: Mapping[str, model.Msr]
    facts: Mapping[str, model.Fact]
    exit_reasons: Mapping[str, model.ExitReason]
    instruction_errors: Mapping[str, model.InstructionError]
    exceptions: Mapping[str, model.ExceptionVector]
    bitmaps: Mapping[str, model.Bitmap]
    rules: tuple[model.Rule, ...]
    functions: Mapping[str, model.Function]
    areas: Mapping[str, model.Area]
    causes: tuple[model.Cause, ...]
    state: Mapping[str, model.StateBits]
    stages: tuple[model.Stage, ...]
    codes: Mapping[str, model.CodeText]
    folders: tuple[Path, ...]
    origins: Mapping[tuple[str, str], Span]
    cache: Cache | None = None
    key: str = ""

    def __repr__(self) -> str:
        """Short: the whole of it would fill megabytes of a traceback."""
        return f"Database({self.version!r}, {[str(folder) for folder in self.folders]})"

    @cached_property
    def controls(self) -> Mapping[str, model.Control]:
        """Every control by its path, `primary.hlt_exiting`."""
        return {control.path: control for word in self.words.values() for control in word.controls}

    @cached_property
    def controls_by_name(self) -> Mapping[str, tuple[model.Control, ...]]:
        """Controls by their bare name; a few names stand in more than one word."""
        named: dict[str, tuple[model.Control, ...]] = {}
        for control in self.controls.values():
            named[control.name] = (*named.get(control.name, ()), control)
        return named

    @cached_property
    def word_of_field(self) -> Mapping[str, model.ControlWord]:
        return {word.field: word for word in self.words.values()}

    @cached_property
    def field_by_encoding(self) -> Mapping[int, model.Field]:
        """Fields by encoding, their high halves included."""
        found = {field.encoding: field for field in self.fields.values()}
        for field in self.fields.values():
            high = self.encoding.high(field)
            if high is not None:
                found[high] = field
        return found

    @cached_property
    def conditional_fields(self) -> tuple[tuple[model.Field, ...], ...]:
        """The fields that some processors do not have, those that exist under one condition together."""
        grouped: dict[tuple[str, bool], list[model.Field]] = {}
        for field in self.fields.values():
            if field.exists is not None:
                grouped.setdefault((field.exists, field.status == "internal"), []).append(field)
        return tuple(tuple(fields) for fields in grouped.values())

    @cached_property
    def msr_by_index(self) -> Mapping[int, model.Msr]:
        return {msr.index: msr for msr in self.msrs.values()}

    @cached_property
    def msr_names(self) -> Mapping[str, model.Msr]:
        """MSRs by every snake_case name they have (`ia32_fs_base`, `fs_base`)."""
        names = {name: msr for msr in self.msrs.values() for name in msr.also if name.isidentifier()}
        return {**names, **self.msrs}

    @cached_property
    def capability_msrs(self) -> tuple[model.Msr, ...]:
        return tuple(sorted((m for m in self.msrs.values() if m.capability), key=lambda msr: msr.index))

    @cached_property
    def active_order(self) -> tuple[model.ControlWord, ...]:
        """The control words, each behind the one that activates it."""
        return tuple(
            sorted(self.words.values(), key=lambda w: (len(list(self.activators(w))), self.fields[w.field].encoding))
        )

    def activators(self, word: model.ControlWord) -> Iterator[model.Control]:
        """The controls that must be 1 for `word` to be in force, the nearest first."""
        path = word.activated_by
        while path is not None:
            control = self.controls[path]
            yield control
            path = self.words[control.word].activated_by

    def layout_of(self, field: model.Field | model.Msr) -> model.Layout | None:
        return None if field.layout is None else self.layouts[field.layout]

    def files(self, folder: str, suffix: str) -> Mapping[str, Path]:
        """The files `folder/*suffix` of every spec folder by name, `-` and `.` in it read as `_`."""
        found: dict[str, Path] = {}
        for root in self.folders:
            for path in sorted((root / folder).glob(f"*{suffix}")):
                found[path.name.removesuffix(suffix).replace("-", "_").replace(".", "_")] = path
        return found
