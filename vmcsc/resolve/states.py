"""The states that a policy takes, on one processor: whether it can have them, and whether the controls let it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vmcsc import codes
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.diagnostic import Diagnostics, Label
from vmcsc.expression import nodes
from vmcsc.expression.emit_text import emit_text
from vmcsc.expression.evaluate import Reader, evaluate
from vmcsc.policy.model import Policy, TakenState
from vmcsc.resolve.evidence import reason_of
from vmcsc.resolve.wishes import WordWishes, holds
from vmcsc.vmcs import ResolvedWord


def report_states(
    policy: Policy,
    capabilities: Capabilities,
    read: Reader,
    words: Mapping[str, ResolvedWord],
    wishes: Mapping[str, WordWishes],
    diagnostics: Diagnostics,
) -> frozenset[str]:
    """Report what keeps the processor from a state, and return the areas of which the state is not as meant."""
    unmet: set[str] = set()
    held: dict[str, TakenState] = {}
    for taken in policy.states:
        if not holds(taken.condition, read):
            continue
        other = held.setdefault(taken.state.area, taken)
        if other.state is not taken.state:
            _report_disagreement(taken, other, diagnostics)
        elif not (
            _report_needs(taken, capabilities, diagnostics) or _report_controls(taken, words, wishes, diagnostics)
        ):
            continue
        unmet.add(taken.state.area)
    return frozenset(unmet)


def unmet_needs(needs: tuple[nodes.Node, ...], capabilities: Capabilities) -> Iterator[tuple[nodes.Node, bool | None]]:
    """The conditions that are not met, with False, and those of which nobody knows, with None."""
    for condition in needs:
        met = evaluate(condition, capabilities.read).bit(0)
        if met is not True:
            yield condition, met


def _report_disagreement(taken: TakenState, other: TakenState, diagnostics: Diagnostics) -> None:
    diagnostics.report(
        codes.CONDITIONS_DISAGREE,
        f"two states of the {taken.state.area.split('_')[0]} hold here: `{taken.state.name}` and `{other.state.name}`",
        taken.span,
        labels=[Label(other.span, "the other one")],
        help="make their conditions exclude each other",
    )


def _report_needs(taken: TakenState, capabilities: Capabilities, diagnostics: Diagnostics) -> bool:
    """Whether the processor lacks something that the state needs."""
    unmet = list(unmet_needs(taken.state.needs, capabilities))
    missing = [condition for condition, met in unmet if met is False]
    unknown = [condition for condition, met in unmet if met is None]
    cpu = capabilities.cpu
    if missing:
        listed = " and ".join(f"`{emit_text(condition)}`" for condition in missing)
        message = f"this CPU cannot have the state `{taken.state.name}`, which needs {listed}"
        notes = dict.fromkeys(f"{cpu.title}: {reason_of(condition, capabilities)}" for condition in missing)
        diagnostics.report(codes.STATE_NOT_GRANTED, message, taken.span, notes=notes)
    elif unknown and cpu.msrs:
        listed = " and ".join(f"`{emit_text(condition)}`" for condition in unknown)
        message = f"whether this CPU can have the state `{taken.state.name}` is unknown: it needs {listed}"
        diagnostics.report(codes.GRANT_UNKNOWN, message, taken.span)
    return bool(missing)


def _report_controls(
    taken: TakenState,
    words: Mapping[str, ResolvedWord],
    wishes: Mapping[str, WordWishes],
    diagnostics: Diagnostics,
) -> bool:
    """Whether controls are not as the state needs them."""
    found = False
    for path, setting in taken.state.controls.items():
        word, _, name = path.partition(".")
        control = words[word].word.by_name[name]
        if words[word].value.bit(control.bit) in (setting, None):
            continue
        stance = wishes[word].stances.get(control.bit)
        labels = [] if stance is None or stance.implied else [Label(stance.span, f"`{stance.verb}` here")]
        message = f"the state `{taken.state.name}` needs `{path}` to be {int(setting)}, and it is {int(not setting)}"
        help = f"write `{'require' if setting else 'forbid'} {name}` in `{word}`, or take another state"
        diagnostics.report(codes.STATE_CONTROL, message, taken.span, labels=labels, help=help)
        found = True
    return found
