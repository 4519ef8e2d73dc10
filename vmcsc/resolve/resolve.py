"""One policy on one processor."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Capabilities, Cpu
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes, value
from vmcsc.expression.evaluate import Reader, evaluate
from vmcsc.expression.value import Value
from vmcsc.policy.model import Policy
from vmcsc.resolve.explain import Explanation
from vmcsc.resolve.fields import resolve_fields
from vmcsc.resolve.states import report_states
from vmcsc.resolve.wishes import WordWishes, weigh
from vmcsc.resolve.words import SettledWords, everything_allowed, settle_words
from vmcsc.vmcs import ResolvedWord, Vmcs


def resolve(
    policy: Policy,
    database: Database,
    cpu: Cpu,
    diagnostics: Diagnostics,
    parameters: Mapping[str, int] | None = None,
) -> Vmcs:
    """The VMCS that `policy` comes to on `cpu`, with findings for all that the CPU or a rule refuses.

    `parameters` gives values for those that the policy declares; the others have their defaults, or are unknown.
    Of `UNKNOWN_CPU` only what no processor could grant is reported.
    """
    capabilities = Capabilities(database, cpu)
    read = _reader(policy, capabilities, parameters or {})
    wishes = weigh(policy.stances, database.words, read, diagnostics)
    settled = settle_words(database, capabilities.allowed, wishes)
    if cpu is UNKNOWN_CPU:
        generous = settle_words(database, lambda word: everything_allowed(word, capabilities), wishes)
        settled.undecided = generous.undecided
    fields, pages, absent = resolve_fields(policy, database, capabilities, read, diagnostics)
    words = {name: _resolved(name, wishes[name], settled) for name in database.words}
    unmet = report_states(policy, capabilities, read, words, wishes, diagnostics)
    vmcs = Vmcs(
        policy,
        database,
        cpu,
        words,
        fields,
        pages,
        absent,
        tuple(rule.rule.id for rule in settled.violated),
        unmet,
    )
    Explanation(vmcs, capabilities, wishes, settled, diagnostics, named=cpu is not UNKNOWN_CPU).report()
    return vmcs


def _reader(policy: Policy, capabilities: Capabilities, parameters: Mapping[str, int]) -> Reader:
    values: dict[str, Value] = {}

    def read(leaf: nodes.Leaf) -> Value:
        return values[leaf.name] if isinstance(leaf, nodes.Parameter) else capabilities.read(leaf)

    for name, parameter in policy.parameters.items():  # a default can only speak of those before it
        if name in parameters:
            values[name] = value.known(parameter.width, parameters[name])
        elif parameter.default is None:
            values[name] = value.unknown(parameter.width)
        else:
            values[name] = evaluate(parameter.default, read)
    return read


def _resolved(name: str, wishes: WordWishes, settled: SettledWords) -> ResolvedWord:
    state = settled.words[name]
    must, may = state.allowed.must_be_1, state.allowed.may_be_1
    wanted = wishes.required | wishes.preferred
    refused = ((wanted | wishes.allowed) & may.known & ~may.bits) | (wishes.forbidden & must.bits)
    return ResolvedWord(
        state.word,
        state.value,
        required=wishes.required,
        preferred=wishes.preferred,
        forbidden=wishes.forbidden,
        avoided=wishes.avoided,
        allowed=wishes.allowed & (may.bits | ~may.known),
        forced=must.bits & may.bits,
        refused=refused,
        dropped=state.dropped,
        raised=state.raised,
        inactive=wanted & ~refused if name in settled.inactive else 0,
        default1=state.word.reserved_default1 & state.value.bits,
    )
