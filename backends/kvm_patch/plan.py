"""From wishes and a tree to changes: what goes into which list, what is masked or forced, and what cannot be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control
from vmcsc.diagnostic import Diagnostics
from vmcsc.kvm.tree import Tree

from .wanted import ABSENT, OPTIONAL, REQUIRED, Wish


@dataclass(frozen=True)
class Change:
    """One control whose standing changes. `name` is what it is called in the patch, `why` one line for its header."""

    control: Control
    name: str
    now: str
    want: str
    why: str


@dataclass
class WordPlan:
    """What a word comes to, as masks: the lists as they shall read, what is masked behind them, and what is forced;
    of that `where_granted` only where the processor has it."""

    required: int
    optional: int
    masked: int
    forced: int
    where_granted: int = 0


@dataclass
class Plan:
    """`words` by name, those that the tree has; `names` of controls by word and bit, of which `defines` are new;
    `zeroed` are variables with capabilities of controls that are masked."""

    words: dict[str, WordPlan]
    names: Mapping[str, dict[int, str]]
    changes: list[Change] = field(default_factory=list)
    defines: dict[str, Control] = field(default_factory=dict)
    zeroed: list[str] = field(default_factory=list)

    def named(self, word: str, mask: int) -> list[str]:
        """The names of the bits of the mask, from the lowest on."""
        return [name for bit, name in sorted(self.names[word].items()) if mask >> bit & 1]


def plan(wished: Mapping[str, Wish], tree: Tree, database: Database, diagnostics: Diagnostics) -> Plan:
    """The changes that bring the wishes about, and findings about those that nothing here does."""
    return _Planner(wished, tree, database, diagnostics).plan()


def standing(tree: Tree, word: str, bit: int) -> str:
    """What the tree makes of a control now."""
    if tree.required(word) >> bit & 1:
        return REQUIRED
    return OPTIONAL if tree.optional(word) >> bit & 1 else ABSENT


class _Planner:
    def __init__(
        self, wished: Mapping[str, Wish], tree: Tree, database: Database, diagnostics: Diagnostics
    ) -> None:  # fmt: skip
        self._tree = tree
        self._db = database
        self._diagnostics = diagnostics
        self._wished = {path: wish for path, wish in wished.items() if self._possible(wish)}
        self._left_out: set[str] = self._lone_halves()
        words = {
            name: WordPlan(
                lists.required, lists.optional & ~lists.required, tree.blocks.masked.get(name, 0),
                tree.blocks.forced.get(name, 0),
            )
            for name, lists in tree.words.items()
        }  # fmt: skip
        self._plan = Plan(words, {name: dict(tree.names_by_word[name]) for name in words})

    def plan(self) -> Plan:
        for path, wish in self._wished.items():
            if path not in self._left_out:
                self._settle(wish)
        self._keep_what_the_build_needs()
        for path, variable in self._tree.kvm.capabilities.items():
            control = self._db.controls[path]
            if control.word in self._plan.words and self._plan.words[control.word].masked & control.mask:
                self._plan.zeroed.append(variable)
        return self._plan

    # --- what cannot be ---

    def _possible(self, wish: Wish) -> bool:
        """Whether the tree has a place for the wish; if not, and somebody said it, that is a finding."""
        control = wish.control
        if wish.stance is not None and wish.stance.implied and self._activates_what_is_missing(control):
            return False
        if control.word in self._tree.words:
            return True
        if wish.standing is not ABSENT and wish.stance is not None and not wish.stance.implied:
            word = self._db.words[control.word].sdm
            self._refuse(wish, f"`{wish.stance.verb} {control.name}`: KVM of this tree has no {word}")
        return False

    def _activates_what_is_missing(self, control: Control) -> bool:
        activated = [word for word in self._db.words.values() if word.activated_by == control.path]
        return any(word.name not in self._tree.words for word in activated)

    def _lone_halves(self) -> set[str]:
        """Controls of entry and exit that KVM wants both or not at all, of which only one is wanted."""
        found = set()
        for masks in self._tree.behaviour.pairs:
            halves = [self._of(word, mask) for word, mask in zip(self._tree.kvm.halves, masks, strict=True)]
            standings = [wish.standing is not ABSENT for wish in halves if wish is not None]
            if len(standings) == 2 and len(set(standings)) == 2:
                there, missing = sorted((wish for wish in halves if wish), key=lambda wish: wish.standing is ABSENT)
                consequence = "kvm_intel would not load" if self._tree.strict else "KVM would use neither"
                self._diagnostics.report(
                    codes.NOT_BROUGHT_ABOUT,
                    f"KVM wants `{there.control.name}` and `{missing.control.name}` both or not at all: {consequence}",
                    missing.span or there.span,
                    notes=[f"{there.control.path} is {there.standing}, {missing.control.path} is not used"],
                    help="say the same of both",
                )
                found |= {wish.control.path for wish in halves if wish}
        return found

    def _of(self, word: str, mask: int) -> Wish | None:
        control = self._db.words[word].by_bit.get(mask.bit_length() - 1)
        return None if control is None else self._wished.get(control.path)

    def _refuse(self, wish: Wish, message: str, help: str | None = None) -> None:
        self._diagnostics.report(codes.NOT_BROUGHT_ABOUT, message, wish.span, help=help)

    # --- one control ---

    def _settle(self, wish: Wish) -> None:
        control = wish.control
        if wish.standing is ABSENT and control.default1:
            self._default1(wish)
            return
        if wish.standing is REQUIRED and not self._tree.kvm.words[control.word].enforced:
            message = f"KVM never insists on {self._db.words[control.word].sdm}: `{control.name}` can only be used"
            self._refuse(wish, message, f"say `prefer {control.name}`")
            return
        now = standing(self._tree, control.word, control.bit)
        if wish.standing is not now:
            self._move(wish, now)
        self._for_a_vcpu(wish, now)

    def _default1(self, wish: Wish) -> None:
        """A default1 bit stays 1 in the configuration, whatever lists say, since KVM does not read the TRUE MSRs."""
        if wish.stance is not None:
            msr = self._db.msrs[self._db.words[wish.control.word].msr].sdm
            message = f"`{wish.stance.verb} {wish.control.name}`: KVM reads {msr} without TRUE, where the bit must be 1"
            self._refuse(wish, message)

    def _move(self, wish: Wish, now: str) -> None:
        control, plan = wish.control, self._plan.words[wish.control.word]
        mask = control.mask
        name = self._name(control)
        plan.masked &= ~mask
        plan.required &= ~mask
        plan.optional &= ~mask
        if wish.standing is REQUIRED:
            plan.required |= mask
        elif wish.standing is OPTIONAL:
            plan.optional |= mask
        else:
            self._drop(wish, now, plan)
        if wish.standing is not ABSENT:
            verb = "required" if wish.standing is REQUIRED else "used where the processor has it"
            self._plan.changes.append(Change(control, name, now, wish.standing, f"{verb} ({wish.text})"))

    def _drop(self, wish: Wish, now: str, plan: WordPlan) -> None:
        control = wish.control
        if now is REQUIRED:
            said = "`" + wish.text.partition(",")[0] + "`" if wish.stance else f"`{control.name}` is not named"
            message = f"{said}: KVM of this tree requires it, so code elsewhere may rely on it"
            self._diagnostics.report(codes.KVM_NEEDS_IT, message, wish.span)
        why = f"out of the list ({wish.text})"
        if self._must_be_masked(control):
            plan.optional |= control.mask
            plan.masked |= control.mask
            why = f"masked behind the checks ({wish.text})"
            if control.path in self._tree.kvm.capabilities:
                why = f"masked with its capability, or KVM would find them inconsistent ({wish.text})"
        self._plan.changes.append(Change(control, self._name(control), now, ABSENT, why))

    def _must_be_masked(self, control: Control) -> bool:
        """A list edit would make KVM find the capability inconsistent, or leaves a condition without a statement."""
        lists = self._tree.words[control.word]
        return control.path in self._tree.kvm.capabilities or bool(lists.wanted_anyway & control.mask)

    # --- what a vCPU makes of it ---

    def _for_a_vcpu(self, wish: Wish, now: str) -> None:
        control, behaviour = wish.control, self._tree.behaviour
        plan = self._plan.words[control.word]
        cleared = behaviour.always_cleared(control.word) & control.mask
        toggled = behaviour.is_toggled(control.word, control.bit)
        if wish.on and cleared and not toggled:
            self._force(wish, plan)
        else:
            plan.forced &= ~control.mask
            self._say_what_changes(wish, now, cleared=bool(cleared))
        if wish.standing is ABSENT and behaviour.always_set(control.word) & control.mask and wish.stance:
            self._refuse(wish, f"`{wish.stance.verb} {control.name}`: KVM sets it for every vCPU")

    def _force(self, wish: Wish, plan: WordPlan) -> None:
        control = wish.control
        reason = self._tree.kvm.without_state.get(control.path)
        place = self._tree.blocks.force.get(control.word)
        verb = wish.stance.verb if wish.stance else "require"
        if reason is not None or place is None:
            why = reason or "there is no place where this patch could set it again"
            message = f"`{verb} {control.name}`: KVM clears it for every vCPU, and {why}"
            self._refuse(wish, message, f"say `allow {control.name}`, which is what KVM's lists mean")
            return
        if not plan.forced & control.mask:
            change = f"set for every vCPU, for which KVM clears it ({wish.text})"
            self._plan.changes.append(Change(control, self._name(control), wish.standing, wish.standing, change))
        plan.forced |= control.mask
        if wish.standing is OPTIONAL:
            plan.where_granted |= control.mask

    def _say_what_changes(self, wish: Wish, now: str, *, cleared: bool) -> None:
        """Conditions under which a vCPU has it otherwise than was said now and was not so before."""
        control, behaviour = wish.control, self._tree.behaviour
        if wish.stance is None or wish.standing is now:
            return
        sets = wish.standing is ABSENT
        notes = [f"for a vCPU where `{c}`" for c in behaviour.conditions(control.word, control.bit, sets=sets)]
        if behaviour.is_toggled(control.word, control.bit) and (sets or wish.on):
            notes.append("while a guest runs" + (", and clears it in a new vCPU" if cleared and not sets else ""))
        if notes and (sets or wish.standing is REQUIRED):
            done = "sets" if sets else "changes" if cleared else "clears"
            message = f"`{wish.stance.verb} {control.name}` holds of KVM's configuration, but KVM {done} the control"
            self._diagnostics.report(codes.CHANGED_FOR_VCPU, message, wish.span, notes=notes)

    # --- what the build needs ---

    def _keep_what_the_build_needs(self) -> None:
        """Code that changes a control at run time compiles only while a list names it, or one of those it changes."""
        for name, mask in self._needed():
            plan, lists = self._plan.words[name], self._tree.words[name]
            if not mask & (plan.required | plan.optional):
                kept = mask & (lists.required | lists.optional)
                plan.optional |= kept
                plan.masked |= kept
                self._explain_kept(name, kept)

    def _needed(self) -> Iterator[tuple[str, int]]:
        if self._tree.checked:
            for name, masks in self._tree.behaviour.toggled.items():
                if name in self._plan.words:
                    yield from ((name, mask) for mask in masks)

    def _explain_kept(self, word: str, kept: int) -> None:
        for place, change in enumerate(self._plan.changes):
            if change.control.word == word and change.control.mask & kept and change.want is ABSENT:
                statement = change.why[change.why.find("(") :]
                why = f"masked behind the checks, since code that changes it at run time needs it listed {statement}"
                self._plan.changes[place] = Change(change.control, change.name, change.now, change.want, why)

    # --- names ---

    def _name(self, control: Control) -> str:
        """What the tree calls it, or what it gets as a name."""
        names = self._plan.names[control.word]
        if control.bit not in names:
            names[control.bit] = self._invented(control)
            self._plan.defines[names[control.bit]] = control
        return names[control.bit]

    def _invented(self, control: Control) -> str:
        name = self._tree.kvm.words[control.word].name_of(control)
        while name in self._tree.names.macros:  # for something else
            name += "_CONTROL"
        return name
