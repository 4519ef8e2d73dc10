"""The statements of a policy and of those it extends, bound to the specs, in the order in which they take effect."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bitmap, Control, ControlWord
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.expression.bind import WIDTHS, bind, bind_condition
from vmcsc.expression.nodes import Node, Operation
from vmcsc.expression.scope import Scope
from vmcsc.policy.compose import compose_assignments, compose_stances
from vmcsc.policy.files import PolicyTexts
from vmcsc.policy.model import Assignment, Painting, Parameter, Policy, Stance
from vmcsc.policy.targets import Targets
from vmcsc.source import Source, Span
from vmcsc.syntax import tree


def bind_policy(
    source: Source, database: Database, diagnostics: Diagnostics, search: Sequence[Path] = ()
) -> Policy | None:
    """The policy of `source` with everything that it inherits, or None after reporting why there is none."""
    texts = PolicyTexts(database, diagnostics, search)
    policy = texts.begin(source)
    if policy is None:
        return None
    binder = _PolicyBinder(database, diagnostics)
    for link in texts.chain:
        binder.parameters(link)
    for link in texts.chain:
        binder.statements(link)
    return binder.finish(policy, source, tuple(texts.sources))


class _PolicyBinder:
    def __init__(self, database: Database, diagnostics: Diagnostics) -> None:
        self._db = database
        self._diagnostics = diagnostics
        self._parameters: dict[str, Parameter] = {}
        self._scope = Scope(database)
        self._origin = ""
        self._summary: str | None = None
        self._cpus: tuple[tree.Name, ...] = ()
        self._stances: list[Stance] = []
        self._assignments: list[Assignment] = []
        self._paintings: list[Painting] = []
        self._scenarios: list[tree.Scenario] = []

    def finish(self, policy: tree.Policy, source: Source, sources: tuple[Source, ...]) -> Policy:
        stances = compose_stances(self._stances, self._db, self._diagnostics)
        assignments = compose_assignments(self._assignments, self._paintings, self._diagnostics)
        return Policy(
            policy.name.text,
            self._summary,
            source,
            policy.span,
            self._cpus,
            self._parameters,
            stances,
            assignments,
            tuple(self._paintings),
            tuple(self._scenarios),
            sources,
        )

    # --- parameters, before everything that may use them ---

    def parameters(self, policy: tree.Policy) -> None:
        for statement in _with_nested(policy.body):
            param = statement if isinstance(statement, tree.Param) else None
            if isinstance(statement, tree.Assignment):
                param = statement.param
            if param is not None:
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
            return
        default = None
        if param.default is not None:
            default = bind(param.default, width, self._scope, self._diagnostics)
        self._parameters[param.name.text] = Parameter(param.name.text, width, default, param.span)
        self._scope = Scope(self._db, parameters={name: p.width for name, p in self._parameters.items()})

    # --- statements ---

    def statements(self, policy: tree.Policy) -> None:
        self._origin = policy.name.text
        for statement in policy.body:
            match statement:
                case tree.Summary():
                    self._summary = statement.text
                case tree.ForCpus():
                    self._cpus = statement.names
                case tree.Scenario():
                    self._scenario(statement)
                case tree.Param() | tree.Extends():
                    pass  # taken before
                case _:
                    self._conditional(statement, None)

    def _scenario(self, scenario: tree.Scenario) -> None:
        twin = next((s for s in self._scenarios if s.title == scenario.title), None)
        if twin is not None:
            message = "another scenario has this title"
            self._diagnostics.report(
                codes.DUPLICATE_NAME, message, scenario.span, labels=[Label(twin.span, "the other one")]
            )
        self._scenarios.append(scenario)

    def _conditional(self, statement: tree.Statement, condition: Node | None) -> None:
        """A statement that may stand in a `when`."""
        match statement:
            case tree.When():
                self._when(statement, condition)
            case tree.Block():
                self._block(statement, condition)
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
            names = [*self._db.words, *self._db.bitmaps]
            near = get_close_matches(block.name.text, names, n=1)
            help = f"did you mean `{near[0]}`?" if near else f"the blocks are {', '.join(names)}"
            message = f"no control word or bitmap is named `{block.name.text}`"
            self._diagnostics.report(codes.UNKNOWN_BLOCK, message, block.name.span, help=help)

    # --- controls ---

    def _word(self, block: tree.Block, word: ControlWord, condition: Node | None) -> None:
        if block.override:
            message = "`override` says of single controls that they replace what is inherited"
            help = "write it before the statement, as in `override forbid hlt_exiting`"
            self._diagnostics.report(codes.MISPLACED, message, block.span, help=help)
        for statement in block.body:
            if not isinstance(statement, tree.Stance):
                self._misplaced(statement, f" inside `{word.name}`")
                continue
            for name in statement.names:
                control = self._control(name, word)
                if control is not None:
                    stance = Stance(
                        statement.verb, control, condition, name.span, self._origin, override=statement.override
                    )
                    self._stances.append(stance)

    def _control(self, name: tree.Name, word: ControlWord) -> Control | None:
        control = word.by_name.get(name.text)
        if control is not None:
            return control
        elsewhere = self._db.controls_by_name.get(name.text, ())
        near = get_close_matches(name.text, word.by_name, n=1) or get_close_matches(
            name.text, self._db.controls_by_name, n=1
        )
        if elsewhere:
            words = " and ".join(f"`{other.word}`" for other in elsewhere)
            help: str | None = f"it is a control of {words}"
        else:
            help = f"did you mean `{near[0]}`?" if near else None
        message = f"`{word.name}` has no control `{name.text}`"
        self._diagnostics.report(codes.UNKNOWN_CONTROL, message, name.span, help=help)
        return None

    # --- bitmaps ---

    def _bitmap(self, block: tree.Block, bitmap: Bitmap, condition: Node | None) -> None:
        if condition is not None and bitmap.storage == "page":
            message = f"`{bitmap.name}` cannot depend on a condition: its pages are constants"
            self._diagnostics.report(codes.MISPLACED, message, block.span, help="write two policies, one of which extends")
            return
        if block.override:
            kept = [p for p in self._paintings if p.bitmap is not bitmap or p.origin == self._origin]
            if len(kept) == len(self._paintings):
                message = f"nothing about `{bitmap.name}` is inherited, so there is nothing to override"
                self._diagnostics.report(codes.NOTHING_TO_OVERRIDE, message, block.span)
            self._paintings = kept
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

    # --- fields ---

    def _assignment(self, statement: tree.Assignment, condition: Node | None) -> None:
        name = statement.target.text
        field = self._db.fields.get(name)
        if field is None:
            self._unknown_field(statement.target)
            return
        problem = self._not_assignable(field.name, statement.target.span)
        value: Node | None
        if statement.param is not None:
            path = tree.Path(statement.param.name.span, (statement.param.name.text,))
            known = statement.param.name.text in self._parameters
            value = bind(path, field.width, self._scope, self._diagnostics) if known else None
        else:
            assert statement.value is not None
            value = bind(statement.value, field.width, self._scope, self._diagnostics)
        if value is not None and not problem:
            self._assignments.append(
                Assignment(field, value, condition, statement.span, self._origin, override=statement.override)
            )

    def _unknown_field(self, target: tree.Path) -> None:
        head = target.parts[0]
        if len(target.parts) > 1 and head in self._db.fields:
            message = f"`{target.text}` is a part of a field; a field is assigned as a whole"
            self._diagnostics.report(codes.NOT_ASSIGNABLE, message, target.span, help=f"write `{head} = ...`")
            return
        near = get_close_matches(target.text, self._db.fields, n=1)
        help = f"did you mean `{near[0]}`?" if near else None
        self._diagnostics.report(codes.UNKNOWN_FIELD, f"no field is named `{target.text}`", target.span, help=help)

    def _not_assignable(self, name: str, span: Span) -> bool:
        field = self._db.fields[name]
        word = self._db.word_of_field.get(name)
        if not field.writable:
            message = f"`{name}` is read-only: the processor writes it at VM exits"
            self._diagnostics.report(codes.READ_ONLY_FIELD, message, span, notes=[f"SDM: {field.section}"])
        elif word is not None:
            message = f"`{name}` is the control word `{word.name}`"
            help = f"say in a block which controls you want: `{word.name} {{ require ... }}`"
            self._diagnostics.report(codes.NOT_ASSIGNABLE, message, span, help=help)
        return not field.writable or word is not None


def _with_nested(body: Sequence[tree.Statement]) -> list[tree.Statement]:
    """The statements of a body and of the `when`s in it."""
    found: list[tree.Statement] = []
    for statement in body:
        found.append(statement)
        if isinstance(statement, tree.When):
            found.extend(_with_nested(statement.body))
    return found
