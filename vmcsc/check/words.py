"""Outcomes and verdicts in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Rule
from vmcsc.check.verdict import Outcome, Verdict, parts_text


def verdict_text(verdict: Verdict, database: Database, on: str = "") -> str:
    """The verdict as a sentence without a full stop; `on` says on which processor, with a blank before it."""
    certain = [outcome_text(dict(outcome.parts), database) for outcome in verdict.outcomes]
    if certain:
        return f"VM entry fails{on}: {_listed(certain)}"
    if not verdict.possible:
        return f"VM entry succeeds{on}"
    possible = "; ".join(dict.fromkeys(str(outcome) for outcome in verdict.possible))
    return f"nothing that is known forbids VM entry{on}, but it may fail: {possible}"


def outcome_text(parts: Mapping[str, int | str], database: Database) -> str:
    """What happens, such as `exit reason 33 (VM-entry failure due to invalid guest state), qualification 0`."""
    return ", ".join(_part(name, value, database) for name, value in parts.items())


def outcomes_of(rule: Rule) -> str:
    """What a violation causes, and what on some processors: `exit reason 33, qualification 0`."""
    outcomes = (rule.outcome, *rule.other_outcomes)
    return " or ".join(parts_text(one.items()) for one in outcomes)


def demand(rule: Rule) -> str:
    """What the rule asks, and where: `where primary.use_tpr_shadow, guest_rflags[1] must hold`."""
    return f"{rule.require if rule.when is None else f'where {rule.when}, {rule.require}'} must hold"


def outcome_json(outcome: Outcome) -> dict[str, int | str]:
    return {"stage": outcome.stage, **dict(outcome.parts)}


def _part(name: str, value: int | str, database: Database) -> str:
    if name == "fault":
        mnemonic = f"#{str(value).upper()}"
        exception = next((e for e in database.exceptions.values() if e.mnemonic == mnemonic), None)
        return mnemonic if exception is None else f"{mnemonic} ({exception.sdm})"
    if name == "vmfail_invalid":
        return "VMfailInvalid"
    if name == "instruction_exit":
        return "VM exit of the instruction itself"
    numbered = getattr(database, f"{name}s", {})  # exit reasons, instruction errors
    meant = next((entry for entry in numbered.values() if entry.number == value), None)
    text = f"{name.replace('_', ' ')} {value}"
    return text if meant is None else f"{text} ({meant.sdm.replace('_', ' ')})"


def _listed(texts: Iterable[str]) -> str:
    *others, last = dict.fromkeys(texts)
    return f"{'; '.join(others)}; or {last}" if others else last
