"""A condition on an exception's error code as the mask and match that the processor compares.

The processor knows one test, `(error code & mask) == match`, so only conjunctions of bits can be expressed.
"""

from __future__ import annotations

from vmcsc.expression import nodes
from vmcsc.policy.model import ErrorCodeTest


def error_code_test(condition: nodes.Node) -> ErrorCodeTest | None:
    """The test that holds exactly where `condition` does, or None where there is none."""
    match condition:
        case nodes.Operand(width=1, low=low):
            return ErrorCodeTest(1 << low, 1 << low, equal=True)
        case nodes.Invert(operand=operand):
            test = error_code_test(operand)
            return None if test is None else _negated(test)
        case nodes.Operation(operator="&", width=1, left=left, right=right):
            return _both(error_code_test(left), error_code_test(right))
        case nodes.Comparison(operator="==", left=left, right=right):
            return _comparison(left, right) or _comparison(right, left)
        case _:
            return _bits_set(condition)


def _negated(test: ErrorCodeTest) -> ErrorCodeTest:
    if test.mask.bit_count() == 1:  # one bit that is not 0 is 1, so the plain test still says it
        return ErrorCodeTest(test.mask, test.match ^ test.mask, test.equal)
    return ErrorCodeTest(test.mask, test.match, not test.equal)


def _both(left: ErrorCodeTest | None, right: ErrorCodeTest | None) -> ErrorCodeTest | None:
    if left is None or right is None or not (left.equal and right.equal):
        return None
    if (left.match ^ right.match) & left.mask & right.mask:
        return None  # never true
    return ErrorCodeTest(left.mask | right.mask, left.match | right.match, equal=True)


def _comparison(tested: nodes.Node, constant: nodes.Node) -> ErrorCodeTest | None:
    place = _selected(tested)
    if place is None or not isinstance(constant, nodes.Constant):
        return None
    mask, low = place
    match = constant.value << low
    return None if match & ~mask else ErrorCodeTest(mask, match, equal=True)


def _bits_set(condition: nodes.Node) -> ErrorCodeTest | None:
    """A single bit used as a condition, as in `error_code[1]`."""
    place = _selected(condition)
    return None if place is None or condition.width != 1 else ErrorCodeTest(place[0], place[0], equal=True)


def _selected(node: nodes.Node) -> tuple[int, int] | None:
    """The mask of error-code bits that `node` is made of, and how far it was shifted down."""
    match node:
        case nodes.Operand(width=width, low=low):
            return ((1 << width) - 1) << low, low
        case nodes.BitSlice(width=width, operand=nodes.Operand(low=base), low=low):
            return ((1 << width) - 1) << (base + low), base + low
        case nodes.Operation(operator="&", left=left, right=nodes.Constant(value=value)):
            inner = _selected(left)
        case nodes.Operation(operator="&", left=nodes.Constant(value=value), right=right):
            inner = _selected(right)
        case _:
            return None
    return None if inner is None else (inner[0] & value << inner[1], inner[1])
