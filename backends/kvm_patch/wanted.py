"""What a policy wants of KVM: of each control whether it is required, used where it is there, or not used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vmcsc import codes
from vmcsc.architecture.kvm import Kvm
from vmcsc.architecture.model import Control
from vmcsc.capabilities.cpu import UNKNOWN_CPU
from vmcsc.diagnostic import Diagnostics
from vmcsc.policy.model import Policy, Stance
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
    strongest = min(stances, key=lambda stance: _ORDER.index(stance.verb), default=None)
    conditional = next((stance for stance in stances if stance.condition is not None), None)
    standings = {_standing(control, vmcs) for vmcs in vmcses}
    if conditional is not None and (len(standings) > 1 or any(vmcs.cpu is UNKNOWN_CPU for vmcs in vmcses)):
        diagnostics.report(
            codes.NOT_BROUGHT_ABOUT,
            f"KVM's lists know no conditions, and what holds of `{control.name}` depends on the processor",
            conditional.span,
            help="say it without `when`, or name the processors with --cpu on which the patched kernel runs",
        )
    standing, on = min(standings, key=lambda one: (REQUIRED, OPTIONAL, ABSENT).index(one[0]))
    return Wish(control, standing, on, strongest)


def _standing(control: Control, vmcs: Vmcs) -> tuple[str, bool]:
    word = vmcs.words[control.word]
    if word.required & control.mask:
        return REQUIRED, True
    if word.preferred & control.mask:
        return OPTIONAL, True
    return (OPTIONAL, False) if word.allowed & control.mask else (ABSENT, False)


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
