"""Assignments bound: the field that is meant, and its value or parameter."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Field
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.bind import bind
from vmcsc.expression.literals import WIDTHS
from vmcsc.expression.nodes import Node
from vmcsc.expression.nodes import Parameter as Reference
from vmcsc.expression.scope import Scope
from vmcsc.policy.model import Assignment, Parameter
from vmcsc.policy.states import AREAS
from vmcsc.policy.suggest import did_you_mean
from vmcsc.source import Span
from vmcsc.syntax import tree


class Assigner:
    """Binds assignments of one policy. `parameters` are those that are declared by now."""

    def __init__(
        self, database: Database, scope: Scope, parameters: Mapping[str, Parameter], diagnostics: Diagnostics
    ) -> None:
        self._db = database
        self._scope = scope
        self._parameters = parameters
        self._diagnostics = diagnostics

    def assignment(
        self, statement: tree.Assignment, condition: Node | None, origin: str, area: str | None
    ) -> Assignment | None:
        """The assignment as meant, or None after reporting why there is none.

        `area` is the type of the fields of the block of a state; there names may leave out the beginning that all of
        them have.
        """
        field = self._db.fields.get(statement.target.text)
        if field is None and area is not None:
            field = self._db.fields.get(f"{_prefix(area)}{statement.target.text}")
        if field is None:
            self._unknown_field(statement.target, area)
            return None
        problem = self._not_assignable(field, statement.target.span, area)
        value: Node | None
        if statement.param is not None:
            value = self._declared_for(field, statement.param)
        else:
            assert statement.value is not None
            value = bind(statement.value, field.width, self._scope, self._diagnostics)
        if value is None or problem:
            return None
        return Assignment(field, value, condition, statement.span, origin, override=statement.override)

    def _declared_for(self, field: Field, param: tree.Param) -> Node | None:
        """The parameter that an assignment to `field` declares."""
        known = self._parameters.get(param.name.text)
        if known is None or known.width == field.width:
            return None if known is None else Reference(known.width, known.name)
        message = f"`{param.name.text}` is {known.width} bits wide, `{field.name}` {field.width}"
        right = next((name for name, width in WIDTHS.items() if width == field.width), None)
        help = None if right is None else f"write `{right}` for its type"
        self._diagnostics.report(codes.WIDTH_MISMATCH, message, param.type.span, help=help)
        return None

    def _unknown_field(self, target: tree.Path, area: str | None) -> None:
        head = target.parts[0]
        if area is not None and f"{_prefix(area)}{head}" in self._db.fields:
            head = f"{_prefix(area)}{head}"
        if len(target.parts) > 1 and head in self._db.fields:
            message = f"`{target.text}` is a part of a field; a field is assigned as a whole"
            self._diagnostics.report(
                codes.NOT_ASSIGNABLE, message, target.span, help=f"write `{target.parts[0]} = ...`"
            )
            return
        known = dict(self._db.fields)
        if area is not None:
            own = {name: field for name, field in known.items() if field.type == area}
            known = {**own, **{name.removeprefix(_prefix(area)): field for name, field in own.items()}}
        help = did_you_mean(target.text, known, self._diagnostics)
        self._diagnostics.report(codes.UNKNOWN_FIELD, f"no field is named `{target.text}`", target.span, help=help)

    def _not_assignable(self, field: Field, span: Span, area: str | None) -> bool:
        word = self._db.word_of_field.get(field.name)
        if not field.writable:
            message = f"`{field.name}` is read-only: the processor writes it at VM exits"
            self._diagnostics.report(codes.READ_ONLY_FIELD, message, span, notes=[f"SDM: {field.section}"])
        elif word is not None:
            message = f"`{field.name}` is the control word `{word.name}`"
            help = f"say in a block which controls you want: `{word.name} {{ require ... }}`"
            self._diagnostics.report(codes.NOT_ASSIGNABLE, message, span, help=help)
        elif area not in (None, field.type):
            name = next(name for name, type in AREAS.items() if type == area)
            message = f"`{field.name}` does not belong to the state of the {name}"
            help = "write it outside this block, in the body of the policy"
            self._diagnostics.report(codes.NOT_ASSIGNABLE, message, span, help=help)
        else:
            return False
        return True


def _prefix(area: str) -> str:
    """How the names of the fields of an area begin, but for a few."""
    return next(f"{name}_" for name, type in AREAS.items() if type == area)
