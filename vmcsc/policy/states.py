"""Whole states of guest and host, as the specs have them: for each field of an area a value over the capabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Field
from vmcsc.architecture.reader import SpecDocument, read_document
from vmcsc.diagnostic import Diagnostic, Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.bind import bind, bind_condition
from vmcsc.expression.scope import Scope
from vmcsc.records import dataclass
from vmcsc.source import Source, Span
from vmcsc.syntax.parser import parse_expression

AREAS = {"guest": "guest_state", "host": "host_state"}
"""What a policy calls the areas of the VMCS that hold a state, and the type of their fields."""

MAX_CHAIN = 8
"""How many states may extend each other."""


@dataclass(frozen=True)
class State:
    """A state of `area`. `needs` are conditions that a processor meets where it can have the state.

    `controls` are the settings by path without which the state is not valid; that they are possible is among the needs.
    """

    name: str
    title: str
    area: str
    summary: str
    needs: tuple[nodes.Node, ...]
    controls: Mapping[str, bool]
    values: Mapping[str, nodes.Node]


def known_states(database: Database) -> tuple[str, ...]:
    """The names of the state files in the spec folders."""
    return tuple(database.files("states", ".yaml"))


def read_state(name: str, database: Database, diagnostics: Diagnostics, span: Span | None = None) -> State | None:
    """The state of this name, or None after reporting why there is none. `span` is where the name is written."""
    if name not in database.files("states", ".yaml"):
        known = known_states(database)
        near = get_close_matches(name[:100], known, n=1)
        help = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
        diagnostics.report(codes.UNKNOWN_STATE, f"no state is named `{name}`", span, help=help)
        return None
    state, found = _read(database, name)
    diagnostics.extend(found)
    return state


@lru_cache(maxsize=64)
def _read(database: Database, name: str) -> tuple[State | None, tuple[Diagnostic, ...]]:
    diagnostics = Diagnostics()
    chain = _chain(database, name, diagnostics)
    if diagnostics.failed:
        return None, tuple(diagnostics)
    builder = _Builder(database, diagnostics)
    for document in reversed(chain):
        builder.take(document)
    own = chain[0].value
    state = State(
        own["name"],
        own["title"],
        own["area"],
        " ".join(own["summary"].split()),
        builder.needs(),
        builder.controls,
        builder.values,
    )
    return (None if diagnostics.failed else state), tuple(diagnostics)


def _chain(database: Database, name: str, diagnostics: Diagnostics) -> list[SpecDocument]:
    """The file of a state and those that it extends, each before the one that it extends."""
    files = database.files("states", ".yaml")
    chain: list[SpecDocument] = []
    wanted: str | None = name
    while wanted is not None:
        if wanted not in files or len(chain) == MAX_CHAIN:
            what = "which no file defines" if wanted not in files else "and states extend each other without end"
            message = f"`{chain[-1].value['name']}` extends the state `{wanted}`, {what}"
            diagnostics.report(codes.SPEC_REFERENCE, message, chain[-1].span("extends"))
            return chain
        path = files[wanted]
        shipped = path.is_relative_to(database.folders[0])
        document = read_document(path, diagnostics, validate=not shipped, cache=database.cache)
        if document is None:
            return chain
        if document.kind != "state":
            diagnostics.report(
                codes.SPEC_SCHEMA, "a file in the folder `states` is of kind `state`", document.span("kind")
            )
            return chain
        if chain and document.value["area"] != chain[0].value["area"]:
            message = f"`{wanted}` is a state of another area"
            diagnostics.report(codes.SPEC_REFERENCE, message, chain[-1].span("extends"))
        chain.append(document)
        wanted = document.value.get("extends")
    return chain


class _Builder:
    """Collects what the files of a chain say, the extended ones first."""

    def __init__(self, database: Database, diagnostics: Diagnostics) -> None:
        self._db = database
        self._diagnostics = diagnostics
        self._scope = Scope(database)
        self._condition: nodes.Node | None = None
        self.controls: dict[str, bool] = {}
        self.values: dict[str, nodes.Node] = {}

    def take(self, document: SpecDocument) -> None:
        raw = document.value
        if "controls" in raw:
            self.controls = dict(self._settings(document))
        if "needs" in raw:
            self._condition = self._bound(document, raw["needs"], ("needs",), 1)
        for name in raw.get("fields", ()):
            field = self._field(document, name)
            value = None if field is None else self._value(document, field)
            if value is not None:
                self.values[name] = value

    def needs(self) -> tuple[nodes.Node, ...]:
        """That the controls can be as they must, and what else is needed, each condition by itself."""
        found: list[nodes.Node] = []
        for path, setting in self.controls.items():
            control = self._db.controls[path]
            found.append(nodes.Supported(1, control) if setting else nodes.Invert(1, nodes.Forced(1, control)))
        return (*found, *_conjuncts(self._condition))

    def _settings(self, document: SpecDocument) -> Iterator[tuple[str, bool]]:
        for path, setting in document.value["controls"].items():
            if path in self._db.controls:
                yield path, bool(setting)
            else:
                near = get_close_matches(path, self._db.controls, n=1)
                help = f"did you mean `{near[0]}`?" if near else None
                span = document.yaml.key_span("controls", path)
                self._diagnostics.report(codes.SPEC_REFERENCE, f"no control is named `{path}`", span, help=help)

    def _field(self, document: SpecDocument, name: str) -> Field | None:
        field = self._db.fields.get(name)
        if field is None:
            near = get_close_matches(name, self._db.fields, n=1)
            help = f"did you mean `{near[0]}`?" if near else None
            span = document.yaml.key_span("fields", name)
            self._diagnostics.report(codes.SPEC_REFERENCE, f"no field is named `{name}`", span, help=help)
        elif field.type != document.value["area"]:
            message = f"`{name}` is no field of the area `{document.value['area']}`"
            self._diagnostics.report(codes.SPEC_REFERENCE, message, document.yaml.key_span("fields", name))
            return None
        return field

    def _value(self, document: SpecDocument, field: Field) -> nodes.Node | None:
        raw = document.value["fields"][field.name]
        if isinstance(raw, int):
            if raw >> field.width:
                message = f"{raw:#x} does not fit the {field.width} bits of `{field.name}`"
                self._diagnostics.report(codes.SPEC_BITS, message, document.span("fields", field.name))
                return None
            return nodes.Constant(field.width, raw)
        return self._bound(document, raw, ("fields", field.name), field.width)

    def _bound(self, document: SpecDocument, text: str, path: tuple[str, ...], width: int) -> nodes.Node | None:
        """The expression `text`, which stands at `path`."""
        found = Diagnostics()
        parsed = parse_expression(Source("<state>", text), found)
        if parsed is None:
            bound = None
        elif width == 1:
            bound = bind_condition(parsed, self._scope, found)
        else:
            bound = bind(parsed, width, self._scope, found)
        for problem in found:
            message = f"`{path[-1]}` of `{document.value['name']}` means nothing: {problem.message}"
            self._diagnostics.report(codes.SPEC_EXPRESSION, message, document.span(*path), help=problem.help)
        return bound


def _conjuncts(node: nodes.Node | None) -> Iterator[nodes.Node]:
    """The conditions that `and` joins, each by itself."""
    if isinstance(node, nodes.Operation) and node.operator == "&":
        yield from _conjuncts(node.left)
        yield from _conjuncts(node.right)
    elif node is not None:
        yield node
