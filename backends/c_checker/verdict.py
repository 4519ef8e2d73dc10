"""What follows from the results of all rules, as C: tables of the rules in the order in which they count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vmcsc.architecture.database import Database
from vmcsc.check.verdict import causes_of_rules, is_number
from vmcsc.expression.rules import BoundRule

from ..c_header.text import listed, wrapped
from .rules import places


def causes(rules: Sequence[BoundRule], database: Database) -> str:
    """The rules in the order in which they count, with their outcomes."""
    caused = causes_of_rules(database)
    ranked = []
    for number, bound in enumerate(rules):
        effect = caused.get(bound.rule.id)
        if effect is not None:
            outcome, rank = min(effect.outcomes, key=lambda one: one[1])
            ranked.append((effect.stage, rank, number, dict(outcome.parts)))
    ranked.sort(key=lambda one: one[:3])
    names = number_names(database)
    each = places(rules)
    rows = [f"{{{number}u, {stage}u, {each.get(number, -1)}, {_outcome(parts, names, database)}}}"
            for stage, _, number, parts in ranked]  # fmt: skip
    ranks = {number: place for place, (_, _, number, _) in enumerate(ranked)}
    by_rule = ", ".join(f"{ranks.get(number, len(rows))}u" for number in range(len(rules))) or "0u"
    table = listed(rows or [f"{{0u, 0u, -1, {_nothing(names)}}}"])
    return (
        f"#define VMCSC_CAUSES {len(rows)}u\n\n"
        f"{_STRUCTS.replace('@NAMES', ', '.join(names))}\n"
        "/* Rules in the order in which the processor usually comes to them. */\n"
        f"static const struct vmcsc_cause vmcsc_causes[] = {table};\n\n"
        "/* The place of each rule among those. */\n"
        f"static const uint16_t vmcsc_rank[] = {{\n{wrapped(by_rule, '    ', '    ')}\n}};\n"
    )


def verdict_part(database: Database) -> str:
    """The function that gives the usual outcome."""
    return _FUNCTION.replace("@NOTHING", _nothing(number_names(database)).strip("{}"))


def _nothing(names: Sequence[str]) -> str:
    return f"{{{', '.join(['-1'] * (len(names) + 1))}}}"


def number_names(database: Database) -> list[str]:
    """The parts of outcomes that are numbers."""
    parts = (pair for rule in database.rules for one in (rule.outcome, *rule.other_outcomes) for pair in one.items())
    return list(dict.fromkeys(name for name, value in parts if is_number(value)))


def _outcome(parts: Mapping[str, int | str], names: Sequence[str], database: Database) -> str:
    """The numbers of an outcome, -1 where it has none; a fault by its vector."""
    numbers = [str(parts.get(name, -1)) for name in names]
    mnemonic = f"#{str(parts.get('fault', '')).upper()}"
    vectors = [one.vector for one in database.exceptions.values() if one.mnemonic == mnemonic]
    return f"{{{', '.join([*numbers, str(vectors[0] if vectors else -1)])}}}"


_STRUCTS = """/* An outcome of VM entry: -1 for each part that it does not have; VMfailInvalid has none of them. */
struct vmcsc_outcome {
    int @NAMES, fault;
};

struct vmcsc_cause {
    unsigned rule, stage;
    int each; /* its place in vmcsc_each, or -1 */
    struct vmcsc_outcome outcome;
};

#define VMCSC_FAILS  0u
#define VMCSC_ENTERS 1u
#define VMCSC_OPEN   2u

/* Whether the entry fails, succeeds, or hangs on what is unknown; where it fails, how it usually does, and the rule. */
struct vmcsc_verdict {
    unsigned enters, rule;
    struct vmcsc_outcome outcome;
};
"""

_FUNCTION = """/* The element by which the violation of a rule about an area is reported, else 0. */
static inline uint32_t vmcsc_reported(const struct vmcsc_results *results, int each)
{
    return each >= 0 && results->first[each] ? results->element[each] : 0u;
}

/* Run every rule over a state. */
static inline struct vmcsc_verdict vmcsc_check_state(const struct vmcsc_state *state, const struct vmcsc_answers *cpu,
                                                     struct vmcsc_results *results)
{
    struct vmcsc_check x;
    struct vmcsc_verdict verdict = {VMCSC_ENTERS, VMCSC_RULES, {@NOTHING}};
    uint32_t earliest = 0u;
    unsigned i, stage;
    x.state = state;
    x.cpu = cpu;
    x.results = results;
    x.best = VMCSC_CAUSES;
    x.undetermined = 0;
    x.elements = 0;
    x.element = 0u;
    x.element_known = 0;
    x.unread = 0;
    vmcsc_rules_run(&x);
    if (x.undetermined)
        verdict.enters = VMCSC_OPEN;
    if (x.best >= VMCSC_CAUSES)
        return verdict;
    verdict.enters = VMCSC_FAILS;
    stage = vmcsc_causes[x.best].stage;
    for (i = 0u; x.elements && i < VMCSC_EACH; i++) {
        const unsigned rule = vmcsc_each[i];
        const uint32_t element = vmcsc_reported(results, (int)i);
        if (element != 0u && vmcsc_status_of(results, rule) == VMCSC_VIOLATED && vmcsc_rank[rule] < VMCSC_CAUSES
            && vmcsc_causes[vmcsc_rank[rule]].stage == stage && (earliest == 0u || element < earliest))
            earliest = element;
    }
    for (i = x.best; i < VMCSC_CAUSES && vmcsc_causes[i].stage == stage; i++) {
        const unsigned rule = vmcsc_causes[i].rule;
        const uint32_t element = vmcsc_reported(results, vmcsc_causes[i].each);
        if (vmcsc_status_of(results, rule) != VMCSC_VIOLATED || element > earliest)
            continue; /* elements are loaded in order, so only the first that fails is reported */
        verdict.rule = rule;
        verdict.outcome = vmcsc_causes[i].outcome;
        if (element != 0u && verdict.outcome.qualification < 0)
            verdict.outcome.qualification = (int)element;
        break;
    }
    return verdict;
}
"""
