"""The functions of the expression language: a few that are built in, and those that the specs define by a body."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Protocol

from vmcsc import codes
from vmcsc.architecture.model import Function
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.literals import WIDTHS, Bound, Literal
from vmcsc.expression.scope import Scope, Unresolved
from vmcsc.records import replace
from vmcsc.source import Source, Span
from vmcsc.syntax import tree
from vmcsc.syntax.parser import parse_expression

MAX_NAME = 100
"""Longer names are no slips of the pen."""

_CONTROL_FUNCTIONS = ("supported", "forced")
_WORD_FUNCTIONS = ("must_be_1", "may_be_1")
_MEMORY_FUNCTIONS: Mapping[str, int] = {"memory32": 32, "memory64": 64}
_LIMIT_FUNCTIONS = ("fits", "sign_extended")


class Binding(Protocol):
    """What a function needs of the binder that meets it."""

    def bind(self, expression: tree.Expression) -> Bound: ...
    def fit(self, bound: nodes.Node | Literal, width: int, span: Span) -> nodes.Node | None: ...
    def condition(self, expression: tree.Expression) -> nodes.Node | None: ...
    def within(self, scope: Scope) -> Binding: ...
    def unresolved(self, problem: Unresolved, text: str, span: Span) -> None: ...


class Calls:
    """Binds the calls that stand in expressions of one scope."""

    def __init__(self, binder: Binding, scope: Scope, diagnostics: Diagnostics) -> None:
        self._binder = binder
        self._scope = scope
        self._diagnostics = diagnostics

    def bind(self, call: tree.Call) -> Bound:
        function = self._scope.database.functions.get(call.function)
        wanted = 1 if function is None else len(function.parameters)
        if call.function in _LIMIT_FUNCTIONS:
            wanted = 2
        if function is None and call.function not in self._built_in():
            self._unknown(call)
            return None
        if len(call.arguments) != wanted:
            counted = "one argument" if wanted == 1 else f"{wanted} arguments"
            message = f"`{call.function}` takes {counted}, not {len(call.arguments)}"
            self._diagnostics.report(codes.WRONG_ARGUMENTS, message, call.span)
            return None
        return self._built_in_call(call) if function is None else self._defined(call, function)

    def _built_in(self) -> tuple[str, ...]:
        """The functions that may be called here: memory and the settings of whole words only by rules."""
        names = (*WIDTHS, *_CONTROL_FUNCTIONS, *_LIMIT_FUNCTIONS)
        return (*names, *_WORD_FUNCTIONS, *_MEMORY_FUNCTIONS) if self._scope.state else names

    def _unknown(self, call: tree.Call) -> None:
        known = (*self._built_in(), *self._scope.database.functions)
        near = get_close_matches(call.function, known, n=1) if len(call.function) <= MAX_NAME else []
        help = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
        name = Span(call.span.source, call.span.start, call.span.start + len(call.function))
        self._diagnostics.report(codes.UNKNOWN_FUNCTION, f"there is no function `{call.function}`", name, help=help)

    def _built_in_call(self, call: tree.Call) -> Bound:
        if call.function in WIDTHS:
            return self._convert(call, WIDTHS[call.function])
        if call.function in _CONTROL_FUNCTIONS:
            return self._capability(call)
        if call.function in _WORD_FUNCTIONS:
            return self._settings(call)
        if call.function in _MEMORY_FUNCTIONS:
            address = self._argument(call.arguments[0], 64)
            return None if address is None else nodes.Memory(_MEMORY_FUNCTIONS[call.function], address)
        return self._limited(call)

    def _argument(self, argument: tree.Expression, width: int) -> nodes.Node | None:
        bound = self._binder.bind(argument)
        return None if bound is None else self._binder.fit(bound, width, argument.span)

    def _convert(self, call: tree.Call, width: int) -> Bound:
        argument = self._binder.bind(call.arguments[0])
        if isinstance(argument, Literal):
            return self._binder.fit(argument, width, call.arguments[0].span)
        return None if argument is None else nodes.Resize(width, argument)

    def _capability(self, call: tree.Call) -> Bound:
        argument = call.arguments[0]
        if not isinstance(argument, tree.Path):
            message = f"`{call.function}` asks about a control; this is none"
            self._diagnostics.report(codes.WRONG_ARGUMENTS, message, argument.span)
            return None
        control = self._scope.control(argument.parts)
        if isinstance(control, Unresolved):
            self._binder.unresolved(control, argument.text, argument.span)
            return None
        return nodes.Supported(1, control) if call.function == "supported" else nodes.Forced(1, control)

    def _settings(self, call: tree.Call) -> Bound:
        argument = call.arguments[0]
        word = self._scope.database.words.get(argument.text) if isinstance(argument, tree.Path) else None
        if word is None:
            known = ", ".join(self._scope.database.words)
            message = f"`{call.function}` asks about a control word; this is none"
            self._diagnostics.report(codes.WRONG_ARGUMENTS, message, argument.span, help=f"the words are {known}")
            return None
        return nodes.AllowedBits(word.width, word, call.function == "must_be_1")

    def _limited(self, call: tree.Call) -> Bound:
        """`fits` and `sign_extended`: the limit may be a fact of the processor that is known only within bounds."""
        operand = self._argument(call.arguments[0], 64)
        limit = self._binder.bind(call.arguments[1])
        if isinstance(limit, Literal):
            limit = self._binder.fit(limit, 8, call.arguments[1].span)
        if operand is None or limit is None:
            return None
        lowest, highest = _bounds(limit)
        kind = nodes.Fits if call.function == "fits" else nodes.SignExtended
        return kind(1, operand, limit, lowest, highest)

    def _defined(self, call: tree.Call, function: Function) -> Bound:
        arguments: dict[str, nodes.Node] = {}
        for argument, (name, width) in zip(call.arguments, function.parameters.items(), strict=True):
            bound = self._argument(argument, width)
            if bound is None:
                return None
            arguments[name] = bound
        body = parse_expression(Source(f"<{function.name}>", function.body), Diagnostics())
        if body is None:
            return None
        inside = self._binder.within(replace(self._scope, bound=arguments, parameters={}))
        return inside.condition(body) if function.width == 1 else inside.bind(body)


def _bounds(limit: nodes.Node) -> tuple[int, int]:
    """Between which values the limit lies on any processor."""
    match limit:
        case nodes.Constant(value=value):
            return value, value
        case nodes.CpuFact(fact=fact) if fact.between is not None:
            return fact.between
        case nodes.Operation(operator="+", left=left, right=nodes.Constant(value=value)):
            lowest, highest = _bounds(left)
            return lowest + value, highest + value
        case _:
            return 0, (1 << limit.width) - 1
