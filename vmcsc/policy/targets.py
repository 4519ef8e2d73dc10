"""What `intercept` and `pass` name: ranges of ports, MSRs and exception vectors within what a bitmap covers."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Bitmap, Entry
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression.bind import bind_condition
from vmcsc.expression.nodes import Operand, leaves
from vmcsc.expression.scope import Scope
from vmcsc.policy.errorcode import error_code_test
from vmcsc.policy.model import ErrorCodeTest
from vmcsc.policy.suggest import did_you_mean
from vmcsc.syntax import tree

_Range = tuple[int, int]


class Targets:
    """Resolves the targets of one bitmap's statements."""

    def __init__(self, bitmap: Bitmap, database: Database, diagnostics: Diagnostics) -> None:
        self._bitmap = bitmap
        self._db = database
        self._diagnostics = diagnostics

    def accesses(self, statement: tree.Reach) -> tuple[str, ...] | None:
        """The accesses that the statement is about, all of the bitmap's where it names none."""
        known = self._bitmap.accesses
        for access in statement.accesses:
            if access not in known:
                message = f"`{access}` means nothing to the {self._bitmap.sdm}: all accesses are alike"
                self._diagnostics.report(codes.UNKNOWN_TARGET, message, statement.span, help=f"leave `{access}` out")
                return None
        return statement.accesses or known

    def ranges(self, target: tree.Target) -> tuple[_Range, ...] | None:
        """The inclusive ranges that `target` covers, or None after reporting why it covers none."""
        if target.all:
            return tuple(dict.fromkeys((region.first, region.last) for region in self._bitmap.regions))
        if target.name is not None:
            number = self._number(target)
            return None if number is None else self._within(number, number, target)
        assert target.first is not None and target.last is not None
        if target.first > target.last:
            message = f"the range {target.first:#x}..{target.last:#x} runs backwards"
            self._diagnostics.report(codes.OUT_OF_RANGE, message, target.span, help="write the lower number first")
            return None
        return self._within(target.first, target.last, target)

    def _within(self, first: int, last: int, target: tree.Target) -> tuple[_Range, ...] | None:
        if any(region.first <= first and last <= region.last for region in self._bitmap.regions):
            return ((first, last),)
        if self._contiguous(first, last):
            return ((first, last),)
        asked = f"{first:#x}" if first == last else f"{first:#x}..{last:#x}"
        message = f"{asked} is outside what the {self._bitmap.sdm} can select: {' and '.join(self._covered())}"
        notes = [self._bitmap.summary, f"SDM: {self._bitmap.section}"]
        self._diagnostics.report(codes.OUT_OF_RANGE, message, target.span, notes=notes)
        return None

    def _covered(self) -> list[str]:
        """The ranges of the bitmap, those that follow each other without a gap as one."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted({(r.first, r.last) for r in self._bitmap.regions}):
            if joined and joined[-1][1] + 1 == first:
                joined[-1] = (joined[-1][0], last)
            else:
                joined.append((first, last))
        return [f"{first:#x}..{last:#x}" for first, last in joined]

    def _contiguous(self, first: int, last: int) -> bool:
        """Whether regions that follow each other without a gap cover the range together."""
        position = first
        for region_first, region_last in sorted({(r.first, r.last) for r in self._bitmap.regions}):
            if region_first <= position <= region_last:
                position = region_last + 1
        return position > last

    def _number(self, target: tree.Target) -> int | None:
        name = target.name or ""
        known: Mapping[str, Entry] = {}
        if self._bitmap.targets == "msr":
            msr = self._db.msr_names.get(name)
            if msr is not None:
                return msr.index
            known = self._db.msr_names
        elif self._bitmap.targets == "exception":
            exception = self._db.exceptions.get(name)
            if exception is not None:
                return exception.vector
            known = self._db.exceptions
        help = did_you_mean(name, known, self._diagnostics) or f"write the number of the {self._bitmap.unit}"
        message = f"no {self._bitmap.unit} is named `{name}`"
        self._diagnostics.report(codes.UNKNOWN_TARGET, message, target.span, help=help)
        return None

    def test(self, target: tree.Target) -> tuple[bool, ErrorCodeTest | None]:
        """Whether the target's condition is in order, and the test that it stands for."""
        if target.condition is None:
            return True, None
        qualified = self._bitmap.qualified
        if qualified is None or target.name != qualified.exception:
            message = (
                f"only `{qualified.exception}` can depend on a condition" if qualified else "no condition fits here"
            )
            help = "leave the condition out; what the processor can do is asked with `when` around the block"
            self._diagnostics.report(codes.BAD_CONDITION, message, target.condition.span, help=help)
            return False, None
        layout = self._db.layouts[qualified.layout]
        scope = Scope(self._db, operands={qualified.operand: (layout.width, layout.by_name)})
        bound = bind_condition(target.condition, scope, self._diagnostics)
        if bound is None:
            return False, None
        test = error_code_test(bound)
        if test is None:
            message = "the processor cannot test this: it compares the error code under one mask with one value"
            help = f"write a conjunction of bits, as in `{qualified.operand} & 5 == 1`"
            if not any(isinstance(leaf, Operand) for leaf in leaves(bound)):
                around = f"`when ... {{ {self._bitmap.name} {{ ... }} }}`"
                help = f"what the processor can do is asked around the block: {around}"
            self._diagnostics.report(
                codes.BAD_CONDITION, message, target.condition.span, notes=[f"SDM: {self._bitmap.section}"], help=help
            )
        return test is not None, test
