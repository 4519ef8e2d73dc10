"""A VMCS that a guest can run from: what the policy says, and what specs/machine/completion.yaml has for the rest."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.architecture.completion import CompletedField, Completion, completion_of
from vmcsc.architecture.database import Database
from vmcsc.check.state import State as Known
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind, bind_condition
from vmcsc.expression.evaluate import Reader, evaluate
from vmcsc.expression.scope import Scope
from vmcsc.expression.value import Value, known
from vmcsc.policy.states import AREAS, State, read_state
from vmcsc.records import dataclass
from vmcsc.scenario.tables import Entries, Pages, identity
from vmcsc.source import Source
from vmcsc.syntax.parser import parse_expression
from vmcsc.vmcs import Vmcs


@dataclass(frozen=True, slots=True)
class Completed:
    """The value of every field that is written, by name, and pages of memory by address.

    `assumed` says in words what the policy or the processor model left open and a run had to settle.
    """

    fields: dict[str, int]
    pages: dict[int, bytes]
    assumed: tuple[str, ...]


def complete(vmcs: Vmcs, first_page: int) -> Completed:
    """What `vmcs` comes to with everything that it leaves open; pages of its own lie from `first_page` on."""
    return _Completion(vmcs, first_page).completed()


class _Completion:
    def __init__(self, vmcs: Vmcs, first_page: int) -> None:
        self._vmcs = vmcs
        self._database = vmcs.database
        self._completion: Completion = completion_of(vmcs.database)
        self._pages = Pages(first_page, {})
        self._fields: dict[str, Value] = {}
        self._assumed: list[str] = []

    def completed(self) -> Completed:
        stated = {a.field.name for a in self._vmcs.policy.assignments if a.state is None}
        for resolved in self._vmcs.words.values():
            if resolved.word.field not in self._vmcs.absent:
                self._fields[resolved.word.field] = resolved.value
        for name, item in self._vmcs.fields.items():
            self._fields[name] = self._paged(name) if item.page else item.value
        for name in (self._completion.guest, self._completion.host):
            self._take(name)
        for one in self._completion.fields:
            if self._is_open(one.field, stated) and self._holds(one.when):
                self._fields[one.field] = self._value(one)
        return Completed(dict(self._settled()), self._pages.contents, tuple(self._assumed))

    def _paged(self, name: str) -> Value:
        return known(self._database.fields[name].width, self._pages.add(self._vmcs.pages[name]))

    def _is_open(self, name: str, stated: set[str]) -> bool:
        """Whether the policy leaves the field open: what a state gives is for whoever takes it to replace."""
        item = self._vmcs.fields.get(name)
        return name not in self._vmcs.absent and name not in stated and (item is None or not item.page)

    def _take(self, name: str) -> None:
        """Fill in the fields of a state, unless the policy takes another one of its area."""
        state = _state(name, self._database)
        if any(taken.state.area == state.area for taken in self._vmcs.policy.states):
            return
        for path, setting in state.controls.items():
            self._set(path, setting, state)
        read = Known(self._database, self._fields, self._vmcs.cpu).read
        for field, node in state.values.items():
            if field not in self._vmcs.absent and field not in self._fields:
                self._fields[field] = evaluate(node, read)

    def _set(self, path: str, setting: bool, state: State) -> None:
        """A control that the state needs and the policy leaves as it is."""
        control = self._database.controls[path]
        name = self._database.words[control.word].field
        value = self._fields[name]
        if value.bit(control.bit) is not setting:
            bits = value.bits | control.mask if setting else value.bits & ~control.mask
            self._fields[name] = Value(value.width, bits, value.known | control.mask)
            self._assumed.append(f"{path} is {int(setting)}, which the state {state.name} needs")

    def _holds(self, condition: str | None) -> bool:
        if condition is None:
            return True
        node = self._bound(condition, None, 0)
        return evaluate(node, self._read()).bit(0) is True

    def _read(self) -> Reader:
        return Known(self._database, self._fields, self._vmcs.cpu).read

    def _value(self, one: CompletedField) -> Value:
        page = 0 if one.page is None else self._page(one.page)
        node = self._bound(one.value, self._database.fields[one.field].width, page)
        return evaluate(node, self._read())

    def _page(self, content: str) -> int:
        if content in self._completion.tables:
            return identity(self._pages, Entries(*self._completion.tables[content]))
        return self._pages.add(b"\xff" * 4096 if content == "ones" else b"")

    def _bound(self, text: str, width: int | None, page: int) -> nodes.Node:
        scope = Scope(self._database, controls=True, state=True, bound={"page": nodes.Constant(64, page)})
        diagnostics = Diagnostics()
        parsed = parse_expression(Source("<completion>", text), diagnostics)
        if parsed is None:
            raise ValueError(f"{text!r}: {diagnostics.found[0].message}")
        bound = bind_condition(parsed, scope, diagnostics) if width is None else bind(parsed, width, scope, diagnostics)
        if bound is None:
            raise ValueError(f"{text!r}: {diagnostics.found[0].message}")
        return bound

    def _settled(self) -> Iterator[tuple[str, int]]:
        """Every field as a number; what is unknown is 0 and told."""
        for name, value in self._fields.items():
            if not value.is_known:
                self._assumed.append(f"{name} has bits that nobody told, taken as 0")
            yield name, value.bits


def _state(name: str, database: Database) -> State:
    state = read_state(name, database, Diagnostics())
    if state is None or state.area not in AREAS.values():
        raise ValueError(f"no state is named {name}")
    return state
