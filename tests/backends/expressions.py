"""Random expressions of the policy language, each with its text and with what it comes to, in plain integers."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.backends.witness import CONTROLS, Capabilities, place

MSR_BITS: Sequence[tuple[str, int, int, int]] = (
    ("ia32_vmx_basic", 0x480, 0, 64),
    ("ia32_vmx_basic.revision_identifier", 0x480, 0, 31),
    ("ia32_vmx_basic.region_size", 0x480, 32, 13),
    ("ia32_vmx_basic.true_controls", 0x480, 55, 1),
    ("ia32_vmx_misc", 0x485, 0, 64),
    ("ia32_vmx_misc.preemption_timer_shift", 0x485, 0, 5),
    ("ia32_vmx_misc.store_efer_lma", 0x485, 5, 1),
    ("ia32_vmx_misc.cr3_target_count", 0x485, 16, 9),
    ("ia32_vmx_misc.mseg_revision_identifier", 0x485, 32, 32),
    ("ia32_vmx_cr4_fixed1", 0x489, 0, 64),
    ("ia32_vmx_vmcs_enum.highest_index", 0x48A, 1, 9),
    ("ia32_vmx_procbased_ctls2.allowed_1", 0x48B, 32, 32),
    ("ia32_vmx_ept_vpid_cap", 0x48C, 0, 64),
    ("ia32_vmx_ept_vpid_cap.execute_only", 0x48C, 0, 1),
    ("ia32_vmx_true_exit_ctls.allowed_0", 0x48F, 0, 32),
    ("ia32_vmx_procbased_ctls3", 0x492, 0, 64),
)
"""Name, MSR, lowest bit and width. An MSR that the processor does not have reads as 0."""

FACTS: Mapping[str, int] = {"maxphyaddr": 8, "linear_address_width": 8, "fred": 1, "pcid": 1, "la57": 1, "sgx": 1}
"""Facts of a processor that no capability MSR tells, with their widths."""

WIDTHS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Environment:
    """One processor and the values of the parameters."""

    capabilities: Capabilities
    facts: Mapping[str, int]
    parameters: Mapping[str, int]


@dataclass(frozen=True)
class Expression:
    """`value` gives `width` bits."""

    text: str
    width: int
    value: Callable[[Environment], int]


class Expressions:
    """Makes expressions over the parameters given so far, by name with their width."""

    def __init__(self, rng: random.Random, parameters: Mapping[str, int]) -> None:
        self._rng = rng
        self._parameters = parameters

    # --- truth values ---

    def condition(self, depth: int) -> Expression:
        rng = self._rng
        if depth == 0 or rng.random() < 0.3:
            return self._simple_condition()
        kind = rng.choice(("and", "or", "not", "compare", "compare", "in", "bits"))
        if kind == "not":
            inner = self.condition(depth - 1)
            return Expression(f"not ({inner.text})", 1, lambda e: inner.value(e) ^ 1)
        if kind in ("and", "or"):
            left, right = self.condition(depth - 1), self.condition(depth - 1)
            text = f"({left.text}) {kind} ({right.text})"
            if kind == "and":
                return Expression(text, 1, lambda e: left.value(e) & right.value(e))
            return Expression(text, 1, lambda e: left.value(e) | right.value(e))
        if kind == "bits":
            left, right, operator = self.condition(0), self.condition(depth - 1), rng.choice("&|^+-*")
            text = f"({left.text}) {operator} ({right.text})"
            return Expression(text, 1, lambda e: arithmetic(operator, left.value(e), right.value(e), 1))
        return self._comparison(depth) if kind == "compare" else self._membership(depth)

    def _simple_condition(self) -> Expression:
        rng = self._rng
        kind = rng.choice(("supported", "supported", "forced", "leaf", "constant"))
        if kind == "constant":
            truth = rng.randrange(2)
            return Expression(rng.choice((("false", "0"), ("true", "1"))[truth]), 1, lambda _: truth)
        if kind == "leaf":
            return self._leaf(1)
        word = rng.choice(list(CONTROLS))
        path = f"{word}.{rng.choice(list(CONTROLS[word]))}"
        control = place(path)
        if kind == "supported":
            return Expression(f"supported({path})", 1, lambda e: int(e.capabilities.supports(control)))
        return Expression(f"forced({path})", 1, lambda e: int(e.capabilities.forces(control)))

    def _comparison(self, depth: int) -> Expression:
        left = self.value(None, depth - 1)
        right = self._partner(left, depth)
        operator = self._rng.choice(("==", "!=", "<", "<=", ">", ">="))
        sides = (left, right) if self._rng.random() < 0.8 else (right, left)
        text = f"{wrap(sides[0].text)} {operator} {wrap(sides[1].text)}"
        return Expression(text, 1, lambda e: compare(operator, sides[0].value(e), sides[1].value(e)))

    def _partner(self, other: Expression, depth: int) -> Expression:
        """Something to compare with: a number near the edges, the same again, or another value of that width."""
        draw = self._rng.random()
        if draw < 0.1:
            return other
        return self._literal(other.width) if draw < 0.6 else self.value(other.width, depth - 1)

    def _membership(self, depth: int) -> Expression:
        operand = self.value(None, depth - 1)
        items: list[tuple[Expression, Expression]] = []
        texts = []
        for _ in range(self._rng.randint(1, 4)):
            low = self._literal(operand.width)
            high = self._literal(operand.width) if self._rng.random() < 0.5 else low
            items.append((low, high))
            texts.append(low.text if high is low else f"{low.text}..{high.text}")
        negated = self._rng.random() < 0.3
        text = f"{wrap(operand.text)} {'not in' if negated else 'in'} [{', '.join(texts)}]"

        def value(e: Environment) -> int:
            now = operand.value(e)
            return int(any(low.value(e) <= now <= high.value(e) for low, high in items)) ^ negated

        return Expression(text, 1, value)

    # --- numbers ---

    def value(self, width: int | None, depth: int) -> Expression:
        """A value of this width, or of any that is wider than one bit."""
        rng = self._rng
        if width is None:
            width = rng.choice((*WIDTHS, 5, 9))
        if depth <= 0 or rng.random() < 0.25:
            return self._leaf(width)
        kind = rng.choice(("binary", "binary", "binary", "shift", "invert", "negative", "slice", "resize"))
        if kind == "slice" and width < 64:
            return self._slice(width, depth)
        if kind in ("invert", "negative"):
            inner = self.value(width, depth - 1)
            sign = "~" if kind == "invert" else "-"
            mask = (1 << width) - 1
            add = 0 if kind == "invert" else 1
            return Expression(f"{sign}{wrap(inner.text)}", width, lambda e: ~inner.value(e) + add & mask)
        if kind == "shift":
            return self._shift(width, depth)
        if kind == "resize" and width in WIDTHS:
            return self._resized(self.value(None, depth - 1), width)
        left, operator = self.value(width, depth - 1), rng.choice("&|^+-*")
        right = self._literal(width) if rng.random() < 0.4 else self.value(width, depth - 1)
        first, second = (left, right) if rng.random() < 0.7 else (right, left)
        text = f"{wrap(first.text)} {operator} {wrap(second.text)}"
        return Expression(text, width, lambda e: arithmetic(operator, first.value(e), second.value(e), width))

    def _shift(self, width: int, depth: int) -> Expression:
        left, operator = self.value(width, depth - 1), self._rng.choice(("<<", ">>"))
        count = self._literal(7) if self._rng.random() < 0.6 else self.value(None, depth - 1)
        text = f"{wrap(left.text)} {operator} {wrap(count.text)}"
        return Expression(text, width, lambda e: arithmetic(operator, left.value(e), count.value(e), width))

    def _slice(self, width: int, depth: int) -> Expression:
        whole = next(w for w in (16, 32, 64) if w > width)
        inner = self.value(whole, depth - 1)
        low = self._rng.randint(0, whole - width)
        text = f"({inner.text})[{low + width - 1}:{low}]"
        return Expression(text, width, lambda e: inner.value(e) >> low & (1 << width) - 1)

    def _leaf(self, width: int) -> Expression:
        """A parameter, fact or part of an MSR, converted where its width is another one."""
        rng = self._rng
        choices: list[Expression] = []
        for name, bits in self._parameters.items():
            choices.append(Expression(name, bits, lambda e, n=name: e.parameters[n]))  # type: ignore[misc]
        for name, bits in FACTS.items():
            choices.append(Expression(f"cpu.{name}", bits, lambda e, n=name: e.facts[n]))  # type: ignore[misc]
        for name, msr, low, bits in MSR_BITS:
            choices.append(Expression(name, bits, msr_reader(msr, low, bits)))
        fitting = [choice for choice in choices if choice.width == width]
        if fitting and (width not in WIDTHS or rng.random() < 0.6):
            return rng.choice(fitting)
        if width in WIDTHS:
            return self._resized(rng.choice(choices), width)
        return self._slice(width, 0)

    @staticmethod
    def _resized(inner: Expression, width: int) -> Expression:
        return Expression(f"u{width}({inner.text})", width, lambda e: inner.value(e) & (1 << width) - 1)

    def _literal(self, width: int) -> Expression:
        rng = self._rng
        top = (1 << width) - 1
        number = rng.choice(
            (0, 1, min(2, top), top, top - 1, top >> 1, rng.randint(0, top), rng.randint(0, min(top, 64)))
        )
        text = rng.choice((str(number), hex(number)))
        if rng.random() < 0.1 and 0 < number <= top >> 1:
            return Expression(f"-{text}", width, lambda _: -number & top)
        return Expression(text, width, lambda _: number)

    def literal(self, width: int) -> Expression:
        return self._literal(width)


def msr_reader(msr: int, low: int, bits: int) -> Callable[[Environment], int]:
    return lambda e: e.capabilities.msrs.get(msr, 0) >> low & (1 << bits) - 1


def wrap(text: str) -> str:
    return text if text.replace("_", "").replace(".", "").isalnum() else f"({text})"


def arithmetic(operator: str, a: int, b: int, width: int) -> int:
    mask = (1 << width) - 1
    match operator:
        case "&":
            return a & b
        case "|":
            return a | b
        case "^":
            return a ^ b
        case "+":
            return a + b & mask
        case "-":
            return a - b & mask
        case "*":
            return a * b & mask
        case "<<":
            return 0 if b >= width else a << b & mask
        case _:
            return 0 if b >= width else a >> b


def compare(operator: str, a: int, b: int) -> int:
    return int({"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])
