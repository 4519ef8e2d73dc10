"""What the checks of the bare hypervisor, as C, say of entries before Bochs makes them."""

from __future__ import annotations

from functools import cache

from tests.bochs.compare import Compared, permits
from tests.bochs.witness import specs
from vmcsc.check.evaluate import Status, rules_of

FAILS, ENTERS, OPEN = range(3)
PARTS = ("exit_reason", "qualification", "instruction_error")
WRONG = "BUT "


@cache
def _rule_ids() -> list[str]:
    return [bound.rule.id for bound in rules_of(specs())]


def foretelling(one: Compared) -> str:
    """How what the checks said goes with what Bochs did: a word or two to count, or a sentence that begins with BUT."""
    enters, rule, *numbers = one.seen.said
    if enters == OPEN:
        return "open, as for the rules" if one.expected.manual.enters is None else "open"
    parts = {name: number for name, number in zip(PARTS, numbers, strict=False) if number < 1 << 63}
    expected = one.expected
    rule_ids = _rule_ids()
    if enters == FAILS and not expected.manual.outcomes and not expected.manual.possible:
        return f"{WRONG}no rule is violated, and they say {rule_ids[rule]}"
    if enters == ENTERS and expected.manual.outcomes:
        return f"{WRONG}{', '.join(expected.violated)} are violated, and they say that it enters"
    unmet = {r.rule.id for r in expected.results if r.status in (Status.VIOLATED, Status.UNDETERMINED)}
    if enters == FAILS and expected.violated and rule_ids[rule] not in unmet:  # unknown memory is known to them
        return f"{WRONG}{', '.join(expected.violated)} are violated, and not {rule_ids[rule]}"
    if enters == ENTERS and one.seen.entered:
        return "enters, and does"
    if enters == FAILS and parts.items() <= dict(one.seen.parts).items() and one.seen.parts:
        return "fails so, and does"
    if enters == FAILS and not one.seen.entered and not one.seen.lost and permits(expected.manual, one.seen):
        return "fails, and does by another check that may come first"
    if one.foreseen and expected.because:
        return f"judged: {', '.join(expected.because)}"
    return f"{WRONG}they say {('fails', 'enters')[enters]} by {parts}"
