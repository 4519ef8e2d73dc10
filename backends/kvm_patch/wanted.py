"""What a policy wants of KVM: of each control whether it is required, used where it is there, or not used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vmcsc import codes
from vmcsc.architecture.kvm import Kvm
from vmcsc.architecture.model import Control
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes
from vmcsc.expression.value import Value, unknown
from vmcsc.policy.model import Policy, Stance
from vmcsc.resolve.wishes import holds
from vmcsc.source import Span
from vmcsc.vmcs import Vmcs

REQUIRED, OPTIONAL, ABSENT = "required", "optional", "absent"
_ORDER = ("require", "forbid", "prefer", "avoid", "allow")


@dataclass(frozen=True)
class Wish:
    """What is wanted of one control. `on`: it shall be 1 for a new vCPU, not only possible. `stance` is the strongest
    statement, None where the policy does not speak of the control."""

    control: Control
    standing: str
    on: bool
    stance: Stance | None

    @property
    def span(self) -> Span | None:
        return None if self.stance is None else self.stance.span

    @property
    def text(self) -> str:
        """The statement, as it may stand in a comment."""
        if self.stance is None:
            return "not named by the policy"
        implied = ", implied" if self.stance.implied else ""
        return f"{self.stance.verb} {self.control.name}{implied}, line {self.stance.span.first.line}"


def wishes(vmcses: Sequence[Vmcs], kvm: Kvm, diagnostics: Diagnostics) -> Mapping[str, Wish]:
    """By path the wish for each control of the words that KVM has; what nothing in KVM stands for is reported."""
    policy = vmcses[0].policy
    _report_others(policy, diagnostics)
    found = {}
    for word in vmcses[0].database.words.values():
        for control in word.controls:
            stances = [stance for stance in policy.stances if stance.control is control]
            if word.name in kvm.words:
                found[control.path] = _wish(control, stances, vmcses, diagnostics)
            elif stances:
                message = f"KVM has no place for `{stances[0].verb} {control.name}`: it does not use {word.sdm}"
                diagnostics.report(codes.NOT_BROUGHT_ABOUT, message, stances[0].span)
    return found


def _wish(control: Control, stances: Sequence[Stance], vmcses: Sequence[Vmcs], diagnostics: Diagnostics) -> Wish:
    """A list is one for all processors, so what counts is what is said, and not what a processor grants of it."""
    strongest = min(stances, key=lambda stance: _ORDER.index(stance.verb), default=None)
    standings = {_standing(stances, vmcs) for vmcs in vmcses}
    conditional = next((stance for stance in stances if stance.condition is not None), None)
    if conditional is not None and (len(standings) > 1 or None in standings):
        diagnostics.report(
            codes.NOT_BROUGHT_ABOUT,
            f"KVM's lists know no conditions, and what holds of `{control.name}` depends on the processor",
            conditional.span,
            help="say it without `when`, or name the processors with --cpu on which the patched kernel runs",
        )
    decided = [standing for standing in standings if standing is not None] or [(ABSENT, False)]
    standing, on = min(decided, key=lambda one: (REQUIRED, OPTIONAL, ABSENT).index(one[0]))
    return Wish(control, standing, on, strongest)


def _standing(stances: Sequence[Stance], vmcs: Vmcs) -> tuple[str, bool] | None:
    """What the statements come to that hold on a processor; None where nobody knows which do."""
    capabilities = Capabilities(vmcs.database, vmcs.cpu)

    def read(leaf: nodes.Leaf) -> Value:
        return unknown(leaf.width) if isinstance(leaf, nodes.Parameter) else capabilities.read(leaf)

    held = [(stance.verb, holds(stance.condition, read)) for stance in stances]
    if any(whether is None for _, whether in held):
        return None
    verbs = {verb for verb, whether in held if whether}
    if "require" in verbs:
        return REQUIRED, True
    return (OPTIONAL, "prefer" in verbs) if verbs & {"prefer", "allow"} else (ABSENT, False)


def _report_others(policy: Policy, diagnostics: Diagnostics) -> None:
    """What a policy says besides controls, none of which is KVM's configuration."""
    for what, span in _others(policy):
        diagnostics.report(codes.NOT_BROUGHT_ABOUT, f"{what}, which a patch of KVM's configuration cannot state", span)


def _others(policy: Policy) -> Iterator[tuple[str, Span]]:
    fields = dict.fromkeys((one.field.name, one.span) for one in policy.assignments if one.state is None)
    yield from ((f"the policy gives a value to {name}", span) for name, span in fields)
    bitmaps = {painting.bitmap.name: painting.span for painting in reversed(policy.paintings)}
    yield from ((f"the policy fills {name}", span) for name, span in reversed(bitmaps.items()))
    yield from ((f"the policy takes the state {one.state.name}", one.span) for one in policy.states)
    yield from (("the policy has a scenario", one.span) for one in policy.scenarios)
