"""The findings of a resolution: what the CPU or a rule refused, in terms of the policy's line, the MSR and its bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmcsc import codes
from vmcsc.architecture.model import Control
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.diagnostic import Code, Diagnostics, Label, Severity
from vmcsc.policy.model import Stance
from vmcsc.records import dataclass, field
from vmcsc.resolve.evidence import bit_of
from vmcsc.resolve.rules import ControlRule
from vmcsc.resolve.wishes import WordWishes
from vmcsc.resolve.words import SettledWords
from vmcsc.vmcs import Vmcs


@dataclass
class Explanation:
    """`named`: a processor was named, so that what is unknown of it is worth saying."""

    vmcs: Vmcs
    capabilities: Capabilities
    wishes: Mapping[str, WordWishes]
    settled: SettledWords
    diagnostics: Diagnostics
    named: bool
    _inactive: dict[str, list[Stance]] = field(default_factory=dict)

    def report(self) -> None:
        for control, stance in self._stances():
            self._grant(control, stance)
        self._silent()
        self._gave_way()
        self._violations()
        self._bitmaps()

    def _stances(self) -> Iterator[tuple[Control, Stance]]:
        for word in self.vmcs.database.active_order:
            for stance in self.wishes[word.name].stances.values():
                if not stance.implied:  # the control that implies it speaks for it
                    yield stance.control, stance

    # --- what the processor grants ---

    def _grant(self, control: Control, stance: Stance) -> None:
        allowed = self.capabilities.allowed(self.vmcs.database.words[control.word])
        may, must = allowed.may_be_1.bit(control.bit), allowed.must_be_1.bit(control.bit)
        positive = stance.verb in ("require", "prefer", "allow")
        refused = may is False if positive else must is True
        if refused:
            self._refused(control, stance)
        elif control.word in self.settled.inactive and stance.verb in ("require", "prefer"):
            self._inactive.setdefault(control.word, []).append(stance)
        elif self.named and stance.verb in ("require", "forbid") and (may if positive else must) is None:
            message = f"whether this CPU grants `{stance.verb} {control.name}` is unknown"
            notes = [self._unread(control)]
            self.diagnostics.report(codes.GRANT_UNKNOWN, message, stance.span, notes=notes)

    def _refused(self, control: Control, stance: Stance) -> None:
        code, message = {
            "require": (codes.REQUIRED_NOT_GRANTED, f"`{control.name}` is required, but not available"),
            "forbid": (codes.FORBIDDEN_NOT_GRANTED, f"`{control.name}` is forbidden, but cannot be 0"),
            "prefer": (codes.PREFERRED_NOT_GRANTED, f"`{control.name}` is preferred, but not available; it stays 0"),
            "avoid": (codes.AVOIDED_NOT_GRANTED, f"`{control.name}` is avoided, but cannot be 0; it is 1"),
            "allow": (codes.ALLOWED_NOT_GRANTED, f"`{control.name}` is allowed, but can never be set"),
        }[stance.verb]
        help = f"write `prefer {control.name}` if the policy can do without it" if stance.verb == "require" else None
        self.diagnostics.report(code, message, stance.span, notes=[self._evidence(control, stance)], help=help)

    def _evidence(self, control: Control, stance: Stance) -> str:
        """The MSR and bit that decide, for this CPU."""
        positive = stance.verb in ("require", "prefer", "allow")
        return f"{self.vmcs.cpu.title}: {bit_of(control, self.capabilities, positive=positive)}"

    def _unread(self, control: Control) -> str:
        msr = self.capabilities.allowed(self.vmcs.database.words[control.word]).msr
        if msr.name in self.vmcs.cpu.msrs:
            return f"{self.vmcs.cpu.title}: what is known of {msr.sdm} ({msr.index:#x}) leaves bit {control.bit} out"
        return f"{self.vmcs.cpu.title}: nobody read {msr.sdm} ({msr.index:#x})"

    def _silent(self) -> None:
        """One finding for each word that is not in force, at the first of the strongest wishes in it."""
        for word, stances in self._inactive.items():
            activator = self.settled.inactive[word]
            first = next((stance for stance in stances if stance.verb == "require"), stances[0])
            code = codes.REQUIRED_INACTIVE if first.verb == "require" else codes.INACTIVE
            message = f"`{first.control.name}` takes no effect: `{activator.path}` is 0"
            help = f"write `{first.verb} {activator.name}` in `{activator.word}`"
            about = self.wishes[activator.word].stances.get(activator.bit)
            labels = [] if about is None or about.implied else [Label(about.span, f"`{about.verb}` here")]
            others = ", ".join(f"`{stance.control.name}`" for stance in stances if stance is not first)
            notes = [f"the same holds for {others}"] if others else []
            help += " instead" if labels else ""
            self.diagnostics.report(code, message, first.span, labels=labels, notes=notes, help=help)

    # --- what the rules demand ---

    def _gave_way(self) -> None:
        for control, rule in self.settled.gave_way:
            stance = self.wishes[control.word].stances[control.bit]
            dropped = bool(self.settled.words[control.word].dropped & control.mask)
            code = codes.PREFERRED_DROPPED if dropped else codes.AVOIDED_RAISED
            what = "is preferred, but dropped" if dropped else "is avoided, but set"
            message = f"`{control.name}` {what}: {_stated(rule)}"
            self.diagnostics.report(code, message, stance.span, notes=self._because(rule), help=rule.rule.hint)

    def _violations(self) -> None:
        undecided = {rule.rule.id: controls for rule, controls in self.settled.undecided}
        only_undecided = [rule for rule, _ in self.settled.undecided if rule not in self.settled.violated]
        for rule in (*self.settled.violated, *only_undecided):
            spans = self._spans(rule)
            labels = [Label(stance.span, f"`{stance.verb} {stance.control.name}`") for stance in spans[1:]]
            span = spans[0].span if spans else self.vmcs.policy.span
            if rule.rule.id in undecided:
                names = " and ".join(f"`{control.name}`" for control in undecided[rule.rule.id])
                message = f"{names} exclude each other, and nothing says which is to give way"
                help = "write `require` for the one that matters more, or `allow` for the other"
                self.diagnostics.report(
                    codes.PREFERRED_EXCLUSIVE, message, span, labels=labels, notes=self._because(rule), help=help
                )
            else:
                code = Code(rule.rule.code, rule.rule.id, Severity.ERROR)
                message = f"VM entry would fail: {_stated(rule)}"
                self.diagnostics.report(
                    code, message, span, labels=labels, notes=self._because(rule), help=rule.rule.hint
                )

    def _spans(self, rule: ControlRule) -> list[Stance]:
        """The statements about the rule's controls, those that want a 1 first."""
        found = [self.wishes[control.word].stances.get(control.bit) for control in rule.controls]
        return [stance for stance in found if stance is not None]

    def _because(self, rule: ControlRule) -> list[str]:
        notes = [rule.rule.why, f"SDM: {rule.rule.section}"]
        for control in rule.controls:
            allowed = self.capabilities.allowed(self.vmcs.database.words[control.word])
            about = control.mask & (self.wishes[control.word].required | self.wishes[control.word].preferred)
            if about and allowed.may_be_1.bit(control.bit) is False:
                notes.insert(0, f"{self.vmcs.cpu.title}: {bit_of(control, self.capabilities, positive=True)}")
        return notes

    # --- bitmaps ---

    def _bitmaps(self) -> None:
        """A block about a bitmap of which the control is 0 does nothing."""
        paintings = {p.bitmap.name: p for p in reversed(self.vmcs.policy.paintings)}
        for painting in paintings.values():
            path = painting.bitmap.control
            if path is None or self.vmcs.control(path) is not False:
                continue
            control = self.vmcs.database.controls[path]
            message = f"`{painting.bitmap.name}` takes no effect: `{path}` is 0"
            help = f"write `{control.word} {{ require {control.name} }}`"
            self.diagnostics.report(codes.NO_EFFECT, message, painting.span, help=help)


def _stated(rule: ControlRule) -> str:
    """The rule as a clause: one control needs, or excludes, another."""
    when, require = rule.rule.when, rule.rule.require
    if when is None:
        return f"`{require}` must hold"
    excluded = require.removeprefix("not ")
    if excluded != require and " " not in excluded:
        return f"`{when}` excludes `{excluded}`"
    return f"`{when}` needs `{require}`"
