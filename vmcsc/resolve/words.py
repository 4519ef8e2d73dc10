"""The values of the control words on one processor, settled together: rules tie them to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control, ControlWord
from vmcsc.capabilities.cpu import Allowed, Capabilities
from vmcsc.expression import value
from vmcsc.expression.value import Value
from vmcsc.records import dataclass, field
from vmcsc.resolve.rules import ControlRule, control_rules, violated
from vmcsc.resolve.wishes import WordWishes


@dataclass(slots=True)
class _Word:
    word: ControlWord
    allowed: Allowed
    wishes: WordWishes
    value: Value
    dropped: int = 0
    raised: int = 0


@dataclass
class SettledWords:
    """The outcome: values and, for the report, which control gave way to which rule and what nobody could decide."""

    words: dict[str, _Word]
    gave_way: list[tuple[Control, ControlRule]] = field(default_factory=list)
    undecided: list[tuple[ControlRule, tuple[Control, ...]]] = field(default_factory=list)
    violated: list[ControlRule] = field(default_factory=list)
    inactive: dict[str, Control] = field(default_factory=dict)


AllowedOf = Callable[[ControlWord], Allowed]


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Controls that could give way to a rule: those that surely could, and all that perhaps could."""

    sure: tuple[Control, ...]
    possible: tuple[Control, ...]

    @property
    def only(self) -> Control | None:
        """The one candidate, where that much is certain."""
        return self.sure[0] if len(self.sure) == 1 and self.sure == self.possible else None


class _Outcome(Enum):
    NOTHING = "whatever is unknown, no control gives way to the rule"
    OPEN = "whether one does, or which, hangs on what is unknown"


class _Step(Enum):
    GAVE_WAY = "a control gave way, so that other rules may demand more"
    OPEN = "whether one gives way to a rule hangs on what is unknown"
    SETTLED = "no rule demands anything"


MAX_SETTINGS = 10_000
"""Settings of all controls for which it is kept whether they violate a rule."""


@lru_cache(maxsize=8)
def _known_settings(database: Database) -> tuple[list[tuple[str, int]], dict[tuple[tuple[int, int], ...], bool]]:
    """The bits of each word that rules between controls look at, and whether settings of them violate nothing."""
    masks: dict[str, int] = {}
    for rule in control_rules(database):
        for control in rule.controls:
            for one in (control, *database.activators(database.words[control.word])):
                masks[one.word] = masks.get(one.word, 0) | one.mask
    return list(masks.items()), {}


class _Settling:
    def __init__(self, database: Database, allowed_of: AllowedOf, wishes: Mapping[str, WordWishes]) -> None:
        self._db = database
        words = {}
        for word in database.active_order:
            allowed = allowed_of(word)
            words[word.name] = _Word(word, allowed, wishes[word.name], _initial(word, allowed, wishes[word.name]))
        self.result = SettledWords(words)
        self._widened: list[tuple[Control, bool]] = []

    def settle(self) -> SettledWords:
        rules = control_rules(self._db)
        if self._violates_nothing(rules):
            self._silence_inactive()
            return self.result
        while (stopped := self._step(rules)) is _Step.GAVE_WAY:  # each control gives way at most once, so this ends
            pass
        if stopped is _Step.OPEN:
            self._widen(rules)
            self._narrow(rules)
        self.result.violated = [rule for rule in rules if violated(rule, self.setting)]
        for rule in self.result.violated:
            candidates = self._droppable(rule).sure or self._raisable(rule).sure
            if len(candidates) > 1:
                self.result.undecided.append((rule, candidates))
        self._silence_inactive()
        return self.result

    def _violates_nothing(self, rules: Sequence[ControlRule]) -> bool:
        """Whether it is certain that no rule is violated. Many processors come to the same settings."""
        masks, answers = _known_settings(self._db)
        words = self.result.words
        key = tuple((words[name].value.bits & mask, words[name].value.known & mask) for name, mask in masks)
        if key not in answers:
            if len(answers) >= MAX_SETTINGS:
                answers.clear()
            answers[key] = all(violated(rule, self.setting) is False for rule in rules)
        return answers[key]

    def setting(self, control: Control) -> bool | None:
        """The setting in force, three-valued."""
        own = self._bit(control)
        active = self._active(control)
        return False if active is False or own is False else own if active else None

    def _bit(self, control: Control) -> bool | None:
        return self.result.words[control.word].value.bit(control.bit)

    def _active(self, control: Control) -> bool | None:
        settings = [self._bit(a) for a in self._db.activators(self._db.words[control.word])]
        return False if False in settings else None if None in settings else True

    def _set_bit(self, control: Control, setting: bool | None) -> None:
        state = self.result.words[control.word]
        bits = state.value.bits | control.mask if setting else state.value.bits & ~control.mask
        known = state.value.known & ~control.mask if setting is None else state.value.known | control.mask
        state.value = Value(state.value.width, bits, known)

    # --- where enough is known: rule by rule, in the order of the specs ---

    def _step(self, rules: Sequence[ControlRule]) -> _Step:
        """Let one control give way to the first rule that demands it."""
        for rule in rules:
            outcome = self._outcome(rule)
            if outcome is _Outcome.OPEN:
                return _Step.OPEN
            if isinstance(outcome, Control):
                self._give_way(outcome, rule)
                return _Step.GAVE_WAY
        return _Step.SETTLED

    def _give_way(self, control: Control, rule: ControlRule) -> None:
        raising = self._bit(control) is False
        state = self.result.words[control.word]
        if raising:
            state.raised |= control.mask
        else:
            state.dropped |= control.mask
        self._set_bit(control, raising)
        self.result.gave_way.append((control, rule))

    def _outcome(self, rule: ControlRule) -> Control | _Outcome:
        """The control that gives way to the rule."""
        whether = violated(rule, self.setting)
        if whether is False:
            return _Outcome.NOTHING
        drop, lift = self._droppable(rule), self._raisable(rule)
        if len(drop.sure) > 1 or (not drop.possible and (len(lift.sure) > 1 or not lift.possible)):
            return _Outcome.NOTHING
        only = drop.only if drop.possible else lift.only
        return only if whether and only is not None else _Outcome.OPEN

    def _droppable(self, rule: ControlRule) -> _Candidates:
        """Controls at 1 only because they are preferred, the dropping of which mends the rule."""
        sure, possible = [], []
        for control in rule.controls:
            state, wishes = self.result.words[control.word], self.result.words[control.word].wishes
            hard = wishes.required | state.allowed.must_be_1.bits | state.raised
            soft = (wishes.preferred | wishes.maybe["prefer"]) & ~hard
            unsure = ~wishes.preferred | wishes.maybe["require"] | ~state.allowed.must_be_1.known
            mended = violated(rule, self.setting, control)
            if not soft & control.mask or self.setting(control) is False or mended:
                continue
            possible.append(control)
            if self.setting(control) and mended is False and not unsure & control.mask:
                sure.append(control)
        return _Candidates(tuple(sure), tuple(possible))

    def _raisable(self, rule: ControlRule) -> _Candidates:
        """Controls at 0 only because they are avoided, the raising of which mends the rule."""
        sure, possible = [], []
        for control in rule.controls:
            state, wishes = self.result.words[control.word], self.result.words[control.word].wishes
            may = state.allowed.may_be_1
            soft = (wishes.avoided | wishes.maybe["avoid"]) & (may.bits | ~may.known)
            soft &= ~(wishes.forbidden | state.dropped)
            unsure = ~wishes.avoided | wishes.maybe["forbid"] | ~may.known
            mended, active = violated(rule, self.setting, control), self._active(control)
            if not soft & control.mask or self._bit(control) or active is False or mended:
                continue
            possible.append(control)
            if self._bit(control) is False and active and mended is False and not unsure & control.mask:
                sure.append(control)
        return _Candidates(tuple(sure), tuple(possible))

    # --- where it is not: what holds however the unknown turns out ---

    def _widen(self, rules: Sequence[ControlRule]) -> None:
        """Make unknown what may give way to a rule, in whichever order the rules come to bear."""
        changed = True
        while changed:
            changed = False
            for rule in rules:
                if self._outcome(rule) is _Outcome.NOTHING:
                    continue
                drop, lift = self._droppable(rule), self._raisable(rule)
                for control in (*drop.possible, *(() if drop.sure else lift.possible)):
                    before = self._bit(control)
                    if before is not None:
                        self._widened.append((control, before))
                        self._set_bit(control, None)
                        changed = True

    def _narrow(self, rules: Sequence[ControlRule]) -> None:
        """Settle what gives way in any case: in the end no rule is left to which a control would have to."""
        changed = True
        while changed:
            changed = False
            for control, before in self._widened:
                for rule in rules:
                    if self._bit(control) is None and control in rule.controls:
                        self._set_bit(control, before)
                        if self._outcome(rule) is control:
                            self._give_way(control, rule)
                            changed = True
                        else:
                            self._set_bit(control, None)

    def _silence_inactive(self) -> None:
        """A word that is not in force keeps only what the processor insists on."""
        for word in self._db.active_order:
            state = self.result.words[word.name]
            insisted = value.bit_and(state.allowed.must_be_1, state.allowed.may_be_1)
            activators = list(self._db.activators(word))
            off = next((activator for activator in activators if self._bit(activator) is False), None)
            if off is not None:
                self.result.inactive[word.name] = off
                state.value = insisted
            elif any(self._bit(activator) is None for activator in activators):
                both = value.common(state.value, insisted)
                hard = state.wishes.required | state.wishes.forbidden  # in vain, if the word is not in force
                state.value = Value(word.width, state.value.bits, both.known | (state.value.known & hard))


def settle_words(database: Database, allowed_of: AllowedOf, wishes: Mapping[str, WordWishes]) -> SettledWords:
    """The words' values by `(wanted | must_be_1) & may_be_1`, made to fit the rules between controls."""
    return _Settling(database, allowed_of, wishes).settle()


def everything_allowed(word: ControlWord, capabilities: Capabilities) -> Allowed:
    """The settings of a processor that allows all: what excludes each other there does so everywhere."""
    allowed = capabilities.allowed(word)
    return Allowed(value.known(word.width, 0), value.known(word.width, -1), allowed.msr, True)


def _initial(word: ControlWord, allowed: Allowed, wishes: WordWishes) -> Value:
    """The value before rules. Where it is unknown whether the CPU grants it, what is required counts as granted."""
    width = word.width
    wanted_bits = wishes.required | wishes.preferred | word.reserved_default1
    wanted = Value(width, wanted_bits, ~wishes.unsettled)
    granted = value.bit_and(value.bit_or(wanted, allowed.must_be_1), allowed.may_be_1)
    assumed = wishes.required | wishes.forbidden
    return Value(
        width, granted.bits | (wishes.required & ~granted.known), granted.known | (assumed & ~wishes.unsettled)
    )
