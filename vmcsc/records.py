"""`dataclass`, `field` and `replace` as in the standard library, as far as they are used here, for a fast start.

The standard decorator compiles six methods of each class when its module is imported, and imports `inspect`: a quarter
of a millisecond for each of more than a hundred classes, which is several times what Python itself takes to start. Here
`__init__` is compiled when the first object is made, and the other methods are shared by all classes. Type checkers see
the standard decorator, and what `dataclasses` does with objects (`fields`, `asdict`, `replace`) works.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace

__all__ = ["dataclass", "field", "replace"]

_MISSING: Any = object()
_FIELDS = "__record_fields__"


class _Field:
    """How one attribute is given and compared."""

    __slots__ = ("compare", "default", "factory", "hash", "kw_only", "name", "repr")

    def __init__(
        self, default: Any, factory: Any, repr: bool, compare: bool, hash: bool | None, kw_only: bool | None
    ) -> None:
        self.name = ""
        self.default = default
        self.factory = factory
        self.repr = repr
        self.compare = compare
        self.hash = compare if hash is None else hash
        self.kw_only = kw_only


def _field(
    *,
    default: Any = _MISSING,
    default_factory: Any = _MISSING,
    repr: bool = True,
    compare: bool = True,
    hash: bool | None = None,
    kw_only: bool | None = None,
) -> Any:
    return _Field(default, default_factory, repr, compare, hash, kw_only)


def _dataclass(
    cls: Any = None,
    /,
    *,
    frozen: bool = False,
    slots: bool = False,
    eq: bool = True,
    kw_only: bool = False,
    init: bool = True,
) -> Any:
    def decorate(cls: Any) -> Any:
        assert init or "__init__" in cls.__dict__
        return _made(cls, frozen, slots, eq, kw_only)

    return decorate if cls is None else decorate(cls)


def _replace(record: Any, /, **changes: Any) -> Any:
    """A copy of `record` with other values for some of its attributes."""
    for one in getattr(type(record), _FIELDS).values():
        if one.name not in changes:
            changes[one.name] = getattr(record, one.name)
    return type(record)(**changes)


if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _field, _replace


def _made(cls: Any, frozen: bool, slots: bool, eq: bool, kw_only: bool) -> Any:
    fields: dict[str, _Field] = {}
    for base in reversed(cls.__mro__[1:]):
        fields |= base.__dict__.get(_FIELDS, {})
    own = _own_fields(cls, kw_only)
    fields |= own
    if slots:
        cls = _with_slots(cls, fields)
    setattr(cls, _FIELDS, fields)
    setattr(cls, "__match_args__", tuple(one.name for one in fields.values() if not one.kw_only))  # noqa: B010
    cls.__dataclass_fields__ = _StandardFields()
    _add(cls, "__init__", _first_init(cls, frozen, slots))
    _add(cls, "__repr__", _repr)
    if eq:
        _compare_by(cls, fields, frozen)
    if frozen:
        _add(cls, "__setattr__", _refuse_to_set)
        _add(cls, "__delattr__", _refuse_to_delete)
        if slots:
            _add(cls, "__getstate__", _state)
            _add(cls, "__setstate__", _set_state)
    return cls


def _add(cls: Any, name: str, method: Any) -> None:
    """Give the class a method, unless it has one of its own."""
    if name not in cls.__dict__:
        setattr(cls, name, method)


def _own_fields(cls: Any, kw_only: bool) -> dict[str, _Field]:
    found = {}
    for name, annotation in cls.__annotations__.items():
        if str(annotation).startswith("ClassVar"):
            continue
        default = cls.__dict__.get(name, _MISSING)
        one = default if isinstance(default, _Field) else _Field(default, _MISSING, True, True, None, None)
        one.name = name
        one.kw_only = kw_only if one.kw_only is None else one.kw_only
        found[name] = one
        if one is default:
            if one.default is _MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, one.default)
    return found


def _with_slots(cls: Any, fields: dict[str, _Field]) -> Any:
    """The class again, with slots: they cannot be added to one that is made."""
    content = {name: value for name, value in cls.__dict__.items() if name not in ("__dict__", "__weakref__")}
    inherited = {name for base in cls.__mro__[1:-1] for name in base.__dict__.get("__slots__", ())}
    for name in fields:
        content.pop(name, None)
    content["__slots__"] = tuple(name for name in fields if name not in inherited)
    made = type(cls)(cls.__name__, cls.__bases__, content)
    made.__qualname__ = cls.__qualname__
    return made


# --- methods ---


def _first_init(cls: Any, frozen: bool, slots: bool) -> Any:
    """Makes the real `__init__` when it is first called."""

    def first(self: Any, *arguments: Any, **named: Any) -> None:
        if cls.__init__ is first:
            cls.__init__ = _init(cls, frozen, slots)
        cls.__init__(self, *arguments, **named)

    return first


def _init(cls: Any, frozen: bool, slots: bool) -> Any:
    """Compiled from the names of the class's attributes, as the standard decorator does it."""
    scope: dict[str, Any] = {"MISSING": _MISSING}
    positional: list[str] = []
    named: list[str] = []
    body: list[str] = []
    for one in getattr(cls, _FIELDS).values():
        name = one.name
        parameter = name
        if one.factory is not _MISSING:
            scope[f"make_{name}"], parameter = one.factory, f"{name}=MISSING"
            body.append(f"if {name} is MISSING: {name} = make_{name}()")
        elif one.default is not _MISSING:
            scope[f"default_{name}"], parameter = one.default, f"{name}=default_{name}"
        (named if one.kw_only else positional).append(parameter)
        if not frozen:
            body.append(f"self.{name} = {name}")
        elif slots:
            scope[f"set_{name}"] = getattr(cls, name).__set__
            body.append(f"set_{name}(self, {name})")
        else:
            body.append(f"attributes[{name!r}] = {name}")
    if frozen and not slots:
        body.insert(0, "attributes = self.__dict__")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join(["self", *positional, *(["*", *named] if named else [])])
    exec(f"def __init__({parameters}):\n  " + "\n  ".join(body or ["pass"]), scope)
    return scope["__init__"]


def _compare_by(cls: Any, fields: dict[str, _Field], frozen: bool) -> None:
    compared = _getter([one for one in fields.values() if one.compare])
    hashed = _getter([one for one in fields.values() if one.hash])

    def equal(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compared(self) == compared(other)

    def hash_of(self: Any) -> int:
        return hash(hashed(self))

    _add(cls, "__eq__", equal)
    if cls.__dict__.get("__hash__") is None:  # a class that defines only __eq__ has None there
        cls.__hash__ = hash_of if frozen else None


def _getter(fields: list[_Field]) -> Any:
    """Takes the values of some attributes, to compare them."""
    return attrgetter(*(one.name for one in fields)) if fields else lambda _: ()


def _repr(self: Any) -> str:
    shown = (f"{one.name}={getattr(self, one.name)!r}" for one in getattr(self, _FIELDS).values() if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_to_set(_: Any, name: str, __: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_: Any, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    """For copies and pickles, which could not set the attributes of a frozen object."""
    return [getattr(self, name) for name in getattr(self, _FIELDS)]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(getattr(self, _FIELDS), state, strict=True):
        object.__setattr__(self, name, value)


class _StandardFields:
    """`__dataclass_fields__`, made when the standard library looks for it."""

    def __get__(self, _: Any, cls: Any) -> Any:
        import dataclasses

        described = []
        for one in getattr(cls, _FIELDS).values():
            more: dict[str, Any] = {"repr": one.repr, "compare": one.compare, "hash": one.hash, "kw_only": one.kw_only}
            if one.default is not _MISSING:
                more["default"] = one.default
            if one.factory is not _MISSING:
                more["default_factory"] = one.factory
            described.append((one.name, Any, dataclasses.field(**more)))
        return dataclasses.make_dataclass(cls.__name__, described).__dataclass_fields__  # type: ignore[attr-defined]
