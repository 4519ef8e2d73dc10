"""The values of the control words on one processor, settled together: rules tie them to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control, ControlWord
from vmcsc.capabilities.cpu import Allowed, Capabilities
from vmcsc.expression import value
from vmcsc.expression.value import Value
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


class _Settling:
    def __init__(self, database: Database, allowed_of: AllowedOf, wishes: Mapping[str, WordWishes]) -> None:
        self._db = database
        words = {}
        for word in database.active_order:
            allowed = allowed_of(word)
            words[word.name] = _Word(word, allowed, wishes[word.name], _initial(word, allowed, wishes[word.name]))
        self.result = SettledWords(words)

    def settle(self) -> SettledWords:
        rules = control_rules(self._db)
        changed = True
        while changed:  # each control gives way at most once, so this ends
            changed = any(self._mend(rule) for rule in rules)
        self.result.violated = [rule for rule in rules if violated(rule, self.setting)]
        for rule in self.result.violated:
            candidates = self._droppable(rule) or self._raisable(rule)
            if len(candidates) > 1:
                self.result.undecided.append((rule, candidates))
        self._silence_inactive()
        return self.result

    def setting(self, control: Control) -> bool | None:
        """The setting in force, three-valued."""
        own = self._bit(control)
        for activator in self._db.activators(self._db.words[control.word]):
            active = self._bit(activator)
            if active is False or own is False:
                return False
            own = own if active else None
        return own

    def _bit(self, control: Control) -> bool | None:
        return self.result.words[control.word].value.bit(control.bit)

    def _mend(self, rule: ControlRule) -> bool:
        if not violated(rule, self.setting):
            return False
        candidates = self._droppable(rule)
        raising = not candidates
        if raising:
            candidates = self._raisable(rule)
        if len(candidates) != 1:
            return False
        control = candidates[0]
        state = self.result.words[control.word]
        if raising:
            state.raised |= control.mask
            state.value = Value(state.value.width, state.value.bits | control.mask, state.value.known)
        else:
            state.dropped |= control.mask
            state.value = Value(state.value.width, state.value.bits & ~control.mask, state.value.known)
        self.result.gave_way.append((control, rule))
        return True

    def _droppable(self, rule: ControlRule) -> tuple[Control, ...]:
        """Controls at 1 only because they are preferred, the dropping of which mends the rule."""
        found = []
        for control in rule.controls:
            state = self.result.words[control.word]
            soft = state.wishes.preferred & ~state.wishes.required & ~state.allowed.must_be_1.bits & ~state.raised
            if soft & control.mask and self.setting(control) and violated(rule, self.setting, control) is False:
                found.append(control)
        return tuple(found)

    def _raisable(self, rule: ControlRule) -> tuple[Control, ...]:
        """Controls at 0 only because they are avoided, the raising of which mends the rule."""
        found = []
        for control in rule.controls:
            state = self.result.words[control.word]
            may = state.allowed.may_be_1.bits | ~state.allowed.may_be_1.known
            soft = state.wishes.avoided & ~state.wishes.forbidden & may & ~state.dropped
            at_0 = self._bit(control) is False and self._active(control) is not False
            if soft & control.mask and at_0 and violated(rule, self.setting, control) is False:
                found.append(control)
        return tuple(found)

    def _active(self, control: Control) -> bool | None:
        settings = [self._bit(a) for a in self._db.activators(self._db.words[control.word])]
        return False if False in settings else None if None in settings else True

    def _silence_inactive(self) -> None:
        """A word that is not in force keeps only what the processor insists on."""
        for word in self._db.active_order:
            for activator in self._db.activators(word):
                if self._bit(activator) is False:
                    self.result.inactive[word.name] = activator
                    state = self.result.words[word.name]
                    state.value = value.bit_and(state.allowed.must_be_1, state.allowed.may_be_1)
                    break


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
    return Value(width, granted.bits | (wishes.required & ~granted.known), granted.known | (assumed & ~wishes.unsettled))
