"""The statements of a policy and of those it extends, bound to the specs, in the order in which they take effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bitmap, Control, ControlWord
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.expression.bind import bind, bind_condition
from vmcsc.expression.literals import WIDTHS
from vmcsc.expression.nodes import Node, Operation
from vmcsc.expression.scope import Scope
from vmcsc.policy.assign import Assigner
from vmcsc.policy.compose import Override, compose_assignments, compose_paintings, compose_stances
from vmcsc.policy.files import PolicyTexts
from vmcsc.policy.model import Assignment, Painting, Parameter, Policy, Stance, TakenState
from vmcsc.policy.states import AREAS, read_state
from vmcsc.policy.suggest import did_you_mean
from vmcsc.policy.taking import compose_states, implied_by_states, state_assignments
from vmcsc.policy.targets import Targets
from vmcsc.source import Source
from vmcsc.syntax import tree

_TEXT_MISSING = frozenset({codes.UNKNOWN_NAME.id, codes.NOTHING_TO_OVERRIDE.id})
_CONSEQUENCES: Mapping[str, Set[str]] = {
    codes.UNCLOSED_BLOCK.id: _TEXT_MISSING | {codes.MISPLACED.id},
    codes.UNEXPECTED_BRACE.id: _TEXT_MISSING | {codes.MISPLACED.id},
    **dict.fromkeys(
        (
            codes.UNEXPECTED.id,
            codes.INCOMPLETE.id,
            codes.UNKNOWN_STATEMENT.id,
            codes.UNTERMINATED_STRING.id,
            codes.BAD_NUMBER.id,
            codes.TOO_DEEP.id,
            codes.MISSING_BLOCK.id,
            codes.POLICY_NOT_FOUND.id,
            codes.CYCLE.id,
            codes.BAD_INCLUDE.id,
        ),
        _TEXT_MISSING,
    ),
}
"""Where a text was not understood as a whole, what else may seem to be wrong only because of that."""


def bind_policy(
    source: Source, database: Database, diagnostics: Diagnostics, search: Sequence[Path] = ()
) -> Policy | None:
    """The policy of `source` with everything that it inherits, or None after reporting why there is none."""
    texts = PolicyTexts(database, diagnostics, search)
    policy = texts.begin(source)
    if policy is None:
        return None
    diagnostics.ignored = {code for finding in diagnostics for code in _CONSEQUENCES.get(finding.code, ())}
    binder = _PolicyBinder(database, diagnostics)
    for link in texts.chain:
        binder.parameters(link)
    for link in texts.chain:
        binder.statements(link)
    bound = binder.finish(policy, source, tuple(texts.sources))
    diagnostics.ignored = frozenset()
    return bound


class _PolicyBinder:
    def __init__(self, database: Database, diagnostics: Diagnostics) -> None:
        self._db = database
        self._diagnostics = diagnostics
        self._parameters: dict[str, Parameter] = {}
        self._widths: dict[str, int] = {}
        self._declared: set[str] = set()
        self._broken: set[str] = set()
        self._scope = Scope(database, parameters=self._widths, later=self._declared, broken=self._broken)
        self._origins: list[str] = []
        self._summary: str | None = None
        self._cpus: tuple[tree.Name, ...] = ()
        self._stances: list[Stance] = []
        self._assigner = Assigner(database, self._scope, self._parameters, diagnostics)
        self._assignments: list[Assignment] = []
        self._states: list[TakenState] = []
        self._paintings: list[Painting] = []
        self._overridden_bitmaps: list[Override] = []
        self._scenarios: dict[str, tuple[tree.Scenario, str]] = {}

    def finish(self, policy: tree.Policy, source: Source, sources: tuple[Source, ...]) -> Policy:
        states = compose_states(self._states, self._origins, self._diagnostics)
        stances = compose_stances(self._stances, self._origins, self._db, self._diagnostics)
        spoken_of = {stance.control.path for stance in stances if not stance.implied}
        stances = (*stances, *implied_by_states(states, spoken_of, self._db))
        paintings = compose_paintings(self._paintings, self._overridden_bitmaps, self._origins, self._diagnostics)
        assignments = compose_assignments(self._assignments, paintings, self._origins, self._diagnostics)
        return Policy(
            policy.name.text,
            self._summary,
            source,
            policy.span,
            self._cpus,
            self._parameters,
            stances,
            (*assignments, *state_assignments(states, assignments, self._db)),
            paintings,
            tuple(scenario for scenario, _ in self._scenarios.values()),
            sources,
            states,
        )

    @property
    def _origin(self) -> str:
        return self._origins[-1]

    # --- parameters, before everything that may use them ---

    def parameters(self, policy: tree.Policy) -> None:
        found = [s.param if isinstance(s, tree.Assignment) else s for s in _with_nested(policy.body)]
        declared = [param for param in found if isinstance(param, tree.Param)]
        self._declared.update(param.name.text for param in declared)
        for param in declared:
            self._parameter(param)

    def _parameter(self, param: tree.Param) -> None:
        known = self._parameters.get(param.name.text)
        if known is not None:
            message = f"the parameter `{param.name.text}` is declared twice"
            self._diagnostics.report(
                codes.DUPLICATE_NAME, message, param.name.span, labels=[Label(known.span, "declared here first")]
            )
            return
        width = WIDTHS.get(param.type.text)
        if width is None:
            help = f"the types are {', '.join(WIDTHS)}"
            message = f"there is no type `{param.type.text}`"
            self._diagnostics.report(codes.UNKNOWN_TYPE, message, param.type.span, help=help)
            self._broken.add(param.name.text)
            return
        default = None
        if param.default is not None:
            default = bind(param.default, width, self._scope, self._diagnostics)
        self._parameters[param.name.text] = Parameter(param.name.text, width, default, param.span)
        self._widths[param.name.text] = width

    # --- statements ---

    def statements(self, policy: tree.Policy) -> None:
        name = policy.name.text
        if name in self._origins:  # a policy may extend another one of its own name
            name = f"{name} ({policy.span.source.name})"
        self._origins.append(name)
        targets = [cpu for s in policy.body if isinstance(s, tree.ForCpus) for cpu in s.names]
        self._cpus = tuple(targets) or self._cpus
        for statement in policy.body:
            match statement:
                case tree.Summary():
                    self._summary = statement.text
                case tree.Scenario():
                    self._scenario(statement)
                case tree.Param() | tree.Extends() | tree.ForCpus():
                    pass  # taken before
                case _:
                    self._conditional(statement, None)

    def _scenario(self, scenario: tree.Scenario) -> None:
        """A scenario takes the place of an inherited one of its title: it tests the policy as it is now."""
        twin, origin = self._scenarios.get(scenario.title, (scenario, ""))
        if twin is not scenario and origin == self._origin:
            message = "another scenario has this title"
            self._diagnostics.report(
                codes.DUPLICATE_NAME, message, scenario.span, labels=[Label(twin.span, "the other one")]
            )
            return
        self._scenarios[scenario.title] = (scenario, self._origin)

    def _conditional(self, statement: tree.Statement, condition: Node | None) -> None:
        """A statement that may stand in a `when`."""
        match statement:
            case tree.When():
                self._when(statement, condition)
            case tree.Block():
                self._block(statement, condition)
            case tree.StateBlock():
                self._state(statement, condition)
            case tree.Assignment():
                self._assignment(statement, condition)
            case _:
                self._misplaced(statement, "" if condition is None else " inside `when`")

    def _misplaced(self, statement: tree.Statement, where: str) -> None:
        what = statement.span.text.split()[0] if statement.span.text.split() else "this"
        places = {
            tree.Stance: "in the block of a control word, as in `primary { require hlt_exiting }`",
            tree.Reach: "in `exceptions`, `io` or `msrs`, as in `io { intercept all }`",
            tree.Include: "in the body of a policy",
            tree.Policy: "at the top of a file",
        }
        scenario = "in a `scenario` block"
        place = places.get(type(statement), "in the body of a policy" if where else scenario)
        self._diagnostics.report(
            codes.MISPLACED, f"`{what}` cannot stand here{where}", statement.span, help=f"it belongs {place}"
        )

    def _when(self, when: tree.When, outer: Node | None) -> None:
        bound = bind_condition(when.condition, self._scope, self._diagnostics)
        if bound is not None:
            condition = bound if outer is None else Operation(1, "&", outer, bound)
            for statement in when.body:
                self._conditional(statement, condition)

    def _block(self, block: tree.Block, condition: Node | None) -> None:
        word = self._db.words.get(block.name.text)
        bitmap = self._db.bitmaps.get(block.name.text)
        if word is not None:
            self._word(block, word, condition)
        elif bitmap is not None:
            self._bitmap(block, bitmap, condition)
        else:
            known = {**self._db.words, **self._db.bitmaps}
            help = did_you_mean(block.name.text, known, self._diagnostics) or f"the blocks are {', '.join(known)}"
            message = f"no control word or bitmap is named `{block.name.text}`"
            self._diagnostics.report(codes.UNKNOWN_BLOCK, message, block.name.span, help=help)

    def _assignment(self, statement: tree.Assignment, condition: Node | None, area: str | None = None) -> None:
        assigned = self._assigner.assignment(statement, condition, self._origin, area)
        if assigned is not None:
            self._assignments.append(assigned)

    def _state(self, block: tree.StateBlock, condition: Node | None) -> None:
        area = AREAS.get(block.area.text)
        if area is None:
            help = f"write {' or '.join(f'`state {name} NAME`' for name in AREAS)}"
            message = f"`{block.area.text}` is no area that has states"
            self._diagnostics.report(codes.UNKNOWN_STATE, message, block.area.span, help=help)
            return
        state = read_state(block.name.text, self._db, self._diagnostics, block.name.span)
        if state is not None and state.area != area:
            other = next(name for name, type in AREAS.items() if type == state.area)
            message = f"`{state.name}` is a state of the {other}"
            help = f"write `state {other} {state.name}`"
            self._diagnostics.report(codes.UNKNOWN_STATE, message, block.name.span, help=help)
        elif state is not None:
            taken = TakenState(state, condition, block.span, self._origin, override=block.override)
            self._states.append(taken)
        for statement in block.body:
            if isinstance(statement, tree.Assignment):
                self._assignment(statement, condition, area)
            else:
                self._misplaced(statement, " inside `state`")

    # --- controls ---

    def _word(self, block: tree.Block, word: ControlWord, condition: Node | None) -> None:
        if block.override:
            message = "`override` says of single controls that they replace what is inherited"
            help = "write it before the statement, as in `override forbid hlt_exiting`"
            self._diagnostics.report(codes.MISPLACED, message, block.span, help=help)
        for statement in block.body:
            if not isinstance(statement, tree.Stance):
                self._misplaced_in_word(statement, word)
                continue
            for name in statement.names:
                control = self._control(name, word)
                if control is not None:
                    stance = Stance(
                        statement.verb, control, condition, name.span, self._origin, override=statement.override
                    )
                    self._stances.append(stance)

    def _misplaced_in_word(self, statement: tree.Statement, word: ControlWord) -> None:
        name = statement.target.text if isinstance(statement, tree.Assignment) else ""
        if name not in word.by_name:
            self._misplaced(statement, f" inside `{word.name}`")
            return
        help = f"write `require {name}` for 1, `forbid {name}` for 0"
        self._diagnostics.report(codes.NOT_ASSIGNABLE, f"`{name}` is a control, not a field", statement.span, help=help)

    def _control(self, name: tree.Name, word: ControlWord) -> Control | None:
        control = word.by_name.get(name.text)
        if control is not None:
            return control
        elsewhere = self._db.controls_by_name.get(name.text, ())
        if elsewhere:
            words = " and ".join(f"`{other.word}`" for other in elsewhere)
            help: str | None = f"it is a control of {words}"
        else:
            help = did_you_mean(name.text, word.by_name, self._diagnostics)
            help = help or did_you_mean(name.text, self._db.controls, self._diagnostics)
        message = f"`{word.name}` has no control `{name.text}`"
        self._diagnostics.report(codes.UNKNOWN_CONTROL, message, name.span, help=help)
        return None

    # --- bitmaps ---

    def _bitmap(self, block: tree.Block, bitmap: Bitmap, condition: Node | None) -> None:
        if condition is not None and bitmap.storage == "page":
            message = f"`{bitmap.name}` cannot depend on a condition: its pages are constants"
            help = "write two policies, one of which extends the other"
            self._diagnostics.report(codes.MISPLACED, message, block.span, help=help)
            return
        if block.override:
            self._overridden_bitmaps.append(Override(bitmap.name, self._origin, condition, block.span))
        targets = Targets(bitmap, self._db, self._diagnostics)
        for statement in block.body:
            if isinstance(statement, tree.Reach):
                self._reach(statement, bitmap, targets, condition)
            else:
                self._misplaced(statement, f" inside `{bitmap.name}`")

    def _reach(self, statement: tree.Reach, bitmap: Bitmap, targets: Targets, condition: Node | None) -> None:
        accesses = targets.accesses(statement)
        if accesses is None:
            return
        for target in statement.targets:
            ranges = targets.ranges(target)
            in_order, test = targets.test(target)
            if ranges is not None and in_order:
                intercept = statement.verb == "intercept"
                if test is not None and not intercept:
                    message = "`pass` takes no condition"
                    help = "intercept it under the opposite condition"
                    self._diagnostics.report(codes.BAD_CONDITION, message, target.span, help=help)
                    continue
                self._paintings.append(
                    Painting(bitmap, intercept, accesses, ranges, condition, target.span, self._origin, test)
                )


def _with_nested(body: Sequence[tree.Statement]) -> list[tree.Statement]:
    """The statements of a body and of the `when` and `state` blocks in it."""
    found: list[tree.Statement] = []
    for statement in body:
        found.append(statement)
        if isinstance(statement, tree.When | tree.StateBlock):
            found.extend(_with_nested(statement.body))
    return found
