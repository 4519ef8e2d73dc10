"""Our `dataclass` makes what the standard library's makes, only later."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import pytest

from vmcsc import records

Make = Callable[[Any], Any]


def both(make: Callable[[Any, Any], Any]) -> list[Any]:
    """What `make` makes of the standard library's and of our `dataclass` and `field`."""
    return [make(module.dataclass, module.field) for module in (dataclasses, records)]


def plain(dataclass: Any, field: Any) -> Any:
    @dataclass
    class Plain:
        a: int
        b: str = "b"
        c: list[int] = field(default_factory=list)
        shared: ClassVar[int] = 7

    return Plain


def frozen(dataclass: Any, field: Any) -> Any:
    @dataclass(frozen=True)
    class Frozen:
        a: int
        hidden: int = field(default=1, repr=False)
        not_compared: int = field(default=2, compare=False)
        not_hashed: dict[str, int] = field(default_factory=dict, hash=False)

        @cached_property
        def twice(self) -> int:
            return 2 * self.a

    return Frozen


def slotted(dataclass: Any, field: Any) -> Any:
    @dataclass(frozen=True, slots=True)
    class Base:
        width: int

    @dataclass(frozen=True, slots=True)
    class Slotted(Base):
        value: int = 0
        values: dict[str, int] = field(default_factory=dict, hash=False, kw_only=True)

        def __post_init__(self) -> None:
            object.__setattr__(self, "value", self.value & 0xFF)

    return Slotted


def later_keywords(dataclass: Any, _: Any) -> Any:
    @dataclass(frozen=True)
    class Entry:
        name: str
        summary: str = ""

        @property
        def names(self) -> tuple[str, ...]:
            return (self.name,)

    @dataclass(frozen=True, kw_only=True)
    class Field(Entry):
        encoding: int  # type: ignore[misc]  # the parameter is not known to be a `dataclass`
        layout: str | None = None

        @property
        def names(self) -> tuple[str, ...]:
            return (*super().names, "more")

    return Field


def by_identity(dataclass: Any, _: Any) -> Any:
    @dataclass(frozen=True, eq=False)
    class Identity:
        a: int

    return Identity


def empty(dataclass: Any, _: Any) -> Any:
    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    return Empty


CALLS: list[tuple[Callable[[Any, Any], Any], tuple[Any, ...], dict[str, Any]]] = [
    (plain, (1,), {}),
    (plain, (1, "x"), {"c": [1]}),
    (frozen, (3,), {}),
    (frozen, (3, 4, 5, {"x": 1}), {}),
    (slotted, (8,), {}),
    (slotted, (8, 0x1FF), {"values": {"one": 1}}),
    (later_keywords, ("name",), {"encoding": 5}),
    (later_keywords, ("name", "text"), {"encoding": 5, "layout": "x"}),
    (by_identity, (1,), {}),
    (empty, (), {}),
]


@pytest.mark.parametrize(("make", "arguments", "named"), CALLS)
def test_objects_have_the_same_attributes_text_and_parameters(
    make: Callable[[Any, Any], Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    theirs, ours = (cls(*arguments, **named) for cls in both(make))
    assert repr(ours) == repr(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert type(ours).__match_args__ == type(theirs).__match_args__
    assert hasattr(ours, "__dict__") == hasattr(theirs, "__dict__")
    assert [f.name for f in dataclasses.fields(ours)] == [f.name for f in dataclasses.fields(theirs)]


@pytest.mark.parametrize(("make", "arguments", "named"), CALLS)
def test_objects_compare_and_hash_as_they_do_there(
    make: Callable[[Any, Any], Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    answers = []
    for cls in both(make):
        one, same = cls(*arguments, **named), cls(*arguments, **named)
        hashable = cls.__hash__ is not None
        itself = one
        answers.append((one == same, one == itself, one == 1, hashable, hashable and len({one, same, itself})))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("make", [plain, frozen, slotted, later_keywords])
@pytest.mark.parametrize("arguments", [(), (1, 2, 3, 4, 5, 6)])
@pytest.mark.parametrize("named", [{}, {"unheard_of": 1}])
def test_wrong_arguments_are_refused(make: Callable[[Any, Any], Any], arguments: tuple[Any, ...], named: Any) -> None:
    for cls in both(make):
        with pytest.raises(TypeError):
            cls(*arguments, **named)


@pytest.mark.parametrize("make", [frozen, slotted])
def test_frozen_objects_cannot_be_changed(make: Callable[[Any, Any], Any]) -> None:
    for cls in both(make):
        one = cls(1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, cls.__match_args__[0], 2)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(one, cls.__match_args__[0])


def test_equal_attributes_that_are_not_compared_or_hashed_do_not_count() -> None:
    for cls in both(frozen):
        assert cls(1, not_compared=5) == cls(1)
        assert cls(1) != cls(1, hidden=9)
        assert hash(cls(1, not_hashed={"a": 1})) == hash(cls(1))
        assert cls(4).twice == 8


def test_replace_makes_a_changed_copy() -> None:
    _, ours = both(slotted)
    for replace in (dataclasses.replace, records.replace):
        assert replace(ours(8, 3, values={"x": 1}), value=4) == ours(8, 4, values={"x": 1})
        assert replace(ours(8, 3), width=9) == ours(9, 3)


@records.dataclass(frozen=True, slots=True)
class Copied:
    a: int
    b: list[int]


def test_frozen_slotted_objects_are_copied_and_pickled() -> None:
    one = Copied(1, [2])
    for other in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert other == one


def test_a_match_statement_takes_attributes_by_place() -> None:
    for cls in both(slotted):
        match cls(8, 3):
            case cls(width, value):
                assert (width, value) == (8, 3)
            case _:
                pytest.fail("no match")


def test_methods_of_the_class_itself_stay() -> None:
    def own(dataclass: Any, _: Any) -> Any:
        @dataclass(frozen=True)
        class Own:
            a: int

            def __eq__(self, other: object) -> bool:
                return True

            def __hash__(self) -> int:
                return 5

            def __repr__(self) -> str:
                return "own"

        return Own

    for cls in both(own):
        assert (cls(1) == cls(2), hash(cls(1)), repr(cls(1))) == (True, 5, "own")


def test_making_classes_does_not_load_inspect() -> None:
    code = (
        "import sys\nfrom vmcsc.records import dataclass, replace\n"
        "@dataclass(frozen=True, slots=True)\nclass A:\n    a: int\n"
        "assert replace(A(1), a=2) == A(2)\nprint('inspect' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
