"""What one source says of a processor, collected bit by bit; what contradicts itself is a finding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import ControlWord, Msr
from vmcsc.capabilities.cpu import Capabilities, Cpu
from vmcsc.diagnostic import Diagnostics, Label, Severity
from vmcsc.expression.value import Value, known
from vmcsc.records import dataclass, field
from vmcsc.source import Source, Span

MAX_SUGGESTIONS = 50
SHOWN = 3
"""How many of the things that a text holds besides are shown; the others are only counted."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What an MSR of allowed settings says of one control."""

    must_be_1: bool
    may_be_1: bool


FIXED_0, FREE, FIXED_1 = Setting(False, False), Setting(False, True), Setting(True, True)


@dataclass
class Readings:
    """MSRs and facts as far as they were read; `origins` says where, as in `Cpu`."""

    database: Database
    diagnostics: Diagnostics
    msrs: dict[str, Value] = field(default_factory=dict)
    facts: dict[str, Value] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    _places: dict[tuple[str, int], Span] = field(default_factory=dict)

    def find_msr(self, key: str | int) -> Msr | None:
        """The MSR of an index, or of any name that it has in any case."""
        if isinstance(key, int):
            return self.database.msr_by_index.get(key)
        plain = key.lower()
        return self.database.msr_names.get(plain) or self.database.msr_names.get(plain.removeprefix("msr_"))

    def did_you_mean(self, word: str, names: Iterable[str]) -> str | None:
        """A name that is near to `word`. Only for the first few findings: in a hostile text there are many."""
        if len(self.diagnostics) > MAX_SUGGESTIONS or len(word) > 100:
            return None
        near = get_close_matches(word.lower(), names, n=1)
        return f"did you mean `{near[0]}`?" if near else None

    def take_bits(self, msr: Msr, read: Value, span: Span) -> None:
        """Some bits of an MSR, which agree with what is known of it, or else are reported at `span`."""
        before = self.msrs.get(msr.name, Value(64, 0, 0))
        wrong = (before.bits ^ read.bits) & before.known & read.known
        if wrong:
            bit = (wrong & -wrong).bit_length() - 1
            place = self._places.get((msr.name, bit)) or self._places.get((msr.name, -1))
            labels = [] if place is None else [Label(place, "this says otherwise")]
            message = f"{msr.sdm} bit {bit} is said to be 0 and to be 1"
            self.diagnostics.report(codes.CPU_INCONSISTENT, message, span, labels=labels)
            return
        self.msrs[msr.name] = Value(64, before.bits | read.bits, before.known | read.known)
        self.origins.setdefault(msr.name, str(span))
        new = read.known & ~before.known
        if new.bit_count() > 32:
            self._places[msr.name, -1] = span
        else:
            self._places.update(((msr.name, bit), span) for bit in range(64) if new >> bit & 1)

    def take_setting(self, word: ControlWord, mask: int, plain: Setting, true: Setting, span: Span) -> None:
        """What the capability MSRs say of the controls `mask` of `word`: the plain one, and the TRUE one."""
        if not word.allowed_0:
            self.take_bits(self.database.msrs[word.msr], Value(64, mask * plain.may_be_1, mask), span)
            return
        self.take_bits(self.database.msrs[word.msr], _halves(mask, plain), span)
        if word.true_msr is not None:
            self.take_bits(self.database.msrs[word.true_msr], _halves(mask, true), span)

    def take_default1(self, word: ControlWord, span: Span) -> None:
        """The plain MSR reports every control of the default1 class, reserved ones too, as one that must be 1."""
        named = sum(control.mask for control in word.controls if control.default1)
        if word.allowed_0:
            self.take_bits(self.database.msrs[word.msr], _halves(named | word.reserved_default1, FIXED_1), span)

    def take_fact(self, name: str, raw: int, span: Span, mask: int = -1) -> None:
        fact = self.database.facts.get(name)
        if fact is None:
            message = f"nothing asks a processor for `{name}`"
            help = self.did_you_mean(name, self.database.facts)
            self.diagnostics.report(codes.CPU_UNREADABLE, message, span, help=help)
        elif not 0 <= raw < 1 << fact.width:
            message = f"`{name}` is {fact.width} bits wide; {raw} does not fit"
            self.diagnostics.report(codes.CPU_UNREADABLE, message, span)
        elif name in self.facts:
            self.diagnostics.report(codes.CPU_INCONSISTENT, f"`{name}` is given twice", span)
        elif fact.needed and not raw and mask & 1:
            message = f"`{name}` is 0: without {fact.sdm} no policy can hold"
            self.diagnostics.report(codes.CPU_WITHOUT_VMX, message, span, notes=[fact.summary])
        else:
            self.facts[name] = Value(fact.width, raw, mask)

    def drop_absent(self) -> None:
        """Remove MSRs that by the others do not exist, where a tool shows them as 0 or does not say which it read."""
        true_msrs = {word.true_msr for word in self.database.words.values()}
        capabilities = Capabilities(self.database, self.cpu("", ""))
        for name in list(self.msrs):
            absent = capabilities.exists(self.database.msrs[name]) is False
            if absent and (not self.msrs[name].bits or name in true_msrs):
                del self.msrs[name]

    def cpu(self, name: str, title: str) -> Cpu:
        return Cpu(name, title, dict(self.msrs), dict(self.facts), dict(self.origins))


@dataclass
class Ignored:
    """The parts of a text that say nothing of a processor, gathered into one finding."""

    what: str
    spans: list[Span] = field(default_factory=list)

    def report(self, diagnostics: Diagnostics) -> None:
        if not self.spans:
            return
        shown = [f"line {span.first.line}: {span.text[:60].strip()}" for span in self.spans[:SHOWN]]
        more = len(self.spans) - len(shown)
        notes = [*shown, f"and {more} more"] if more else shown
        count = len(self.spans)
        message = f"{count} {self.what}{'s' if count > 1 else ''} not understood, and passed over"
        diagnostics.report(codes.TEXT_IGNORED, message, self.spans[0], notes=notes if count > 1 else ())


def lines(source: Source) -> Iterator[Span]:
    """Every line of a text without its end."""
    start = 0
    for line in source.text.split("\n"):
        yield Span(source, start, start + len(line.rstrip("\r")))
        start += len(line) + 1


def check_consistent(cpu: Cpu, database: Database, span: Span | None, diagnostics: Diagnostics) -> None:
    """An MSR that other MSRs say the processor does not have cannot have been read."""
    for message in inconsistencies(cpu, database):
        diagnostics.report(codes.CPU_INCONSISTENT, message, span)


def inconsistencies(cpu: Cpu, database: Database) -> Iterator[str]:
    """What in the MSRs of `cpu` contradicts itself, a sentence each."""
    capabilities = Capabilities(database, cpu)
    for name in cpu.msrs:
        msr = database.msrs[name]
        if capabilities.exists(msr) is False:
            yield f"{msr.sdm} has a value, but by the other MSRs the processor does not have it ({msr.exists})"
    for word in database.words.values():
        allowed = capabilities.allowed(word)
        both = allowed.must_be_1.bits & allowed.may_be_1.known & ~allowed.may_be_1.bits
        if both:
            yield f"{allowed.msr.sdm} says that the bits {both:#x} must be 1 and must be 0"


def failed_since(diagnostics: Diagnostics, before: int, suppressed: int = 0) -> bool:
    """Whether an error was added to `diagnostics` since it held `before` findings."""
    new = diagnostics.found[before:]
    return diagnostics.suppressed_errors > suppressed or any(found.severity is Severity.ERROR for found in new)


def whole(bits: int) -> Value:
    """A value of an MSR of which every bit was read."""
    return known(64, bits)


def _halves(mask: int, setting: Setting) -> Value:
    """The bits of an MSR with allowed 0-settings in its lower half and allowed 1-settings in its upper half."""
    bits = (mask if setting.must_be_1 else 0) | (mask if setting.may_be_1 else 0) << 32
    return Value(64, bits, mask | mask << 32)
