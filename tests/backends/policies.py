"""Random policies: their text, and what they mean, from one generator."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.backends.expressions import Environment, Expression, Expressions
from tests.backends.witness import ACTIVATED_BY, CONTROLS, FIELDS, NEEDS, Place, Wishes, place

VERBS = ("require", "prefer", "forbid", "avoid", "allow")
ASSIGNABLE = [name for name in FIELDS if "bitmap_" not in name and name not in ("msr_bitmap", "exception_bitmap")]
ASSIGNABLE = [name for name in ASSIGNABLE if not name.startswith("page_fault")]
VECTORS = {"debug": 1, "breakpoint": 3, "invalid_opcode": 6, "general_protection": 13, "page_fault": 14}
TIED = tuple(dict.fromkeys(side.removeprefix("not ") for pair in NEEDS for side in pair))
"""The controls that rules tie to each other."""

Conditions = tuple[Expression, ...]


@dataclass(frozen=True)
class Said:
    """One statement of a policy about a control, under all of `conditions`."""

    verb: str
    control: Place
    conditions: Conditions
    rank: int
    override: bool


@dataclass(frozen=True)
class Assigned:
    name: str
    value: Expression
    conditions: Conditions


@dataclass(frozen=True)
class Trapped:
    """Exceptions: `mask` and `match` are the test of page faults, which holds where the comparison is `equal`."""

    intercept: bool
    first: int
    last: int
    mask: int
    match: int
    equal: bool
    conditions: Conditions


@dataclass
class RandomPolicy:
    """Files by name (the last one is the policy), and their meaning."""

    name: str
    files: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, tuple[int, Expression | None]] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    assigned: list[Assigned] = field(default_factory=list)
    trapped: list[Trapped] = field(default_factory=list)
    has_io: bool = False
    has_msrs: bool = False

    def values_of_parameters(self, environment: Environment, given: Mapping[str, int]) -> dict[str, int]:
        """The parameters, with defaults for those that are not given: each may use the ones before it."""
        found: dict[str, int] = {}
        for name, (_, default) in self.parameters.items():
            known = Environment(environment.capabilities, environment.facts, found)
            found[name] = given[name] if name in given or default is None else default.value(known)
        return found

    def wishes(self, environment: Environment) -> Wishes:
        alive = [said for said in self.said if not self._surely_overridden(said)]
        spoken_of = {said.control for said in alive}
        found = Wishes()
        for said in alive:
            if not holds(said.conditions, environment) or self._overridden(said, environment):
                continue
            found.add(said.verb, said.control)
            word = said.control[0]
            while said.verb in ("require", "prefer") and word in ACTIVATED_BY:
                if ACTIVATED_BY[word] not in spoken_of:
                    found.add(said.verb, ACTIVATED_BY[word])
                word = ACTIVATED_BY[word][0]
        return found

    def agrees(self, new: Said) -> bool:
        """Whether the statement, if it stands without a condition, fits the others that do and that remain."""
        if new.conditions:
            return True
        for other in self.said:
            if other.control != new.control or other.conditions or self._surely_overridden(other):
                continue
            if new.override and other.rank < new.rank:
                continue
            pair = {new.verb, other.verb}
            if (pair & {"require", "prefer"} and pair & {"forbid", "avoid"}) or pair == {"allow", "forbid"}:
                return False
        return True

    def _overriding(self, said: Said) -> list[Said]:
        return [o for o in self.said if o.override and o.control == said.control and o.rank > said.rank]

    def _surely_overridden(self, said: Said) -> bool:
        return any(not other.conditions for other in self._overriding(said))

    def _overridden(self, said: Said, environment: Environment) -> bool:
        return any(holds(other.conditions, environment) for other in self._overriding(said))

    def fields(self, environment: Environment, pages: Mapping[str, int]) -> tuple[dict[str, int], set[str]]:
        """The fields, and those that get two values."""
        found: dict[str, int] = {}
        twice = set()
        for assigned in self.assigned:
            if holds(assigned.conditions, environment):
                value = assigned.value.value(environment)
                if found.setdefault(assigned.name, value) != value:
                    twice.add(assigned.name)
        if self.trapped:
            found |= self._exceptions(environment)
        names = (["io_bitmap_a", "io_bitmap_b"] if self.has_io else []) + (["msr_bitmap"] if self.has_msrs else [])
        return found | {name: pages[name] for name in names}, twice

    def _exceptions(self, environment: Environment) -> dict[str, int]:
        bits = mask = match = 0
        for trapped in self.trapped:
            if not holds(trapped.conditions, environment):
                continue
            vectors = (1 << trapped.last + 1) - (1 << trapped.first)
            bits = bits | vectors if trapped.intercept and trapped.equal else bits & ~vectors
            if vectors >> 14 & 1:
                mask, match = trapped.mask, trapped.match
        return {"exception_bitmap": bits, "page_fault_error_code_mask": mask, "page_fault_error_code_match": match}


def holds(conditions: Conditions, environment: Environment) -> bool:
    return all(condition.value(environment) for condition in conditions)


class _Writer:
    """Writes one file of a policy."""

    def __init__(self, rng: random.Random, policy: RandomPolicy, rank: int) -> None:
        self._rng = rng
        self._policy = policy
        self._rank = rank
        self._unconditional_fields = {a.name for a in policy.assigned if not a.conditions}

    def write(self, name: str, base: str | None) -> str:
        rng = self._rng
        lines = [f"policy {name} {{"] + ([f"  extends {base}"] if base else [])
        lines += self._parameters(rng.randint(0, 3))
        for _ in range(rng.randint(4, 12)):
            lines += self._statement((), "  ", 0)
        lines += self._bitmaps()
        return "\n".join([*lines, "}\n"])

    def _expressions(self) -> Expressions:
        return Expressions(self._rng, {name: width for name, (width, _) in self._policy.parameters.items()})

    def _parameters(self, count: int) -> list[str]:
        lines = []
        for _ in range(count):
            name = f"p{len(self._policy.parameters)}"
            width = self._rng.choice((1, 8, 16, 32, 64))
            draw = self._rng.random()
            default = None
            if draw < 0.4:
                default = self._expressions().literal(width)
            elif draw < 0.7:
                made = self._expressions()
                default = made.condition(2) if width == 1 else made.value(width, 2)
            self._policy.parameters[name] = (width, default)
            lines.append(f"  param {name} : u{width}" + ("" if default is None else f" = {default.text}"))
        return lines

    def _statement(self, conditions: Conditions, indent: str, depth: int) -> list[str]:
        draw = self._rng.random()
        if draw < 0.35 and depth < 2:
            condition = self._expressions().condition(3)
            inner = [self._statement((*conditions, condition), indent + "  ", depth + 1) for _ in range(2)]
            return [f"{indent}when {condition.text} {{", *(line for lines in inner for line in lines), f"{indent}}}"]
        if draw < 0.5:
            return self._assignment(conditions, indent)
        if draw < 0.6:
            return self._exceptions(conditions, indent)
        return self._controls(conditions, indent)

    def _controls(self, conditions: Conditions, indent: str) -> list[str]:
        """Statements about a few controls of one word, mostly of those that rules tie together."""
        rng = self._rng
        tied = rng.random() < 0.75
        word = place(rng.choice(TIED))[0] if tied else rng.choice(list(CONTROLS))
        names = [path.split(".")[1] for path in TIED if path.startswith(f"{word}.")] if tied else list(CONTROLS[word])
        lines = []
        for name in rng.sample(names, min(len(names), rng.randint(1, 3))):
            control = (word, CONTROLS[word][name])
            verb = rng.choices(VERBS, (3, 6, 2, 4, 3))[0]
            inherited = any(said.control == control and said.rank < self._rank for said in self._policy.said)
            override = inherited and rng.random() < 0.6
            said = Said(verb, control, conditions, self._rank, override)
            if not self._policy.agrees(said):
                continue
            self._policy.said.append(said)
            lines.append(f"{'override ' if override else ''}{verb} {name}")
        return [f"{indent}{word} {{ {'; '.join(lines)} }}"] if lines else []

    def _assignment(self, conditions: Conditions, indent: str) -> list[str]:
        name = self._rng.choice(ASSIGNABLE)
        if not conditions:
            if name in self._unconditional_fields:
                return []
            self._unconditional_fields.add(name)
        width = FIELDS[name].width
        made = self._expressions()
        value = made.literal(width) if self._rng.random() < 0.4 else made.value(width, 3)
        self._policy.assigned.append(Assigned(name, value, conditions))
        return [f"{indent}{name} = {value.text}"]

    def _exceptions(self, conditions: Conditions, indent: str) -> list[str]:
        rng = self._rng
        verb, intercept = rng.choice((("intercept", True), ("intercept", True), ("pass", False)))
        mask = match = 0
        equal = True
        name, vector = rng.choice(list(VECTORS.items()))
        first, last, text = vector, vector, name
        draw = rng.random()
        if draw < 0.3:
            first = rng.randint(0, 31)
            last = rng.randint(first, 31)
            text = f"{first}..{last}"
        elif draw < 0.4:
            first, last, text = 0, 31, "all"
        elif intercept and draw < 0.7:
            first = last = 14
            mask = rng.choice((1, 2, 5, 0x1F, 0x8001, 0xFFFFFFFF, rng.getrandbits(32) | 1))
            match = rng.getrandbits(32) & mask
            equal = rng.random() < 0.6
            text = f"page_fault when error_code & {mask:#x} {'==' if equal else '!='} {match:#x}"
            if not equal and mask.bit_count() == 1:
                match, equal = match ^ mask, True  # not 0 is 1
        self._policy.trapped.append(Trapped(intercept, first, last, mask, match, equal, conditions))
        return [f"{indent}exceptions {{ {verb} {text} }}"]

    def _bitmaps(self) -> list[str]:
        lines = []
        if self._rng.random() < 0.15:
            self._policy.has_io = True
            lines.append(f"  io {{ intercept all; pass {self._rng.randint(0, 0xFFFF):#x} }}")
        if self._rng.random() < 0.15:
            self._policy.has_msrs = True
            lines.append(f"  msrs {{ pass read {self._rng.randint(0, 0x1FFF):#x}; intercept write fs_base }}")
        return lines


def random_policy(seed: int) -> RandomPolicy:
    """The policy of a seed; some extend others."""
    rng = random.Random(seed)
    policy = RandomPolicy(f"random_{seed}")
    names = [f"base_{seed}", policy.name] if rng.random() < 0.3 else [policy.name]
    base = None
    for rank, name in enumerate(names):
        policy.files[name] = _Writer(rng, policy, rank).write(name, base)
        base = name
    return policy


def random_msrs(rng: random.Random, indexes: Sequence[int]) -> dict[int, int]:
    """MSRs of a processor that allows much and insists on little, or the other way round."""
    found = {}
    dense = rng.random()
    for index in indexes:
        may = sum(1 << bit for bit in range(32) if rng.random() < 0.5 + dense / 2)
        must = sum(1 << bit for bit in range(32) if rng.random() < 0.15 * (1 - dense)) & may
        found[index] = may << 32 | must if index not in (0x480, 0x485) else rng.getrandbits(64)
    found[0x480] = found[0x480] & ~(1 << 55) | rng.randrange(2) << 55
    for index in (0x482, 0x48E, 0x483, 0x48F):  # mostly with the words that others activate
        if rng.random() < 0.8:
            found[index] |= (1 << 31 | 1 << 17) << 32
    return found
